//! The same damage for several engines: flipped bits, cut files and one failed sync, on the same workload.
//!
//! For each engine counted: an error was told, something was silently missing or wrong, it did no harm, or
//! the process ended. For libkv anything silent is a violation; for the others nothing is, they are here
//! to compare with, as far as their interfaces allow.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Arguments;
use crate::native::{Fault, Faults, fresh};
use crate::peers::{self, Peer, State};
use crate::results::{self, Row};

/// The name of the rig.
pub const NAME: &str = "bits";
/// The first argument of a process that writes with an engine.
pub const WRITE: &str = "bits-write";
/// The first argument of a process that reads what an engine has.
pub const READ: &str = "bits-read";
/// Flips for each engine; half as many cuts, and a twentieth as many failed syncs.
pub const GOAL: u64 = 1_000;
const KEYS: u64 = 200;
const CHANGES: u64 = 290;
const PATIENCE: Duration = Duration::from_secs(30);
/// How a process says what it read.
const HARMLESS: i32 = 0;
const TOLD: i32 = 10;
const SILENT: i32 = 11;

/// The `number`-th change: a key, and its value or its end.
fn change(number: u64) -> (String, Option<Vec<u8>>) {
    let value = |key: u64| {
        let mut value = format!("value {key} of change {number} ").into_bytes();
        value.resize(60 + (key * 7 % 80) as usize, b'a' + (number % 26) as u8);
        value
    };
    let key = match number {
        0..KEYS => number,
        _ => (number - KEYS) * 37 % KEYS,
    };
    let is_end = number >= KEYS && number.is_multiple_of(3);
    (format!("key {key}"), (!is_end).then(|| value(key)))
}

fn expected() -> State {
    let mut state = State::new();
    for (key, value) in (0..CHANGES).map(change) {
        match value {
            Some(value) => drop(state.insert(key.into_bytes(), value)),
            None => drop(state.remove(key.as_bytes())),
        }
    }
    state
}

fn peer(word: &str) -> Result<Box<dyn Peer>> {
    let found = peers::all().into_iter().find(|peer| peer.word() == word);
    found.with_context(|| format!("the engine {word} was not compiled in"))
}

/// Makes all changes, says of each whether it was acknowledged, and waits for the end of its input.
///
/// # Errors
/// If the engine does not open.
pub fn write(arguments: &[String]) -> Result<()> {
    let [word, dir, end] = arguments else { bail!("wants ENGINE DIR leave|close") };
    let mut store = peer(word)?.open(Path::new(dir))?;
    let mut output = std::io::stdout().lock();
    for (key, value) in (0..CHANGES).map(change) {
        let line = match store.change(&key, value.as_deref()) {
            Ok(()) => "ok",
            Err(_) => "error",
        };
        writeln!(output, "{line}")?;
    }
    if end == "close" {
        store.close()?;
        writeln!(output, "ready")?;
        return Ok(());
    }
    writeln!(output, "ready")?;
    output.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    store.abandon();
    // As a kill would: nothing is closed.
    std::process::exit(0)
}

/// Reads everything, and says by its exit status how that was.
///
/// # Errors
/// If there is no such engine.
pub fn read(arguments: &[String]) -> Result<()> {
    let [word, dir] = arguments else { bail!("wants ENGINE DIR") };
    let code = match peer(word)?.open(Path::new(dir)) {
        Err(_) => TOLD,
        Ok(mut store) => {
            let found = store.read_all();
            let told = store.told();
            store.abandon();
            match found {
                Ok(found) if found == expected() => HARMLESS,
                Ok(_) if told => TOLD,
                Ok(_) => SILENT,
                Err(_) => TOLD,
            }
        }
    };
    std::process::exit(code)
}

/// A file as it was, without the zeros at its end.
struct Image {
    name: PathBuf,
    used: Vec<u8>,
    len: u64,
}

/// What became of an engine.
#[derive(Default)]
struct Counts {
    runs: u64,
    told: u64,
    silent: u64,
    harmless: u64,
    crashed: u64,
}

