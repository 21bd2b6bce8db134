//! Watches: every change in its order, and nothing lost in silence.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
#![cfg(all(feature = "simulation", not(kv_shuttle)))]

mod durable;
mod limits;
mod model;
mod order;
mod threads;
mod waiting;

use kvcore::{Clock, Event, EventKind, ManualClock, Options, Store, Watch, Watched};

/// A store in memory on a clock that stands still.
fn open(options: &[(&str, &str)]) -> (Store, ManualClock) {
    let (clock, hand) = Clock::manual(1_700_000_000_000);
    let set = |options: Options, (name, value): &(&str, &str)| options.with(name, value).unwrap();
    let options = options.iter().fold(Options::new(), set);
    (Store::with_clock(options, clock).unwrap(), hand)
}

/// An event in short: kind, key, value and deadline.
type Short = (EventKind, String, Option<String>, Option<i64>);

fn short(event: &Event) -> Short {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (event.kind(), text(event.key()), event.value().map(text), event.expire_at_ms())
}

/// All events that wait. Panics if there is anything else.
fn drain(watch: &mut Watch) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        match watch.try_next().unwrap() {
            Watched::Event(event) => {
                assert!(events.last().is_none_or(|last| last.revision() < event.revision()));
                events.push(event);
            }
            Watched::TimedOut => return events,
            other => panic!("{other:?} after {events:?}"),
        }
    }
}

/// Kinds and keys of all events that wait, such as `set a`.
fn told(watch: &mut Watch) -> Vec<String> {
    drain(watch).iter().map(named).collect()
}

/// The kind and the key of an event.
fn named(event: &Event) -> String {
    format!("{} {}", event.kind().name(), String::from_utf8_lossy(event.key()))
}

fn lagged(watch: &mut Watch) -> (u64, u64) {
    match watch.try_next().unwrap() {
        Watched::Lagged { revision, missed } => (revision, missed),
        other => panic!("{other:?}"),
    }
}
