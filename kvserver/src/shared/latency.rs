//! What `LATENCY` shows: the last times at which something took long.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

/// Times that are kept of each event.
const SAMPLES_MAX: usize = 160;

/// The times of one event.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Unix seconds, and the longest time in that second in milliseconds. The oldest comes first.
    pub times: VecDeque<(i64, u64)>,
    /// The longest time ever.
    pub longest_ms: u64,
}

/// The times of all events.
#[derive(Debug, Default)]
pub struct Latency {
    by_event: Mutex<BTreeMap<&'static str, Samples>>,
}

impl Latency {
    /// Notes that an event took so long.
    pub fn note(&self, event: &'static str, at_s: i64, took_ms: u64) {
        let mut by_event = self.by_event.lock();
        let samples = by_event.entry(event).or_default();
        samples.longest_ms = samples.longest_ms.max(took_ms);
        match samples.times.back_mut() {
            Some((second, longest)) if *second == at_s => *longest = (*longest).max(took_ms),
            _ => {
                samples.times.push_back((at_s, took_ms));
                if samples.times.len() > SAMPLES_MAX {
                    samples.times.pop_front();
                }
            }
        }
    }

    /// All events with their times.
    pub fn all(&self) -> Vec<(&'static str, Samples)> {
        self.by_event.lock().iter().map(|(event, samples)| (*event, samples.clone())).collect()
    }

    /// Forgets an event, or all of them. Answers how many.
    pub fn reset(&self, event: Option<&str>) -> usize {
        let mut by_event = self.by_event.lock();
        let before = by_event.len();
        by_event.retain(|known, _| event.is_some_and(|event| event != *known));
        before - by_event.len()
    }
}
