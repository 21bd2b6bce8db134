//! What the system says of processes and of the machine, from `/proc`.

use anyhow::{Context, Result};

/// Bytes that this process has in memory now.
pub fn resident_bytes() -> Result<f64> {
    status_bytes("VmRSS:")
}

/// The most bytes that this process has had in memory.
pub fn peak_bytes() -> Result<f64> {
    status_bytes("VmHWM:")
}

/// From now on, [`peak_bytes`] tells of what comes.
pub fn forget_peak() -> Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn status_bytes(name: &str) -> Result<f64> {
    bytes_in(&std::fs::read_to_string("/proc/self/status")?, name)
}

/// The bytes that a line of a process's `status` tells.
pub fn bytes_in(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.with_context(|| format!("the status of a process has no {name}"))?;
    Ok(kilobytes.trim().parse::<f64>()? * 1024.0)
}

/// Nanoseconds for which the hypervisor has taken this machine's processors away; 0 where nobody
/// says. The system counts in steps of 10 ms.
pub fn stolen_ns() -> f64 {
    const TICK_NS: f64 = 1e7;
    const STEAL: usize = 8;
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().and_then(|line| line.split_whitespace().nth(STEAL));
    ticks.and_then(|ticks| ticks.parse::<f64>().ok()).map_or(0.0, |ticks| ticks * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_resident() {
        assert!(resident_bytes().unwrap() > 0.0);
        assert!(peak_bytes().unwrap() >= 4096.0);
        forget_peak().unwrap();
        assert!(peak_bytes().unwrap() >= 4096.0);
        assert!(stolen_ns() >= 0.0);
    }
}
