//! `cargo xtask test`: builds and tests everything, one step after the other.
//!
//! A step can be run alone by its name, in any order; what it needs it builds first. All steps run
//! even if one fails. The continuous integration runs the same command, and nothing beside it.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::Report;
use crate::{demo, header, quickstart, remote, server, tables, tools, torture};

/// One step: its name on the command line, what it does, and how.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Artifacts) -> Result<()>,
}

const fn step(name: &'static str, what: &'static str, run: fn(&Artifacts) -> Result<()>) -> Step {
    Step { name, what, run }
}

const STEPS: &[Step] = &[
    step("tools", "compilers and test tools", |artifacts| tools::ensure_test_tools(&artifacts.sh)),
    step("format", "cargo fmt --check", format),
    step("lint", "cargo clippy, warnings are errors", lint),
    step("rust", "cargo test for the workspace", rust),
    step(
        "torture",
        "kills, power cuts and failing calls on real disks, a few of each",
        torture::test,
    ),
    step("shuttle", "the concurrent parts in many interleavings of threads", shuttle),
    step("header", "include/kv.h is fresh", |_| header::run(true)),
    step("tables", "the tables of README.md are fresh", |_| tables::run(true)),
    step("c", "C, C++ and CMake: ctest on a release build", |artifacts| {
        ctest(artifacts, "test", &["-DCMAKE_BUILD_TYPE=Release"])
    }),
    step("sanitize", "C and C++ under AddressSanitizer", |artifacts| {
        ctest(
            artifacts,
            "sanitize",
            &["-DCMAKE_BUILD_TYPE=Debug", "-DKV_REMOTE=OFF", "-DKV_SANITIZE=address"],
        )
    }),
    step("valgrind", "C and C++ under valgrind", |artifacts| {
        ctest(
            artifacts,
            "valgrind",
            &["-DCMAKE_BUILD_TYPE=Debug", "-DKV_REMOTE=OFF", "-DKV_VALGRIND=ON"],
        )
    }),
    step("python", "the wheel in a fresh environment: pytest, stubtest, pyright", python),
    step("go", "gofmt, go vet, go test -race", go),
    step(
        "server",
        "kv-server with redis-cli, redis-py, go-redis, grpcio, a browser, nginx",
        server::test,
    ),
    step(
        "remote",
        "C, Python and Go on a server and on a cluster, and what these refuse",
        remote::test,
    ),
    step("examples", "the Python and Rust examples, and one in C and Python", examples),
    step("quickstart", "the programs printed in README.md", |artifacts| {
        quickstart::run(artifacts, &[])
    }),
    step(
        "demo",
        "C, Python and Go agree on a replayed trace; killed writers lose nothing",
        demo::run,
    ),
];

