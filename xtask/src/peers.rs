//! The engines that `bench durable` and `bench server` compare libkv with and that are no crates: RocksDB, LMDB
//! and Redis, as Debian has them.
//!
//! What the system has already is used. What is missing is downloaded by apt and unpacked under
//! `target/bench-peers`, which needs no rights and starts no server. Without apt the benchmark runs
//! without them, and says so.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use xshell::{PushEnv, Shell, cmd};

use crate::debian;
use crate::report::say;
use crate::workspace::Workspace;

const LMDB: &str = "liblmdb0";
const REDIS: &str = "redis-server";
/// The package whose only use here is to name that of the library, which has a version in its name.
const ROCKSDB_HEADERS: &str = "librocksdb-dev";
const ROCKSDB: &str = "librocksdb";

/// As long as the guards live, programs find the engines, or at least as many as there are.
pub fn environment<'s>(sh: &'s Shell, workspace: &Workspace) -> Result<Vec<PushEnv<'s>>> {
    let root = workspace.target().join("bench-peers");
    if let Err(error) = debian::unpack(sh, &root, || packages(sh)) {
        say(&format!("RocksDB, LMDB and Redis are compared only if installed: {error:#}"));
    }
    let paths = |name: &str, first: Vec<PathBuf>| -> Result<_> {
        let others = std::env::var_os(name).unwrap_or_default();
        let others = std::env::split_paths(&others).filter(|path| !path.as_os_str().is_empty());
        Ok(std::env::join_paths(first.into_iter().chain(others))?)
    };
    let libraries = paths("LD_LIBRARY_PATH", folders(&root.join("usr/lib"))?)?;
    let programs = paths("PATH", vec![root.join("usr/bin")])?;
    Ok(vec![sh.push_env("LD_LIBRARY_PATH", libraries), sh.push_env("PATH", programs)])
}

/// The packages to ask apt for.
fn packages(sh: &Shell) -> Result<Vec<String>> {
    let depends = cmd!(sh, "apt-cache depends {ROCKSDB_HEADERS}").quiet().read()?;
    let rocksdb = depends.split_whitespace().find(|word| is_library(word));
    ensure!(rocksdb.is_some(), "apt knows no {ROCKSDB_HEADERS}");
    Ok([LMDB, REDIS].into_iter().chain(rocksdb).map(str::to_owned).collect())
}

fn is_library(package: &str) -> bool {
    package.strip_prefix(ROCKSDB).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// A folder and the folders in it, as far as they are there.
fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    if !root.exists() {
        return Ok(Vec::new());
    }
    let mut folders = vec![root.to_owned()];
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_told_from_its_headers() {
        assert!(is_library("librocksdb7.8") && !is_library("librocksdb-dev"));
        assert!(!is_library("librocksdb"));
    }
}
