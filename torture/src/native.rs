//! The programs in C: what they are compiled with, and how system calls are made to fail under them.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::mounts::run;

/// The library that is loaded in front of the C library.
pub struct Faults {
    library: PathBuf,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Only `fsync` and `fdatasync` are counted.
    pub syncs_only: bool,
    /// The first that fails, from 1; 0 for none.
    pub at: u64,
    /// With which error.
    pub errno: i32,
    /// How many fail from there on.
    pub times: u64,
}

impl Fault {
    /// Nothing fails, and all calls are counted.
    pub fn none() -> Fault {
        Fault { syncs_only: false, at: 0, errno: 0, times: 0 }
    }
}

impl Faults {
    /// Compiles it into a directory.
    ///
    /// # Errors
    /// What the compiler said.
    pub fn compile(into: &Path) -> Result<Faults> {
        let library = into.join("faults.so");
        let source = source("faults.c");
        let arguments = ["-shared", "-fPIC", "-O2", "-Wall", "-o"];
        cc(&arguments, &[&library, &source])?;
        Ok(Faults { library })
    }

    /// Has calls fail in a program that concern a directory.
    pub fn plant(&self, program: &mut Command, directory: &Path, fault: Fault, count: &Path) {
        program
            .env("LD_PRELOAD", &self.library)
            .env("KV_FAULT_DIR", directory)
            .env("KV_FAULT_CALLS", if fault.syncs_only { "sync" } else { "all" })
            .env("KV_FAULT_AT", fault.at.to_string())
            .env("KV_FAULT_ERRNO", fault.errno.to_string())
            .env("KV_FAULT_TIMES", fault.times.to_string())
            .env("KV_FAULT_COUNT", count);
    }
}

/// Compiles the program that uses the store through its C interface, and puts the library beside it.
///
/// # Errors
/// If libkv was not built beside this program; what the compiler said.
pub fn compile_worker(into: &Path) -> Result<PathBuf> {
    let program = env::current_exe()?;
    let library = program.with_file_name("libkv.so");
    ensure!(library.exists(), "{} is missing: build kvffi in the same profile", library.display());
    let worker = into.join("worker");
    let name = into.join("libkv.so.0");
    if !name.exists() {
        symlink(&library, &name)?;
    }
    let include = format!("-I{}", root().join("include").display());
    let rpath = format!("-Wl,-rpath,{}", into.display());
    cc(&["-O1", &include, &rpath, "-o"], &[&worker, &source("worker.c"), &library])?;
    Ok(worker)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c").join(name)
}

fn cc(flags: &[&str], files: &[&Path]) -> Result<()> {
    let files: Option<Vec<&str>> = files.iter().map(|file| file.to_str()).collect();
    let mut arguments = flags.to_vec();
    arguments.extend(files.context("a path is not UTF-8")?);
    arguments.push("-ldl");
    run("cc", &arguments).map(drop)
}

/// An empty directory, made anew.
///
/// # Errors
/// Those of files.
pub fn fresh(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    Ok(fs::create_dir_all(path)?)
}
