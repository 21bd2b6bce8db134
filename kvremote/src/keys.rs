//! The calls on one key.
//!
//! Each is one command, or a script where no command does it in one step. The errors that every call shares are
//! those of [`RemoteStore`]; what a call adds is listed with it.

use kvcore::{
    DeleteOutcome, Error, Expiry, Remaining, Result, SetOptions, SetOutcome, Status, Value, Within,
};

use crate::call::Kind;
use crate::commands::{self, Change, Expire, Request};
use crate::near::Told;
use crate::replies;
use crate::store::{Inner, RemoteStore};

impl RemoteStore {
    /// The value of a key, or `None` if it is absent or expired. Its version is 0.
    ///
    /// # Errors
    /// `Type` if the key holds something other than a string; those of every call.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let key = key.as_ref();
        self.inner.check()?;
        if let Some(value) = self.inner.near.as_ref().and_then(|near| near.value(key)) {
            return Ok(Some(value));
        }
        let value = self.inner.fetch(key)?.map(|(value, at)| Value::remote(&value, at));
        self.inner.counters.read(value.is_some());
        Ok(value)
    }

    /// Shows the value of a key to `read` and returns what that makes of it, if the value has at most `longest`
    /// bytes. `read` may run under a lock of the near cache: it should copy what it needs and return.
    ///
    /// # Errors
    /// As [`get`](RemoteStore::get).
    pub fn get_within<R>(
        &self,
        key: impl AsRef<[u8]>,
        longest: usize,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<Within<R>>> {
        let key = key.as_ref();
        self.inner.check()?;
        let mut read = Some(read);
        let mut show = |value: &[u8]| match value.len() {
            len if len > longest => Some(Within::Longer(len)),
            _ => read.take().map(|read| Within::Read(read(value))),
        };
        let near = self.inner.near.as_ref();
        if let Some(shown) = near.and_then(|near| near.get(key, |value, _| show(value))) {
            return Ok(shown);
        }
        let shown = self.inner.fetch_bytes(key)?.and_then(|value| show(&value));
        self.inner.counters.read(shown.is_some());
        Ok(shown)
    }

    /// Copies the value of a key into `buffer` and returns its length, or `None` if the key is absent or
    /// expired. If the length is more than the buffer has, nothing was written.
    ///
    /// # Errors
    /// As [`get`](RemoteStore::get).
    pub fn get_into(&self, key: impl AsRef<[u8]>, buffer: &mut [u8]) -> Result<Option<usize>> {
        let key = key.as_ref();
        let mut copy = |value: &[u8]| {
            if let Some(room) = buffer.get_mut(..value.len()) {
                room.copy_from_slice(value);
            }
            value.len()
        };
        self.inner.check()?;
        let near = self.inner.near.as_ref();
        if let Some(len) = near.and_then(|near| near.get(key, |value, _| copy(value))) {
            return Ok(Some(len));
        }
        let len = self.inner.fetch_bytes(key)?.map(|value| copy(&value));
        self.inner.counters.read(len.is_some());
        Ok(len)
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// Those of every call.
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let (slot, key) = self.inner.key(key.as_ref())?;
        let request = Request::one(commands::on("EXISTS", &key));
        Ok(replies::number(self.inner.ask(slot, &request, Kind::Read)?)? > 0)
    }

    /// How long a key has left, or `None` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Remaining>> {
        let (slot, key) = self.inner.key(key.as_ref())?;
        let request = Request::one(commands::on("PTTL", &key));
        Ok(match replies::number(self.inner.ask(slot, &request, Kind::Read)?)? {
            -2 => None,
            -1 => Some(Remaining::Never),
            ms => Some(Remaining::Ms(ms.max(1))),
        })
    }

    /// Sets a key, with the option `default_ttl`. The version that it answers is 0.
    ///
    /// # Errors
    /// `TooLarge` for a value over its limit; `Full` if the server is at its limit.
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        self.set_with(key, value, &SetOptions::default()).map(|_| 0)
    }

    /// Sets a key with an expiry and under a condition. The version that it answers is 0.
    ///
    /// # Errors
    /// As [`set`](RemoteStore::set); `Invalid` for a deadline before 1970; `Unsupported` for a condition on a
    /// version.
    pub fn set_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &SetOptions,
    ) -> Result<SetOutcome> {
        let (known, value) = (key.as_ref(), value.as_ref());
        let inner = &*self.inner;
        let (slot, key) = inner.key(known)?;
        inner.settings.check_value(value)?;
        let command = match commands::set(&inner.settings, &key, value, options)? {
            Some(command) => command,
            None => {
                let change = Change::set(&inner.settings, value, options)?;
                commands::batch(&[key], std::iter::once(&change))
            }
        };
        let is_plain = options.condition == kvcore::Condition::Any;
        // A set under a condition that was done once would find its own value.
        let kind = if is_plain { Kind::Set } else { Kind::Once };
        let writing = inner.writing(slot, known);
        let reply = inner.ask(slot, &Request::one(command), kind)?;
        drop(writing);
        let is_stored =
            if is_plain { replies::checked(reply).map(|_| true)? } else { replies::done(reply)? };
        inner.counters.set(u64::from(is_stored));
        Ok(match options.condition {
            _ if is_stored => SetOutcome::Stored { version: 0 },
            kvcore::Condition::Absent => SetOutcome::Exists,
            _ => SetOutcome::NotFound,
        })
    }

    /// Removes a key and returns the value it had, in one step.
    ///
    /// # Errors
    /// `Type` if the key holds something other than a string; those of every call.
    pub fn take(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let known = key.as_ref();
        let (slot, key) = self.inner.key(known)?;
        let request = Request::one(commands::on("GETDEL", &key));
        let writing = self.inner.writing(slot, known);
        let taken = replies::bytes(self.inner.ask(slot, &request, Kind::Once)?)?;
        drop(writing);
        self.inner.counters.deleted(u64::from(taken.is_some()));
        Ok(taken.map(|value| Value::remote(&value, None)))
    }

    /// Removes a key; `false` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn del(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let known = key.as_ref();
        let (slot, key) = self.inner.key(known)?;
        let was_there =
            self.inner.change(slot, known, &Request::one(commands::on("DEL", &key)), Kind::Once)?;
        self.inner.counters.deleted(u64::from(was_there));
        Ok(was_there)
    }

    /// Values on a server have no versions.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn del_if(&self, key: impl AsRef<[u8]>, _version: u64) -> Result<DeleteOutcome> {
        self.inner.key(key.as_ref())?;
        Err(commands::no_versions())
    }

    /// Adds to an integer kept as decimal text, and returns the sum. An absent key counts from 0 and gets
    /// `expiry` as a set would give it; a key that is there keeps its deadline unless `expiry` says otherwise.
    ///
    /// # Errors
    /// `Type` if the value is no integer or the sum overflows; `Io` if the reply was lost, since adding
    /// again might count twice; those of every call.
    pub fn incr(&self, key: impl AsRef<[u8]>, delta: i64, expiry: Expiry) -> Result<i64> {
        let known = key.as_ref();
        let (slot, key) = self.inner.key(known)?;
        let command = commands::incr(&self.inner.settings, &key, delta, expiry)?;
        let writing = self.inner.writing(slot, known);
        let sum = replies::number(self.inner.ask(slot, &Request::one(command), Kind::Once)?)?;
        drop(writing);
        self.inner.counters.set(1);
        Ok(sum)
    }

    /// Appends to a value, which keeps its deadline, and returns the new length. An absent key is set.
    ///
    /// # Errors
    /// `TooLarge` if the value would be over its limit; `Io` if the reply was lost; those of every call.
    pub fn append(&self, key: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Result<usize> {
        let (known, data) = (key.as_ref(), data.as_ref());
        let (slot, key) = self.inner.key(known)?;
        self.inner.settings.check_value(data)?;
        let command = commands::append(&self.inner.settings, &key, data);
        let writing = self.inner.writing(slot, known);
        let len = replies::number(self.inner.ask(slot, &Request::one(command), Kind::Once)?)?;
        drop(writing);
        let len = usize::try_from(len).map_err(|_| Error::from(Status::TooLarge))?;
        self.inner.counters.set(1);
        Ok(len)
    }

    /// Makes a key expire `ttl_ms` milliseconds from now: zero or less deletes it at once, and
    /// [`TTL_NONE`](kvcore::TTL_NONE) makes it stay. `false` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn expire(&self, key: impl AsRef<[u8]>, ttl_ms: i64) -> Result<bool> {
        self.inner.expire(key.as_ref(), &Expire::After(ttl_ms))
    }

    /// Makes a key expire at a Unix time in milliseconds; one that has passed deletes it at once. `false` if it
    /// is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn expire_at(&self, key: impl AsRef<[u8]>, unix_ms: i64) -> Result<bool> {
        self.inner.expire(key.as_ref(), &Expire::At(unix_ms))
    }

    /// Makes a key stay. `false` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.expire_at(key, kvcore::TTL_NONE)
    }
}

