//! Which entries had expired before the store was opened, whatever the clock says now.
//!
//! The files name times: at that time every entry which existed had expired if its deadline had come.
//! A clock that was set back must not bring such an entry to life again. Within one life of a store
//! its clock never goes back, so a mark is a time and the last revision that was seen by then.

/// Times that the files name, each with the last revision that was seen by then.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Revisions rise and times fall, so one life of the store leaves one mark.
    stack: Vec<(u64, i64)>,
    latest_ms: Option<i64>,
}

impl Marks {
    /// Notes that it was `time_ms` when revisions up to this one were known. Revisions never fall.
    pub(super) fn add(&mut self, revision: u64, time_ms: i64) {
        self.latest_ms = self.latest_ms.max(Some(time_ms));
        while self.stack.last().is_some_and(|&(_, time)| time <= time_ms) {
            self.stack.pop();
        }
        match self.stack.last() {
            // The one before is as late, and this one reaches further: both are needed.
            Some(&(known, _)) if known >= revision => {}
            _ => self.stack.push((revision, time_ms)),
        }
    }

    /// Whether an entry of this version and deadline had expired.
    pub(super) fn expired(&self, version: u64, deadline: i64) -> bool {
        let first = self.stack.partition_point(|&(revision, _)| revision < version);
        self.stack.get(first).is_some_and(|&(_, time_ms)| deadline <= time_ms)
    }

    /// How far a clock is behind the latest of the times, in milliseconds.
    pub(super) fn regression_ms(&self, now_ms: i64) -> u64 {
        let latest = self.latest_ms.unwrap_or(now_ms);
        u64::try_from(latest.saturating_sub(now_ms)).unwrap_or(0)
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn they_say_what_a_list_of_all_marks_says() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut marks, mut all, mut revision) = (Marks::default(), Vec::new(), 0);
            for _ in 0..random.usize(..12) {
                revision += random.u64(..3);
                let time = random.i64(-5..20);
                marks.add(revision, time);
                all.push((revision, time));
            }
            for version in 0..20 {
                for deadline in -6..21 {
                    let expected = all.iter().any(|&(r, t)| version <= r && deadline <= t);
                    assert_eq!(marks.expired(version, deadline), expected, "{all:?}");
                }
            }
            let latest = all.iter().map(|mark| mark.1).max().unwrap_or(3);
            assert_eq!(marks.regression_ms(3), (latest - 3).max(0) as u64);
        }
    }
}
