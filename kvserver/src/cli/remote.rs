//! The client of the command line: one connection to a server of the Redis protocol.
//!
//! Owns: which commands stand for which call. It needs no more than Redis 7.0 has, so `kv` works on
//! `kv-server`, Valkey and Redis alike. Invariants: a connection that does not answer in time is an error and
//! not a wait; nothing that was typed as a password gets into a message.

use std::time::Duration;

use kvcore::{Condition, Expiry, Remaining, SetOptions};
use redis::{Client, Cmd, Connection, Pipeline, cmd, pipe};
use serde_json::{Map, Value};

use super::item::Item;
use super::outcome::{Failure, Result};
use super::session::Wanted;
use super::tls::TlsArgs;

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Keys that a step of a scan asks for.
const STEP: usize = 512;

/// A server.
pub struct Remote {
    client: Client,
    connection: Connection,
}

impl Remote {
    /// Connects to the server of a URL, and says who is there if the URL does.
    ///
    /// # Errors
    /// `Unavailable` if nobody answers, `Usage` if the URL is none, `Failed` if the server refuses.
    pub fn connect(url: &str, tls: &TlsArgs) -> Result<Remote> {
        Remote::of(tls.client(url)?)
    }

    fn of(client: Client) -> Result<Remote> {
        let connection = client.get_connection_with_timeout(CONNECT_WITHIN)?;
        connection.set_read_timeout(Some(ANSWER_WITHIN))?;
        connection.set_write_timeout(Some(ANSWER_WITHIN))?;
        Ok(Remote { client, connection })
    }

    /// Another connection to the same server.
    ///
    /// # Errors
    /// As [`connect`](Remote::connect).
    pub fn another(&self) -> Result<Remote> {
        Remote::of(self.client.clone())
    }

    /// The connection, for what only one command needs.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// An entry and its deadline, of one moment.
    ///
    /// # Errors
    /// `Unavailable`, or what the server says; so do the other calls.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Item>> {
        // Not `Pipeline::atomic`, which panics where the server refuses MULTI, for want of a password say.
        let mut both = pipe();
        both.cmd("MULTI").ignore().cmd("GET").arg(key).ignore();
        both.cmd("PEXPIRETIME").arg(key).ignore().cmd("EXEC");
        let (answer,): (redis::Value,) = both.query(&mut self.connection)?;
        // An error within the answer is one of GET, for a key of another type.
        let (value, at): (Option<Vec<u8>>, i64) = redis::from_redis_value(answer.extract_error()?)
            .map_err(|error| Failure::failed(format!("server: {error}")))?;
        Ok(value.map(|value| Item { key: key.to_vec(), value, expire_at_ms: deadline(at) }))
    }

    /// Sets a key; false if the condition did not hold.
    ///
    /// # Errors
    /// `Usage` for a condition on a version, which a server has not.
    pub fn set(&mut self, key: &[u8], value: &[u8], options: &SetOptions) -> Result<bool> {
        let mut set = cmd("SET");
        set.arg(key).arg(value);
        put_expiry(&mut set, options.expiry);
        match options.condition {
            Condition::Any => {}
            Condition::Absent => drop(set.arg("NX")),
            Condition::Present => drop(set.arg("XX")),
            Condition::Version(_) => return Err(Failure::usage("a server compares no versions")),
        }
        let stored: redis::Value = set.query(&mut self.connection)?;
        let stored = stored != redis::Value::Nil;
        if stored && options.expiry == Expiry::Never {
            cmd("PERSIST").arg(key).exec(&mut self.connection)?;
        }
        Ok(stored)
    }

    /// Removes keys; how many were there.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn del(&mut self, keys: &[&[u8]]) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        Ok(cmd("DEL").arg(keys).query(&mut self.connection)?)
    }

    /// How long a key has left.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn ttl(&mut self, key: &[u8]) -> Result<Option<Remaining>> {
        let left: i64 = cmd("PTTL").arg(key).query(&mut self.connection)?;
        Ok(match left {
            -1 => Some(Remaining::Never),
            0.. => Some(Remaining::Ms(left.max(1))),
            _ => None,
        })
    }

    /// Gives a key a deadline, or none; false if it is not there.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn expire(&mut self, key: &[u8], expiry: Expiry) -> Result<bool> {
        let (name, time) = match expiry {
            Expiry::AfterMs(ms) => ("PEXPIRE", i64::try_from(ms).unwrap_or(i64::MAX)),
            Expiry::AtMs(at) => ("PEXPIREAT", at),
            Expiry::Never | Expiry::Default | Expiry::Keep => {
                if expiry == Expiry::Never {
                    cmd("PERSIST").arg(key).exec(&mut self.connection)?;
                }
                // A key without a deadline has nothing to lose, and is there all the same.
                return Ok(cmd("EXISTS").arg(key).query(&mut self.connection)?);
            }
        };
        Ok(cmd(name).arg(key).arg(time).query(&mut self.connection)?)
    }

    /// Adds to a number, and returns the sum.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn incr(&mut self, key: &[u8], delta: i64) -> Result<i64> {
        Ok(cmd("INCRBY").arg(key).arg(delta).query(&mut self.connection)?)
    }

    /// Shows entries, in order if that is asked for, which takes memory for all keys.
    ///
    /// # Errors
    /// As [`get`](Remote::get), and those of `visit`.
    pub fn scan(
        &mut self,
        wanted: &Wanted,
        visit: &mut dyn FnMut(Item) -> Result<bool>,
    ) -> Result<()> {
        let mut left = if wanted.limit == 0 { u64::MAX } else { wanted.limit };
        let mut all = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern(&wanted.prefix));
            scan.arg("COUNT").arg(STEP).arg("TYPE").arg("string");
            let (next, keys): (u64, Vec<Vec<u8>>) = scan.query(&mut self.connection)?;
            if wanted.sorted {
                all.extend(keys);
            } else if !self.show(&keys, wanted.values, &mut left, visit)? {
                return Ok(());
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        all.sort_unstable();
        all.dedup();
        for keys in all.chunks(STEP) {
            if !self.show(keys, wanted.values, &mut left, visit)? {
                break;
            }
        }
        Ok(())
    }

    /// Shows the entries of some keys; false if that is enough.
    fn show(
        &mut self,
        keys: &[Vec<u8>],
        values: bool,
        left: &mut u64,
        visit: &mut dyn FnMut(Item) -> Result<bool>,
    ) -> Result<bool> {
        let items = if values {
            self.items(keys)?
        } else {
            let item = |key: &Vec<u8>| Item { key: key.clone(), value: vec![], expire_at_ms: None };
            keys.iter().map(item).collect()
        };
        for item in items {
            if *left == 0 || !visit(item)? {
                return Ok(false);
            }
            *left -= 1;
        }
        Ok(*left > 0)
    }

    /// The entries of those keys that are there.
    fn items(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Item>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = pipe();
        for key in keys {
            asked.cmd("GET").arg(key).cmd("PEXPIRETIME").arg(key);
        }
        let answers: Vec<redis::Value> = asked.query(&mut self.connection)?;
        let mut items = Vec::with_capacity(keys.len());
        for (key, answer) in keys.iter().zip(answers.chunks_exact(2)) {
            let value: Option<Vec<u8>> = redis::from_redis_value_ref(&answer[0])
                .map_err(|error| Failure::failed(format!("server: {error}")))?;
            let at: i64 = redis::from_redis_value_ref(&answer[1])
                .map_err(|error| Failure::failed(format!("server: {error}")))?;
            // Between the two it may have expired; then it is not there.
            if let Some(value) = value.filter(|_| at != -2) {
                items.push(Item { key: key.clone(), value, expire_at_ms: deadline(at) });
            }
        }
        Ok(items)
    }

    /// Puts entries as they are.
    ///
    /// # Errors
    /// As [`get`](Remote::get); some of them may be there then.
    pub fn put(&mut self, items: &[Item]) -> Result<()> {
        let mut sets = Pipeline::with_capacity(items.len() * 2);
        for item in items {
            sets.cmd("SET").arg(&item.key).arg(&item.value);
            match item.expire_at_ms {
                // A server takes no deadline of zero, and this one has passed as well.
                Some(at) => sets.arg("PXAT").arg(at.max(1)).ignore(),
                // The server may have a default TTL, which is not this entry's.
                None => sets.ignore().cmd("PERSIST").arg(&item.key).ignore(),
            };
        }
        if !items.is_empty() {
            sets.exec(&mut self.connection)?;
        }
        Ok(())
    }

    /// Removes everything.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn clear(&mut self) -> Result<()> {
        Ok(cmd("FLUSHDB").exec(&mut self.connection)?)
    }

    /// The number of entries.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn len(&mut self) -> Result<u64> {
        Ok(cmd("DBSIZE").query(&mut self.connection)?)
    }

    /// What `INFO` says: an object for each section, numbers as numbers.
    ///
    /// # Errors
    /// As [`get`](Remote::get).
    pub fn info(&mut self) -> Result<Map<String, Value>> {
        let text: String = cmd("INFO").query(&mut self.connection)?;
        Ok(sections(&text))
    }
}

