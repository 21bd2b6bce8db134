//! Which addresses of a heap are free.
//!
//! Owns: the free runs of a heap, in units. Invariants: runs do not overlap; two cold runs never
//! touch, nor do two warm ones; what is warm is at most a small share of what is in use, and the whole
//! pages of all other free runs are not in memory.
//!
//! A run that was freed just now is warm: its pages are in memory, and the next value that fits takes
//! it without a fault. The oldest warm runs become cold: their pages go back to the system, and what
//! is left of them is addresses, of which there are plenty. So holes cost next to nothing, wherever
//! they are, and no value ever has to move. Best fit by address order is known to fragment least
//! (Johnstone and Wilson, "The Memory Fragmentation Problem: Solved?", ISMM 1998).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The share of the bytes in use that may be warm.
const WARM_SHARE: usize = 96;

/// Bytes that may be warm in any case, and at most.
const WARM_LEAST: usize = 256 << 10;
const WARM_MOST: usize = 16 << 20;

struct Run {
    len: usize,
    /// When it became warm, or `COLD`.
    since: u64,
}

const COLD: u64 = 0;

/// The free runs of one heap, by address.
pub(super) struct Runs {
    runs: BTreeMap<usize, Run>,
    /// Length and address of each.
    cold: BTreeSet<(usize, usize)>,
    warm: BTreeSet<(usize, usize)>,
    /// The addresses of warm ones, oldest first.
    aging: BTreeMap<u64, usize>,
    warm_bytes: usize,
    used_bytes: usize,
    now: u64,
}

/// Addresses that were handed out.
pub(super) struct Taken {
    pub(super) start: usize,
    /// Whether their pages are in memory.
    pub(super) warm: bool,
}

/// A run on its way from warm to cold, in no list meanwhile.
pub(super) struct Cooling {
    /// The run with the cold ones around it.
    whole: Range<usize>,
    /// The pages that have to go.
    pub(super) pages: Range<usize>,
}

impl Runs {
    pub(super) const fn new() -> Runs {
        Runs {
            runs: BTreeMap::new(),
            cold: BTreeSet::new(),
            warm: BTreeSet::new(),
            aging: BTreeMap::new(),
            warm_bytes: 0,
            used_bytes: 0,
            now: COLD,
        }
    }

    /// Takes addresses for `len` bytes: warm ones if any are long enough.
    pub(super) fn take(&mut self, len: usize) -> Option<Taken> {
        let fits = |sizes: &BTreeSet<(usize, usize)>| sizes.range((len, 0)..).next().copied();
        let (_, start) = fits(&self.warm).or_else(|| fits(&self.cold))?;
        let run = self.unlist(start)?;
        if run.len > len {
            self.list(start + len, run.len - len, run.since);
        }
        self.used_bytes += len;
        Some(Taken { start, warm: run.since != COLD })
    }

    /// Adds addresses that were never used.
    pub(super) fn add(&mut self, start: usize, len: usize) {
        self.join(start..start + len, COLD);
    }

    /// Takes back what was handed out.
    pub(super) fn free(&mut self, start: usize, len: usize) {
        self.used_bytes -= len;
        self.now += 1;
        self.join(start..start + len, self.now);
    }

    /// The oldest warm run, if too much is warm. Its pages are to be given back, and then it is
    /// [`cooled`](Runs::cooled).
    pub(super) fn next_to_cool(&mut self, page: usize) -> Option<Cooling> {
        let most = (self.used_bytes / WARM_SHARE).clamp(WARM_LEAST, WARM_MOST);
        if self.warm_bytes <= most {
            return None;
        }
        let (_, start) = self.aging.first_key_value()?;
        let start = *start;
        let run = start..start + self.unlist(start)?.len;
        let whole = self.absorb(run.clone(), COLD);
        // A page that the run shared with a cold one goes as well, if nothing else is in it.
        let from = (run.start / page * page).max(whole.start).next_multiple_of(page);
        let to = run.end.next_multiple_of(page).min(whole.end) / page * page;
        Some(Cooling { whole, pages: from..to.max(from) })
    }

    /// Takes a run back whose pages have gone.
    pub(super) fn cooled(&mut self, cooling: Cooling) {
        self.join(cooling.whole, COLD);
    }

    /// Lists a run, as one with those of its kind that it touches.
    fn join(&mut self, run: Range<usize>, since: u64) {
        let whole = self.absorb(run, since);
        self.list(whole.start, whole.len(), since);
    }

