//! Builds and runs the programs that are printed in `README.md`, from the README's own text.
//!
//! A fenced block belongs to a program by the marker before it, a comment alone on a line:
//!
//! | marker | meaning |
//! | --- | --- |
//! | `quickstart: install` | shell commands that install libkv; run first, in the repository's root |
//! | `quickstart: LANG` | the program itself, in the file that the language expects |
//! | `quickstart: LANG FILE` | one more file of that program, for example `CMakeLists.txt` |
//! | `quickstart: LANG sh` | the commands that build and run it, in place of the usual ones |
//! | `output: LANG` | what it prints, compared exactly |
//!
//! `server` is no program but what somebody types to a server that runs: see [`crate::server`].
//!
//! `LANG-durable` is a second program of a language. It is built with the further files of the first.
//!
//! The install commands see a home directory and a virtual environment under `target/`, so that the
//! README can say `~/.local` and plain `pip`. Each program is written to `target/quickstart/LANG`.
//! A language without a program, or a program without an expected output, is an error: what the
//! README promises is tested or it is not there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::{PushEnv, Shell, cmd};

use crate::artifacts::Artifacts;
use crate::markdown::{Block, marked_blocks};
use crate::report::say;
use crate::tools;

/// How the programs of one language are laid out, built and run.
struct Language {
    name: &'static str,
    main_file: &'static str,
    build: &'static str,
    run: &'static str,
}

impl Language {
    /// The language itself, for a second program of it.
    fn base(&self) -> &'static str {
        self.name.split('-').next().unwrap_or(self.name)
    }
}

const CMAKE_BUILD: &str = "cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build";

const C: Language =
    Language { name: "c", main_file: "main.c", build: CMAKE_BUILD, run: "./build/quickstart" };
const CPP: Language = Language { name: "cpp", main_file: "main.cpp", ..C };
const PYTHON: Language =
    Language { name: "python", main_file: "main.py", build: "true", run: "python main.py" };
const CTYPES: Language = Language { name: "ctypes", run: "python3 main.py", ..PYTHON };
const GO: Language = Language {
    name: "go",
    main_file: "main.go",
    // The flag lets Go complete go.sum by itself.
    build: "go build -mod=mod -o quickstart .",
    run: "./quickstart",
};
const RUST: Language = Language {
    name: "rust",
    main_file: "src/main.rs",
    build: "cargo build --quiet --target-dir build",
    run: "./build/debug/quickstart",
};

const LANGUAGES: &[Language] = &[
    C,
    CPP,
    PYTHON,
    CTYPES,
    GO,
    RUST,
    Language { name: "c-durable", ..C },
    Language { name: "cpp-durable", ..CPP },
    Language { name: "python-comforts", ..PYTHON },
    Language { name: "python-durable", ..PYTHON },
    Language { name: "go-durable", ..GO },
    Language { name: "rust-durable", ..RUST },
];

/// The label of what is typed to `kv-server`.
const SERVER: &str = "server";

/// A program of the README.
struct Program {
    language: &'static Language,
    files: Vec<(String, String)>,
    script: Option<String>,
    output: String,
}

/// Runs the programs of the named languages, or all of them.
pub fn run(artifacts: &Artifacts, names: &[String]) -> Result<()> {
    for name in names.iter().filter(|name| *name != SERVER) {
        ensure!(
            LANGUAGES.iter().any(|language| language.name == name),
            "README.md has no quickstart for `{name}`; there are: {}",
            LANGUAGES.iter().map(|language| language.name).collect::<Vec<_>>().join(", ")
        );
    }
    let readme = std::fs::read_to_string(artifacts.workspace.file("README.md")?)?;
    let blocks = marked_blocks(&readme, &["quickstart", "output"])?;
    let (server, blocks): (Vec<_>, Vec<_>) =
        blocks.into_iter().partition(|block| block.label == SERVER);
    ensure!(server.len() == 2, "README.md needs a quickstart and an output for `{SERVER}`");
    if names.is_empty() || names.iter().any(|name| name == SERVER) {
        say("README quickstart: server");
        crate::server::quickstart(artifacts)?;
    }
    let programs = programs(&blocks)?;
    if !names.is_empty() && names.iter().all(|name| name == SERVER) {
        return Ok(());
    }
    let home = Home::install(artifacts, &blocks)?;
    for program in &programs {
        let name = program.language.name;
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            say(&format!("README quickstart: {name}"));
            program
                .run(artifacts, &home)
                .with_context(|| format!("the {name} quickstart of README.md"))?;
        }
    }
    Ok(())
}

