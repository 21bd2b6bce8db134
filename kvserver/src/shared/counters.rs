//! What the server counts for `INFO`.
//!
//! Owns: counters of each command and of bytes, which every thread has for itself so that they share no cache
//! line, and those of rarer things, which all threads share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Buckets of times: up to 1 µs, up to 2 µs, up to 4 µs, and so on to about half an hour.
pub const BUCKETS: usize = 32;

/// What one command came to on one thread, or on all of them.
#[derive(Debug, Default)]
pub struct CommandCounter {
    /// Calls.
    pub calls: AtomicU64,
    /// Microseconds, all together.
    pub usec: AtomicU64,
    /// Calls that were refused before they began.
    pub rejected: AtomicU64,
    /// Calls that answered an error.
    pub failed: AtomicU64,
    /// Calls by how long they took: in each bucket those that took no longer than 2 to its number in
    /// microseconds, and longer than the bucket before has.
    took: [AtomicU64; BUCKETS],
}

impl CommandCounter {
    /// Counts calls that took so long all together, and about the same each.
    #[inline]
    pub fn add(&self, calls: u64, usec: u64) {
        self.calls.fetch_add(calls, Ordering::Relaxed);
        self.usec.fetch_add(usec, Ordering::Relaxed);
        if let Some(bucket) = self.took.get(bucket_of(usec / calls.max(1))) {
            bucket.fetch_add(calls, Ordering::Relaxed);
        }
    }
}

/// The number of the bucket of a time in microseconds.
fn bucket_of(usec: u64) -> usize {
    let bits = u64::BITS - usec.saturating_sub(1).leading_zeros();
    (bits as usize).min(BUCKETS - 1)
}

/// A [`CommandCounter`] as it was at some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommandCount {
    /// Calls.
    pub calls: u64,
    /// Microseconds, all together.
    pub usec: u64,
    /// Calls that were refused before they began.
    pub rejected: u64,
    /// Calls that answered an error.
    pub failed: u64,
}

/// What one thread counts. Two processors never wait for each other's: it has cache lines of its own, pairs of
/// them, since some processors fetch two at a time.
#[derive(Debug)]
#[repr(align(128))]
pub struct ThreadCounters {
    /// A counter for each command of the table.
    commands: Vec<CommandCounter>,
    /// Bytes that were read.
    pub input_bytes: AtomicU64,
    /// Bytes that were written.
    pub output_bytes: AtomicU64,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Counters {
    threads: Vec<ThreadCounters>,
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Connections that were refused.
    pub rejected_connections: AtomicU64,
    /// Connections on which TLS came to nothing.
    pub tls_failed: AtomicU64,
    /// Clients that were disconnected for the memory of their buffers.
    pub evicted_clients: AtomicU64,
    /// Errors that were answered.
    pub errors: AtomicU64,
    /// Refusals for a missing permission: of a user, a command, a key, a channel.
    pub denied: [AtomicU64; 4],
    /// Expired keys, evicted keys, hits and misses of the store when counting began anew.
    pub store_base: [AtomicU64; 4],
    by_error: Mutex<BTreeMap<String, u64>>,
}

/// Kinds of errors that are counted one by one; all others are counted together.
const ERRORS_MAX: usize = 128;

impl Counters {
    /// All zero, for so many threads, one at least, and commands.
    pub fn new(threads: usize, commands: usize) -> Counters {
        let of_thread = |_| ThreadCounters {
            commands: (0..commands).map(|_| CommandCounter::default()).collect(),
            input_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
        };
        Counters {
            threads: (0..threads.max(1)).map(of_thread).collect(),
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            tls_failed: AtomicU64::new(0),
            evicted_clients: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            denied: Default::default(),
            store_base: Default::default(),
            by_error: Mutex::default(),
        }
    }

    /// What a thread counts.
    #[inline]
    pub fn thread(&self, thread: usize) -> &ThreadCounters {
        // A number that is none counts with the first, so nothing is lost.
        self.threads.get(thread).unwrap_or(&self.threads[0])
    }