    /// Takes those out of the lists that touch a run and are of its kind.
    fn absorb(&mut self, mut whole: Range<usize>, since: u64) -> Range<usize> {
        let alike = |run: &Run| (run.since == COLD) == (since == COLD);
        let before = self.runs.range(..whole.start).next_back();
        let before = before.filter(|(start, run)| **start + run.len == whole.start && alike(run));
        if let Some(start) = before.map(|(start, _)| *start) {
            self.unlist(start);
            whole.start = start;
        }
        let after = self.runs.get(&whole.end).filter(|run| alike(run)).map(|run| run.len);
        if let Some(len) = after {
            self.unlist(whole.end);
            whole.end += len;
        }
        whole
    }

    fn list(&mut self, start: usize, len: usize, since: u64) {
        // What is left of a run may be as old as another part of it.
        let mut since = since;
        if since == COLD {
            self.cold.insert((len, start));
        } else {
            if self.aging.contains_key(&since) {
                self.now += 1;
                since = self.now;
            }
            self.warm.insert((len, start));
            self.aging.insert(since, start);
            self.warm_bytes += len;
        }
        self.runs.insert(start, Run { len, since });
    }

    fn unlist(&mut self, start: usize) -> Option<Run> {
        let run = self.runs.remove(&start)?;
        if run.since == COLD {
            self.cold.remove(&(run.len, start));
        } else {
            self.warm.remove(&(run.len, start));
            self.aging.remove(&run.since);
            self.warm_bytes -= run.len;
        }
        Some(run)
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    const PAGE: usize = 4096;
    const UNIT: usize = 512;

    fn validate(
        runs: &Runs,
        area: usize,
        used: &BTreeMap<usize, usize>,
        resident: &BTreeSet<usize>,
    ) {
        let mut all: Vec<(usize, usize)> = used.iter().map(|(start, len)| (*start, *len)).collect();
        all.extend(runs.runs.iter().map(|(start, run)| (*start, run.len)));
        all.sort_unstable();
        let mut at = PAGE;
        for (start, len) in all {
            assert_eq!(start, at, "a hole or an overlap");
            at += len;
        }
        assert_eq!(at, PAGE + area);
        assert_eq!(runs.cold.len() + runs.warm.len(), runs.runs.len());
        assert_eq!(runs.used_bytes, used.values().sum::<usize>());
        let mut touches = None;
        for (start, run) in &runs.runs {
            assert_ne!(touches, Some((*start, run.since == COLD)), "two runs are one");
            touches = Some((start + run.len, run.since == COLD));
            if run.since == COLD {
                let whole = start.next_multiple_of(PAGE)..(start + run.len) / PAGE * PAGE;
                assert!(!whole.clone().step_by(PAGE).any(|page| resident.contains(&page)));
            }
        }
    }

    #[test]
    fn runs_never_overlap_and_cold_pages_are_gone() {
        const AREA: usize = 8 << 20;
        let mut random = fastrand::Rng::with_seed(1);
        let mut runs = Runs::new();
        runs.add(PAGE, AREA);
        let (mut used, mut resident) = (BTreeMap::new(), BTreeSet::new());
        for round in 0..20_000 {
            let len = random.usize(1..=60) * UNIT * if round % 8 == 0 { 8 } else { 1 };
            let full = used.values().sum::<usize>() > AREA / 2;
            let taken = if full { None } else { runs.take(len) };
            if let Some(taken) = taken {
                let pages = taken.start / PAGE * PAGE..taken.start + len;
                resident.extend(pages.step_by(PAGE));
                assert!(used.insert(taken.start, len).is_none());
            } else {
                let at = random.usize(..used.len());
                let (start, len) = used.iter().nth(at).map(|(start, len)| (*start, *len)).unwrap();
                used.remove(&start);
                runs.free(start, len);
                while let Some(cooling) = runs.next_to_cool(PAGE) {
                    for page in cooling.pages.clone().step_by(PAGE) {
                        resident.remove(&page);
                    }
                    runs.cooled(cooling);
                }
            }
            if round % 64 == 0 {
                validate(&runs, AREA, &used, &resident);
            }
        }
    }

    #[test]
    fn what_was_freed_last_is_taken_first() {
        let mut runs = Runs::new();
        runs.add(PAGE, 1 << 20);
        let first = runs.take(3 * UNIT).unwrap();
        let second = runs.take(UNIT).unwrap();
        assert!(!first.warm && !second.warm);
        runs.free(first.start, 3 * UNIT);
        let again = runs.take(2 * UNIT).unwrap();
        assert_eq!((again.start, again.warm), (first.start, true));
        assert!(runs.take(UNIT).unwrap().warm && !runs.take(UNIT).unwrap().warm);
        assert!(runs.take(2 << 20).is_none());
    }
}
