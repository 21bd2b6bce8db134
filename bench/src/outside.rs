//! Programs that are run, and what `cargo xtask bench` hands over about them.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use libloading::Library;

/// A variable that `cargo xtask bench` sets.
pub fn required(name: &str) -> Result<OsString> {
    std::env::var_os(name).with_context(|| format!("{name} is not set: run `cargo xtask bench`"))
}

/// Runs a program and gives what it printed. Its errors go to where ours go.
pub fn stdout_of(program: &mut Command) -> Result<String> {
    let name = program.get_program().to_string_lossy().into_owned();
    let output = program.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{name} failed ({}); it printed:\n{text}", output.status);
    Ok(text)
}

/// Loads the first of these libraries of the system that is there. It stays loaded for as long as the
/// program runs.
#[allow(unsafe_code)]
pub fn load(names: &[&str]) -> Result<&'static Library> {
    let mut missing = None;
    for name in names {
        // SAFETY: these are public libraries, which run nothing when loaded but constructors of
        // their own.
        match unsafe { Library::new(name) } {
            Ok(library) => return Ok(Box::leak(Box::new(library))),
            Err(error) => missing = missing.or(Some(error)),
        }
    }
    match missing {
        Some(error) => Err(error).context("the library is not installed"),
        None => bail!("no library was named"),
    }
}
