//! Tells a store that it has crossed a `fork`, and keeps its lock from crossing one.
//!
//! Owns: the process's fork generation, what every process has for itself, and the files whose
//! descriptors a child must not keep. A child starts with a copy of every lock, held or not, and
//! without the threads that would release them, so an inherited store must not be used there. The
//! child's handler moves a counter, which a call compares with the one its store opened under, lets go
//! of what belonged to other threads, and closes descriptors; a child of a process with threads may do
//! little else.
//!
//! Why descriptors have to be closed there: a `flock` lasts until the last descriptor of the open
//! file is gone, so a child would hold the directory of a parent that has died.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::{random, striped};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCH: Once = Once::new();

/// Forks of this process that have begun, and those of them that are over.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);

/// The first of the slots. They are never freed, so that a child may walk them at any moment.
static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// Tells one use of a slot from the next.
static TICKETS: AtomicU32 = AtomicU32::new(0);

/// How often a moment is looked for in which the process does not fork, and how many of these times
/// without a pause of a millisecond. A fork of a process with much memory takes a while.
const ATTEMPTS: usize = 2000;
const QUICK_ATTEMPTS: usize = 20;

/// The number of forks between the first process and this one, since the first store was opened.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Starts counting forks. Called by every open; only the first call does something.
pub(crate) fn watch() {
    WATCH.call_once(|| {
        // SAFETY: the handlers are plain functions that live as long as the library, which is
        // linked so that it is never unloaded. They touch atomics and memory that is never freed,
        // and the child's closes descriptors: all of which a child of a process with threads may
        // do. A failure (no memory) leaves forks uncounted.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_parent() {
    OVER.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // Other threads of the parent may have been forking too; none of that goes on here.
    OVER.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    striped::forget_others();
    random::reseed(fresh_seed());
    for slot in slots() {
        if let Some(fd) = fd_of(slot.word.swap(0, Ordering::SeqCst)) {
            // SAFETY: the descriptor belongs to the slot, and whoever put it there finds the slot
            // changed and keeps away from it. An error leaves nothing to do.
            unsafe { libc::close(fd) };
        }
    }
}

/// A number that no other child draws its random numbers from.
fn fresh_seed() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to `now`, and asks for a number; a child may do both.
    let pid = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
        libc::getpid()
    };
    let nanos = (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64);
    nanos ^ u64::from(pid as u32) << 32
}

/// What every process has for itself: a child of `fork` starts with a new one, since a lock in an
/// inherited one may never be free there. They are never freed.
pub(crate) struct PerProcess<T: 'static>(AtomicPtr<(u32, T)>);

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        PerProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's.
    pub(crate) fn current(&self) -> &'static T {
        loop {
            let current = self.0.load(Ordering::Acquire);
            // SAFETY: the pointer is null or was leaked by this function, and is never freed.
            match unsafe { current.as_ref() } {
                Some((of, own)) if *of == generation() => return own,
                _ => {}
            }
            let own = Box::into_raw(Box::new((generation(), T::default())));
            let first =
                self.0.compare_exchange(current, own, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if !first {
                // SAFETY: another thread was first, so nobody has seen this one.
                drop(unsafe { Box::from_raw(own) });
            }
        }
    }
}

/// A place for one descriptor.
struct Slot {
    /// 0 if it is free. Otherwise the descriptor, below the number of this use and a bit that is set.
    word: AtomicU64,
    next: Option<&'static Slot>,
}

/// The bit of a word in use.
const IN_USE: u64 = 1 << 63;

/// The descriptor in a word, if it has one.
fn fd_of(word: u64) -> Option<RawFd> {
    // The low half of the word is the descriptor.
    (word & IN_USE != 0).then_some(word as u32 as RawFd)
}

/// Every slot there is.
fn slots() -> impl Iterator<Item = &'static Slot> {
    std::iter::successors(linked(SLOTS.load(Ordering::SeqCst)), |slot| slot.next)
}

/// The slot behind a pointer out of `SLOTS`.
fn linked(slot: *mut Slot) -> Option<&'static Slot> {
    // SAFETY: a slot is whole before it is linked, changes only by its atomic then, and lives for ever.
    unsafe { slot.as_ref() }
}

/// A slot that has this word now.
fn claim(word: u64) -> &'static Slot {
    for slot in slots() {
        if slot.word.compare_exchange(0, word, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return slot;
        }
    }
    let slot = Box::leak(Box::new(Slot { word: AtomicU64::new(word), next: None }));
    let mut head = SLOTS.load(Ordering::SeqCst);
    loop {
        slot.next = linked(head);
        match SLOTS.compare_exchange(head, &raw mut *slot, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return slot,
            Err(now) => head = now,
        }
    }
}

