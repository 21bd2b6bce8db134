//! What the tests of the C interface share: where things are, and how a compiler is run.

#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A text file of the repository.
pub fn read(relative: &str) -> String {
    let path = root().join(relative);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An empty folder for one test.
pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a program that must succeed, and gives what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed\n{said}{complained}");
    said.into_owned()
}

/// Whether a program can be run here.
pub fn is_here(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The name of every function that the header declares, in its order.
pub fn header_functions() -> Vec<String> {
    prototypes().iter().map(|prototype| function_name(prototype)).collect()
}

/// Every prototype of the header, on one line each.
pub fn prototypes() -> Vec<String> {
    let header = read("include/kv.h");
    let mut found = Vec::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let is_code = line.starts_with(|first: char| first.is_ascii_lowercase());
        if !is_code || !line.contains('(') || line.starts_with("typedef") {
            continue;
        }
        let mut prototype = line.to_owned();
        while !prototype.ends_with(';') {
            prototype.push_str(lines.next().unwrap());
        }
        found.push(prototype);
    }
    found
}

/// The name in a prototype.
pub fn function_name(prototype: &str) -> String {
    let before = prototype.split('(').next().unwrap();
    before.rsplit([' ', '*']).next().unwrap().to_owned()
}
