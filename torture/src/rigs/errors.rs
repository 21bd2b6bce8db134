//! Every n-th system call fails, with every one of thirteen errors, once and from then on, in a program
//! in C that uses the store through `kv.h`.
//!
//! Goal: no violation. A call that fails says so with a defined status, no crash, no hang; after a write
//! or a sync of unknown outcome none is acknowledged; a directory whose disk works again opens, and
//! holds every acknowledged write, and of the others only those whose outcome was called unknown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use kvcore::{Options, Status, Store};

use crate::arguments::Arguments;
use crate::life::copy_dir;
use crate::native::{Fault, Faults, compile_worker, fresh};
use crate::results::{self, Row};

/// The name of the rig.
pub const NAME: &str = "errors";
const ERRNOS: [(&str, i32); 13] = [
    ("EIO", libc::EIO),
    ("ENOSPC", libc::ENOSPC),
    ("EDQUOT", libc::EDQUOT),
    ("EROFS", libc::EROFS),
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("EBADF", libc::EBADF),
    ("EFBIG", libc::EFBIG),
    ("EMFILE", libc::EMFILE),
    ("ENFILE", libc::ENFILE),
    ("ENOMEM", libc::ENOMEM),
    ("EACCES", libc::EACCES),
    ("EPERM", libc::EPERM),
];
/// Operations before the calls fail, and after them.
const FIRST: u64 = 15;
const LAST: u64 = 32;
/// How long a program may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(180);
/// A call that is interrupted for ever is repeated for ever, by the standard library of Rust for one;
/// the system never does that.
const INTERRUPTIONS: u64 = 50;
const FOR_EVER: u64 = u64::MAX / 2;

/// Keys and values.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is set up once.
struct Bench {
    worker: PathBuf,
    faults: Faults,
    place: PathBuf,
    /// The directory as it is before calls fail, and what it holds.
    start: PathBuf,
    state: State,
}

/// What a program printed: what it was about, which operation, and the answer.
type Lines = Vec<(String, u64, i32)>;

/// Runs the rig.
///
/// # Errors
/// The first violation, with the directory that shows it.
pub fn run(arguments: &Arguments) -> Result<()> {
    // The path is part of every call, so it stays short and without a process in it.
    let place = arguments.place(NAME);
    fresh(&place)?;
    let (worker, faults) = (compile_worker(&place)?, Faults::compile(&place)?);
    let start = place.join("start");
    let mut bench = Bench { worker, faults, place, start, state: State::new() };
    let mut left = arguments.runs.unwrap_or(u64::MAX);
    for (parts, sync) in [(2, "always"), (1, "interval")] {
        run_mode(&arguments.share(parts), &mut bench, sync, &mut left)?;
    }
    Ok(fs::remove_dir_all(&bench.place)?)
}

fn run_mode(arguments: &Arguments, bench: &mut Bench, sync: &str, left: &mut u64) -> Result<()> {
    let started = Instant::now();
    fresh(&bench.start)?;
    fs::remove_dir(&bench.start)?;
    let mut begin = Command::new(&bench.worker);
    begin.arg(&bench.start).args([sync, "0", &FIRST.to_string(), "leave"]);
    let (lines, _) = bench.run_program(begin)?;
    ensure!(lines.iter().all(|line| line.2 >= 0), "the store fails without a fault: {lines:?}");
    bench.state = State::new();
    (0..FIRST).for_each(|number| apply(&mut bench.state, number));
    let calls = bench.count_calls(sync)?;
    let (mut runs, mut told, mut random) = (0, 0, fastrand::Rng::with_seed(arguments.seed));
    let mut cases: Vec<(u64, usize, bool)> = (1..=calls)
        .flat_map(|at| (0..ERRNOS.len()).flat_map(move |e| [(at, e, false), (at, e, true)]))
        .collect();
    // So that a part of them is a sample of all.
    random.shuffle(&mut cases);
    for (at, errno, lasting) in cases {
        if *left == 0 || arguments.is_over() {
            break;
        }
        *left -= 1;
        runs += 1;
        let (name, number) = ERRNOS[errno];
        let times = match (lasting, name) {
            (false, _) => 1,
            (true, "EINTR") => INTERRUPTIONS,
            (true, _) => FOR_EVER,
        };
        let fault = Fault { syncs_only: false, at, errno: number, times };
        told += u64::from(bench.one(sync, fault).with_context(|| {
            format!(
                "sync={sync}, call {at} of {calls} fails with {name}, {times} times; the directory \
                 is {}; again with: kvtorture errors --seed {}",
                bench.place.join("store").display(),
                arguments.seed
            )
        })?);
        if runs % 200 == 0 {
            println!("errors, sync={sync}: {runs}, {:.0} s", started.elapsed().as_secs_f64());
        }
    }
    if runs == 0 {
        return Ok(());
    }
    let all = calls * ERRNOS.len() as u64 * 2;
    let row = Row {
        rig: NAME.into(),
        part: format!("sync={sync}, through kv.h"),
        unit: format!("failing calls of {all}"),
        runs,
        violations: 0,
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
        counts: vec![("calls in a run".into(), calls), ("runs that told an error".into(), told)],
        note: String::new(),
    };
    results::add(arguments, &row)
}

impl Bench {
    /// How many calls there are to fail.
    fn count_calls(&self, sync: &str) -> Result<u64> {
        let (lines, _) = self.attempt(sync, Fault::none())?;
        ensure!(lines.iter().all(|line| line.2 >= 0), "the store fails without a fault: {lines:?}");
        let text = fs::read_to_string(self.place.join("count"))?;
        text.trim().parse().context("the count of calls is none")
    }