/// Sorts the blocks into one program for each language.
fn programs(blocks: &[Block]) -> Result<Vec<Program>> {
    for block in blocks {
        let name = block.label.split(' ').next().unwrap_or_default();
        let known = LANGUAGES.iter().any(|language| language.name == name);
        ensure!(
            known || block.label == "install",
            "README.md line {}: no language `{name}` is known",
            block.line
        );
    }
    LANGUAGES.iter().map(|language| program(language, blocks)).collect()
}

fn program(language: &'static Language, blocks: &[Block]) -> Result<Program> {
    let name = language.name;
    let mut program = Program { language, files: Vec::new(), script: None, output: String::new() };
    let mut output = None;
    for block in blocks {
        let (label, file) = block.label.split_once(' ').unwrap_or((&block.label, ""));
        if label != name {
            if label == language.base() && !["", "sh"].contains(&file) {
                program.files.push((file.to_owned(), block.text.clone()));
            }
            continue;
        }
        match (block.kind.as_str(), file) {
            ("output", _) => output = Some(block.text.clone()),
            (_, "sh") => program.script = Some(block.text.clone()),
            (_, "") => program.files.push((language.main_file.to_owned(), block.text.clone())),
            (_, file) => program.files.push((file.to_owned(), block.text.clone())),
        }
    }
    ensure!(
        program.files.iter().any(|(file, _)| file == language.main_file),
        "README.md has no block marked <!-- quickstart: {name} -->"
    );
    program.output =
        output.with_context(|| format!("README.md has no block marked <!-- output: {name} -->"))?;
    Ok(program)
}

impl Program {
    fn run(&self, artifacts: &Artifacts, home: &Home) -> Result<()> {
        let directory =
            artifacts.workspace.fresh_dir(&format!("quickstart/{}", self.language.name))?;
        let sh = &artifacts.sh;
        let _env = home.env(artifacts)?;
        let _there = sh.push_dir(&directory);
        for (file, text) in &self.files {
            sh.write_file(directory.join(file), text)?;
        }
        self.write_manifest(artifacts, &directory)?;
        let printed = match &self.script {
            Some(script) => read_script(sh, script)?,
            None => {
                run_script(sh, self.language.build)?;
                read_script(sh, self.language.run)?
            }
        };
        // A script of the README's own may also print what its build prints, before the program.
        let matches = match &self.script {
            Some(_) => printed.trim_end().ends_with(self.output.trim_end()),
            None => printed.trim_end() == self.output.trim_end(),
        };
        if !matches {
            bail!("it printed\n{printed}\nbut README.md says\n{}", self.output);
        }
        Ok(())
    }

    /// Writes the file that names libkv as a dependency, unless the README prints one.
    fn write_manifest(&self, artifacts: &Artifacts, directory: &Path) -> Result<()> {
        let sh = &artifacts.sh;
        let has = |name: &str| self.files.iter().any(|(file, _)| file == name);
        match self.language.base() {
            "go" if !has("go.mod") => {
                let module = artifacts.workspace.file("bindings/go")?;
                let path = {
                    let _there = sh.push_dir(&module);
                    cmd!(sh, "go list -m").quiet().read()?
                };
                cmd!(sh, "go mod init quickstart").quiet().ignore_stderr().run()?;
                cmd!(sh, "go mod edit -require={path}@v0.0.0 -replace={path}={module}").run()?;
            }
            "rust" if !has("Cargo.toml") => {
                let kvcore = artifacts.workspace.file("kvcore")?;
                let manifest = format!(
                    "[package]\nname = \"quickstart\"\nedition = \"2024\"\n\n\
                     [dependencies]\nkvcore = {{ path = {kvcore:?} }}\n\n[workspace]\n"
                );
                sh.write_file(directory.join("Cargo.toml"), manifest)?;
                // The versions that the rest of the repository is tested with.
                sh.copy_file(artifacts.workspace.file("Cargo.lock")?, directory)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// The home directory and virtual environment that the README's install commands see.
struct Home {
    prefix: PathBuf,
    venv_bin: PathBuf,
}

impl Home {
    /// Runs the install commands of the README in a fresh home. What they do not install comes from
    /// the artefacts.
    fn install(artifacts: &Artifacts, blocks: &[Block]) -> Result<Home> {
        let sh = &artifacts.sh;
        let directory = artifacts.workspace.fresh_dir("quickstart/home")?;
        let venv = artifacts.workspace.venv("quickstart");
        let python = tools::fresh_venv(sh, &venv)?;
        let venv_bin = venv.join("bin");
        let installs: Vec<&Block> =
            blocks.iter().filter(|block| block.label == "install").collect();
        if !installs.is_empty() {
            let _env = home_env(artifacts, &directory, &venv_bin)?;
            for block in installs {
                say(&format!("README install commands of line {}", block.line));
                run_script(sh, &block.text)
                    .with_context(|| format!("README.md line {}", block.line))?;
            }
        }
        let local = directory.join(".local");
        let prefix = if local.join("lib/cmake/kv").exists() {
            local
        } else {
            artifacts.prefix()?.to_path_buf()
        };
        if cmd!(sh, "{python} -c 'import libkv'").quiet().ignore_stderr().run().is_err() {
            let wheel = artifacts.wheel()?;
            cmd!(sh, "{python} -m pip install --quiet {wheel}").run()?;
        }
        Ok(Home { prefix, venv_bin })
    }

    fn env<'a>(&self, artifacts: &'a Artifacts) -> Result<Vec<PushEnv<'a>>> {
        let mut guards = artifacts.env_for(&self.prefix);
        guards.push(generator(&artifacts.sh));
        guards.push(path_with(&artifacts.sh, &self.venv_bin)?);
        Ok(guards)
    }
}

/// A home under `target/`, while the caches of the real one stay in use.
fn home_env<'a>(
    artifacts: &'a Artifacts,
    home: &Path,
    venv_bin: &Path,
) -> Result<Vec<PushEnv<'a>>> {
    let sh = &artifacts.sh;
    let real = PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?);
    let mut guards = Vec::new();
    for (variable, usual) in
        [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("PIP_CACHE_DIR", ".cache/pip")]
    {
        if std::env::var_os(variable).is_none() {
            guards.push(sh.push_env(variable, real.join(usual)));
        }
    }
    guards.push(sh.push_env("CARGO_TARGET_DIR", artifacts.workspace.target()));
    guards.push(sh.push_env("HOME", home));
    guards.push(generator(sh));
    guards.push(path_with(sh, venv_bin)?);
    Ok(guards)
}

