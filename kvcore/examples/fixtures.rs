//! Writes the directories that are kept of the current format on disk, with what they hold:
//!
//! ```sh
//! cargo run -p kvcore --example fixtures -- FOLDER
//! ```
//!
//! Those in `tests/fixtures` are never written again; this says how they were made, and makes those of
//! the next format.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../tests/formats/cases.rs"]
mod cases;

use std::path::PathBuf;

fn main() {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: fixtures FOLDER");
        std::process::exit(2);
    };
    for case in cases::CASES {
        let (disk, contents) = case.make();
        let to = folder.join(case.name);
        std::fs::create_dir_all(&to).unwrap();
        for path in disk.paths() {
            let name = path.file_name().unwrap();
            if name != "LOCK" {
                std::fs::write(to.join(name), disk.contents(&path).unwrap()).unwrap();
            }
        }
        std::fs::write(to.join("contents.txt"), contents).unwrap();
    }
}
