//! What the system says of itself: how much memory this process may use.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result, Status};

/// The longest file of settings that is read, in bytes.
const LONGEST_FILE: u64 = 16 << 20;

/// The bytes of a file that belongs to the settings, such as one with certificates.
///
/// # Errors
/// `Io`, naming the file; `Invalid` if it is longer than 16 MiB.
pub fn read_file(path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::from_os(&format!("cannot read '{path}'"), &error))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(Error::new(Status::Invalid, format!("'{path}' is longer than 16 MiB")));
    }
    Ok(bytes)
}

/// The memory in bytes that this process may use: the machine's, or its control group's limit where
/// that is lower. `u64::MAX` where neither can be told.
pub(crate) fn usable_memory() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = group_limits(&groups, Path::new("/sys/fs/cgroup")).unwrap_or(u64::MAX);
    limit.min(physical_memory().unwrap_or(u64::MAX))
}

/// The lowest memory limit on the way from this process's control group to the root.
fn group_limits(groups: &str, mount: &Path) -> Option<u64> {
    let mut lowest = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        // Version 2 has one hierarchy without a controller's name; version 1 has one for memory.
        let (root, file) = match controllers {
            "" => (mount.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        for folder in Path::new(group.trim_start_matches('/')).ancestors() {
            let text = fs::read_to_string(root.join(folder).join(file)).unwrap_or_default();
            if let Ok(limit) = text.trim().parse::<u64>() {
                lowest = Some(lowest.map_or(limit, |low: u64| low.min(limit)));
            }
        }
    }
    lowest
}

fn physical_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_taken_from_every_level() {
        let root = std::env::temp_dir().join(format!("kvcore-cgroup-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/memory.max"), "1000\n").unwrap();
        fs::write(root.join("a/b/memory.max"), "max\n").unwrap();
        assert_eq!(group_limits("0::/a/b\n", &root), Some(1000));
        assert_eq!(group_limits("0::/none\n", &root), None);
        assert_eq!(group_limits("garbage", &root), None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(usable_memory() > 1 << 20);
    }
}
