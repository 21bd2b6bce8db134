//! A store and its model side by side: applies an operation to both and compares.

use kvcore::{
    Clock, Condition, DeleteOutcome, Error, Expiry, ManualClock, Options, Remaining, SetOptions,
    SetOutcome, Status, Store,
};

use crate::model::{Entry, Model, Verdict};
use crate::moment::Moment;
use crate::ops::{Bytes, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, Ttl, When, key};

const START_MS: u64 = 1_700_000_000_000;

/// What the store is opened with.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub shards: u32,
    pub entry_stats: bool,
    pub ordered: bool,
    pub max_entries: u64,
    pub max_memory: u64,
    pub eviction: &'static str,
}

impl Setup {
    pub fn evicts(self) -> bool {
        self.eviction != "none"
    }
}

pub struct Pair {
    pub store: Store,
    pub model: Model,
    hand: ManualClock,
    pub setup: Setup,
    /// `memory_bytes` when nothing had been stored yet.
    pub empty_bytes: u64,
    pub evicted: u64,
    /// Scans of one moment under way.
    pub moments: Vec<Moment>,
}

impl Pair {
    pub fn new(setup: Setup) -> Pair {
        let (clock, hand) = Clock::manual(START_MS);
        let options = [
            ("shards", setup.shards.to_string()),
            ("entry_stats", setup.entry_stats.to_string()),
            ("ordered_index", setup.ordered.to_string()),
            ("max_entries", setup.max_entries.to_string()),
            ("max_memory", setup.max_memory.to_string()),
            ("max_key_bytes", MAX_KEY_BYTES.to_string()),
            ("max_value_bytes", MAX_VALUE_BYTES.to_string()),
            ("eviction", setup.eviction.to_string()),
        ]
        .iter()
        .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
        let store = Store::with_clock(options, clock).unwrap();
        let model = Model {
            now: hand.now_ms(),
            max_entries: setup.max_entries,
            evicts: setup.evicts(),
            ..Model::default()
        };
        let empty_bytes = store.stats().unwrap().memory_bytes;
        Pair { store, model, hand, setup, empty_bytes, evicted: 0, moments: Vec::new() }
    }

