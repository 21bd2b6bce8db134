//! A directory of a case, gone with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Made when it is first asked for.
#[derive(Default)]
pub struct Folder(Option<PathBuf>);

impl Folder {
    /// A text with the directory's path in the place of `{dir}`.
    pub fn fill(&mut self, text: &str) -> String {
        if !text.contains("{dir}") {
            return text.to_owned();
        }
        let path = self.0.get_or_insert_with(make);
        text.replace("{dir}", path.to_str().unwrap())
    }
}

fn make() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name =
        format!("conformance-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}