/// The README names no generator, and CMake's usual one needs a `make` that may not be there.
fn generator(sh: &Shell) -> PushEnv<'_> {
    sh.push_env("CMAKE_GENERATOR", "Ninja")
}

fn path_with<'a>(sh: &'a Shell, bin: &Path) -> Result<PushEnv<'a>> {
    let path = sh.var_os("PATH").unwrap_or_default();
    let all = std::iter::once(bin.to_path_buf()).chain(std::env::split_paths(&path));
    Ok(sh.push_env("PATH", std::env::join_paths(all)?))
}

fn run_script(sh: &Shell, script: &str) -> Result<()> {
    Ok(cmd!(sh, "bash -euo pipefail -c {script}").run()?)
}

fn read_script(sh: &Shell, script: &str) -> Result<String> {
    Ok(cmd!(sh, "bash -euo pipefail -c {script}").read()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: &str, label: &str, text: &str) -> Block {
        Block { kind: kind.to_owned(), label: label.to_owned(), text: text.to_owned(), line: 1 }
    }

    fn complete() -> Vec<Block> {
        let mut blocks = Vec::new();
        for language in LANGUAGES {
            blocks.push(block("quickstart", language.name, "code\n"));
            blocks.push(block("output", language.name, "text\n"));
        }
        blocks
    }

    #[test]
    fn sorts_blocks_into_programs() {
        let mut blocks = complete();
        blocks.push(block("quickstart", "c CMakeLists.txt", "project(x C)\n"));
        blocks.push(block("quickstart", "cpp sh", "make\n"));
        blocks.push(block("quickstart", "install", "true\n"));
        let programs = programs(&blocks).unwrap();
        assert_eq!(programs.len(), LANGUAGES.len());
        assert_eq!(programs[0].files.len(), 2);
        assert_eq!(programs[1].script.as_deref(), Some("make\n"));
        assert_eq!(programs[5].files[0].0, "src/main.rs");
    }

    #[test]
    fn a_second_program_is_built_as_the_first() {
        let mut blocks = complete();
        blocks.push(block("quickstart", "c CMakeLists.txt", "project(x C)\n"));
        blocks.push(block("quickstart", "c sh", "make\n"));
        let programs = programs(&blocks).unwrap();
        let durable = programs.iter().find(|it| it.language.name == "c-durable").unwrap();
        let files: Vec<&str> = durable.files.iter().map(|(file, _)| file.as_str()).collect();
        assert_eq!(files, ["main.c", "CMakeLists.txt"]);
        assert_eq!((durable.language.base(), &durable.script), ("c", &None));
    }

    #[test]
    fn refuses_what_is_missing_or_unknown() {
        let message = |blocks: &[Block]| programs(blocks).map(|_| ()).unwrap_err().to_string();
        let mut blocks = complete();
        blocks.retain(|block| block.label != "go");
        assert!(message(&blocks).contains("quickstart: go"));
        let mut blocks = complete();
        blocks.retain(|block| block.kind != "output");
        assert!(message(&blocks).contains("output: c"));
        let mut blocks = complete();
        blocks.push(block("quickstart", "cobol", ""));
        assert!(message(&blocks).contains("cobol"));
    }
}