/// Runs the named steps, or all of them.
pub fn run(names: &[String]) -> Result<()> {
    if names == ["--list"] {
        for step in STEPS {
            println!("{:<12} {}", step.name, step.what);
        }
        return Ok(());
    }
    let steps = select(names)?;
    let artifacts = Artifacts::new()?;
    // Tests need no optimization across crates, which takes longer than all release builds without it.
    artifacts.sh.set_var("CARGO_PROFILE_RELEASE_LTO", "off");
    artifacts.sh.set_var("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    let mut report = Report::default();
    for step in steps {
        report.step(step.name, step.what, || (step.run)(&artifacts));
    }
    if !report.finish("cargo xtask test") {
        // The report has said everything, and its last line has to stay the last one.
        std::process::exit(1);
    }
    Ok(())
}

fn select(names: &[String]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    names
        .iter()
        .map(|name| match STEPS.iter().find(|step| step.name == name) {
            Some(step) => Ok(step),
            None => bail!(
                "there is no step `{name}`; the steps are: {}",
                STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(", ")
            ),
        })
        .collect()
}

fn format(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    Ok(cmd!(sh, "cargo fmt --all --check").run()?)
}

fn lint(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    Ok(cmd!(sh, "cargo clippy --locked --workspace --all-targets -- -D warnings").run()?)
}

fn rust(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    Ok(cmd!(sh, "cargo test --locked --workspace --no-fail-fast").run()?)
}

/// The engine with its locks and atomics exchanged for shuttle's, which decides what runs next. In a
/// target directory of its own, since the flag would make Cargo compile everything else again.
fn shuttle(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    let target = artifacts.workspace.target().join("shuttle");
    let _flags = sh.push_env("RUSTFLAGS", "--cfg kv_shuttle");
    let scenes: [&[&str]; 2] =
        [&["--test", "shuttle", "--test", "linearizable"], &["--lib", "interleavings"]];
    for scene in scenes {
        cmd!(sh, "cargo test --locked --release --package kvcore --target-dir {target} {scene...}")
            .run()?;
    }
    Ok(())
}

/// Builds the CMake project with its tests in a tree of its own and runs them.
fn ctest(artifacts: &Artifacts, tree_name: &str, options: &[&str]) -> Result<()> {
    tools::ensure_test_tools(&artifacts.sh)?;
    let options: Vec<&str> = ["-DKV_TESTS=ON"].into_iter().chain(options.iter().copied()).collect();
    let tree = artifacts.configure(tree_name, &options)?;
    let sh = &artifacts.sh;
    cmd!(sh, "cmake --build {tree}").run()?;
    Ok(cmd!(sh, "ctest --test-dir {tree} --output-on-failure --no-tests=error -j 2").run()?)
}

/// Not in `tools.txt`, whose tools every build installs. It runs on Node.js, which comes with it.
const PYRIGHT: &str = "pyright[nodejs]==1.1.414";

fn python(artifacts: &Artifacts) -> Result<()> {
    let packages = [&tools::pinned(&["mypy", "pytest"])?[..], &[PYRIGHT]].concat();
    let python = artifacts.wheel_venv("test", &packages)?;
    let sh = &artifacts.sh;
    // From the root, so that the wheel is imported and not the source folder.
    cmd!(sh, "{python} -m pytest -q bindings/python/tests").run()?;
    cmd!(sh, "{python} -m mypy.stubtest libkv").run()?;
    // A build of its own: in the wheel that ships nobody can plant a panic.
    let planted = artifacts.build_wheel("wheels/planted", &["--features", "planted-panics"])?;
    cmd!(sh, "{python} -m pip install --quiet --force-reinstall {planted}").run()?;
    Ok(cmd!(sh, "{python} -m pytest -q bindings/python/tests/planted").run()?)
}

fn go(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    let _env = artifacts.env_for(artifacts.prefix()?);
    for module in ["bindings/go", "examples/go"] {
        let _there = sh.push_dir(artifacts.workspace.file(module)?);
        let unformatted = cmd!(sh, "gofmt -l .").read()?;
        ensure!(unformatted.is_empty(), "in {module}, run gofmt -w on: {unformatted}");
        cmd!(sh, "go vet ./...").run()?;
        // Go would answer from its cache even if only libkv.so has changed.
        cmd!(sh, "go test -race -count=1 -timeout=60m ./...").run()?;
    }
    Ok(())
}

/// Python programs that want an argument, which the demo gives them.
const OF_THE_DEMO: [&str; 2] = ["durable.py", "page_cache.py"];

/// The C and C++ examples are run by ctest, the Go examples by their own tests, and the page caches
/// by the demo.
fn examples(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    cmd!(sh, "cargo run --locked --quiet --package kv-examples").run()?;
    let python = artifacts.wheel_venv("examples", &[])?;
    let _env = artifacts.env_for(artifacts.prefix()?);
    for file in sh.read_dir(artifacts.workspace.file("examples/python")?)? {
        let is_program = file.extension().is_some_and(|extension| extension == "py");
        let wants_nothing = |name| !OF_THE_DEMO.iter().any(|wants| *wants == name);
        if is_program && file.file_name().is_some_and(wants_nothing) {
            cmd!(sh, "{python} {file}").run()?;
        }
    }
    // On servers it runs in the step `remote`.
    let tickets = artifacts.workspace.fresh_dir("examples")?.join("tickets");
    cmd!(sh, "{python} examples/python/anywhere.py {tickets}").run()?;
    shared_cache(artifacts, &python)
}

/// A program in C and one in Python over one snapshot.
fn shared_cache(artifacts: &Artifacts, python: &Path) -> Result<()> {
    let sh = &artifacts.sh;
    let folder = artifacts.workspace.file("examples/shared_cache")?;
    let writer = artifacts.build_consumer(&folder, "example-shared-cache")?.join("writer");
    let reader = folder.join("reader.py");
    Ok(cmd!(sh, "{python} {reader} {writer}").run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_can_be_chosen_by_name_and_a_wrong_one_is_named() {
        let chosen = select(&["go".to_owned(), "c".to_owned()]).unwrap();
        assert_eq!(chosen.iter().map(|step| step.name).collect::<Vec<_>>(), ["go", "c"]);
        let error = select(&["g0".to_owned()]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("g0"), "{error}");
        assert_eq!(select(&[]).unwrap().len(), STEPS.len());
    }
}
