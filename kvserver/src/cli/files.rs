//! The commands on files: backup, restore, verify, salvage.
//!
//! Verify and salvage read files that nobody has open. A server's files are its own, so these take
//! directories only. A backup of a server is read entry by entry: it is of one moment only while nobody
//! writes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use kvcore::{Finding, Options, Store};
use serde_json::json;

use super::Operation;
use super::inserter::Inserter;
use super::outcome::{Failure, Outcome, Result};
use super::output::{Output, shown};
use super::progress::Progress;
use super::session::{Session, Wanted};
use super::target::Target;

/// `kv backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; one that is there is replaced once the new one is complete.
    file: PathBuf,
}

/// `kv restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file that kv backup wrote, or a snapshot out of a directory.
    file: PathBuf,
    /// The store: a directory, or redis://HOST.
    pub target: OsString,
    /// Replace what the store holds.
    #[arg(long)]
    replace: bool,
}

/// `kv verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The directory of a store, or one snapshot or backup file.
    dir: OsString,
}

/// `kv salvage`.
#[derive(Debug, Args)]
pub struct SalvageArgs {
    /// The damaged directory, which is left as it is.
    dir: OsString,
    /// The new directory, which must be empty or missing.
    out: PathBuf,
}

impl Operation for BackupArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        let info = match session {
            Session::Store(store) => {
                let _spinner = Progress::spinner("writing the backup", quiet);
                store.snapshot(Some(&self.file))?
            }
            Session::Server(_) => {
                let copy = Store::memory(Options::new())?;
                transfer(session, &mut Session::Store(copy.clone()), "reading", quiet)?;
                copy.snapshot(Some(&self.file))?
            }
        };
        let text = format!("{} entries, {} bytes", info.entries, info.bytes);
        let file = info.path.display().to_string();
        let json = json!({ "entries": info.entries, "bytes": info.bytes, "file": file });
        output.answer(text, json)?;
        Ok(Outcome::Done)
    }
}

impl RestoreArgs {
    /// Does it.
    ///
    /// # Errors
    /// Those of the store and of the file; `Usage` if the store holds something already.
    pub fn run(
        &self,
        session: &mut Session,
        output: &mut Output<'_>,
        quiet: bool,
    ) -> Result<Outcome> {
        let held = session.len()?;
        if held > 0 && !self.replace {
            return Err(Failure::usage(format!(
                "the store holds {held} entries, which the file would replace: give --replace"
            )));
        }
        match session {
            Session::Store(store) => {
                let _spinner = Progress::spinner("restoring", quiet);
                store.restore(&self.file)?;
            }
            Session::Server(remote) => {
                let copy = Store::memory(Options::new())?;
                copy.restore(&self.file)?;
                if held > 0 {
                    remote.clear()?;
                }
                transfer(&mut Session::Store(copy), session, "sending", quiet)?;
            }
        }
        let entries = session.len()?;
        output.answer(format!("{entries} entries"), json!({ "entries": entries }))?;
        Ok(Outcome::Done)
    }
}

/// Copies all entries.
fn transfer(from: &mut Session, to: &mut Session, what: &'static str, quiet: bool) -> Result<()> {
    let bar = Progress::entries(what, quiet);
    bar.set_total(from.len()?);
    let mut inserter = Inserter::new(to);
    from.scan(&Wanted { values: true, ..Wanted::default() }, &mut |item| {
        inserter.push(item)?;
        bar.set(inserter.count());
        Ok(true)
    })?;
    inserter.finish().map(drop)
}

impl VerifyArgs {
    /// Does it. Damage is the answer no.
    ///
    /// # Errors
    /// Those of reading the directory.
    pub fn run(&self, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        let target = Target::parse(&self.dir)?;
        let path = target.directory("verify reads")?;
        let spinner = Progress::spinner("verifying", quiet);
        let report = kvcore::verify(path)?;
        drop(spinner);
        if output.is_json() {
            output.raw(report.to_json().as_bytes())?;
            output.raw(b"\n")?;
        } else {
            list(output, &report.findings)?;
            let verdict = if report.is_sound() { "sound" } else { "damaged" };
            let (files, bytes) = (report.files, report.bytes);
            output.raw(format!("{verdict}: {files} files, {bytes} bytes\n").as_bytes())?;
        }
        Ok(Outcome::of(report.is_sound()))
    }
}

impl SalvageArgs {
    /// Does it. Anything that was lost is the answer no.
    ///
    /// # Errors
    /// Those of reading the one directory and writing the other.
    pub fn run(&self, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        let target = Target::parse(&self.dir)?;
        let path = target.directory("salvage reads")?;
        let spinner = Progress::spinner("salvaging", quiet);
        let report = kvcore::salvage(path, &self.out)?;
        drop(spinner);
        if output.is_json() {
            output.raw(report.to_json().as_bytes())?;
            output.raw(b"\n")?;
        } else {
            list(output, &report.findings)?;
            let saved = format!("{} entries saved in {}\n", report.entries, place(&self.out));
            output.raw(saved.as_bytes())?;
            if report.may_be_back {
                output.raw(b"entries that had been deleted or changed may be back\n")?;
            }
        }
        Ok(Outcome::of(report.findings.iter().all(|finding| finding.harmless)))
    }
}

fn place(path: &Path) -> String {
    shown(path.display().to_string().as_bytes())
}

/// A line for each finding.
fn list(output: &mut Output<'_>, findings: &[Finding]) -> Result<()> {
    for finding in findings {
        let kind = if finding.harmless { "harmless" } else { "damage" };
        let Finding { file, offset, problem, lost, .. } = finding;
        let line = format!("{kind}: {file} at offset {offset}: {problem}; lost: {lost}\n");
        output.raw(line.as_bytes())?;
    }
    Ok(())
}
