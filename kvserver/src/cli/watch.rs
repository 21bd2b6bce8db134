//! `kv watch`: changes of a store, one a line.
//!
//! Nobody else can change a directory while it is open here, so a watch on one tells what its log still
//! has, and ends. On a server it follows the keyspace notifications until it is interrupted; these are told
//! once, to whoever listens, and name the key and what happened but no value.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use kvcore::{Event, Store, WatchOptions, Watched};
use serde_json::{Map, Value, json};

use super::Operation;
use super::item::{put_bytes, put_deadline};
use super::outcome::{Failure, Outcome, Result};
use super::output::{Output, shown};
use super::remote::{self, Remote};
use super::session::Session;

/// Where a server tells of keys.
const CHANNEL: &[u8] = b"__keyspace@0__:";

/// `kv watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only keys that begin with this.
    #[arg(default_value = "")]
    prefix: OsString,
    /// In a directory: from this revision on.
    #[arg(long, value_name = "REVISION", default_value_t = 1)]
    from: u64,
    /// End after so many changes; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    count: u64,
    /// On a server: turn its notifications on if they are off.
    #[arg(long)]
    notify: bool,
}

impl Operation for WatchArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        match session {
            Session::Store(store) => self.past(store, output),
            Session::Server(remote) => self.follow(remote, output),
        }
    }
}

impl WatchArgs {
    fn left(&self) -> u64 {
        if self.count == 0 { u64::MAX } else { self.count }
    }

    /// Tells what the log of a directory has.
    fn past(&self, store: &Store, output: &mut Output<'_>) -> Result<Outcome> {
        let options = WatchOptions::prefix(self.prefix.as_bytes()).from_revision(self.from.max(1));
        let mut watch = store.watch(&options)?;
        let mut left = self.left();
        while left > 0 {
            match watch.try_next()? {
                Watched::Event(event) => {
                    output.answer(line(&event), object(&event))?;
                    left -= 1;
                }
                Watched::Lagged { revision, missed } => {
                    let text = format!("# {missed} changes before {revision} are not kept");
                    output.answer(text, json!({ "missed": missed, "revision": revision }))?;
                }
                Watched::TimedOut | Watched::Cancelled => break,
            }
        }
        Ok(Outcome::Done)
    }

    /// Follows a server.
    fn follow(&self, remote: &mut Remote, output: &mut Output<'_>) -> Result<Outcome> {
        self.check_notifications(remote)?;
        let mut pattern = CHANNEL.to_vec();
        pattern.extend_from_slice(&remote::pattern(self.prefix.as_bytes()));
        let mut events = remote.connection().as_pubsub();
        events.psubscribe(pattern)?;
        // Quiet is no reason to give up.
        events.set_read_timeout(None)?;
        for _ in 0..self.left() {
            let message = events.get_message()?;
            let channel: Vec<u8> = message.get_channel()?;
            let key = channel.strip_prefix(CHANNEL).unwrap_or_default();
            let kind = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            let text = format!("{kind} {}", shown(key));
            let mut object = Map::new();
            object.insert("kind".into(), kind.into());
            put_bytes(&mut object, "key", key);
            output.answer(text, object.into())?;
            output.flush()?;
        }
        Ok(Outcome::Done)
    }

    /// Makes sure that the server tells of keys.
    fn check_notifications(&self, remote: &mut Remote) -> Result<()> {
        let connection = remote.connection();
        let name = "notify-keyspace-events";
        let set: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query(connection)?;
        let classes = set.get(1).cloned().unwrap_or_default();
        if classes.contains('K') && classes.contains('A') {
            return Ok(());
        }
        if !self.notify {
            let message = "the server tells of no changes: give --notify to turn that on";
            return Err(Failure::usage(message));
        }
        let classes = format!("{classes}KA");
        Ok(redis::cmd("CONFIG").arg("SET").arg(name).arg(classes).exec(connection)?)
    }
}

fn object(event: &Event) -> Value {
    let mut object = Map::new();
    object.insert("kind".into(), event.kind().name().into());
    object.insert("revision".into(), event.revision().into());
    put_bytes(&mut object, "key", event.key());
    if let Some(value) = event.value() {
        put_bytes(&mut object, "value", value);
    }
    put_deadline(&mut object, event.expire_at_ms());
    Value::Object(object)
}

fn line(event: &Event) -> String {
    let mut line =
        format!("{:>8} {:<8} {}", event.revision(), event.kind().name(), shown(event.key()));
    if let Some(value) = event.value() {
        line += &format!(" = {}", shown(value));
    }
    if let Some(at) = event.expire_at_ms() {
        line += &format!(" until {at}");
    }
    line
}
