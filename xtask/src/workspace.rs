//! Where things are: the repository's own files, and what is built under `target/`.
//!
//! Nothing outside `target/` is written except the generated files that are checked in. Every path
//! is absolute, so that a command may run in any directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The paths of one checkout.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The checkout that this program was compiled in.
    pub fn find() -> Result<Workspace> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has no parent directory")?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => root.join(directory),
            None => root.join("target"),
        };
        Ok(Workspace { root, target })
    }

    /// The repository's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file of the repository, or a message that names what is missing.
    pub fn file(&self, relative: &str) -> Result<PathBuf> {
        let path = self.root.join(relative);
        anyhow::ensure!(path.exists(), "{relative} is missing from the repository");
        Ok(path)
    }

    /// Where everything that is built goes, Cargo's own files included.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where libkv is installed: `include`, `lib`, `lib/cmake/kv`, `lib/pkgconfig`.
    pub fn prefix(&self) -> PathBuf {
        self.target.join("prefix")
    }

    /// A build tree of CMake.
    pub fn cmake_tree(&self, name: &str) -> PathBuf {
        self.target.join("cmake").join(name)
    }

    /// The virtual environment with the pinned build tools.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A virtual environment that holds the wheel for one purpose.
    pub fn venv(&self, purpose: &str) -> PathBuf {
        self.target.join("venv").join(purpose)
    }

    /// An empty directory under `target/`, made anew.
    pub fn fresh_dir(&self, relative: &str) -> Result<PathBuf> {
        let path = self.target.join(relative);
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("cannot empty {}", path.display()))?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }
}
