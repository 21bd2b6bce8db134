//! Starts the store's threads, with every signal blocked in them.
//!
//! A host's signal handlers must never run on a thread it does not know of.

#![allow(unsafe_code, clippy::disallowed_methods)]

use std::io;
use std::mem::MaybeUninit;
use std::thread::{Builder, JoinHandle, Scope};

/// A thread of the store, to be joined.
pub(crate) type Thread = JoinHandle<()>;

/// Starts a thread that receives no signals.
///
/// # Errors
/// What the system says when it has no thread to give.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let _masked = Masked::new();
    Builder::new().name(name.to_string()).spawn(body)
}

/// Starts a thread that receives no signals and ends before the scope does.
///
/// # Errors
/// What the system says when it has no thread to give.
pub(crate) fn spawn_scoped<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() + Send + 'scope,
) -> io::Result<()> {
    let _masked = Masked::new();
    Builder::new().name(name.to_string()).spawn_scoped(scope, body).map(drop)
}

/// Blocks all signals in this thread until it is dropped. A new thread takes over the mask of its
/// creator, so it is set for the moment of creation.
struct Masked(Option<libc::sigset_t>);

impl Masked {
    fn new() -> Masked {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset fills the set it is given. pthread_sigmask then reads that set and writes
        // the old mask to `before`, which is initialised if it succeeds; both point to properly sized
        // places on this stack.
        let before = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            let set = libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            (set == 0).then(|| before.assume_init())
        };
        Masked(before)
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: `before` is a mask that pthread_sigmask wrote; the null pointer asks for nothing.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask_has(signal: libc::c_int) -> bool {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: with no new set the call only writes the current mask, which sigismember reads.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr());
            libc::sigismember(mask.as_ptr(), signal) == 1
        }
    }

    #[test]
    fn signals_are_blocked_there_and_not_here() {
        assert!(!mask_has(libc::SIGUSR1));
        let thread = spawn("kv-test", || assert!(mask_has(libc::SIGUSR1))).unwrap();
        thread.join().unwrap();
        std::thread::scope(|scope| {
            spawn_scoped(scope, "kv-test", || assert!(mask_has(libc::SIGUSR1))).unwrap();
        });
        assert!(!mask_has(libc::SIGUSR1));
    }
}
