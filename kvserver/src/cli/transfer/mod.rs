//! `kv export` and `kv import`: entries as text that other programs read, and back.
//!
//! Owns: the two commands. `commands` has the form of Redis commands, `dump` reads its binary one; that of JSON Lines
//! is in `item`.
//! Invariants: what was exported imports to the same entries, whatever their bytes, with their deadlines;
//! an import stops at the first line that is no entry, and says which line that is and how many entries
//! are in by then. Importing again is harmless: each entry is set to what it was.

mod commands;
mod dump;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Operation;
use super::args::Stream;
use super::inserter::Inserter;
use super::item::Item;
use super::outcome::{Failure, Outcome, Result};
use super::output::Output;
use super::progress::Progress;
use super::session::{Session, Wanted};

/// Bytes of the longest line that is read: a value of 512 MiB in base64, and its key.
const LINE_BYTES_MAX: u64 = 768 << 20;

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    /// A JSON object a line; bytes that are not UTF-8 are in base64.
    Jsonl,
    /// SET commands of the Redis protocol, for redis-cli --pipe.
    Resp,
}

/// How entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As export writes it.
    Jsonl,
    /// Commands of the Redis protocol: what export writes, or an append-only file.
    Resp,
    /// A binary dump of Redis: its strings; the checksum at its end is not compared.
    Rdb,
}

/// `kv export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write, or - for standard output.
    file: Option<PathBuf>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = Written::Jsonl)]
    format: Written,
    /// Only keys that begin with this.
    #[arg(long, default_value = "")]
    prefix: OsString,
}

/// `kv import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file to read, or - for standard input.
    file: Option<PathBuf>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

impl Operation for ExportArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        let bar = Progress::entries("exporting", quiet);
        bar.set_total(session.len()?);
        let mut count = 0;
        let wanted =
            Wanted { prefix: self.prefix.as_bytes().to_vec(), values: true, ..Wanted::default() };
        match Stream::of(self.file.as_ref()) {
            Stream::Standard => session.scan(&wanted, &mut |item| {
                self.write(&item, output)?;
                count += 1;
                bar.set(count);
                Ok(true)
            })?,
            Stream::File(path) => {
                let fail = |error| Failure::file("write", &path, &error);
                let mut file = BufWriter::new(File::create(&path).map_err(fail)?);
                session.scan(&wanted, &mut |item| {
                    self.write(&item, &mut file).map_err(fail)?;
                    count += 1;
                    bar.set(count);
                    Ok(true)
                })?;
                let file = file.into_inner().map_err(|error| fail(error.into_error()))?;
                file.sync_all().map_err(fail)?;
                bar.clear();
                output.answer(format!("{count} entries"), json!({ "entries": count }))?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl ExportArgs {
    fn write(&self, item: &Item, to: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Written::Jsonl => {
                serde_json::to_writer(&mut *to, &item.to_json())?;
                to.write_all(b"\n")
            }
            Written::Resp => to.write_all(&commands::set(item)),
        }
    }
}

impl Operation for ImportArgs {
    const CREATES: bool = true;

    fn run(&self, session: &mut Session, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        let bar = Progress::bytes("importing", quiet);
        let mut inserter = Inserter::new(session);
        let read = match Stream::of(self.file.as_ref()) {
            Stream::Standard => self.read(&mut io::stdin().lock(), &mut inserter, &|_| {}),
            Stream::File(path) => {
                let fail = |error| Failure::file("read", &path, &error);
                let file = File::open(&path).map_err(fail)?;
                bar.set_total(file.metadata().map_err(fail)?.len());
                self.read(&mut BufReader::new(file), &mut inserter, &|done| bar.set(done))
            }
        };
        // What was read before a fault is in, as the message says.
        let count = inserter.finish()?;
        bar.clear();
        let left_out = read.map_err(|fault| fault.after(count))?;
        let text = match left_out {
            0 => format!("{count} entries"),
            _ => format!("{count} entries; {left_out} are no strings, and were left out"),
        };
        output.answer(text, json!({ "entries": count, "left_out": left_out }))?;
        Ok(Outcome::of(left_out == 0))
    }
}

/// Why an import stopped.
enum Fault {
    /// The store or the server did not take an entry.
    Refused(Failure),
    /// What was read is no entry.
    Unreadable(String),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::Refused(failure)
    }
}

impl Fault {
    fn after(self, count: u64) -> Failure {
        match self {
            Fault::Refused(failure) => failure,
            Fault::Unreadable(what) => Failure::failed(format!("{what}; {count} entries are in")),
        }
    }
}

impl ImportArgs {
    /// Reads all there is. How many entries were left out.
    fn read(
        &self,
        from: &mut dyn BufRead,
        inserter: &mut Inserter<'_>,
        tell: &dyn Fn(u64),
    ) -> Result<u64, Fault> {
        match self.format {
            Format::Jsonl => read_lines(from, inserter, tell).map(|()| 0),
            Format::Resp => commands::read(from, inserter, tell).map(|()| 0),
            Format::Rdb => dump::read(from, inserter, tell),
        }
    }
}

/// Reads JSON Lines.
fn read_lines(
    from: &mut dyn BufRead,
    inserter: &mut Inserter<'_>,
    tell: &dyn Fn(u64),
) -> Result<(), Fault> {
    let (mut line, mut number, mut done) = (String::new(), 0_u64, 0_u64);
    loop {
        line.clear();
        number += 1;
        let bad =
            |what: &dyn std::fmt::Display| Fault::Unreadable(format!("line {number}: {what}"));
        let read = Read::take(&mut *from, LINE_BYTES_MAX).read_line(&mut line);
        let read = read.map_err(|error| bad(&error))? as u64;
        if read == 0 {
            return Ok(());
        }
        if read == LINE_BYTES_MAX && !line.ends_with('\n') {
            return Err(bad(&"it is longer than an entry can be"));
        }
        done += read;
        if !line.trim().is_empty() {
            inserter.push(Item::from_json(&line).map_err(|what| bad(&what))?)?;
        }
        tell(done);
    }
}
