//! The race of engines: get, set and a mix of both, on keys that are equally likely or by Zipf's
//! law, by one thread and by two, and many keys at a time.

use anyhow::{Context, Result, ensure};

use super::child;
use super::field::{self, Group, LIBKV, LIBKV_ALL, Opened, PEERS};
use super::sizes::{Race, Sizes};
use crate::c_abi;
use crate::contestants::Call;
use crate::plan::{self, Key, Visits};
use crate::race::timed;
use crate::samples::{Goal, Limit, Samples, median};
use crate::text::{count, table};

/// The word for a child that races.
pub const KIND: &str = "race";
const TABLE: &str = "engines";
const CALLS: [Call; 3] = [Call::GetInto, Call::Overwrite, Call::Mix];
const MANY: [Call; 3] = [Call::GetMany(8), Call::GetMany(32), Call::GetMany(128)];
const THREADS: [usize; 2] = [1, 2];
/// Keys that are set at once while a store is filled.
const BLOCK: usize = 1024;

/// Which keys are visited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// All equally likely.
    Uniform,
    /// By Zipf's law.
    Zipf,
}

impl Skew {
    fn name(self) -> &'static str {
        match self {
            Skew::Uniform => "uniform",
            Skew::Zipf => "Zipf 0.99",
        }
    }
}

/// What is measured at once.
#[derive(Clone, Copy)]
pub struct Case {
    /// Keys in the store.
    pub entries: usize,
    /// Whether every engine has a TTL on every entry.
    pub with_ttl: bool,
    /// Which keys are visited.
    pub skew: Skew,
    /// What is called.
    pub call: Call,
    /// By how many threads.
    pub threads: usize,
}

impl Case {
    fn name(&self, group: Group) -> String {
        let Case { entries, with_ttl, skew, call, threads } = self;
        let store = name_of_store(*entries, *with_ttl);
        let (skew, call, group) = (skew.name(), call.name(), group.name());
        format!("{store}, {skew}, {call}, {threads} of threads, {group}")
    }

    /// What a race of that store is made of.
    fn all(entries: usize, with_ttl: bool, group: Group) -> Vec<Case> {
        let case = |skew, call, threads| Case { entries, with_ttl, skew, call, threads };
        let mut cases = Vec::new();
        for skew in [Skew::Uniform, Skew::Zipf] {
            // The second distribution and the second thread are measured where most ask for them.
            let threads = if group == Group::C { &THREADS[..1] } else { &THREADS };
            if skew == Skew::Uniform || !(with_ttl || group == Group::C) {
                for call in CALLS {
                    cases.extend(threads.iter().map(|threads| case(skew, call, *threads)));
                }
            }
        }
        if group != Group::C {
            cases.extend(MANY.map(|call| case(Skew::Uniform, call, 1)));
        }
        cases
    }

    /// Nanoseconds a call, for libkv over all groups it was in.
    fn ns(&self, samples: &Samples, subject: &str) -> f64 {
        let groups: &[Group] = match subject {
            LIBKV | LIBKV_ALL => &[Group::Maps, Group::Caches],
            c_abi::NAME => &[Group::C],
            peer => &[Group::of(peer)],
        };
        let series =
            groups.iter().flat_map(|group| samples.series(TABLE, &self.name(*group), subject));
        median(series.collect())
    }

    /// How many times as fast libkv, in that form, is as that peer.
    fn against(&self, samples: &Samples, libkv: &str, peer: &str) -> f64 {
        samples.ratio(TABLE, &self.name(Group::of(peer)), peer, libkv)
    }

    /// How many times as fast libkv, in that form, is as the best peer.
    fn against_best(&self, samples: &Samples, libkv: &str) -> f64 {
        let ratios = PEERS.iter().map(|peer| self.against(samples, libkv, peer));
        ratios.fold(f64::INFINITY, f64::min)
    }

