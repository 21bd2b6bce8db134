//! The race: every contestant does every call, in turns, on stores with the same content.
//!
//! Stores are filled anew several times, because where entries happen to lie in memory changes what
//! a call costs. Within a fill the contestants take turns, and start in another order each round.

use anyhow::{Result, ensure};

use crate::c_abi::{self, Calls};
use crate::clock;
use crate::contestants::{self, Call, Subject};
use crate::plan::{Key, Plan};
use crate::samples::{Goal, Limit, Samples};
use crate::scale::Scale;
use crate::text::{count, table};

const TABLE: &str = "race";
const CALLS: [Call; 4] = [Call::GetInto, Call::Get, Call::Overwrite, Call::Mix];
const THREADS: [usize; 2] = [1, 2];
/// Keys of the store that fits into the caches.
const FEW: usize = 1000;

/// The contestants, in the order of the tables. The first two are libkv.
fn names() -> impl Iterator<Item = &'static str> {
    let (libkv, others) = contestants::NAMES.split_at(1);
    libkv.iter().chain([&c_abi::NAME]).chain(others).copied()
}

fn name_of_store(entries: usize, with_ttl: bool) -> String {
    let ttl = if with_ttl { "with a TTL" } else { "no TTL" };
    format!("{} keys, {ttl}", count(entries))
}

fn name_of_case(store: &str, call: Call, threads: usize) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    format!("{store}, {}, {threads} thread{plural}", call.name())
}

/// The stores that are raced on.
fn stores(scale: &Scale) -> impl Iterator<Item = (usize, bool)> {
    let many = scale.entries;
    [many, FEW].into_iter().flat_map(|entries| [(entries, false), (entries, true)])
}

/// Runs the race.
pub fn run(scale: &Scale, calls: &Calls, samples: &mut Samples) -> Result<()> {
    for (entries, with_ttl) in stores(scale) {
        let store = name_of_store(entries, with_ttl);
        let plan = Plan::new(entries);
        for fill in 0..scale.fills {
            println!("race: {store}, fill {} of {}", fill + 1, scale.fills);
            let mut field = open_all(calls, with_ttl, entries)?;
            turn_order(&mut field, fill);
            for (name, subject) in &field {
                let mut done = 0;
                let ns = clock::alone(|| done = subject.run(Call::Insert, &plan.keys));
                ensure!(done == entries, "{name} inserted {done} of {entries} keys");
                if entries != FEW {
                    let case = name_of_case(&store, Call::Insert, 1);
                    samples.add(TABLE, &case, name, "ns", ns / entries as f64);
                }
            }
            for round in 0..scale.rounds {
                turn_order(&mut field, round);
                let turn = (fill * scale.rounds + round) * THREADS.len();
                one_round(&field, &store, &plan, turn, scale, samples)?;
            }
        }
    }
    Ok(())
}

type Field<'c> = Vec<(&'static str, Box<dyn Subject + 'c>)>;

fn open_all(calls: &Calls, with_ttl: bool, entries: usize) -> Result<Field<'_>> {
    let open = |name| -> Result<(&'static str, Box<dyn Subject + '_>)> {
        let subject: Box<dyn Subject> = match name {
            c_abi::NAME => Box::new(calls.open(with_ttl)?),
            name => contestants::open(name, with_ttl, entries)?,
        };
        Ok((name, subject))
    };
    names().map(open).collect()
}

/// Another first, and every other time another direction: neighbours stay neighbours.
fn turn_order(field: &mut Field<'_>, turn: usize) {
    field.rotate_left(1);
    if turn % 2 == 1 {
        field.reverse();
    }
}

fn one_round(
    field: &Field<'_>,
    store: &str,
    plan: &Plan,
    turn: usize,
    scale: &Scale,
    samples: &mut Samples,
) -> Result<()> {
    for call in CALLS {
        for threads in THREADS {
            let case = name_of_case(store, call, threads);
            for (name, subject) in field {
                let calls = scale.calls;
                let ns = timed(name, &**subject, call, threads, calls, |run| {
                    plan.visits(turn + run, calls)
                });
                samples.add(TABLE, &case, name, "ns", ns);
            }
        }
    }
    Ok(())
}

/// Nanoseconds for one of `calls` calls of each thread. `visits` gives the keys of a thread, by its
/// number; the keys of the number after the last are for getting warm.
pub fn timed<'k>(
    name: &str,
    subject: &dyn Subject,
    call: Call,
    threads: usize,
    calls: usize,
    visits: impl Fn(usize) -> &'k [Key] + Sync,
) -> f64 {
    let check = |thread| {
        let done = subject.run(call, &visits(thread)[..calls]);
        assert_eq!(done, calls, "{name} failed at {}", call.name());
    };
    // Caches and predictors get used to the contestant before its time is taken.
    subject.run(call, &visits(threads)[..calls / 20]);
    let ns = match threads {
        1 => clock::alone(|| check(0)),
        _ => clock::together(threads, check),
    };
    ns / (calls * threads) as f64
}

/// What the C interface has to show.
pub fn goals(scale: &Scale, samples: &Samples) -> Vec<Goal> {
    let libkv = contestants::NAMES[0];
    let goal = |(entries, with_ttl): (usize, bool)| {
        let store = name_of_store(entries, with_ttl);
        [(Call::GetInto, "kv_get_into"), (Call::Overwrite, "kv_set")].map(|(call, function)| Goal {
            what: format!("{function}, as a multiple of the same call in Rust ({store})"),
            measured: samples.ratio(TABLE, &name_of_case(&store, call, 1), c_abi::NAME, libkv),
            limit: Limit::AtMost(1.10),
            unit: "x",
        })
    };
    stores(scale).filter(|(_, with_ttl)| !with_ttl).flat_map(goal).collect()
}

/// The tables of the race, in Markdown.
pub fn report(scale: &Scale, samples: &Samples) -> String {
    let mut text = String::from("## Rust and C\n");
    text.push_str(
        "\nMillions of calls a second; medians. The last two columns are medians of what was taken \
         round by round: how many times as fast libkv in Rust is as the best of the others, and \
         how many times as long a call takes from C as from Rust.\n",
    );
    let mut header = vec!["call", "threads"];
    header.extend(names());
    header.extend(["libkv : best other", "C : Rust"]);
    for (entries, with_ttl) in stores(scale) {
        let store = name_of_store(entries, with_ttl);
        let inserted = (entries != FEW).then_some((Call::Insert, 1));
        let cases = CALLS.iter().flat_map(|call| THREADS.map(|threads| (*call, threads)));
        let row = |(call, threads): (Call, usize)| {
            let case = name_of_case(&store, call, threads);
            let mut row = vec![call.name(), threads.to_string()];
            row.extend(
                names().map(|name| format!("{:.2}", 1e3 / samples.median(TABLE, &case, name))),
            );
            row.push(format!("{:.2}x", against_best(samples, &case)));
            let c = samples.ratio(TABLE, &case, c_abi::NAME, contestants::NAMES[0]);
            row.push(format!("{c:.2}x"));
            row
        };
        let rows: Vec<Vec<String>> = cases.chain(inserted).map(row).collect();
        text.push_str(&format!("\n### {store}\n\n{}", table(&header, &rows)));
    }
    text
}

/// How many times as fast libkv is as the fastest other contestant.
fn against_best(samples: &Samples, case: &str) -> f64 {
    let (libkv, others) = contestants::NAMES.split_at(1);
    let ratios = others.iter().map(|other| samples.ratio(TABLE, case, other, libkv[0]));
    ratios.fold(f64::INFINITY, f64::min)
}
