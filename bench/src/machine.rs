//! What the figures were measured on and with. No names of hosts, users or folders.

use std::path::Path;
use std::process::Command;

use crate::text::table;

/// A table of machine, system and tools. What cannot be found out is left out.
pub fn describe(root: &Path) -> String {
    let lock = read(root.join("Cargo.lock"));
    let rows = [
        ("processor", field(&read("/proc/cpuinfo"), "model name")),
        ("cores", std::thread::available_parallelism().ok().map(|cores| cores.to_string())),
        ("cache, last level", first_line(&read("/sys/devices/system/cpu/cpu0/cache/index3/size"))),
        ("memory", field(&read("/proc/meminfo"), "MemTotal").and_then(|text| gibibytes(&text))),
        ("system", first_line(&read("/proc/sys/kernel/osrelease")).map(|os| format!("Linux {os}"))),
        ("rustc", said_by("rustc", &["--version"])),
        ("cc", said_by("cc", &["--version"])),
        ("go", said_by("go", &["env", "GOVERSION"])),
        ("python", said_by(&python(), &["--version"])),
        ("huge pages", chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled"))),
        ("papaya", locked_version(&lock, "papaya")),
        ("dashmap", locked_version(&lock, "dashmap")),
        ("scc", locked_version(&lock, "scc")),
        ("quick_cache", locked_version(&lock, "quick_cache")),
        ("moka", locked_version(&lock, "moka")),
        ("redb", locked_version(&lock, "redb")),
        ("fjall", locked_version(&lock, "fjall")),
        ("sled", locked_version(&lock, "sled")),
        ("Redis", said_by("redis-server", &["--version"])),
        ("load before the run", load()),
    ];
    let rows: Vec<_> =
        rows.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).collect();
    table(&["machine", ""], &rows)
}

fn python() -> String {
    std::env::var("KVBENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn first_line(text: &str) -> Option<String> {
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The value of a line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

fn gibibytes(text: &str) -> Option<String> {
    let kilobytes: f64 = text.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.0} GiB", kilobytes / (1 << 20) as f64))
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    first_line(&String::from_utf8_lossy(&output.stdout))
}

/// How many threads wanted to run, over the last minute.
fn load() -> Option<String> {
    read("/proc/loadavg").split_whitespace().next().map(str::to_owned)
}

fn locked_version(lock: &str, name: &str) -> Option<String> {
    let package = lock
        .split("[[package]]")
        .find(|text| text.lines().any(|line| line == format!("name = \"{name}\"")))?;
    let line = package.lines().find_map(|line| line.strip_prefix("version = "))?;
    Some(line.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_a_lock_file() {
        let lock = "[[package]]\nname = \"moka-x\"\nversion = \"1\"\n\n[[package]]\n\
                    name = \"moka\"\nversion = \"0.12.1\"\n";
        assert_eq!(locked_version(lock, "moka").as_deref(), Some("0.12.1"));
        assert_eq!(locked_version(lock, "dashmap"), None);
    }

    #[test]
    fn fields_and_sizes() {
        assert_eq!(field("a : 1\nb\t: 2 kB\n", "b").as_deref(), Some("2 kB"));
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(gibibytes("25165824 kB").as_deref(), Some("24 GiB"));
    }
}
