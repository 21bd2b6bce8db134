//! Whether what several threads saw could have happened one call after the other.
//!
//! Owns: the sequential meaning of a few calls, and the search for an order in which every reply is
//! right and no call comes before one that had ended when it began (Wing and Gong, 1993).

use std::collections::{BTreeMap, HashSet};

/// A call on one of a few keys; values are short texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Get(u8),
    Set(u8, i64),
    SetIfAbsent(u8, i64),
    Incr(u8, i64),
    Append(u8),
    Take(u8),
    Del(u8),
    Len,
    Clear,
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Done,
    Value(Option<String>),
    Number(i64),
    Bool(bool),
    Exists,
    Full,
    /// The value is no number.
    Type,
}

/// A call that ran from one moment to another.
#[derive(Debug, Clone)]
pub struct Event {
    pub call: Call,
    pub reply: Reply,
    pub start: u64,
    pub end: u64,
}

type State = BTreeMap<u8, String>;

/// What the call does to the state, and what it must answer.
fn apply(state: &mut State, call: &Call, max_entries: usize) -> Reply {
    let full = state.len() >= max_entries;
    match call {
        Call::Get(key) => Reply::Value(state.get(key).cloned()),
        Call::Set(key, _) | Call::SetIfAbsent(key, _) | Call::Incr(key, _) | Call::Append(key)
            if full && !state.contains_key(key) =>
        {
            Reply::Full
        }
        Call::SetIfAbsent(key, _) if state.contains_key(key) => Reply::Exists,
        Call::Set(key, value) | Call::SetIfAbsent(key, value) => {
            state.insert(*key, value.to_string());
            Reply::Done
        }
        Call::Incr(key, delta) => {
            let old = state.get(key).map_or("0", String::as_str);
            // As in Redis, a number is only what printing it would give: "01" is none.
            let Some(number) = old.parse::<i64>().ok().filter(|n| n.to_string() == old) else {
                return Reply::Type;
            };
            let sum = number + delta;
            state.insert(*key, sum.to_string());
            Reply::Number(sum)
        }
        Call::Append(key) => {
            let value = state.entry(*key).or_default();
            value.push('7');
            Reply::Number(value.len() as i64)
        }
        Call::Take(key) => Reply::Value(state.remove(key)),
        Call::Del(key) => Reply::Bool(state.remove(key).is_some()),
        Call::Len => Reply::Number(state.len() as i64),
        Call::Clear => {
            state.clear();
            Reply::Done
        }
    }
}

/// Whether some order of these events, of which there are at most 32, explains every reply.
pub fn is_linearizable(events: &[Event], max_entries: usize) -> bool {
    let mut tried = HashSet::new();
    search(events, max_entries, 0, &State::new(), &mut tried)
}

fn search(
    events: &[Event],
    max_entries: usize,
    done: u32,
    state: &State,
    tried: &mut HashSet<(u32, State)>,
) -> bool {
    let open = |index: &usize| done & (1 << index) == 0;
    let indices: Vec<usize> = (0..events.len()).filter(open).collect();
    if indices.is_empty() {
        return true;
    }
    if !tried.insert((done, state.clone())) {
        return false;
    }
    let first_end = indices.iter().map(|index| events[*index].end).min().unwrap();
    indices.into_iter().filter(|index| events[*index].start <= first_end).any(|index| {
        let mut next = state.clone();
        apply(&mut next, &events[index].call, max_entries) == events[index].reply
            && search(events, max_entries, done | 1 << index, &next, tried)
    })
}
