//! The two ways a run is timed.
//!
//! One thread alone is timed by what it used of the processor, which a busy machine falsifies least.
//! Threads that race each other are timed by the wall clock, from the first start to the last end:
//! waiting for each other is part of what is measured.

#![allow(unsafe_code)]

use std::sync::Barrier;
use std::time::Instant;

/// Nanoseconds of processor time that this thread has used.
pub fn thread_ns() -> f64 {
    used_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Nanoseconds of processor time that all threads of this process have used.
pub fn process_ns() -> f64 {
    used_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn used_ns(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec, and the call writes nothing else. The clock
    // is there on every system that this program runs on; without it, `time` stays zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds that this thread works on `work`.
pub fn alone(work: impl FnOnce()) -> f64 {
    let start = thread_ns();
    work();
    thread_ns() - start
}

/// Nanoseconds until all of so many threads have done `work`, which is told its thread's number.
pub fn together(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let ready = Barrier::new(threads);
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let spawn = |thread| {
            let (ready, work) = (&ready, &work);
            scope.spawn(move || {
                ready.wait();
                let start = Instant::now();
                work(thread);
                (start, Instant::now())
            })
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        // A thread that panicked has no time, and the assertion below says so.
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    assert_eq!(times.len(), threads, "a measured thread panicked");
    let start = times.iter().map(|time| time.0).min();
    let end = times.iter().map(|time| time.1).max();
    end.zip(start).map_or(0.0, |(end, start)| (end - start).as_nanos() as f64)
}
