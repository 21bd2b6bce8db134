//! The programs that are under load while masters are killed.
//!
//! Owns: [`Program`], how one is made and started, and [`Running`], what it prints. A program ends when its
//! input does, so none outlives this process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};

/// A program, by the language it is written in.
#[derive(Debug)]
pub enum Program {
    /// `programs/load.c`, against this shared library.
    C { library: PathBuf },
    /// `programs/load.py`, run by an interpreter that has the wheel.
    Python { interpreter: PathBuf },
}

/// What a thread of a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub thread: u64,
    /// Whether its changes waited for a replica.
    pub is_acked: bool,
    /// The last number that it tried to set, and the last one that was acknowledged.
    pub tried: u64,
    pub acked: u64,
    /// Increments that were acknowledged, and those that were perhaps made.
    pub counted: u64,
    pub unknown: u64,
    pub calls: u64,
    /// Calls that were not answered in time.
    pub unavailable: u64,
    /// The longest call.
    pub worst_ms: u64,
}

/// What a program has printed so far.
#[derive(Debug, Default)]
pub struct Printed {
    /// When each thread was answered last, in Unix milliseconds.
    pub answered_ms: Vec<u64>,
    /// Threads whose calls were answered again after a while without, and when, in Unix milliseconds.
    pub backs: Vec<(u64, u64)>,
    pub faults: Vec<String>,
    pub tallies: Vec<Tally>,
}

impl Printed {
    fn take(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers = || rest.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>();
        match (word, numbers()) {
            ("at", Ok(numbers)) => self.answered_ms = numbers,
            ("back", Ok(numbers)) => {
                self.backs.extend(numbers.first().copied().zip(numbers.get(1).copied()));
            }
            ("thread", Ok(numbers)) => {
                if let Ok(
                    [thread, acks, tried, acked, counted, unknown, calls, unavailable, worst_ms],
                ) = <[u64; 9]>::try_from(numbers)
                {
                    let is_acked = acks == 1;
                    self.tallies.push(Tally {
                        thread,
                        is_acked,
                        tried,
                        acked,
                        counted,
                        unknown,
                        calls,
                        unavailable,
                        worst_ms,
                    });
                }
            }
            ("fault", _) => self.faults.push(rest.to_owned()),
            _ => self.faults.push(format!("the program printed: {line}")),
        }
    }
}

/// A program under load.
pub struct Running {
    child: Child,
    printed: Arc<Mutex<Printed>>,
    reading: Option<JoinHandle<()>>,
}

impl Program {
    /// Its name in the report.
    pub fn name(&self) -> &'static str {
        match self {
            Program::C { .. } => "C",
            Program::Python { .. } => "Python",
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the compiler or the system says.
    pub fn start(&self, location: &str, threads: usize, timeout_ms: u64) -> Result<Running> {
        let source = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name);
        let mut command = match self {
            Program::C { library } => Command::new(compiled(&source("load.c"), library)?),
            Program::Python { interpreter } => {
                let mut command = Command::new(interpreter);
                command.arg(source("load.py"));
                command
            }
        };
        command.arg(location).arg(threads.to_string()).arg(timeout_ms.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the program has no output")?;
        let printed = Arc::new(Mutex::new(Printed::default()));
        let into = Arc::clone(&printed);
        let read = move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lock(&into).take(&line);
            }
        };
        Ok(Running { child, printed, reading: Some(std::thread::spawn(read)) })
    }
}

impl Running {
    /// What it has printed so far.
    pub fn printed(&self) -> MutexGuard<'_, Printed> {
        lock(&self.printed)
    }

    /// Ends it, and says what it printed.
    ///
    /// # Errors
    /// If it did not end as it should.
    pub fn finish(mut self) -> Result<Printed> {
        drop(self.child.stdin.take());
        if let Some(reading) = self.reading.take() {
            ensure!(reading.join().is_ok(), "reading what the program prints failed");
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(std::mem::take(&mut lock(&self.printed)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It was waited for already, or ends by itself now.
        let _ = self.child.wait();
    }
}

fn lock(printed: &Mutex<Printed>) -> MutexGuard<'_, Printed> {
    printed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compiles the program beside the library, which it finds there.
fn compiled(source: &Path, library: &Path) -> Result<PathBuf> {
    let folder = library.parent().context("the library is in no folder")?.join("kvcluster-c");
    std::fs::create_dir_all(&folder)?;
    let soname = folder.join("libkv.so.0");
    // Another library may have been there.
    let _ = std::fs::remove_file(&soname);
    std::os::unix::fs::symlink(library.canonicalize()?, &soname)?;
    let program = folder.join("load");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-pthread"]).arg("-I").arg(include);
    cc.arg("-o").arg(&program).arg(source).arg(&soname);
    cc.arg(format!("-Wl,-rpath,{}", folder.display()));
    let status = cc.status().context("cannot run cc")?;
    ensure!(status.success(), "cc failed on {}", source.display());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_are_faults() {
        let mut printed = Printed::default();
        for line in ["at 5 6", "back 1 70", "thread 3 1 9 8 7 0 27 1 2600", "fault read 1", "what"]
        {
            printed.take(line);
        }
        assert_eq!((&printed.answered_ms, &printed.backs), (&vec![5, 6], &vec![(1, 70)]));
        let tally = &printed.tallies[0];
        assert_eq!((tally.thread, tally.is_acked, tally.worst_ms), (3, true, 2600));
        assert_eq!(printed.faults, ["read 1", "the program printed: what"]);
    }
}
