//! The race for the near cache, with everything in it: flushes, lost listeners, moved slots and killed masters.

use std::cell::RefCell;

use kvremote::RemoteStore;

use crate::race::{self, KEYS, READERS, Race, Stores};
use crate::report::{Figure, Part};
use crate::servers::{Cluster, PAIRS, Server, wait_until};

/// Rounds after which it begins anew.
const CYCLE: u64 = 20;

/// Races for so many rounds.
pub fn run(rounds: u64) -> Part {
    println!("near: starting three masters and three replicas");
    let cluster = Cluster::start();
    let near = || {
        // With a replica that has it, a promotion takes no acknowledged write back.
        let store = cluster.open("prefix=race:&near=4MiB&ack_replicas=1");
        wait_until("the listeners are confirmed", || store.near_stats().confirmed);
        store
    };
    let (writing, reading): (RemoteStore, RemoteStore) = (near(), near());
    let stores = Stores { writing, reading, plain: cluster.open("prefix=race:") };
    let done: RefCell<[u64; HARMS.len()]> = RefCell::default();
    let outcome = race::run(&stores, rounds, |round, race| {
        let harm = harm_of(round);
        if let Some(at) = HARMS.iter().position(|known| *known == harm) {
            done.borrow_mut()[at] += 1;
        }
        println!("near round {round} of {rounds}: {}", harm.name());
        do_harm(harm, round, &cluster, race);
    });
    let mut part =
        Part::new(format!("near cache, {READERS} readers, 1 writer, {KEYS} keys"), "rounds");
    part.rounds = rounds;
    let harms = HARMS.iter().zip(done.into_inner());
    part.figures = harms.map(|(harm, count)| Figure::new(harm.name(), Some(count))).collect();
    part.figures.extend([
        Figure::new("writes acknowledged", Some(outcome.writes)),
        Figure::new("reads", Some(outcome.reads)),
        Figure::new("of them when it was quiet", Some(outcome.quiet_reads)),
        Figure::new("answered by near caches", Some(outcome.hits)),
        Figure::new("parts emptied", Some(outcome.breaks)),
        Figure::new("calls failed in a documented way", Some(outcome.failed)),
        Figure::new(
            "longest until all were shown the truth in ms",
            u64::try_from(outcome.settled.as_millis()).ok(),
        ),
    ]);
    part.faults = outcome.faults;
    part
}

/// What is done to the servers in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    None,
    Flush,
    KillListeners,
    MoveSlot,
    KillMaster,
}

/// All that do something.
const HARMS: [Harm; 4] = [Harm::Flush, Harm::KillListeners, Harm::MoveSlot, Harm::KillMaster];

impl Harm {
    fn name(self) -> &'static str {
        match self {
            Harm::None => "writes alone",
            Harm::Flush => "`FLUSHALL` on every master",
            Harm::KillListeners => "`CLIENT KILL` of every listener",
            Harm::MoveSlot => "slot moved to another master",
            Harm::KillMaster => "`kill -9` of a master",
        }
    }
}

fn harm_of(round: u64) -> Harm {
    match round % CYCLE {
        10 => Harm::KillMaster,
        place => match place % 4 {
            1 => Harm::Flush,
            2 => Harm::KillListeners,
            3 => Harm::MoveSlot,
            _ => Harm::None,
        },
    }
}

fn do_harm(harm: Harm, round: u64, cluster: &Cluster, race: &Race<'_>) {
    match harm {
        Harm::None => {}
        Harm::Flush => race.flush(|| cluster.flush()),
        Harm::KillListeners => cluster.servers.iter().for_each(Server::kill_listeners),
        Harm::MoveSlot => {
            let number = (round / 4) as usize % KEYS;
            cluster.move_slot(&format!("race:{}", race::key(number)));
        }
        Harm::KillMaster => {
            let killed = cluster.kill_master((round / CYCLE) as usize % PAIRS);
            cluster.heal(killed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harm_is_done_in_each_cycle() {
        for harm in HARMS {
            assert!((1..=CYCLE).any(|round| harm_of(round) == harm), "{harm:?}");
        }
        assert_eq!((1..=200).filter(|round| harm_of(*round) == Harm::KillMaster).count(), 10);
    }
}
