//! The calls of a store that the commands make, on a store of this process or on a server's.
//!
//! Owns: [`Session`], the one place that knows both. Invariant: a command means the same on both; where a
//! server cannot do exactly what the engine does, the method says so.

use std::path::Path;

use kvcore::{
    Condition, Expiry, Options, Order, Remaining, ScanOptions, SetOptions, SetOutcome, Store,
};
use serde_json::{Map, Value};

use super::item::Item;
use super::outcome::{Failure, Result};
use super::progress::Progress;
use super::remote::Remote;
use super::target::Target;
use super::tls::TlsArgs;

/// How a target is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Options of the engine, `NAME=VALUE`.
    pub options: &'a [String],
    /// How a server is reached that speaks TLS.
    pub tls: &'a TlsArgs,
    /// Whether a directory that is not there is made.
    pub creates: bool,
    /// Whether bars are drawn.
    pub quiet: bool,
}

/// A store, here or behind a server.
pub enum Session {
    /// Here.
    Store(Store),
    /// Behind a server.
    Server(Box<Remote>),
}

/// Entries that a scan asks for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// No more entries than this; 0 is no limit.
    pub limit: u64,
    /// Whether keys come in order.
    pub sorted: bool,
    /// Whether values and deadlines come as well.
    pub values: bool,
}

impl Session {
    /// Opens a target.
    ///
    /// # Errors
    /// Those of opening a store, or of reaching a server.
    pub fn open(target: &Target, opening: Opening<'_>) -> Result<Session> {
        if opening.tls.is_wanted() && !matches!(target, Target::Server(_)) {
            return Err(Failure::usage("TLS is for a server: leave it out for a directory"));
        }
        match target {
            Target::Memory => Ok(Session::Store(Store::memory(options(opening)?)?)),
            Target::Directory(path) => Ok(Session::Store(open_directory(path, opening)?)),
            Target::Server(url) => {
                if !opening.options.is_empty() {
                    let message =
                        "-o is for a store that kv opens itself: leave it out for a server";
                    return Err(Failure::usage(message));
                }
                Ok(Session::Server(Box::new(Remote::connect(url, opening.tls)?)))
            }
        }
    }

    /// Another session on the same store, for another thread.
    ///
    /// # Errors
    /// Those of reaching the server.
    pub fn another(&self) -> Result<Session> {
        Ok(match self {
            Session::Store(store) => Session::Store(store.clone()),
            Session::Server(remote) => Session::Server(Box::new(remote.another()?)),
        })
    }

    /// Ends the session. A store of this process is closed, and all of it is safe then.
    ///
    /// # Errors
    /// What could not be made safe.
    pub fn close(self) -> Result<()> {
        match self {
            Session::Store(store) => Ok(store.shutdown()?),
            Session::Server(_) => Ok(()),
        }
    }

