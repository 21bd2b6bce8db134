//! The programs that building and testing need, and how they get onto a bare machine.
//!
//! Build tools of a pinned version (`tools.txt`) go into a virtual environment under `target/`, so
//! that a run does not depend on what the machine happens to have. Compilers and valgrind come from
//! the system; where they are missing and this process is root on Debian or Ubuntu, they are
//! installed, and otherwise the message names the packages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::report::say;
use crate::workspace::Workspace;

const PINNED: &str = include_str!("../tools.txt");

/// A program of the system, and the Debian package that has it.
struct Need {
    program: &'static str,
    package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

const TO_BUILD: &[Need] = &[
    need("cc", "gcc"),
    need("c++", "g++"),
    need("python3", "python3"),
    need("pkg-config", "pkg-config"),
];

/// What the remote store is tested with.
const REDIS: Need = need("redis-server", "redis-server");

const TO_TEST: &[Need] =
    &[need("clang", "clang"), need("nm", "binutils"), REDIS, need("valgrind", "valgrind")];

/// Makes sure that everything needed to build is there, and puts the pinned tools first in the
/// `PATH` of all commands that `sh` runs.
pub fn ensure_build_tools(sh: &Shell, workspace: &Workspace) -> Result<()> {
    ensure_programs(sh, TO_BUILD)?;
    ensure!(
        find_program("go").is_some(),
        "the program `go` is missing: install Go 1.24 or newer (https://go.dev/doc/install)"
    );
    let bin = ensure_pinned(sh, workspace)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))
        .context("a directory in PATH has a colon in its name")?;
    sh.set_var("PATH", all);
    Ok(())
}

/// Makes sure that what only the tests need is there.
pub fn ensure_test_tools(sh: &Shell) -> Result<()> {
    ensure_programs(sh, TO_TEST)
}

/// Makes sure that there is a server for the remote store.
pub fn ensure_redis(sh: &Shell) -> Result<()> {
    ensure_programs(sh, &[REDIS])
}

/// The clients that `kv-server` is tested with, as far as they are programs of the system.
const FOR_SERVER: &[Need] = &[need("redis-cli", "redis-tools"), need("curl", "curl")];

/// A browser without windows, under the names that it has; the first one is that of Debian's smallest package.
const BROWSERS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// Makes sure that the programs are there which speak to `kv-server` in its tests.
pub fn ensure_server_clients(sh: &Shell) -> Result<()> {
    ensure_programs(sh, FOR_SERVER)
}

/// A browser that can be driven by a program.
pub fn ensure_browser(sh: &Shell) -> Result<PathBuf> {
    let found = || BROWSERS.iter().find_map(|name| find_program(name));
    if found().is_none() {
        ensure_programs(sh, &[need(BROWSERS[0], BROWSERS[0])])?;
    }
    found().context("the package of the browser has no program of its name")
}

/// Makes sure that what only the pages of the interfaces need is there.
pub fn ensure_document_tools(sh: &Shell) -> Result<()> {
    ensure_programs(sh, &[need("doxygen", "doxygen")])
}

/// Makes sure that what runs the tests of Valkey is there.
pub fn ensure_tcl(sh: &Shell) -> Result<()> {
    ensure_programs(sh, &[need("tclsh", "tcl")])
}

/// Makes an empty virtual environment and returns its interpreter.
pub fn fresh_venv(sh: &Shell, directory: &Path) -> Result<PathBuf> {
    cmd!(sh, "python3 -m venv --clear {directory}").run()?;
    Ok(directory.join("bin/python"))
}

/// The lines of `tools.txt` for the named packages, so that a test environment gets the same
/// versions.
pub fn pinned(names: &[&str]) -> Result<Vec<&'static str>> {
    names
        .iter()
        .map(|name| {
            packages(PINNED)
                .find(|line| line.split("==").next() == Some(name))
                .with_context(|| format!("xtask/tools.txt does not pin {name}"))
        })
        .collect()
}

/// The packages that a list of requirements names.
fn packages(requirements: &str) -> impl Iterator<Item = &str> {
    requirements.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn ensure_programs(sh: &Shell, needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> =
        needs.iter().filter(|need| find_program(need.program).is_none()).collect();
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let wants_python = needs.iter().any(|need| need.program == "python3");
    if wants_python && !has_venv_module(sh) {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if find_program("apt-get").is_none() || !is_root(sh) {
        bail!(
            "these packages are missing: {list}; install them, for example with: sudo apt-get install {list}"
        );
    }
    say(&format!("installing with apt-get: {list}"));
    let _guard = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
    let wait = "DPkg::Lock::Timeout=300";
    let plain = "Dpkg::Use-Pty=0";
    cmd!(sh, "apt-get update -qq -o {wait}").run()?;
    cmd!(sh, "apt-get install -y -qq --no-install-recommends -o {wait} -o {plain} {packages...}")
        .run()
        .with_context(|| format!("apt-get could not install {list}; install it by hand"))
}

fn has_venv_module(sh: &Shell) -> bool {
    cmd!(sh, "python3 -c 'import ensurepip, venv'").quiet().ignore_stderr().run().is_ok()
}

fn is_root(sh: &Shell) -> bool {
    cmd!(sh, "id -u").quiet().read().is_ok_and(|id| id == "0")
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Installs the pinned tools, once for each content of `tools.txt`, and returns their directory.
fn ensure_pinned(sh: &Shell, workspace: &Workspace) -> Result<PathBuf> {
    Ok(kept_venv(sh, &workspace.tools(), PINNED)?.join("bin"))
}

/// A virtual environment with these requirements, one a line, made anew only when they change.
pub fn kept_venv(sh: &Shell, directory: &Path, requirements: &str) -> Result<PathBuf> {
    let stamp = directory.join("installed.txt");
    // The stamp is written last, so that an interrupted installation is done again.
    if std::fs::read_to_string(&stamp).is_ok_and(|content| content == requirements) {
        return Ok(directory.to_owned());
    }
    let list: Vec<&str> = packages(requirements).collect();
    say(&format!("installing into {}: {}", directory.display(), list.join(" ")));
    let python = fresh_venv(sh, directory)?;
    cmd!(sh, "{python} -m pip install --quiet {list...}").run()?;
    std::fs::write(&stamp, requirements)
        .with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(directory.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_one_exact_version() {
        for line in packages(PINNED) {
            assert_eq!(line.split("==").count(), 2, "{line} is not pinned");
        }
    }

    #[test]
    fn pinned_names_the_package_that_is_not_listed() {
        let error = pinned(&["no-such-tool"]).unwrap_err();
        assert!(error.to_string().contains("no-such-tool"));
    }
}
