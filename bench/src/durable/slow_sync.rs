//! Syncs that get stuck when they are told to.
//!
//! This program has `fsync` and `fdatasync` of its own, which call the system's. So the engine that
//! is linked into it meets a disk that hangs without having anything built in for that. What is loaded
//! later, and other programs, are not reached.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

static STUCK_MS: AtomicU64 = AtomicU64::new(0);
static IS_STUCK: AtomicBool = AtomicBool::new(false);

/// From now on every sync takes at least so long; 0 ends that for those that come.
pub fn stick(time: Duration) {
    STUCK_MS.store(time.as_millis() as u64, Ordering::SeqCst);
}

/// Whether a sync is stuck.
pub fn is_stuck() -> bool {
    IS_STUCK.load(Ordering::SeqCst)
}

fn wait() {
    let stuck_ms = STUCK_MS.load(Ordering::Relaxed);
    if stuck_ms != 0 {
        IS_STUCK.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(stuck_ms));
        IS_STUCK.store(false, Ordering::SeqCst);
    }
}

/// Takes the place of the C library's.
///
/// # Safety
/// As `fdatasync`: none, any number may be passed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: libc::c_int) -> libc::c_int {
    wait();
    // SAFETY: no memory is passed. The result and `errno` are the system's.
    unsafe { libc::syscall(libc::SYS_fdatasync, file) as libc::c_int }
}

/// Takes the place of the C library's.
///
/// # Safety
/// As `fsync`: none, any number may be passed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: libc::c_int) -> libc::c_int {
    wait();
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_fsync, file) as libc::c_int }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_syncs_of_the_standard_library_come_here() {
        let path = std::env::temp_dir().join(format!("kvbench-sync-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        let took = |ms| {
            stick(Duration::from_millis(ms));
            let began = Instant::now();
            file.sync_data().unwrap();
            file.sync_all().unwrap();
            began.elapsed()
        };
        assert!(took(30) >= Duration::from_millis(60));
        took(0);
        assert!(!is_stuck());
        std::fs::remove_file(path).unwrap();
    }
}
