//! The seam to what the system knows of this process, and lets it have.

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

/// Lets this process have as many files open as the system allows it at all, since each client takes one. Gives how
/// many that are.
pub fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for one rlimit, and the call writes nothing else.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return u64::MAX;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: `raised` is a valid rlimit, which the call only reads.
    let is_raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0;
    if is_raised { raised.rlim_cur } else { limit.rlim_cur }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_raised_limit_stays() {
        let limit = super::raise_file_limit();
        assert!(limit > 0);
        assert_eq!(super::raise_file_limit(), limit);
    }
}
