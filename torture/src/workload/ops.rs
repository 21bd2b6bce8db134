//! What a thread does: a function of seed, life, thread and number.
//!
//! Keys are of four kinds. `d` and `x` keys belong to one thread, so that their history is the
//! thread's. `d` keys get every kind of change, and deadlines that are hours away; `x` keys get short
//! deadlines and are only ever set as a whole, so that no outcome depends on the moment. `hot` keys
//! and the `group`, which is only ever set as a batch, are everyone's, as are the sums.

use kvcore::{Expiry, Result, SetOptions, Store};

/// Keys of one kind that belong to one thread.
const OWN: u8 = 12;
/// Keys that every thread sets.
pub const HOT: u8 = 3;
/// Keys of the batch that every thread sets.
pub const GROUP: u8 = 6;
/// Sums that every thread adds to.
pub const SUMS: u8 = 2;
/// Deadlines that no life comes near, in milliseconds.
const FAR_MS: i64 = 3_600_000;

/// Who does it and when: what an operation is made of.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The life of the store's directory.
    pub life: u64,
    /// The thread.
    pub thread: usize,
    /// Which of the thread's operations, from 0.
    pub number: u64,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Set(u8, usize),
    Append(u8, usize),
    Del(u8),
    Take(u8),
    Incr(u8),
    ExpireAt(u8, i64),
    Persist(u8),
    Batch(Vec<u8>),
    SetAt(u8, i64),
    SetAfter(u8, u64),
    Hot(u8, usize),
    Group,
    Sum(u8),
}

/// The operations of one thread in one life.
pub struct Script {
    random: fastrand::Rng,
    life_ms: i64,
}

impl Script {
    /// The script of a thread. `life_ms` is the Unix time that deadlines are counted from.
    pub fn new(seed: u64, life: u64, thread: usize, life_ms: i64) -> Script {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (life << 8) ^ thread as u64;
        let mut random = fastrand::Rng::with_seed(seed);
        // Neighbouring seeds begin alike.
        let random = fastrand::Rng::with_seed(random.u64(..));
        Script { random, life_ms }
    }
}

impl Iterator for Script {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let random = &mut self.random;
        let own = random.u8(..OWN);
        let len = [20_000, 4_000, 700, 200, 40, 8][random.usize(..36).isqrt()];
        Some(match random.u8(..100) {
            0..26 => Op::Set(own, len),
            26..32 => Op::Append(own, len / 4),
            32..40 => Op::Del(own),
            40..43 => Op::Take(own),
            43..49 => Op::Incr(own),
            49..53 => Op::ExpireAt(own, self.life_ms + FAR_MS + random.i64(0..1000)),
            53..56 => Op::Persist(own),
            56..66 => Op::Batch((0..random.u8(2..8)).map(|_| random.u8(..OWN)).collect()),
            66..73 => Op::SetAt(own, self.life_ms + random.i64(20..600)),
            73..77 => Op::SetAt(own, self.life_ms + FAR_MS + random.i64(0..1000)),
            77..82 => Op::SetAfter(own, random.u64(20..600)),
            82..88 => Op::Hot(random.u8(..HOT), len),
            88..94 => Op::Group,
            _ => Op::Sum(random.u8(..SUMS)),
        })
    }
}

/// What an operation is known to have come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// The revision it took, or 0.
    pub revision: u64,
    /// The deadline of its key, or 0.
    pub deadline_ms: i64,
}

/// The bytes that an operation writes: they name it, so that whoever finds them knows where they are
/// from, and they differ in every byte's place from those of another operation.
pub fn value(place: Place, len: usize) -> Vec<u8> {
    let mut value = format!("{}.{}.{}:", place.life, place.thread, place.number).into_bytes();
    let fill = (place.number as u8).wrapping_mul(31) ^ place.thread as u8;
    value.extend((value.len()..len).map(|at| fill.wrapping_add(at as u8)));
    value
}

/// Which operation wrote these bytes.
pub fn writer_of(value: &[u8]) -> Option<Place> {
    let end = value.iter().position(|byte| *byte == b':')?;
    let mut parts = std::str::from_utf8(&value[..end]).ok()?.split('.');
    let mut number = || parts.next()?.parse::<u64>().ok();
    Some(Place { life: number()?, thread: usize::try_from(number()?).ok()?, number: number()? })
}

/// A key of a thread with any kind of change.
pub fn own_key(thread: usize, number: u8) -> Vec<u8> {
    // One key is long, so that its entry is kept apart from the others.
    let mut key = format!("t{thread}/d{number}").into_bytes();
    if number == 0 {
        key.resize(5_000, b'k');
    }
    key
}

