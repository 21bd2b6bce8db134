//! The seam to what the system knows of this process.

#![allow(unsafe_code)]

/// Time that this process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// Seconds in the process itself.
    pub user_s: f64,
    /// Seconds in the system on its behalf.
    pub system_s: f64,
}

/// Time that this process has used so far.
pub fn cpu() -> Cpu {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a valid place for one rusage, and the call writes nothing else. All of it was
    // zeroed, which is a valid rusage, so it may be read even if the call failed.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Cpu { user_s: seconds(usage.ru_utime), system_s: seconds(usage.ru_stime) }
}