    /// Runs the operations on a copy of the directory while calls fail.
    fn attempt(&self, sync: &str, fault: Fault) -> Result<(Lines, ExitStatus)> {
        let store = self.place.join("store");
        fresh(&store)?;
        copy_dir(&self.start, &store)?;
        let mut program = Command::new(&self.worker);
        let (first, last) = (FIRST.to_string(), LAST.to_string());
        program.arg(&store).args([sync, &first, &last, "close"]);
        self.faults.plant(&mut program, &store, fault, &self.place.join("count"));
        self.run_program(program)
    }

    /// One failing call. Says whether the program heard of it.
    fn one(&self, sync: &str, fault: Fault) -> Result<bool> {
        let (lines, status) = self.attempt(sync, fault)?;
        ensure!(status.success(), "VIOLATION: the program ended with {status}");
        let states = judge(&self.state, &lines)
            .map_err(|violation| anyhow!("VIOLATION: {violation}; {lines:?}"))?;
        let found = contents(&self.place.join("store"))
            .map_err(|error| anyhow!("VIOLATION: it does not open again: {error:#}; {lines:?}"))?;
        if !states.contains(&found) {
            bail!("VIOLATION: what is there is none of {} states; {lines:?}", states.len());
        }
        Ok(lines.iter().any(|line| line.2 < 0))
    }

    fn run_program(&self, mut program: Command) -> Result<(Lines, ExitStatus)> {
        let output = self.place.join("output");
        let mut child = program
            .stdin(Stdio::null())
            .stdout(fs::File::create(&output)?)
            .stderr(fs::File::create(self.place.join("errors.txt"))?)
            .spawn()
            .context("cannot start the worker")?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("VIOLATION: the program hangs; {}", fs::read_to_string(&output)?);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let text = fs::read_to_string(&output)?;
        let lines: Option<Lines> = text.lines().map(read_line).collect();
        Ok((lines.with_context(|| format!("the worker printed {text}"))?, status))
    }
}

fn read_line(line: &str) -> Option<(String, u64, i32)> {
    let mut words = line.split(' ');
    let what = words.next()?.to_owned();
    Some((what, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// What may be there after a program that printed this, or what it should not have printed.
fn judge(start: &State, lines: &Lines) -> Result<Vec<State>, String> {
    let mut states = vec![start.clone()];
    let mut stopped = false;
    for (what, number, code) in lines {
        let Some(status) = Status::from_code(*code) else {
            return Err(format!("{what} {number} answered {code}, which is no status"));
        };
        let is_bad = matches!(status, Status::Panic | Status::Full | Status::Closed);
        if is_bad || (what == "end" && status == Status::Corrupt) {
            return Err(format!("{what} {number} answered {status:?}"));
        }
        if what == "end" {
            let mut next = states.last().cloned().unwrap_or_default();
            apply(&mut next, *number);
            match status {
                Status::Ok | Status::NotFound if stopped => {
                    return Err(format!("write {number} was acknowledged after a failure"));
                }
                Status::Ok | Status::NotFound => states = vec![next],
                Status::NoSpace | Status::Poisoned | Status::NoMemory => {}
                _ => states.push(next),
            }
        }
        // A snapshot that could not be written leaves the log as it is.
        let stops = matches!(status, Status::Io | Status::Poisoned);
        stopped |= stops && (what == "end" || what == "sync");
    }
    Ok(states)
}

/// Does what `operate` in `c/worker.c` does.
fn apply(state: &mut State, number: u64) {
    let len = if number % 7 == 3 { 20_000 } else { 8 + number * 397 % 900 };
    let mut value = format!("{number}:").into_bytes();
    value.resize(len as usize, b'v');
    let key = format!("k{}", number % 4).into_bytes();
    match number % 6 {
        0 | 1 => drop(state.insert(key, value)),
        2 => state.entry(key).or_default().extend(value),
        3 => {
            for key in [b"b0", b"b1", b"b2"] {
                state.insert(key.to_vec(), value.clone());
            }
        }
        4 => drop(state.remove(&key)),
        _ => {
            let sum = state.entry(b"sum".to_vec()).or_insert_with(|| b"0".to_vec());
            let before: u64 = String::from_utf8_lossy(sum).parse().unwrap_or(0);
            *sum = (before + 1).to_string().into_bytes();
        }
    }
}

/// What a directory holds once its disk works again.
fn contents(dir: &Path) -> Result<State> {
    let store = Store::open_directory(dir, Options::new())?;
    let mut state = State::new();
    for key in store.keys()? {
        let key = key?;
        let value = store.get(&key)?.context("a key without a value")?;
        state.insert(key, value.to_vec());
    }
    store.shutdown()?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(codes: &[(&str, u64, i32)]) -> Lines {
        codes.iter().map(|(what, number, code)| ((*what).to_owned(), *number, *code)).collect()
    }

    #[test]
    fn what_is_acknowledged_after_a_failure_is_a_violation() {
        let start = State::new();
        assert_eq!(judge(&start, &lines(&[("end", 0, 0), ("end", 1, 0)])).unwrap().len(), 1);
        assert_eq!(judge(&start, &lines(&[("end", 0, -5), ("end", 1, 0)])).unwrap().len(), 1);
        assert_eq!(judge(&start, &lines(&[("end", 0, -6), ("end", 1, -10)])).unwrap().len(), 2);
        assert!(judge(&start, &lines(&[("end", 0, -6), ("end", 1, 0)])).is_err());
        assert!(judge(&start, &lines(&[("end", 0, -14)])).is_err());
    }
}