    /// The counter of a command on a thread.
    #[inline]
    pub fn command(&self, thread: usize, command: usize) -> Option<&CommandCounter> {
        self.thread(thread).commands.get(command)
    }

    /// Bytes that were read.
    pub fn input_bytes(&self) -> u64 {
        self.threads.iter().map(|thread| thread.input_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Bytes that were written.
    pub fn output_bytes(&self) -> u64 {
        self.threads.iter().map(|thread| thread.output_bytes.load(Ordering::Relaxed)).sum()
    }

    /// What a command came to on all threads.
    pub fn total(&self, command: usize) -> CommandCount {
        let mut total = CommandCount::default();
        for counter in self.threads.iter().filter_map(|thread| thread.commands.get(command)) {
            total.calls += counter.calls.load(Ordering::Relaxed);
            total.usec += counter.usec.load(Ordering::Relaxed);
            total.rejected += counter.rejected.load(Ordering::Relaxed);
            total.failed += counter.failed.load(Ordering::Relaxed);
        }
        total
    }

    /// How many calls of a command took no longer than 2 to the number of each bucket in microseconds, on
    /// all threads.
    pub fn took(&self, command: usize) -> [u64; BUCKETS] {
        let mut took = [0; BUCKETS];
        for counter in self.threads.iter().filter_map(|thread| thread.commands.get(command)) {
            for (count, bucket) in took.iter_mut().zip(&counter.took) {
                *count += bucket.load(Ordering::Relaxed);
            }
        }
        let mut sum = 0;
        took.map(|count| {
            sum += count;
            sum
        })
    }

    /// Calls of all commands.
    pub fn calls(&self) -> u64 {
        let all = self.threads.iter().flat_map(|thread| &thread.commands);
        all.map(|counter| counter.calls.load(Ordering::Relaxed)).sum()
    }

    /// Counts an error by its code, the first word of its text.
    pub fn count_error(&self, text: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let code = text.split(' ').next().unwrap_or_default();
        let mut by_error = self.by_error.lock();
        if let Some(count) = by_error.get_mut(code) {
            *count += 1;
        } else if by_error.len() < ERRORS_MAX {
            by_error.insert(code.to_owned(), 1);
        }
    }

    /// How often each code of an error was answered.
    pub fn errors_by_code(&self) -> Vec<(String, u64)> {
        self.by_error.lock().iter().map(|(code, count)| (code.clone(), *count)).collect()
    }

    /// Begins anew.
    pub fn reset(&self, store: &kvcore::Stats) {
        for counter in self.threads.iter().flat_map(|thread| &thread.commands) {
            for count in [&counter.calls, &counter.usec, &counter.rejected, &counter.failed] {
                count.store(0, Ordering::Relaxed);
            }
            counter.took.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        }
        for thread in &self.threads {
            thread.input_bytes.store(0, Ordering::Relaxed);
            thread.output_bytes.store(0, Ordering::Relaxed);
        }
        for count in [&self.connections, &self.rejected_connections, &self.tls_failed, &self.errors]
        {
            count.store(0, Ordering::Relaxed);
        }
        self.denied.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        let now = [store.expired, store.evicted, store.hits, store.misses];
        for (base, now) in self.store_base.iter().zip(now) {
            base.store(now, Ordering::Relaxed);
        }
        self.by_error.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_of_the_next_power_of_two() {
        for (usec, bucket) in
            [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)]
        {
            assert_eq!(bucket_of(usec), bucket, "{usec}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn times_are_summed_up_from_the_shortest() {
        let counters = Counters::new(2, 1);
        counters.command(0, 0).unwrap().add(2, 2);
        counters.command(1, 0).unwrap().add(1, 4);
        let took = counters.took(0);
        assert_eq!((took[0], took[1], took[2], took[BUCKETS - 1]), (2, 2, 3, 3));
    }
}
