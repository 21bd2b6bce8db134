//! The two calls of the system that the standard library does not have: a clock that processes share,
//! and the end of a file system as a power cut leaves it.
//!
//! The only unsafe code of this program is here.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};

/// `FS_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// Everything that is not on the disk yet is dropped, the journal of the file system included.
const NO_LOG_FLUSH: u32 = 2;

/// Reads one of the system's clocks.
///
/// # Errors
/// Where there is no such clock.
pub fn clock(which: libc::clockid_t, now: &mut libc::timespec) -> Result<()> {
    // SAFETY: `now` is a valid, exclusive place for one `timespec` during the call.
    let result = unsafe { libc::clock_gettime(which, now) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()).context("there is no clock") }
}

/// Cuts off a mounted file system: what it has not yet written to its device it never will.
///
/// # Errors
/// Those of the call, which only root may make, on file systems that know it.
pub fn cut_off(mount: &Path) -> Result<()> {
    let directory = File::open(mount).context("cannot open what is mounted")?;
    let flags = NO_LOG_FLUSH;
    // SAFETY: the descriptor is open during the call, and this call reads one `u32` behind the
    // pointer, which outlives it.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), SHUTDOWN, &raw const flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error()).context("FS_IOC_SHUTDOWN was refused")
    }
}
