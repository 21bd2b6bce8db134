//! Scans of one moment beside whatever changes: each gives what the model had when it began, less what has
//! expired since.

use kvcore::{Order, Scan, Status};

use crate::ops::Range;
use crate::pair::Pair;
use crate::scan::{Shown, options, shown};

/// Scans that are under way at once. The oldest gives way to one more, whether it has ended or not.
const MOST: usize = 3;

/// One scan, and what it has still to give.
pub struct Moment {
    scan: Scan,
    order: Order,
    /// How many more it may give.
    left: u64,
    /// In the order of their keys.
    want: Vec<Shown>,
    /// Whether the store was cleared since it began.
    pub may_conflict: bool,
}

impl Moment {
    /// Takes the next entry and compares. `false` at the end.
    fn step(&mut self, now: i64) -> bool {
        // Nothing that has expired comes, as the entry was at the moment.
        self.want.retain(|(.., deadline)| deadline.is_none_or(|at| at > now));
        let next = match self.scan.try_next() {
            Ok(Some(entry)) => shown(&entry),
            Ok(None) => {
                assert!(self.left == 0 || self.want.is_empty(), "missing: {:?}", self.keys());
                return false;
            }
            Err(error) => {
                assert!(self.may_conflict && error.status() == Status::Conflict, "{error}");
                return false;
            }
        };
        let place = self.want.iter().position(|want| want.0 == next.0);
        let place = place.unwrap_or_else(|| panic!("not wanted, or twice: {:?}", next.0));
        match self.order {
            Order::None => {}
            Order::Asc => assert_eq!(place, 0, "out of order"),
            Order::Desc => assert_eq!(place + 1, self.want.len(), "out of order"),
        }
        assert!(self.want.remove(place) == next, "{:?} is not as it was", next.0);
        assert!(self.left > 0, "more than the limit");
        self.left -= 1;
        true
    }

    fn keys(&self) -> Vec<&[u8]> {
        self.want.iter().map(|(key, ..)| key.as_slice()).collect()
    }
}

impl Pair {
    pub fn begin_moment(&mut self, range: &Range) {
        if self.moments.len() == MOST {
            self.moments.remove(0);
        }
        let scan = self.store.scan(&options(range).point_in_time()).unwrap();
        self.moments.push(Moment {
            scan,
            order: range.order,
            left: if range.limit == 0 { u64::MAX } else { range.limit },
            want: self.wanted(range),
            may_conflict: false,
        });
    }

    pub fn step_moments(&mut self, count: usize) {
        let now = self.model.now;
        for _ in 0..count {
            self.moments.retain_mut(|moment| moment.step(now));
        }
    }

    /// Lets all of them come to their ends.
    pub fn end_moments(&mut self) {
        while !self.moments.is_empty() {
            self.step_moments(1);
        }
    }
}