impl Inner {
    /// Asks the server for a value. Only a near cache wants its deadline too, and a command more costs as much as
    /// a tenth of the round trip.
    fn fetch_bytes(&self, known: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.near.is_some() {
            return Ok(self.fetch(known)?.map(|(value, _)| value));
        }
        let (slot, key) = self.key(known)?;
        replies::bytes(self.ask(slot, &Request::one(commands::on("GET", &key)), Kind::Read)?)
    }

    /// Asks the server for a value and its deadline, and keeps it in the near cache.
    fn fetch(&self, known: &[u8]) -> Result<Option<(Vec<u8>, Option<i64>)>> {
        let (slot, key) = self.key(known)?;
        let ticket = self.near.as_ref().and_then(|near| near.begin(slot));
        let mut commands = commands::get(&key).to_vec();
        if ticket.is_some() {
            commands.push(commands::on("PTTL", &key));
        }
        let mut replies = self.call(slot, &Request::each(commands), Kind::Read)?.into_iter();
        let get = replies::next(&mut replies)?;
        let found = replies::value(get, replies::next(&mut replies)?)?;
        if let (Some(near), Some(ticket), Some((value, expire_at_ms))) =
            (&self.near, ticket, &found)
        {
            let left_ms = match replies::number(replies::next(&mut replies)?)? {
                -1 => None,
                left => Some(left),
            };
            near.fill(ticket, known, &Told { value, expire_at_ms: *expire_at_ms, left_ms });
        }
        Ok(found)
    }

    fn expire(&self, known: &[u8], expire: &Expire) -> Result<bool> {
        let (slot, key) = self.key(known)?;
        // What is gone by the second time would be found absent; any other deadline answers the same.
        let call_ms = i64::try_from(self.settings.timeout.as_millis()).unwrap_or(i64::MAX);
        let may_delete = expire.may_delete(self.clock.now_ms(), call_ms);
        let kind = if may_delete { Kind::Once } else { Kind::Set };
        self.change(slot, known, &expire.request(&key), kind)
    }

    /// Makes a change whose first reply says whether the key was there.
    fn change(&self, slot: u16, known: &[u8], request: &Request, kind: Kind) -> Result<bool> {
        let writing = self.writing(slot, known);
        let reply = self.ask(slot, request, kind)?;
        drop(writing);
        Ok(replies::number(reply)? > 0)
    }
}