/// Appends when an entry expires to a `SET`.
fn put_expiry(set: &mut Cmd, expiry: Expiry) {
    match expiry {
        Expiry::Default | Expiry::Never | Expiry::AfterMs(0) => {}
        Expiry::Keep => drop(set.arg("KEEPTTL")),
        Expiry::AfterMs(ms) => drop(set.arg("PX").arg(ms)),
        Expiry::AtMs(at) => drop(set.arg("PXAT").arg(at.max(1))),
    }
}

/// The deadline that `PEXPIRETIME` answered.
fn deadline(at: i64) -> Option<i64> {
    (at >= 0).then_some(at)
}

/// A pattern that only keys with this prefix match.
pub fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for &byte in prefix {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

/// The sections of an `INFO`.
fn sections(text: &str) -> Map<String, Value> {
    let mut sections = Map::new();
    let mut name = "server".to_string();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            name = heading.trim().to_ascii_lowercase();
        } else if let Some((field, value)) = line.split_once(':') {
            let number = value.parse::<u64>().map(Value::from);
            let number = number.or_else(|_| value.parse::<f64>().map(Value::from));
            let section = sections.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(section) = section {
                section.insert(field.to_string(), number.unwrap_or_else(|_| value.into()));
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prefix_is_taken_literally() {
        assert_eq!(pattern(b"a*[b]\\"), b"a\\*\\[b\\]\\\\*");
        assert_eq!(pattern(b""), b"*");
    }

    #[test]
    fn info_becomes_objects() {
        let text = "# Server\r\nversion:7.2.0\r\n\r\n# Memory\r\nused_memory:5\r\nratio:1.5\r\n";
        let expected = json!({
            "server": {"version": "7.2.0"},
            "memory": {"used_memory": 5, "ratio": 1.5},
        });
        assert_eq!(Value::Object(sections(text)), expected);
    }

    #[test]
    fn a_bad_url_does_not_show_its_password() {
        let tls = TlsArgs::default();
        let failure = Remote::connect("redis://me:secret@host:x", &tls).map(drop).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
}