/// Runs the rig.
///
/// # Errors
/// If libkv was silent about anything.
pub fn run(arguments: &Arguments) -> Result<()> {
    let goal = arguments.runs.unwrap_or(GOAL);
    let place = arguments.place(NAME);
    fresh(&place)?;
    let faults = Faults::compile(&place)?;
    for peer in peers::all() {
        run_peer(arguments, &place, peer.as_ref(), "leave", goal)?;
        if peer.word() == "libkv" {
            run_peer(arguments, &place, peer.as_ref(), "close", goal)?;
        }
        run_syncs(arguments, &place, peer.as_ref(), &faults, goal.div_ceil(20))?;
    }
    Ok(fs::remove_dir_all(&place)?)
}

fn run_peer(
    arguments: &Arguments,
    place: &Path,
    peer: &dyn Peer,
    end: &str,
    goal: u64,
) -> Result<()> {
    let (store, copy) = (place.join("store"), place.join("copy"));
    fresh(&store)?;
    let mut writer = start_writer(peer, &store, end)?;
    let answers = read_answers(&mut writer)?;
    ensure!(answers.iter().all(|ok| *ok), "{} fails without a fault", peer.name());
    let images = take_images(&store, Path::new(""))?;
    end_writer(writer)?;
    restore(&images, &copy)?;
    let sound = read_code(peer, &copy)?;
    ensure!(sound == Some(HARMLESS), "{} does not read its own files: {sound:?}", peer.name());
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let part = match (peer.word(), end) {
        ("libkv", "leave") => format!("{}, killed", peer.name()),
        ("libkv", _) => format!("{}, closed", peer.name()),
        _ => peer.name().to_owned(),
    };
    for (unit, runs) in [("flipped bits", goal), ("cut files", goal / 2)] {
        let started = Instant::now();
        let mut counts = Counts::default();
        for _ in (0..runs).take_while(|_| !arguments.is_over()) {
            restore(&images, &copy)?;
            let what = damage(&images, &copy, unit, &mut random)?;
            counts.add(read_code(peer, &copy)?);
            let is_silent = counts.silent + counts.crashed > 0 && peer.word() == "libkv";
            ensure!(!is_silent, "VIOLATION: {what} is silent; the directory is {}", copy.display());
        }
        println!("bits, {part}: {runs} {unit}");
        results::add(arguments, &counts.row(&part, unit, arguments.seed, started))?;
    }
    Ok(())
}

/// One failed sync at a time.
fn run_syncs(
    arguments: &Arguments,
    place: &Path,
    peer: &dyn Peer,
    faults: &Faults,
    goal: u64,
) -> Result<()> {
    let (store, started) = (place.join("store"), Instant::now());
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let (mut told, mut silent, mut after, mut crashed) = (0, 0, 0, 0);
    for _ in 0..goal {
        fresh(&store)?;
        let fault = Fault { syncs_only: true, at: random.u64(40..160), errno: libc::EIO, times: 1 };
        let mut program = writer_command(peer, &store, "leave")?;
        faults.plant(&mut program, &peer.own_path(&store), fault, &place.join("count"));
        let mut writer = program.spawn().context("cannot start a writer")?;
        let answers = read_answers(&mut writer).unwrap_or_default();
        end_writer(writer)?;
        match answers.iter().position(|ok| !ok) {
            Some(first) => {
                told += 1;
                after += u64::from(answers[first..].iter().any(|ok| *ok));
            }
            None if answers.len() as u64 == CHANGES => silent += 1,
            None => crashed += 1,
        }
    }
    let is_ours = peer.word() == "libkv";
    ensure!(
        !is_ours || silent + after + crashed == 0,
        "VIOLATION: libkv goes on after a failed sync"
    );
    let row = Row {
        rig: NAME.into(),
        part: peer.name().to_owned(),
        unit: "failed syncs".into(),
        runs: goal,
        violations: 0,
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
        counts: vec![
            ("told".into(), told),
            ("not told".into(), silent),
            ("acknowledged writes afterwards".into(), after),
            ("crashed".into(), crashed),
        ],
        note: String::new(),
    };
    results::add(arguments, &row)
}

