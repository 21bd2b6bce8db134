//! Masters killed under the load of a program, one after the other.
//!
//! A round: everybody is answered, `kill -9` of a master, its replica is promoted, everybody is answered again,
//! and what was killed comes back as a replica. The program judges each of its calls. Afterwards the counters
//! are compared with its tallies: without `ack_replicas` they may be behind, and never ahead.

use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use kvremote::RemoteStore;

use crate::program::{Printed, Program, Running, Tally};
use crate::report::{Figure, Part};
use crate::servers::{Cluster, PAIRS};

/// Threads of a program.
const THREADS: usize = 16;

/// The deadline of its calls.
const TIMEOUT_MS: u64 = 5_000;

/// How long it may take after a promotion until everybody is answered.
const BACK_MS: u64 = 1_000;

/// How often is looked, and how long nothing may happen until the run is given up.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the keys of the program are.
const PREFIX: &str = "prefix=load:";

/// Kills so many masters under a program.
///
/// # Errors
/// If the run cannot go on. What was wrong is in the part.
pub fn run(program: &Program, rounds: u64) -> Result<Part> {
    println!("{}: starting three masters and three replicas", program.name());
    let cluster = Cluster::start();
    let location = format!(
        "valkey-cluster://{}/?{PREFIX}&timeout={TIMEOUT_MS}ms",
        cluster.servers[0].address()
    );
    let running = program.start(&location, THREADS, TIMEOUT_MS)?;
    let (mut promoted, mut back) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        await_answers(&running, 0..THREADS, now_ms())?;
        let (to_promotion_ms, to_service_ms) = kill(&cluster, &running, round as usize % PAIRS)?;
        println!(
            "{} round {}: promoted after {to_promotion_ms} ms, in service {to_service_ms} ms later",
            program.name(),
            round + 1
        );
        promoted.push(to_promotion_ms);
        back.push(to_service_ms);
    }
    await_answers(&running, 0..THREADS, now_ms())?;
    let printed = running.finish()?;
    let store = cluster.open(PREFIX);
    let mut part = judged(program.name(), &printed, &store)?;
    let worst = back.iter().copied().max().unwrap_or(0);
    if worst > BACK_MS {
        part.faults.push(format!("service was back only {worst} ms after a promotion"));
    }
    part.rounds = rounds;
    part.figures.push(Figure::new("kill to promotion in ms, longest", promoted.into_iter().max()));
    part.figures.push(Figure::new("promotion to service in ms, longest", Some(worst)));
    part.figures.push(Figure::new("the same, median", median(back)));
    Ok(part)
}

/// Kills the master of a pair and starts it again. Says how long the promotion took, and how long after it
/// everybody was answered, in milliseconds.
fn kill(cluster: &Cluster, running: &Running, pair: usize) -> Result<(u64, u64)> {
    let killed_ms = now_ms();
    let killed = cluster.kill_master(pair);
    let promoted_ms = now_ms();
    await_answers(running, 0..THREADS / 2, promoted_ms)?;
    let backs = running.printed().backs.clone();
    // Whose keys are elsewhere is not back, because it was never away. Changes that wait for a replica are kept from
    // service by its absence, until it comes back.
    let plain = backs.into_iter().filter(|(thread, _)| *thread < THREADS as u64 / 2);
    let last = plain.map(|(_, at_ms)| at_ms).filter(|at_ms| *at_ms >= killed_ms).max();
    cluster.heal(killed);
    let last = last.context("nobody noticed that a master was killed")?;
    Ok((promoted_ms - killed_ms, last.saturating_sub(promoted_ms)))
}

/// Waits until all of these threads were answered after a moment.
fn await_answers(running: &Running, threads: Range<usize>, since_ms: u64) -> Result<()> {
    let began = Instant::now();
    let is_answered = || {
        let printed = running.printed();
        let answered = printed.answered_ms.get(threads.clone());
        answered.is_some_and(|answered| answered.iter().all(|at| *at > since_ms))
    };
    while !is_answered() {
        let faults = running.printed().faults.clone();
        ensure!(began.elapsed() < PATIENCE, "not every thread is answered; faults: {faults:?}");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Compares what the servers have with what the program was told.
fn judged(name: &str, printed: &Printed, store: &RemoteStore) -> Result<Part> {
    ensure!(printed.tallies.len() == THREADS, "the program told no tallies");
    let mut part = Part::new(format!("{name}, {THREADS} threads"), "kills");
    part.faults.clone_from(&printed.faults);
    let mut lost = 0;
    for tally in &printed.tallies {
        let number = |kind: &str| -> Result<u64> {
            let value = store.get(format!("{kind}{}", tally.thread))?;
            let text = value.map(|value| String::from_utf8_lossy(&value).into_owned());
            Ok(text.unwrap_or_default().parse().unwrap_or(0))
        };
        lost += judge(tally, number("count")?, number("set")?, &mut part.faults);
    }
    let sum = |of: fn(&Tally) -> u64| Some(printed.tallies.iter().map(of).sum());
    part.figures = vec![
        Figure::new("calls", sum(|tally| tally.calls)),
        Figure::new("changes acknowledged", sum(|tally| tally.acked + tally.counted)),
        Figure::new("not answered in time (`KV_ERR_UNAVAILABLE`)", sum(|tally| tally.unavailable)),
        Figure::new("outcome unknown (`KV_ERR_IO`)", sum(|tally| tally.unknown)),
        Figure::new("increments lost without `ack_replicas`", Some(lost)),
        Figure::new(
            "longest call in ms, deadline 5,000",
            printed.tallies.iter().map(|tally| tally.worst_ms).max(),
        ),
    ];
    Ok(part)
}

/// Judges what is left of a thread's work, and says how many acknowledged increments are gone.
fn judge(tally: &Tally, counter: u64, set: u64, faults: &mut Vec<String>) -> u64 {
    let Tally { thread, is_acked, tried, acked, counted, unknown, .. } = *tally;
    if counter > counted + unknown || (is_acked && counter < counted) {
        faults.push(format!("thread {thread}: {counter} for {counted} and perhaps {unknown} more"));
    }
    if set > tried || (is_acked && set < acked) {
        faults.push(format!("thread {thread}: {set} is left where {acked} was acknowledged"));
    }
    counted.saturating_sub(counter)
}

fn median(mut numbers: Vec<u64>) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_there_and_nothing_twice() {
        let tally = |is_acked| Tally {
            thread: 0,
            is_acked,
            tried: 10,
            acked: 9,
            counted: 7,
            unknown: 2,
            calls: 30,
            unavailable: 0,
            worst_ms: 1,
        };
        let faults = |is_acked, counter, set| {
            let mut faults = Vec::new();
            judge(&tally(is_acked), counter, set, &mut faults);
            faults.len()
        };
        for (is_acked, counter, set, wrong) in [
            (true, 7, 9, 0),
            (true, 9, 10, 0),
            (true, 6, 9, 1),
            (true, 7, 8, 1),
            (true, 10, 11, 2),
            (false, 0, 0, 0),
            (false, 10, 11, 2),
        ] {
            assert_eq!(faults(is_acked, counter, set), wrong, "{is_acked} {counter} {set}");
        }
        assert_eq!(judge(&tally(false), 4, 9, &mut Vec::new()), 3);
    }
}
