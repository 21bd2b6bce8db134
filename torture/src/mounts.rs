//! File systems of our own: ext4 on a loop device, and tmpfs of a given size.
//!
//! Invariant: what was mounted is unmounted and its device released when its owner goes, also after an
//! error. The tools of util-linux do it, because their messages name what a machine does not allow.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs a command, and fails with what it said.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is not UTF-8")
}

/// The argument that asks whether this machine allows what the rigs mount.
pub const MAY_MOUNT: &str = "may-mount";

/// Mounts a small one of each kind, and unmounts it.
///
/// # Errors
/// What is not allowed, or not there.
pub fn try_mounting() -> Result<()> {
    let place = std::env::temp_dir().join(format!("kvtorture-mount-{}", std::process::id()));
    fs::create_dir_all(&place)?;
    let tried = Tmpfs::new(&place.join("tmpfs"), 1 << 20)
        .and_then(|_| Ext4::new(&place.join("image"), 8 << 20, &place.join("ext4"), ""))
        .and_then(|disk| crate::system::cut_off(disk.path()));
    fs::remove_dir_all(&place)?;
    tried
}

/// A tmpfs of a given size.
pub struct Tmpfs {
    at: PathBuf,
}

impl Tmpfs {
    /// Mounts one at a directory that is made for it.
    ///
    /// # Errors
    /// What `mount` said.
    pub fn new(at: &Path, bytes: u64) -> Result<Tmpfs> {
        fs::create_dir_all(at)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "none", text(at)?])?;
        Ok(Tmpfs { at: at.to_path_buf() })
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // At the end of a rig nobody is left to be told.
        let _ = run("umount", &["-l", &self.at.to_string_lossy()]);
    }
}

/// An ext4 file system in a file, on a loop device.
pub struct Ext4 {
    device: String,
    at: PathBuf,
    options: String,
    mounted: bool,
}

impl Ext4 {
    /// Makes one in `image`, and mounts it at `at` with these options, if any.
    ///
    /// # Errors
    /// What the tools said.
    pub fn new(image: &Path, bytes: u64, at: &Path, options: &str) -> Result<Ext4> {
        fs::create_dir_all(at)?;
        fs::File::create(image)?.set_len(bytes)?;
        let name = text(image)?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", name])?;
        let device = run("losetup", &["--find", "--show", name])?;
        let options = if options.is_empty() { "rw".to_owned() } else { options.to_owned() };
        let mut made = Ext4 { device, at: at.to_path_buf(), options, mounted: false };
        made.small_requests()?;
        made.mount()?;
        Ok(made)
    }

    /// The loop driver counts a short write as a whole one, so that on a full backing file data could
    /// go without an error through no fault of the store. Requests of one page are never short.
    fn small_requests(&self) -> Result<()> {
        let name = self.device.trim_start_matches("/dev/");
        let path = format!("/sys/block/{name}/queue/max_sectors_kb");
        fs::write(&path, "4").with_context(|| format!("cannot write {path}"))
    }

    /// Mounts it again, which replays its journal.
    ///
    /// # Errors
    /// What `mount` said.
    pub fn mount(&mut self) -> Result<()> {
        run("mount", &["-t", "ext4", "-o", &self.options, &self.device, text(&self.at)?])?;
        self.mounted = true;
        Ok(())
    }

    /// Unmounts it.
    ///
    /// # Errors
    /// What `umount` said, if it did so for half a minute.
    pub fn unmount(&mut self) -> Result<()> {
        let mut result = Ok(String::new());
        for _ in 0..3000 {
            result = run("umount", &[text(&self.at)?]);
            if result.is_ok() {
                self.mounted = false;
                break;
            }
            // Threads of a process that was killed may still be on their way out.
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        result.map(drop).with_context(|| format!("this process has open: {:?}", self.open_files()))
    }

    /// The files on it that this process has open.
    fn open_files(&self) -> Vec<PathBuf> {
        let Ok(all) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
        let files = all.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        files.filter(|file| file.starts_with(&self.at)).collect()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // As above.
        if self.mounted {
            let _ = run("umount", &["-l", &self.at.to_string_lossy()]);
        }
        let _ = run("losetup", &["-d", &self.device]);
    }
}