    /// An entry, if it is there.
    ///
    /// # Errors
    /// Those of the store or the server, as of every other method.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Item>> {
        match self {
            Session::Store(store) => Ok(store.get(key)?.map(|value| Item {
                key: key.to_vec(),
                expire_at_ms: value.expire_at_ms(),
                value: value.to_vec(),
            })),
            Session::Server(remote) => remote.get(key),
        }
    }

    /// Sets a key; false if the condition did not hold.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn set(&mut self, key: &[u8], value: &[u8], options: &SetOptions) -> Result<bool> {
        match self {
            Session::Store(store) => {
                let outcome = store.set_with(key, value, options)?;
                Ok(matches!(outcome, SetOutcome::Stored { .. }))
            }
            Session::Server(remote) => remote.set(key, value, options),
        }
    }

    /// Removes keys; how many were there.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn del(&mut self, keys: &[&[u8]]) -> Result<u64> {
        match self {
            Session::Store(store) => Ok(store.del_many(keys)?),
            Session::Server(remote) => remote.del(keys),
        }
    }

    /// How long a key has left; `None` if it is not there.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn ttl(&mut self, key: &[u8]) -> Result<Option<Remaining>> {
        match self {
            Session::Store(store) => Ok(store.ttl(key)?),
            Session::Server(remote) => remote.ttl(key),
        }
    }

    /// Gives a key a deadline, or none with `Expiry::Never`; false if the key is not there.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn expire(&mut self, key: &[u8], expiry: Expiry) -> Result<bool> {
        match (self, expiry) {
            (Session::Server(remote), expiry) => remote.expire(key, expiry),
            (Session::Store(store), Expiry::AtMs(at)) => Ok(store.expire_at(key, at)?),
            (Session::Store(store), Expiry::AfterMs(ms)) => {
                Ok(store.expire(key, i64::try_from(ms).unwrap_or(kvcore::TTL_NONE))?)
            }
            (Session::Store(store), Expiry::Never) => Ok(store.persist(key)?),
            (Session::Store(store), Expiry::Default | Expiry::Keep) => Ok(store.exists(key)?),
        }
    }

    /// Adds to a number, and returns the sum.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn incr(&mut self, key: &[u8], delta: i64) -> Result<i64> {
        match self {
            Session::Store(store) => Ok(store.incr(key, delta, Expiry::Default)?),
            Session::Server(remote) => remote.incr(key, delta),
        }
    }

    /// Shows the wanted entries one after the other, until `visit` answers false. A server may show an
    /// entry twice that changes meanwhile, unless they are sorted.
    ///
    /// # Errors
    /// As [`get`](Session::get), and those of `visit`.
    pub fn scan(
        &mut self,
        wanted: &Wanted,
        visit: &mut dyn FnMut(Item) -> Result<bool>,
    ) -> Result<()> {
        let store = match self {
            Session::Server(remote) => return remote.scan(wanted, visit),
            Session::Store(store) => store,
        };
        let mut options = ScanOptions::new().prefix(&wanted.prefix).limit(wanted.limit);
        options.keys_only = !wanted.values;
        options.order = if wanted.sorted { Order::Asc } else { Order::None };
        for entry in store.scan(&options)? {
            let entry = entry?;
            let expire_at_ms = entry.expire_at_ms();
            let (key, value) = entry.into_parts();
            let value = value.map(|value| value.to_vec()).unwrap_or_default();
            if !visit(Item { key, value, expire_at_ms })? {
                break;
            }
        }
        Ok(())
    }

    /// Puts entries as they are, deadlines included. One whose deadline has passed is left out, and
    /// removes the entry that has its key.
    ///
    /// # Errors
    /// As [`get`](Session::get); some of the entries may be there then.
    pub fn put(&mut self, items: &[Item]) -> Result<()> {
        match self {
            Session::Store(store) => {
                let mut batch = kvcore::Batch::new();
                for item in items {
                    let expiry = item.expire_at_ms.map_or(Expiry::Never, Expiry::AtMs);
                    let options = SetOptions { expiry, condition: Condition::Any };
                    batch.set_with(&item.key, &item.value, &options);
                }
                store.write(&batch)?;
                Ok(())
            }
            Session::Server(remote) => remote.put(items),
        }
    }

    /// The number of entries.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn len(&mut self) -> Result<u64> {
        match self {
            Session::Store(store) => Ok(store.len()?),
            Session::Server(remote) => remote.len(),
        }
    }

    /// What the store counts, by name. A server answers by its `INFO`.
    ///
    /// # Errors
    /// As [`get`](Session::get).
    pub fn stats(&mut self) -> Result<Map<String, Value>> {
        match self {
            Session::Store(store) => {
                let text = store.stats_text("json")?;
                let unreadable = |_| Failure::failed("the statistics are no JSON");
                serde_json::from_str(&text).map_err(unreadable)
            }
            Session::Server(remote) => remote.info(),
        }
    }
}

/// The options that were given with `-o`.
fn options(opening: Opening<'_>) -> Result<Options> {
    let mut options = Options::new();
    for pair in opening.options {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("'{pair}' is no option: write -o NAME=VALUE")))?;
        options.set(name, value)?;
    }
    Ok(options)
}

fn open_directory(path: &Path, opening: Opening<'_>) -> Result<Store> {
    let mut options = options(opening)?;
    if !opening.creates {
        options.set("create", "false")?;
    }
    let bar = Progress::bytes("opening", opening.quiet);
    let told = bar.clone();
    let options = options.on_progress(move |progress| {
        told.set_total(progress.total_bytes);
        told.set(progress.done_bytes);
    });
    let opened = Store::open_directory(path, options);
    bar.clear();
    Ok(opened?)
}