/// An open file that a forked child closes before it does anything else. Closing is all that happens
/// there: a lock on the file stays with the parent. It is to be released before the file is dropped,
/// since a fork meanwhile may copy the descriptor and not what is noted of it.
pub(crate) struct Uninherited {
    slot: &'static Slot,
    word: u64,
}

impl Uninherited {
    /// Opens a file such that no child has it. A fork between opening and noting the descriptor
    /// would let one through, so the file is opened again if the process was forking meanwhile. The
    /// one fork that is not seen is one that began before this crate was first used.
    ///
    /// # Errors
    /// What `open` says.
    pub(crate) fn open(open: impl Fn() -> io::Result<File>) -> io::Result<Uninherited> {
        watch();
        for attempt in 0..ATTEMPTS {
            let begun = BEGUN.load(Ordering::SeqCst);
            if OVER.load(Ordering::SeqCst) == begun {
                let file = Uninherited::note(open()?);
                if BEGUN.load(Ordering::SeqCst) == begun {
                    return Ok(file);
                }
            }
            if attempt < QUICK_ATTEMPTS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // A process that forks without a pause. The lock may outlive it in a child, no worse.
        open().map(Uninherited::note)
    }

    fn note(file: File) -> Uninherited {
        let fd = file.into_raw_fd();
        let ticket = u64::from(TICKETS.fetch_add(1, Ordering::Relaxed)) << 32;
        // A descriptor is not negative, so it fits in the low half.
        let word = IN_USE | ticket | u64::from(fd as u32);
        Uninherited { slot: claim(word), word }
    }

    /// Calls `f` with the file; `None` in a child, which has closed it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&File) -> R) -> Option<R> {
        let word = self.slot.word.load(Ordering::SeqCst);
        let fd = fd_of(word).filter(|_| word == self.word)?;
        // SAFETY: the slot has the word of this use, so the descriptor is open and ours, and stays
        // so while `self` is borrowed: only `drop` closes it in this process. It is not closed here.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
        Some(f(&file))
    }
}

impl Drop for Uninherited {
    fn drop(&mut self) {
        let left =
            self.slot.word.compare_exchange(self.word, 0, Ordering::SeqCst, Ordering::SeqCst);
        if let Some(fd) = left.ok().and_then(fd_of) {
            // SAFETY: the slot had the word of this use, so the descriptor is open and ours, and
            // nothing else knows it any more.
            drop(unsafe { File::from_raw_fd(fd) });
        }
    }
}

impl std::fmt::Debug for Uninherited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uninherited").field("fd", &fd_of(self.word)).finish()
    }
}

