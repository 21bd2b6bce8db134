//! Every order in which a reader, a writer elsewhere, a writer here and the server's telling can meet.
//!
//! The steps of each take place one after the other; the steps of different ones in any order, and all orders
//! are tried. A step is what the near cache or the server does under one lock. At the end the cache may show
//! only what the server has, and after a write here is over nobody here may be shown anything older. Leaving the
//! generation out of a fill is found: the test proves that of itself.

use super::*;
use kvcore::Clock;
use std::collections::VecDeque;

const KEY: &[u8] = b"k";

/// One who does a few steps.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Actor {
    /// Begins, asks the server, keeps the answer.
    Reader,
    /// Another client: the server changes the value and has something to tell.
    Elsewhere,
    /// This handle: moves the generation, the server changes the value, moves it again.
    Here,
    /// What the server has to tell arrives.
    Telling,
    /// Another client flushes the server; that is told as well.
    Flush,
}

/// The world: a server, a cache, and how far everybody is.
struct World {
    near: Near,
    value: u64,
    untold: VecDeque<bool>,
    ticket: Option<Ticket>,
    answer: u64,
    writing: bool,
    written_here: u64,
    ignores_generation: bool,
}

impl World {
    fn new(ignores_generation: bool) -> World {
        let (clock, _) = Clock::manual(1_000_000);
        let near = Near::on(Store::with_clock(Options::new(), clock).unwrap(), 60_000);
        near.assign(|_| Some(0), &[]);
        near.seal(0);
        let untold = VecDeque::new();
        World {
            near,
            value: 1,
            untold,
            ticket: None,
            answer: 0,
            writing: false,
            written_here: 0,
            ignores_generation,
        }
    }

    fn change(&mut self) {
        self.value += 1;
        self.untold.push_back(false);
    }

    fn step(&mut self, actor: Actor, step: usize) {
        match (actor, step) {
            (Actor::Reader, 0) => self.ticket = self.near.begin(0),
            (Actor::Reader, 1) => self.answer = self.value,
            (Actor::Reader, _) => {
                if let Some(mut ticket) = self.ticket {
                    if self.ignores_generation {
                        ticket.generation = *self.near.stripes[ticket.stripe].lock();
                    }
                    let value = self.answer.to_le_bytes();
                    let told = Told { value: &value, expire_at_ms: None, left_ms: None };
                    self.near.fill(ticket, KEY, &told);
                }
            }
            (Actor::Elsewhere, _) => self.change(),
            (Actor::Here, 0) => {
                self.near.remove(0, KEY);
                self.writing = true;
            }
            (Actor::Here, 1) => {
                self.change();
                self.written_here = self.value;
            }
            (Actor::Here, _) => {
                self.near.remove(0, KEY);
                self.writing = false;
            }
            (Actor::Telling, _) => match self.untold.pop_front() {
                Some(true) => self.near.empty(0),
                Some(false) => self.near.invalidate(0, KEY),
                None => {}
            },
            (Actor::Flush, _) => {
                self.value += 1;
                self.untold.push_back(true);
            }
        }
    }

    fn shown(&self) -> Option<u64> {
        self.near.value(KEY).map(|value| u64::from_le_bytes(value[..].try_into().unwrap()))
    }

    /// Whether what is shown now is allowed now.
    fn is_right(&self) -> bool {
        let Some(shown) = self.shown() else { return true };
        let reads_own_writes = self.writing || shown >= self.written_here;
        reads_own_writes && (shown == self.value || !self.untold.is_empty())
    }
}

/// Tries every order of the steps, and says how many there are and in how many something went wrong.
fn try_all(actors: &[(Actor, usize)], ignores_generation: bool) -> (usize, usize) {
    let mut order = Vec::new();
    let mut left: Vec<usize> = actors.iter().map(|(_, steps)| *steps).collect();
    let mut counts = (0, 0);
    visit(actors, &mut left, &mut order, &mut |order| {
        let mut world = World::new(ignores_generation);
        let mut done = vec![0; actors.len()];
        let mut right = true;
        for &which in order {
            world.step(actors[which].0, done[which]);
            done[which] += 1;
            right &= world.is_right();
        }
        while !world.untold.is_empty() {
            world.step(Actor::Telling, 0);
            right &= world.is_right();
        }
        counts.0 += 1;
        counts.1 += usize::from(!right);
    });
    counts
}

fn visit(
    actors: &[(Actor, usize)],
    left: &mut [usize],
    order: &mut Vec<usize>,
    run: &mut impl FnMut(&[usize]),
) {
    if left.iter().all(|left| *left == 0) {
        return run(order);
    }
    for which in 0..actors.len() {
        if left[which] > 0 {
            left[which] -= 1;
            order.push(which);
            visit(actors, left, order, run);
            order.pop();
            left[which] += 1;
        }
    }
}

#[test]
fn a_reader_and_changes_elsewhere() {
    let actors = [(Actor::Reader, 3), (Actor::Elsewhere, 2), (Actor::Telling, 2)];
    let (tried, wrong) = try_all(&actors, false);
    assert_eq!((tried, wrong), (210, 0));
}

#[test]
fn a_reader_and_a_write_here_and_elsewhere() {
    let actors = [(Actor::Reader, 3), (Actor::Here, 3), (Actor::Elsewhere, 1), (Actor::Telling, 1)];
    let (tried, wrong) = try_all(&actors, false);
    assert_eq!((tried, wrong), (1120, 0));
}

#[test]
fn a_reader_and_a_flush() {
    let actors = [(Actor::Reader, 3), (Actor::Flush, 1), (Actor::Here, 3), (Actor::Telling, 1)];
    let (tried, wrong) = try_all(&actors, false);
    assert_eq!((tried, wrong), (1120, 0));
}

#[test]
fn the_planted_mistake_is_found() {
    let actors = [(Actor::Reader, 3), (Actor::Elsewhere, 1), (Actor::Telling, 1)];
    let (_, wrong) = try_all(&actors, true);
    assert!(wrong > 0, "a fill that ignores the generation went unnoticed");
    let actors = [(Actor::Reader, 3), (Actor::Here, 3)];
    let (_, wrong) = try_all(&actors, true);
    assert!(wrong > 0, "a fill that ignores the generation went unnoticed");
}