    /// How many times as fast libkv takes many keys as the best peer takes one.
    fn many_against_best(&self, samples: &Samples, libkv: &str) -> f64 {
        let one = Case { call: Call::GetInto, ..*self };
        let ratio = |peer: &&str| {
            let group = Group::of(peer);
            let singles = samples.series(TABLE, &one.name(group), peer).into_iter();
            let many = samples.series(TABLE, &self.name(group), libkv);
            median(singles.zip(many).map(|(single, many)| single / many).collect())
        };
        PEERS.iter().map(ratio).fold(f64::INFINITY, f64::min)
    }
}

fn name_of_store(entries: usize, with_ttl: bool) -> String {
    let ttl = if with_ttl { "with a TTL" } else { "no TTL" };
    format!("{} keys, {ttl}", count(entries))
}

fn stores(sizes: &Sizes) -> impl Iterator<Item = (Race, bool)> {
    sizes.races.into_iter().flat_map(|race| [(race, false), (race, true)])
}

/// Runs the race, a child for each fill of each group.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    for (race, with_ttl) in stores(sizes) {
        for fill in 0..race.fills {
            for group in [Group::Maps, Group::Caches, Group::C] {
                if group == Group::C && with_ttl {
                    continue;
                }
                let words = [race.entries, race.rounds, fill].map(|number| number.to_string());
                let ttl = with_ttl.to_string();
                let words = [KIND, group.name(), &words[0], &ttl, &words[1], &words[2]];
                child::measure(sizes, &words, TABLE, samples)?;
            }
        }
    }
    Ok(())
}

/// Fills the stores of a group and races them.
pub fn in_child(sizes: &Sizes, words: &[&str]) -> Result<()> {
    let [group, entries, with_ttl, rounds, fill] = words else {
        anyhow::bail!("{KIND} takes a group, entries, a TTL, rounds and the number of the fill");
    };
    let group = Group::named(group).context("no such group")?;
    let (entries, with_ttl): (usize, bool) = (entries.parse()?, with_ttl.parse()?);
    let (rounds, fill): (usize, usize) = (rounds.parse()?, fill.parse()?);
    let mut members = Vec::new();
    for name in group.members(with_ttl) {
        let store = field::open(name, with_ttl, entries)?;
        let inserted = crate::clock::alone(|| fill_up(&store, entries));
        let done = store.run(Call::GetInto, &[plan::key(0), plan::key(entries - 1)]);
        ensure!(done == 2, "{name} lost what it was given");
        let insert = format!("{}, insert", name_of_store(entries, with_ttl));
        child::print(&insert, name, "ns", inserted / entries as f64);
        members.push((name, store));
    }
    let visits = [Visits::uniform(entries), Visits::zipf(entries)];
    for round in 0..rounds {
        members.rotate_left(1);
        if round % 2 == 1 {
            members.reverse();
        }
        for case in Case::all(entries, with_ttl, group) {
            let visits = &visits[usize::from(case.skew == Skew::Zipf)];
            let turn = (fill * rounds + round) * (THREADS.len() + 1);
            one_case(sizes, &case, group, &members, |thread| {
                visits.of_turn(turn + thread, sizes.calls)
            });
        }
    }
    Ok(())
}

/// Sets every key once, in blocks that need no list of all keys.
pub fn fill_up(store: &Opened, entries: usize) {
    let mut block = Vec::with_capacity(BLOCK);
    for start in (0..entries).step_by(BLOCK) {
        block.clear();
        block.extend((start..(start + BLOCK).min(entries)).map(plan::key));
        store.run(Call::Insert, &block);
    }
}