/// A key of a thread that holds a number.
pub fn count_key(thread: usize, number: u8) -> Vec<u8> {
    format!("t{thread}/n{number}").into_bytes()
}

/// A key of a thread with a short deadline.
pub fn brief_key(thread: usize, number: u8) -> Vec<u8> {
    format!("t{thread}/x{number}").into_bytes()
}

/// A key that every thread sets.
pub fn hot_key(number: u8) -> Vec<u8> {
    format!("hot/{number}").into_bytes()
}

/// A key of the batch that every thread sets.
pub fn group_key(number: u8) -> Vec<u8> {
    format!("group/{number}").into_bytes()
}

/// A sum that every thread adds to.
pub fn sum_key(number: u8) -> Vec<u8> {
    format!("sum/{number}").into_bytes()
}

/// Does an operation.
///
/// # Errors
/// Those of the store.
pub fn run(store: &Store, op: &Op, place: Place) -> Result<Seen> {
    let thread = place.thread;
    let with = |revision| Ok(Seen { revision, deadline_ms: 0 });
    match op {
        Op::Set(key, len) => with(store.set(own_key(thread, *key), value(place, *len))?),
        Op::Append(key, len) => {
            store.append(own_key(thread, *key), value(place, *len))?;
            look(store, &own_key(thread, *key))
        }
        Op::Del(key) => store.del(own_key(thread, *key)).map(|_| Seen::default()),
        Op::Take(key) => store.take(own_key(thread, *key)).map(|_| Seen::default()),
        Op::Incr(key) => {
            store.incr(count_key(thread, *key), 1, Expiry::Never)?;
            look(store, &count_key(thread, *key))
        }
        Op::ExpireAt(key, at) => {
            store.expire_at(own_key(thread, *key), *at).map(|_| Seen::default())
        }
        Op::Persist(key) => store.persist(own_key(thread, *key)).map(|_| Seen::default()),
        Op::Batch(keys) => {
            let items: Vec<_> =
                keys.iter().map(|key| (own_key(thread, *key), value(place, 30))).collect();
            store.set_many(&items, Expiry::Never)?;
            // A batch is whole, so the revision of any of its keys tells on which side of a cut it is.
            look(store, &items[0].0)
        }
        Op::SetAt(key, at) => {
            set_brief(store, place, *key, SetOptions::default().expire_at_ms(*at))
        }
        Op::SetAfter(key, ms) => {
            let after = std::time::Duration::from_millis(*ms);
            set_brief(store, place, *key, SetOptions::default().ttl(after))
        }
        Op::Hot(key, len) => with(store.set(hot_key(*key), value(place, *len))?),
        Op::Group => {
            let items: Vec<_> = (0..GROUP).map(|n| (group_key(n), value(place, 20))).collect();
            store.set_many(&items, Expiry::Never)?;
            let held = store.get(&items[0].0)?.filter(|held| held[..] == items[0].1[..]);
            with(held.map_or(0, |held| held.version()))
        }
        Op::Sum(key) => store.incr(sum_key(*key), 1, Expiry::Never).map(|_| Seen::default()),
    }
}

fn set_brief(store: &Store, place: Place, key: u8, options: SetOptions) -> Result<Seen> {
    let key = brief_key(place.thread, key);
    let outcome = store.set_with(&key, value(place, 25), &options)?;
    let revision = match outcome {
        kvcore::SetOutcome::Stored { version } => version,
        _ => 0,
    };
    // Nobody else sets this key, so what is there is what was set, unless it has expired. If it had
    // before it was set, it has left no record either.
    let deadline_ms = store.get(&key)?.and_then(|value| value.expire_at_ms());
    Ok(deadline_ms.map_or(Seen::default(), |deadline_ms| Seen { revision, deadline_ms }))
}

/// The revision of a key that nobody else changes.
fn look(store: &Store, key: &[u8]) -> Result<Seen> {
    let revision = store.get(key)?.map_or(0, |value| value.version());
    Ok(Seen { revision, deadline_ms: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_a_function_of_its_place() {
        let ops = |life, thread| Script::new(7, life, thread, 0).take(50).collect::<Vec<_>>();
        assert_eq!(ops(1, 2), ops(1, 2));
        assert_ne!(ops(1, 2), ops(1, 3));
        assert_ne!(ops(1, 2), ops(2, 2));
    }

    #[test]
    fn a_value_names_its_writer() {
        let place = Place { life: 12, thread: 3, number: 456 };
        let found = writer_of(&value(place, 100)).unwrap();
        assert_eq!((found.life, found.thread, found.number), (12, 3, 456));
        assert!(writer_of(b"17").is_none());
    }
}