    /// Applies one operation to both, compares the answers, then what a caller can see.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Advance(ms) => self.advance(*ms),
            Op::Set(k, value) => self.set(&key(*k), value, Ttl::Default, None),
            Op::SetWith(k, value, ttl, when) => self.set(&key(*k), value, *ttl, Some(*when)),
            Op::SetMany(items, ttl) => self.set_many(items, *ttl),
            Op::Batch(parts) => self.write(parts),
            Op::Incr(k, delta, ttl) => self.incr(&key(*k), *delta, *ttl),
            Op::Append(k, data) => self.append(&key(*k), data),
            Op::Expire(k, ttl_ms) => {
                let verdict = self.model.expire(*ttl_ms);
                self.deadline_changed(&key(*k), self.store.expire(key(*k), *ttl_ms), verdict);
            }
            Op::ExpireAtOffset(k, offset) => self.expire_at(*k, self.model.now + offset),
            Op::ExpireAt(k, unix_ms) => self.expire_at(*k, *unix_ms),
            Op::Persist(k) => self.persist(&key(*k)),
            Op::Take(k) => self.take(&key(*k)),
            Op::Del(k) => self.del(&key(*k)),
            Op::DelMany(keys) => self.del_many(keys),
            Op::DelIf(k, current) => self.del_if(&key(*k), *current),
            Op::Get(k) => self.see(&key(*k)),
            Op::GetMany(keys) => self.get_many(keys),
            Op::GetInto(k, capacity) => self.get_into(&key(*k), *capacity),
            Op::Exists(k) => {
                let key = key(*k);
                let known = self.model.entries.contains_key(&key);
                self.compare(&key, self.store.exists(&key), known);
            }
            Op::Remaining(k) => self.remaining(&key(*k)),
            Op::Len => self.len(),
            Op::Keys => self.keys(),
            Op::Scan(range) => self.scan(range),
            Op::BeginMoment(range) => self.begin_moment(range),
            Op::StepMoments(count) => self.step_moments(*count),
            Op::Clear => {
                self.moments.iter_mut().for_each(|moment| moment.may_conflict = true);
                self.store.clear().unwrap();
                self.model.clear();
                assert_eq!(self.store.len().unwrap(), 0);
            }
            Op::PurgeExpired => self.purge(),
            Op::MaxEntries(limit) => self.max_entries(*limit),
            Op::DefaultTtl(ms) => {
                self.store.configure("default_ttl", &format!("{ms}ms")).unwrap();
                self.model.default_ttl = *ms;
            }
            Op::Stats => self.stats(),
        }
        self.store.validate();
        self.limits();
    }

    pub fn advance(&mut self, ms: u64) {
        self.hand.advance_ms(ms);
        self.model.advance(ms);
    }

    /// An answer of a call that fails only for its key.
    pub fn compare<T: PartialEq + std::fmt::Debug>(
        &self,
        key: &[u8],
        got: Result<T, Error>,
        want: T,
    ) {
        let want = self.model.key_error(key).map_or(Ok(want), Err);
        assert_eq!(got.map_err(|error| error.status()), want, "{}", key.escape_ascii());
    }

    /// Whether a refusal is for want of memory, which the model does not count.
    pub fn memory_refusal(&self, status: Status) -> bool {
        self.setup.max_memory != 0 && matches!(status, Status::Full | Status::TooLarge)
    }

    /// A write of so many bytes was refused for want of memory. What is over the limit evicts nothing;
    /// only if it is within the overhead of a few entries of the limit, others may have gone in vain. The
    /// memory of a value out of line is rounded up by a quarter at most, as allocators do.
    pub fn refused(&mut self, bytes: usize) {
        const OVERHEAD: u64 = 16 << 10;
        let bytes = bytes as u64;
        let is_near = bytes + bytes / 4 + OVERHEAD >= self.setup.max_memory;
        if self.setup.evicts() && is_near && bytes < self.setup.max_memory {
            self.find_evicted(&[]);
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8], ttl: Ttl, when: Option<When>) {
        let condition = self.condition(key, when.unwrap_or(When::Plain(Condition::Any)));
        let verdicts = self.model.set(key, value, ttl, condition);
        let options = SetOptions { expiry: self.expiry(ttl), condition };
        let outcome = match when {
            None => self.store.set(key, value).map(|version| SetOutcome::Stored { version }),
            Some(_) => self.store.set_with(key, value, &options),
        };
        let got = match outcome {
            Ok(SetOutcome::Stored { version }) => {
                match verdicts[0] {
                    Verdict::Removes => {
                        // Whether that is an expiry is left open.
                        let was_there = u64::from(self.model.entries.contains_key(key));
                        self.model.expired += was_there;
                        self.model.expired_unsure += was_there;
                        self.removed(key);
                    }
                    Verdict::Stores(deadline) => {
                        self.stored(key, value.to_vec(), deadline, Some(version));
                    }
                    other => panic!("stored, where the model says {other:?}"),
                }
                return;
            }
            Ok(SetOutcome::Exists) => Verdict::Unmet(Status::Exists),
            Ok(SetOutcome::NotFound) => Verdict::Unmet(Status::NotFound),
            Ok(SetOutcome::Conflict) => Verdict::Unmet(Status::Conflict),
            Err(error) => Verdict::Refused(error.status()),
        };
        if let (Verdict::Refused(status), Verdict::Refused(Status::Full)) = (got, verdicts[0]) {
            assert!(status == Status::Full || self.memory_refusal(status));
        } else if let (Verdict::Refused(status), Verdict::Stores(deadline)) = (got, verdicts[0])
            && self.memory_refusal(status)
        {
            let old = self.model.entries.get(key);
            // A deadline may need room on the wheel.
            let shrinks = old.is_some_and(|old| old.value.len() >= value.len());
            assert!(
                !shrinks || deadline.is_some(),
                "{status:?} for a value that takes no more room than the old one"
            );
            self.refused(key.len() + value.len());
        } else {
            assert!(verdicts.contains(&got), "{got:?}, where the model says {verdicts:?}");
        }
        self.see(key);
    }

    pub fn condition(&self, key: &[u8], when: When) -> Condition {
        let current = self.model.entries.get(key).map(|entry| entry.version);
        match when {
            When::Plain(condition) => condition,
            When::CurrentVersion => Condition::Version(current.unwrap_or(1)),
            // Above any that a batch gives meanwhile.
            When::OtherVersion => Condition::Version(self.model.last_version + 1_000_000),
        }
    }

    pub fn expiry(&self, ttl: Ttl) -> Expiry {
        match ttl {
            Ttl::Default => Expiry::Default,
            Ttl::Never => Expiry::Never,
            Ttl::Keep => Expiry::Keep,
            Ttl::AfterMs(ms) => Expiry::AfterMs(ms),
            Ttl::AtOffset(offset) => Expiry::AtMs(self.model.now + offset),
            Ttl::AtMs(at) => Expiry::AtMs(at),
        }
    }

    /// The store holds a new value: its version must be higher than all before.
    fn stored(&mut self, key: &[u8], value: Vec<u8>, deadline: Option<i64>, version: Option<u64>) {
        let held = self.store.get(key).unwrap().expect("what was just stored is there");
        let last = self.model.last_version;
        assert!(held.version() > last, "version {} after {last}", held.version());
        if let Some(version) = version {
            assert_eq!(held.version(), version);
        }
        self.model.last_version = held.version();
        self.model.store(key, value, deadline, held.version());
        self.find_evicted(&[key.to_vec()]);
        self.see(key);
    }

    fn removed(&mut self, key: &[u8]) {
        self.model.entries.remove(key);
        self.see(key);
    }

    fn set_many(&mut self, items: &[(u8, Bytes)], ttl: Ttl) {
        let items: Vec<(Vec<u8>, Vec<u8>)> =
            items.iter().map(|(k, value)| (key(*k), value.to_vec())).collect();
        let got = self.store.set_many(&items, self.expiry(ttl)).map_err(|error| error.status());
        let want = self.model.set_many(&items).map_or(Ok(()), Err);
        // What is over one limit for the model may be over another one for the store.
        let may_refuse = matches!(want, Ok(()) | Err(Status::Full));
        if got.is_err_and(|status| may_refuse && self.memory_refusal(status)) {
            let last: std::collections::BTreeMap<_, _> = items.into_iter().collect();
            self.refused(last.iter().map(|(key, value)| key.len() + value.len()).sum());
            return self.see_all();
        }
        assert_eq!(got, want);
        if got.is_ok() {
            for (key, value) in &items {
                let Verdict::Stores(deadline) =
                    self.model.deadline(ttl, self.model.entries.get(key))
                else {
                    unreachable!("set_many names no absolute deadline");
                };
                self.model.store(key, value.clone(), deadline, 0);
            }
            self.take_over_versions(&items);
            let keys: Vec<Vec<u8>> = items.into_iter().map(|(key, _)| key).collect();
            self.find_evicted(&keys);
        }
        self.see_all();
    }

    /// The versions that a `set_many` gave: new ones, and no two alike.
    fn take_over_versions(&mut self, items: &[(Vec<u8>, Vec<u8>)]) {
        let keys: std::collections::BTreeSet<&Vec<u8>> = items.iter().map(|(key, _)| key).collect();
        let mut versions = Vec::new();
        for key in keys {
            let version = self.store.get(key).unwrap().expect("set_many stored it").version();
            assert!(version > self.model.last_version);
            self.model.entries.get_mut(key).unwrap().version = version;
            versions.push(version);
        }
        versions.sort_unstable();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
        self.model.last_version = versions.last().copied().unwrap_or(self.model.last_version);
    }

    fn incr(&mut self, key: &[u8], delta: i64, ttl: Ttl) {
        let got = self.store.incr(key, delta, self.expiry(ttl)).map_err(|error| error.status());
        match (got, self.model.incr(key, delta, ttl)) {
            (Ok(number), Ok((sum, deadline))) => {
                assert_eq!(number, sum);
                self.stored(key, sum.to_string().into_bytes(), deadline, None);
            }
            (Err(status), Ok((sum, _))) if self.memory_refusal(status) => {
                self.refused(key.len() + sum.to_string().len());
            }
            (Err(status), Err(Status::Full)) if self.memory_refusal(status) => {}
            (got, want) => assert_eq!(got, want.map(|(sum, _)| sum)),
        }
        self.see(key);
    }

    fn append(&mut self, key: &[u8], data: &[u8]) {
        let got = self.store.append(key, data).map_err(|error| error.status());
        match (got, self.model.append(key, data)) {
            (Ok(len), Ok((value, deadline))) => {
                assert_eq!(len, value.len());
                self.stored(key, value, deadline, None);
            }
            (Err(status), Ok((value, _))) if self.memory_refusal(status) => {
                self.refused(key.len() + value.len());
            }
            (Err(status), Err(Status::Full)) if self.memory_refusal(status) => {}
            (got, want) => assert_eq!(got, want.map(|(value, _)| value.len())),
        }
        self.see(key);
    }

    fn expire_at(&mut self, k: u8, unix_ms: i64) {
        let verdict = self.model.expire_at(unix_ms);
        self.deadline_changed(&key(k), self.store.expire_at(key(k), unix_ms), verdict);
    }

    fn deadline_changed(
        &mut self,
        key: &[u8],
        got: Result<bool, Error>,
        deadline: Option<Option<i64>>,
    ) {
        let known = self.model.entries.get(key).cloned();
        if got.as_ref().is_err_and(|error| known.is_some() && self.memory_refusal(error.status())) {
            self.refused(key.len() + known.map_or(0, |entry| entry.value.len()));
            return self.see(key);
        }
        self.compare(key, got, known.is_some());
        match (known, deadline) {
            (None, _) => self.see(key),
            (Some(_), None) => self.removed(key),
            // Nothing changes, so there is no new version either.
            (Some(Entry { deadline: None, .. }), Some(None)) => self.see(key),
            (Some(entry), Some(deadline)) => self.stored(key, entry.value, deadline, None),
        }
    }

    fn persist(&mut self, key: &[u8]) {
        let got = self.store.persist(key);
        let known = self.model.entries.get(key).cloned();
        self.compare(key, got, known.is_some());
        match known {
            Some(Entry { value, deadline: Some(_), .. }) => self.stored(key, value, None, None),
            _ => self.see(key),
        }
    }

    fn take(&mut self, key: &[u8]) {
        let got = self.store.take(key).map(|value| value.map(|value| value.to_vec()));
        let want = self.model.entries.remove(key).map(|entry| entry.value);
        self.compare(key, got, want);
        self.see(key);
    }

    fn del(&mut self, key: &[u8]) {
        let got = self.store.del(key);
        let known = self.model.entries.remove(key).is_some();
        self.compare(key, got, known);
        self.see(key);
    }

    fn del_many(&mut self, keys: &[u8]) {
        let keys: Vec<Vec<u8>> = keys.iter().map(|k| key(*k)).collect();
        let got = self.store.del_many(&keys).map_err(|error| error.status());
        if let Some(status) = keys.iter().find_map(|key| self.model.key_error(key)) {
            assert_eq!(got, Err(status));
        } else {
            let gone = keys.iter().filter(|key| self.model.entries.remove(*key).is_some()).count();
            assert_eq!(got, Ok(gone as u64));
        }
        self.see_all();
    }

    fn del_if(&mut self, key: &[u8], current: bool) {
        let known = self.model.entries.get(key).map(|entry| entry.version);
        let version = if current { known.unwrap_or(1) } else { self.model.last_version + 1 };
        let want = match known {
            None => DeleteOutcome::NotFound,
            Some(_) if !current => DeleteOutcome::Conflict,
            Some(_) => DeleteOutcome::Deleted,
        };
        self.compare(key, self.store.del_if(key, version), want);
        if want == DeleteOutcome::Deleted {
            self.model.entries.remove(key);
        }
        self.see(key);
    }

    fn get_many(&self, keys: &[u8]) {
        let keys: Vec<Vec<u8>> = keys.iter().map(|k| key(*k)).collect();
        let got = self.store.get_many(&keys).map_err(|error| error.status());
        let got = got.map(|values| values.into_iter().map(|v| v.map(|v| v.to_vec())).collect());
        let known = |key: &Vec<u8>| self.model.entries.get(key).map(|entry| entry.value.clone());
        let wrong = keys.iter().find_map(|key| self.model.key_error(key));
        let want: Result<Vec<_>, Status> = wrong.map_or(Ok(keys.iter().map(known).collect()), Err);
        assert_eq!(got, want);
        let mut seen: Vec<Option<Vec<u8>>> = Vec::new();
        let shown = self.store.get_many_with(&keys, |index, value| {
            assert_eq!(index, seen.len(), "in the order of the keys");
            seen.push(value.map(<[u8]>::to_vec));
        });
        assert_eq!(shown.map(|()| seen).map_err(|error| error.status()), want);
    }

    fn get_into(&self, key: &[u8], capacity: usize) {
        const FILLER: u8 = 0xaa;
        let mut buffer = vec![FILLER; capacity];
        let got = self.store.get_into(key, &mut buffer);
        let known = self.model.entries.get(key).map(|entry| &entry.value);
        self.compare(key, got, known.map(Vec::len));
        let mut want = vec![FILLER; capacity];
        if let Some(value) = known.filter(|value| value.len() <= capacity) {
            want[..value.len()].copy_from_slice(value);
        }
        assert_eq!(buffer, want);
    }

    fn remaining(&self, key: &[u8]) {
        let left = |entry: &Entry| match entry.deadline {
            None => Remaining::Never,
            Some(deadline) => Remaining::Ms(deadline - self.model.now),
        };
        self.compare(key, self.store.ttl(key), self.model.entries.get(key).map(left));
    }

    fn len(&self) {
        let (live, ghosts) = (self.model.entries.len(), self.model.ghosts.len());
        let len = self.store.len().unwrap() as usize;
        assert!((live..=live + ghosts).contains(&len), "{len}, {live} live, {ghosts} expired");
    }

    pub fn keys(&self) {
        let mut keys: Vec<Vec<u8>> = self.store.keys().unwrap().map(Result::unwrap).collect();
        keys.sort();
        let known: Vec<Vec<u8>> = self.model.entries.keys().cloned().collect();
        assert_eq!(keys, known);
    }

    pub fn purge(&mut self) {
        let purged = self.store.purge_expired().unwrap();
        assert!(purged <= self.model.ghosts.len() as u64);
        self.model.ghosts.clear();
        assert_eq!(self.store.len().unwrap(), self.model.entries.len() as u64);
        self.stats();
    }

    fn max_entries(&mut self, limit: u64) {
        let got = self.store.configure("max_entries", &limit.to_string());
        let fits = limit == 0 || self.model.entries.len() as u64 <= limit;
        if fits || self.setup.evicts() {
            got.unwrap();
            self.model.max_entries = limit;
            self.find_evicted(&[]);
        } else {
            assert_eq!(got.unwrap_err().status(), Status::Full);
        }
        self.see_all();
    }
}