fn one_case<'k>(
    sizes: &Sizes,
    case: &Case,
    group: Group,
    members: &[(&'static str, Opened)],
    visits: impl Fn(usize) -> &'k [Key] + Sync,
) {
    let name_of_case = case.name(group);
    for (name, store) in members {
        // The others have no call for many keys.
        if MANY.contains(&case.call) && PEERS.contains(name) {
            continue;
        }
        let ns = timed(name, &**store, case.call, case.threads, sizes.calls, &visits);
        child::print(&name_of_case, name, "ns", ns);
    }
}

/// What the race has to show.
pub fn goals(sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    let mut goals = Vec::new();
    for Race { entries, .. } in sizes.races {
        let case = |call| Case { entries, with_ttl: false, skew: Skew::Uniform, call, threads: 1 };
        for libkv in [LIBKV, LIBKV_ALL] {
            let mut goal = |what: &str, measured, limit| {
                let keys = count(entries);
                let what = format!("{what} ({keys} keys; {libkv})");
                goals.push(Goal { what, measured, limit: Limit::AtLeast(limit), unit: "x" });
            };
            let get = case(Call::GetInto).against_best(samples, libkv);
            goal("get, times the best of the others", get, 1.3);
            let many = case(Call::GetMany(32)).many_against_best(samples, libkv);
            goal("`get_many` of 32, times the best single get of the others", many, 5.0);
            let set = case(Call::Overwrite).against_best(samples, libkv);
            goal("set of a key that is there, times the best of the others", set, 1.3);
        }
        for (call, function) in [(Call::GetInto, "kv_get_into"), (Call::Overwrite, "kv_set")] {
            let case = case(call).name(Group::C);
            let keys = count(entries);
            goals.push(Goal {
                what: format!("{function}, as a multiple of the same call in Rust ({keys} keys)"),
                measured: samples.ratio(TABLE, &case, c_abi::NAME, LIBKV),
                limit: Limit::AtMost(1.1),
                unit: "x",
            });
        }
    }
    goals
}

/// The tables of the race, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let mut text = String::from(
        "## Get, set and both\n\nMillions of calls a second; medians. The columns to the right say \
         how many times as fast libkv is as the best of the others, round by round: plain, and with \
         a TTL on every entry and a policy on. A get copies the value out; a set replaces the value \
         of a key that is there; the mix sets once in 20 calls.\n",
    );
    for (Race { entries, .. }, with_ttl) in stores(sizes) {
        let with_all = if with_ttl { None } else { Some(LIBKV_ALL) };
        let forms = [LIBKV].into_iter().chain(with_all);
        let columns: Vec<&str> = forms.clone().chain(PEERS).collect();
        let mut header = vec!["call", "keys", "threads"];
        header.extend(&columns);
        header.push("libkv : best");
        header.extend(with_all.map(|_| "with all : best"));
        let row = |case: &Case| {
            let mut row =
                vec![case.call.name(), case.skew.name().to_owned(), case.threads.to_string()];
            row.extend(columns.iter().map(|name| {
                let ns = case.ns(samples, name);
                if ns.is_nan() { String::new() } else { format!("{:.2}", 1e3 / ns) }
            }));
            row.extend(forms.clone().map(|libkv| match case.call {
                Call::GetMany(_) => format!("{:.2}x", case.many_against_best(samples, libkv)),
                _ => format!("{:.2}x", case.against_best(samples, libkv)),
            }));
            row
        };
        let cases = Case::all(entries, with_ttl, Group::Maps);
        let rows: Vec<Vec<String>> = cases.iter().map(row).collect();
        let store = name_of_store(entries, with_ttl);
        text.push_str(&format!("\n### {store}\n\n{}", table(&header, &rows)));
    }
    text
}

/// Groups of bars: a name, and a number for each engine.
pub type Groups = Vec<(String, Vec<f64>)>;

/// Millions of calls a second of one thread on keys that are equally likely: for each call a name
/// and a number for each of `engines`.
pub fn throughput(sizes: &Sizes, samples: &Samples, engines: &[&str]) -> Vec<(String, Groups)> {
    let of_store = |race: Race| {
        let of_call = |call: Call| {
            let entries = race.entries;
            let case = Case { entries, with_ttl: false, skew: Skew::Uniform, call, threads: 1 };
            let speeds = engines.iter().map(|name| 1e3 / case.ns(samples, name)).collect();
            (call.name(), speeds)
        };
        let calls = CALLS.into_iter().chain([Call::GetMany(32)]);
        (name_of_store(race.entries, false), calls.map(of_call).collect())
    };
    sizes.races.into_iter().map(of_store).collect()
}
