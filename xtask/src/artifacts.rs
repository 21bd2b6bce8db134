//! What the commands build and share: the installed prefix, the wheel, and the environment in which
//! programs find them.
//!
//! Each artefact is built at most once in a run, and by the same tools that a user has: CMake for
//! the prefix, maturin for the wheel. All of them share one Cargo target directory, so that the
//! engine and its dependencies are compiled once.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{PushEnv, Shell, cmd};

use crate::report::say;
use crate::tools;
use crate::workspace::Workspace;

/// The shell that commands run in, and what has been built so far.
pub struct Artifacts {
    /// Runs commands in the repository's root, with the pinned tools first in `PATH`.
    pub sh: Shell,
    /// The paths of this checkout.
    pub workspace: Workspace,
    prefix: OnceCell<PathBuf>,
    wheel: OnceCell<PathBuf>,
}

impl Artifacts {
    /// Finds the checkout and makes sure that the build tools are there.
    pub fn new() -> Result<Artifacts> {
        let workspace = Workspace::find()?;
        let sh = Shell::new()?;
        sh.change_dir(workspace.root());
        // `cargo run` points this at the debug build, where programs would find the wrong library.
        sh.set_var("LD_LIBRARY_PATH", "");
        // What makes a second build of a crate faster makes the first one slower, and most are the first.
        if sh.var_os("CARGO_INCREMENTAL").is_none() {
            sh.set_var("CARGO_INCREMENTAL", "0");
        }
        // One of the pinned tools; `make` need not be there.
        sh.set_var("CMAKE_GENERATOR", "Ninja");
        tools::ensure_build_tools(&sh, &workspace)?;
        Ok(Artifacts { sh, workspace, prefix: OnceCell::new(), wheel: OnceCell::new() })
    }

    /// Where libkv is installed; builds and installs it first.
    pub fn prefix(&self) -> Result<&Path> {
        if let Some(prefix) = self.prefix.get() {
            return Ok(prefix);
        }
        say("building libkv and installing it with CMake");
        let tree = self.configure("install", &["-DKV_TESTS=OFF", "-DCMAKE_BUILD_TYPE=Release"])?;
        let sh = &self.sh;
        cmd!(sh, "cmake --build {tree}").run()?;
        self.workspace.fresh_dir("prefix")?;
        let prefix = self.workspace.prefix();
        cmd!(sh, "cmake --install {tree} --prefix {prefix}").run()?;
        Ok(self.prefix.get_or_init(|| prefix))
    }

    /// Configures the repository's own CMake project in a build tree of that name.
    pub fn configure(&self, tree_name: &str, options: &[&str]) -> Result<PathBuf> {
        let tree = self.workspace.cmake_tree(tree_name);
        let root = self.workspace.root();
        let cargo_target = self.workspace.target();
        let sh = &self.sh;
        cmd!(sh, "cmake -S {root} -B {tree} -DKV_CARGO_TARGET_DIR={cargo_target}")
            .args(["-DCMAKE_INSTALL_LIBDIR=lib"])
            .args(options)
            .run()?;
        Ok(tree)
    }

    /// Configures and builds a CMake project that uses the installed libkv, in its own directory
    /// under `target/`; returns that build tree.
    pub fn build_consumer(&self, source: &Path, tree_name: &str) -> Result<PathBuf> {
        let prefix = self.prefix()?;
        let tree = self.workspace.cmake_tree(tree_name);
        let sh = &self.sh;
        cmd!(sh, "cmake -S {source} -B {tree} -DCMAKE_PREFIX_PATH={prefix}")
            .arg("-DCMAKE_BUILD_TYPE=Release")
            .run()?;
        cmd!(sh, "cmake --build {tree}").run()?;
        Ok(tree)
    }

    /// The Python wheel; builds it first.
    pub fn wheel(&self) -> Result<&Path> {
        if let Some(wheel) = self.wheel.get() {
            return Ok(wheel);
        }
        say("building the Python wheel");
        let wheel = self.build_wheel("wheels/new", &["--release"])?;
        Ok(self.wheel.get_or_init(|| wheel))
    }

    /// Builds a Python wheel in its own directory under `target/`, and returns its path.
    pub fn build_wheel(&self, directory: &str, options: &[&str]) -> Result<PathBuf> {
        let directory = self.workspace.fresh_dir(directory)?;
        let sh = &self.sh;
        let _there = sh.push_dir(self.workspace.file("bindings/python")?);
        let target = self.workspace.target();
        cmd!(sh, "maturin build --locked --target-dir {target} --out {directory} {options...}")
            .run()?;
        let wheels = sh.read_dir(&directory)?;
        ensure!(wheels.len() == 1, "maturin left {} files, not one wheel", wheels.len());
        wheels.into_iter().next().context("maturin left no wheel")
    }

    /// A fresh virtual environment that holds the wheel and the packages named; returns its
    /// interpreter.
    pub fn wheel_venv(&self, purpose: &str, packages: &[&str]) -> Result<PathBuf> {
        let wheel = self.wheel()?;
        let sh = &self.sh;
        say("installing the wheel into a fresh virtual environment");
        let python = tools::fresh_venv(sh, &self.workspace.venv(purpose))?;
        cmd!(sh, "{python} -m pip install --quiet {wheel} {packages...}").run()?;
        Ok(python)
    }

    /// As long as the guards live, compilers and programs find libkv in `prefix`, through CMake,
    /// pkg-config and the dynamic loader.
    pub fn env_for(&self, prefix: &Path) -> Vec<PushEnv<'_>> {
        // Go's build cache sees neither the installed header nor what pkg-config answers, but it
        // does see this flag.
        let mut build = DefaultHasher::new();
        prefix.hash(&mut build);
        std::fs::read(prefix.join("include/kv.h")).unwrap_or_default().hash(&mut build);
        let build = format!("-DLIBKV_BUILD=0x{:x}", build.finish());
        vec![
            self.sh.push_env("CGO_CPPFLAGS", build),
            self.sh.push_env("CMAKE_PREFIX_PATH", prefix),
            self.sh.push_env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")),
            self.sh.push_env("LD_LIBRARY_PATH", prefix.join("lib")),
            self.sh.push_env("CGO_ENABLED", "1"),
        ]
    }
}