impl Counts {
    fn add(&mut self, code: Option<i32>) {
        self.runs += 1;
        match code {
            Some(HARMLESS) => self.harmless += 1,
            Some(TOLD) => self.told += 1,
            Some(SILENT) => self.silent += 1,
            _ => self.crashed += 1,
        }
    }

    fn row(&self, part: &str, unit: &str, seed: u64, started: Instant) -> Row {
        Row {
            rig: NAME.into(),
            part: part.to_owned(),
            unit: unit.into(),
            runs: self.runs,
            violations: 0,
            seed,
            seconds: started.elapsed().as_secs_f64(),
            counts: vec![
                ("told".into(), self.told),
                ("harmless".into(), self.harmless),
                ("silent".into(), self.silent),
                ("crashed".into(), self.crashed),
            ],
            note: String::new(),
        }
    }
}

fn writer_command(peer: &dyn Peer, dir: &Path, end: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([WRITE, peer.word()]).arg(dir).arg(end);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(command)
}

fn start_writer(peer: &dyn Peer, dir: &Path, end: &str) -> Result<Child> {
    writer_command(peer, dir, end)?.spawn().context("cannot start a writer")
}

/// Which changes were acknowledged, until the writer is ready.
fn read_answers(writer: &mut Child) -> Result<Vec<bool>> {
    let mut output = BufReader::new(writer.stdout.take().context("a writer without output")?);
    let mut answers = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 && line.trim() != "ready" {
        answers.push(line.trim() == "ok");
        line.clear();
    }
    Ok(answers)
}

fn end_writer(mut writer: Child) -> Result<ExitStatus> {
    drop(writer.stdin.take());
    wait(&mut writer)
}

/// Waits for a process, and kills it when it takes too long.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            return Ok(child.wait()?);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// What a process made of a directory; `None` if it was ended or hung.
fn read_code(peer: &dyn Peer, dir: &Path) -> Result<Option<i32>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([READ, peer.word()])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start a reader")?;
    Ok(wait(&mut child)?.code())
}

/// The files of a directory and of those in it.
fn take_images(root: &Path, below: &Path) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            images.extend(take_images(root, &name)?);
        } else if entry.file_type()?.is_file() {
            let mut used = fs::read(entry.path())?;
            let len = used.len() as u64;
            let end = used.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            used.truncate(end);
            images.push(Image { name, used, len });
        }
    }
    images.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(images)
}

fn restore(images: &[Image], to: &Path) -> Result<()> {
    fresh(to)?;
    for image in images {
        let path = to.join(&image.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &image.used)?;
        fs::OpenOptions::new().write(true).open(&path)?.set_len(image.len)?;
    }
    Ok(())
}

/// Damages one file, and says how. SQLite's shared memory is no data: it is made anew.
fn damage(images: &[Image], to: &Path, unit: &str, random: &mut fastrand::Rng) -> Result<String> {
    let counts = |image: &&Image| !image.name.to_string_lossy().ends_with("-shm");
    let total: usize = images.iter().filter(counts).map(|image| image.used.len()).sum();
    ensure!(total > 0, "there is nothing to damage");
    let mut at = random.usize(..total);
    for image in images.iter().filter(counts) {
        if at >= image.used.len() {
            at -= image.used.len();
            continue;
        }
        let (path, name) = (to.join(&image.name), image.name.display());
        if unit == "cut files" {
            fs::OpenOptions::new().write(true).open(&path)?.set_len(at as u64)?;
            return Ok(format!("{name} cut at {at}"));
        }
        let mut bytes = image.used.clone();
        let bit = random.u8(..8);
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes)?;
        fs::OpenOptions::new().write(true).open(&path)?.set_len(image.len)?;
        return Ok(format!("bit {bit} of byte {at} of {name} flipped"));
    }
    bail!("the place to damage was not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_sets_replaces_and_deletes() {
        let state = expected();
        assert!(state.len() < KEYS as usize && state.len() > KEYS as usize / 2, "{}", state.len());
        let replaced = state.values().filter(|value| {
            let text = String::from_utf8_lossy(value).into_owned();
            let number = text.split(' ').nth(4).and_then(|word| word.parse::<u64>().ok());
            number.is_some_and(|number| number >= KEYS)
        });
        assert!(replaced.count() > 20);
    }
}
