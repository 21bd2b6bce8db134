//! Operations, and a model of what they do.

use std::collections::BTreeMap;

use kvcore::{Batch, Expiry, Result, Status, Store};

/// One operation of a script.
#[derive(Debug, Clone)]
pub enum Op {
    Set(u8, usize),
    SetFor(u8, u64),
    Del(u8),
    Append(u8, usize),
    Incr(u8),
    Expire(u8, i64),
    Batch(Vec<u8>),
    /// Sets, deletions and new deadlines in turns.
    Write(Vec<u8>),
    Clear,
    Snapshot,
    Sync,
    Advance(u64),
}

/// A value and its deadline.
pub type State = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

pub fn key(number: u8) -> Vec<u8> {
    // One key is long, so that its entry is kept out of line.
    if number == 0 { vec![b'k'; 5_000] } else { format!("key {number}").into_bytes() }
}

fn value(step: usize, len: usize) -> Vec<u8> {
    let mut value = format!("{step}:").into_bytes();
    value.resize(len.max(value.len()), b'v');
    value
}

/// A script of so many operations.
pub fn script(seed: u64, len: usize) -> Vec<Op> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..len)
        .map(|_| {
            let number = random.u8(..6);
            match random.u8(..44) {
                0..12 => Op::Set(number, [3, 40, 700, 6_000, 20_000][random.usize(..5)]),
                12..16 => Op::SetFor(number, random.u64(1..400)),
                16..20 => Op::Del(number),
                20..24 => Op::Append(number, [1, 90, 5_000][random.usize(..3)]),
                24..27 => Op::Incr(6 + random.u8(..2)),
                27..30 => Op::Expire(number, random.i64(-1..500)),
                30..34 => Op::Batch((0..random.u8(1..6)).map(|_| random.u8(..6)).collect()),
                34 => Op::Clear,
                35 => Op::Snapshot,
                36..38 => Op::Sync,
                38..42 => Op::Write((0..random.u8(1..8)).map(|_| random.u8(..6)).collect()),
                _ => Op::Advance(random.u64(1..200)),
            }
        })
        .collect()
}

/// The deadline that a batch gives.
const BATCH_TTL: i64 = 300;

fn batch(numbers: &[u8], step: usize) -> Batch {
    let mut batch = Batch::new();
    for (turn, number) in numbers.iter().enumerate() {
        match turn % 3 {
            0 => batch.set(key(*number), value(step, 30 + turn * 3_000)),
            1 => batch.expire(key(*number), BATCH_TTL),
            _ => batch.del(key(*number)),
        };
    }
    batch
}

/// Does one operation on a store. `step` makes its value.
pub fn run(store: &Store, op: &Op, step: usize) -> Result<()> {
    match op {
        Op::Set(number, len) => store.set(key(*number), value(step, *len)).map(drop),
        Op::SetFor(number, ttl) => {
            let items = [(key(*number), value(step, 10))];
            store.set_many(&items, Expiry::AfterMs(*ttl))
        }
        Op::Del(number) => store.del(key(*number)).map(drop),
        Op::Append(number, len) => store.append(key(*number), value(step, *len)).map(drop),
        Op::Incr(number) => store.incr(key(*number), 1, Expiry::Default).map(drop),
        Op::Expire(number, ttl) => store.expire(key(*number), *ttl).map(drop),
        Op::Batch(numbers) => {
            let items: Vec<_> = numbers.iter().map(|n| (key(*n), value(step, 30))).collect();
            store.set_many(&items, Expiry::Default)
        }
        Op::Write(numbers) => store.write(&batch(numbers, step)).map(drop),
        Op::Clear => store.clear(),
        Op::Snapshot => store.snapshot(None).map(drop),
        Op::Sync => store.sync(),
        Op::Advance(_) => Ok(()),
    }
}

/// What an operation makes of a state at a time.
pub fn apply(state: &mut State, op: &Op, step: usize, now: i64) {
    state.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| deadline > now));
    match op {
        Op::Set(number, len) => drop(state.insert(key(*number), (value(step, *len), None))),
        Op::SetFor(number, ttl) => {
            let deadline = Some(now + *ttl as i64);
            state.insert(key(*number), (value(step, 10), deadline));
        }
        Op::Del(number) => drop(state.remove(&key(*number))),
        Op::Append(number, len) => {
            let entry = state.entry(key(*number)).or_insert((Vec::new(), None));
            entry.0.extend(value(step, *len));
        }
        Op::Incr(number) => {
            let entry = state.entry(key(*number)).or_insert((b"0".to_vec(), None));
            let sum: i64 = String::from_utf8(entry.0.clone()).unwrap().parse().unwrap();
            entry.0 = (sum + 1).to_string().into_bytes();
        }
        Op::Expire(number, ttl) if *ttl <= 0 => drop(state.remove(&key(*number))),
        Op::Expire(number, ttl) => {
            if let Some(entry) = state.get_mut(&key(*number)) {
                entry.1 = Some(now + ttl);
            }
        }
        Op::Batch(numbers) => {
            for number in numbers {
                state.insert(key(*number), (value(step, 30), None));
            }
        }
        Op::Write(numbers) => {
            for (turn, number) in numbers.iter().enumerate() {
                let key = key(*number);
                match turn % 3 {
                    0 => drop(state.insert(key, (value(step, 30 + turn * 3_000), None))),
                    1 => {
                        if let Some(entry) = state.get_mut(&key) {
                            entry.1 = Some(now + BATCH_TTL);
                        }
                    }
                    _ => drop(state.remove(&key)),
                }
            }
        }
        Op::Clear => state.clear(),
        Op::Snapshot | Op::Sync | Op::Advance(_) => {}
    }
}

/// What a store holds.
pub fn contents(store: &Store) -> State {
    let keys: Vec<Vec<u8>> = store.keys().unwrap().map(Result::unwrap).collect();
    let held = keys.into_iter().map(|key| {
        let value = store.get(&key).unwrap().unwrap();
        let deadline = value.expire_at_ms();
        (key, (value.to_vec(), deadline))
    });
    held.collect()
}

/// A state in short: its keys, what their values begin with, how long they are, and the deadlines.
pub fn describe(state: &State) -> String {
    let entries = state.iter().map(|(key, (value, deadline))| {
        let key = String::from_utf8_lossy(&key[..key.len().min(8)]);
        let begin = String::from_utf8_lossy(&value[..value.len().min(4)]);
        format!(
            "{key}={begin}({}){}",
            value.len(),
            deadline.map_or(String::new(), |at| format!("@{at}"))
        )
    });
    format!("{:?}", entries.collect::<Vec<_>>())
}

/// Whether a write with this outcome may or may not have happened.
pub fn is_unknown(status: Status) -> bool {
    !matches!(status, Status::NoSpace | Status::Poisoned | Status::Full | Status::Invalid)
}