/// Tests that fork do so one after the other: a child of one would have what another one has open.
#[cfg(all(test, not(kv_shuttle)))]
pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::fd::AsRawFd;
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// Forks. The child says by `look` what it sees, as a byte, and is gone when the answer is read.
    /// `look` runs in a child of a process with threads: it may allocate nothing.
    fn ask_child(look: impl Fn() -> u8) -> u8 {
        // SAFETY: the child calls `look`, which keeps to what is allowed, and `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let seen = look();
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(i32::from(seen)) };
        }
        assert!(child > 0);
        let mut status = 0;
        // SAFETY: waits for the child, and writes to one integer.
        while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {}
        assert!(libc::WIFEXITED(status));
        libc::WEXITSTATUS(status) as u8
    }

    #[test]
    fn a_child_has_its_own() {
        static OWN: PerProcess<AtomicU32> = PerProcess::new();
        let _alone = alone();
        watch();
        OWN.current().store(7, Ordering::SeqCst);
        let look = || {
            // A few bytes of the allocator, which glibc keeps fit for a child.
            let fresh = OWN.current().swap(1, Ordering::SeqCst) == 0;
            u8::from(fresh && OWN.current().load(Ordering::SeqCst) == 1)
        };
        assert_eq!(ask_child(look), 1);
        assert_eq!(OWN.current().load(Ordering::SeqCst), 7);
    }

    fn some_file() -> io::Result<File> {
        #[allow(clippy::disallowed_methods)]
        File::open("/dev/null")
    }

    #[test]
    fn a_child_is_another_generation() {
        let _alone = alone();
        watch();
        let before = generation();
        assert_eq!(ask_child(|| u8::from(generation() == before + 1)), 1);
        assert_eq!(generation(), before);
    }

    #[test]
    fn a_child_has_closed_the_file_and_keeps_away_from_it() {
        let _alone = alone();
        let file = Uninherited::open(some_file).unwrap();
        let fd = fd_of(file.word).unwrap();
        assert!(file.with(|file| file.metadata().is_ok()).unwrap());
        let look = || {
            // SAFETY: asks about a descriptor, which may be closed.
            let closed = unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1;
            // Another file with the same number, which the child's copy must not touch.
            // SAFETY: opens a file by a name that ends in a zero, and duplicates its descriptor.
            let other = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
            // SAFETY: as above.
            let same = other == fd || unsafe { libc::dup2(other, fd) } == fd;
            let kept_away = file.with(|_| ()).is_none();
            // SAFETY: the copy is not used again; the parent's is another one.
            drop(unsafe { ptr::read(&file) });
            // SAFETY: asks about a descriptor.
            let untouched = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
            u8::from(closed && same && kept_away && untouched)
        };
        assert_eq!(ask_child(look), 1);
        assert!(file.with(|file| file.metadata().is_ok()).unwrap());
    }

    #[test]
    fn slots_are_used_again_and_uses_told_apart() {
        let _alone = alone();
        let count = || slots().count();
        let files: Vec<_> = (0..20).map(|_| Uninherited::open(some_file).unwrap()).collect();
        let words: std::collections::BTreeSet<u64> = files.iter().map(|file| file.word).collect();
        assert_eq!(words.len(), files.len());
        let most = count();
        drop(files);
        for _ in 0..100 {
            let file = Uninherited::open(some_file).unwrap();
            assert!(!words.contains(&file.word));
            assert_eq!(fd_of(file.word), file.with(AsRawFd::as_raw_fd));
        }
        // Tests beside this one may have made a few.
        assert!(count() < most + 20, "{} after {most}", count());
    }

    /// A child that waits for the signal that ends it.
    fn idle_child() -> libc::pid_t {
        // SAFETY: the child waits and does nothing else.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // Whoever ends it may have failed before that.
            // SAFETY: takes a number.
            unsafe { libc::alarm(600) };
            loop {
                // SAFETY: takes no memory.
                unsafe { libc::pause() };
            }
        }
        assert!(child > 0);
        child
    }

    fn end(child: libc::pid_t) {
        // SAFETY: ends and awaits a child of this test; nothing is written.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, ptr::null_mut(), 0);
        }
    }

    #[test]
    fn a_file_opened_while_the_process_forks_stays_in_no_child() {
        let _alone = alone();
        const LOOKS: u32 = 60_000;
        let path = std::env::temp_dir().join(format!("kvcore-fork-{}", std::process::id()));
        let open = || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(false).open(&path)
        };
        watch();
        for _ in 0..40 {
            let first = AtomicBool::new(false);
            let (file, children) = std::thread::scope(|scope| {
                let forker = scope.spawn(|| {
                    first.store(true, Ordering::SeqCst);
                    (0..4).map(|_| idle_child()).collect::<Vec<_>>()
                });
                while !first.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                let file = Uninherited::open(open).unwrap();
                file.with(File::try_lock).unwrap().unwrap();
                (file, forker.join().unwrap())
            });
            // Closed without being unlocked, as when a process ends: a child that had the file would
            // have the lock. One may not have run its handler yet, so this may have to wait.
            drop(file);
            let next = open().unwrap();
            let locks = |_| {
                let is_free = next.try_lock().is_ok();
                if !is_free {
                    std::thread::sleep(Duration::from_millis(1));
                }
                is_free
            };
            let is_free = (0..LOOKS).any(locks);
            children.into_iter().for_each(end);
            assert!(is_free, "a child has the lock");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_is_opened_again_after_a_fork_that_may_have_it() {
        let _alone = alone();
        let path = std::env::temp_dir().join(format!("kvcore-again-{}", std::process::id()));
        let child = std::cell::Cell::new(0);
        let open = || {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
            if child.get() == 0 {
                child.set(idle_child());
            }
            file
        };
        let file = Uninherited::open(open).unwrap();
        file.with(File::try_lock).unwrap().unwrap();
        drop(file);
        let is_free = open().unwrap().try_lock().is_ok();
        end(child.get());
        std::fs::remove_file(path).unwrap();
        assert!(is_free, "the child has the lock");
    }
}
