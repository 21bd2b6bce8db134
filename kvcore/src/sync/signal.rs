//! A descriptor that others can wait for with `poll` or `epoll`.
//!
//! Owns: [`Signal`], which is readable while it is set. On Linux it is an eventfd; elsewhere there is
//! none. Invariant: nobody ever waits in here, whatever state the descriptor is in.

#![allow(unsafe_code)]

use std::io;

/// A descriptor that is readable while it is set.
#[derive(Debug)]
pub struct Signal(std::fs::File);

impl Signal {
    /// A signal that is not set.
    ///
    /// # Errors
    /// What the system says if it has no descriptor to give, `Unsupported` where there are none.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Signal> {
        use std::os::fd::FromRawFd;
        // SAFETY: takes two numbers and touches no memory of ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened, and nothing else knows it.
        Ok(Signal(unsafe { std::fs::File::from_raw_fd(fd) }))
    }

    /// A signal that is not set.
    ///
    /// # Errors
    /// `Unsupported`.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Signal> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The number of the descriptor, which stays this signal's.
    pub fn fd(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.0.as_raw_fd()
    }

    /// Makes it readable.
    pub fn set(&self) {
        use std::io::Write;
        // It fails only if the count is at its highest, and then the descriptor is readable.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        use std::io::Read;
        // It fails only if the count is zero already.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}
