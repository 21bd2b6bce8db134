//! Turns calls into commands. Pure: nothing is sent from here.
//!
//! Owns: [`Request`], some commands that go to one slot together, and the scripts for what no command does in
//! one step. Invariant: a request changes keys of one slot only, and is atomic unless it only reads.
//!
//! Scripts are sent whole each time: they are short, and a server that was restarted or promoted has none.

use kvcore::{Condition, Error, Expiry, Result, SetOptions, Status, TTL_NONE};
use redis::{Cmd, Pipeline, RedisError, Value, cmd};

use crate::settings::Settings;

/// TTLs from here on, in milliseconds, are so long that adding the time of day might overflow on the server:
/// they are never.
const ENDLESS_MS: u64 = i64::MAX as u64 - (1 << 47);

/// Adds to a number and sets its deadline, or does neither. `NEW` gives a deadline to a new key alone. The number must
/// not have more digits than a value may have bytes.
const INCR: &str = "\
local before = redis.call('GET', KEYS[1])
redis.call('INCRBY', KEYS[1], ARGV[1])
local sum = redis.call('GET', KEYS[1])
if #sum > tonumber(ARGV[2]) then
  if before then redis.call('SET', KEYS[1], before, 'KEEPTTL') else redis.call('DEL', KEYS[1]) end
  return redis.error_reply('TOOLARGE the sum is longer than a value may be')
end
if ARGV[3] == 'PERSIST' then redis.call('PERSIST', KEYS[1])
elseif ARGV[3] ~= 'NEW' then redis.call(ARGV[3], KEYS[1], ARGV[4])
elseif not before and ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return sum";

/// Appends unless the value would be too long; a new key gets a TTL.
const APPEND: &str = "\
local len = redis.call('STRLEN', KEYS[1])
if len + #ARGV[1] > tonumber(ARGV[2]) then return -1 end
if ARGV[3] ~= '0' and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  return #ARGV[1]
end
return redis.call('APPEND', KEYS[1], ARGV[1])";

/// Checks every condition of a batch, each as it would be after the changes before it, and makes all changes
/// if they hold. Five arguments for each key: what, condition, value, kind of deadline, deadline.
const BATCH: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local there = {}
for i, key in ipairs(KEYS) do
  local what, condition, how, at = ARGV[i*5-4], ARGV[i*5-3], ARGV[i*5-1], tonumber(ARGV[i*5])
  if there[key] == nil then there[key] = redis.call('EXISTS', key) == 1 end
  if condition == 'NX' and there[key] or condition == 'XX' and not there[key] then return {0, i - 1} end
  local past = (how == 'PXAT' or how == 'PEXPIREAT') and at <= now
  if what == 'DEL' or past then there[key] = false elseif what == 'SET' then there[key] = true end
end
local applied, missing = 0, 0
for i, key in ipairs(KEYS) do
  local what, value, how, at = ARGV[i*5-4], ARGV[i*5-2], ARGV[i*5-1], ARGV[i*5]
  local done = 1
  if what == 'SET' then
    if how == 'KEEPTTL' and at ~= '0' and redis.call('EXISTS', key) == 0 then how = 'PX' end
    if how == '' then redis.call('SET', key, value)
    elseif how == 'KEEPTTL' then redis.call('SET', key, value, how)
    else redis.call('SET', key, value, how, at) end
  elseif what == 'DEL' then done = redis.call('DEL', key)
  elseif how == 'PERSIST' then
    done = redis.call('EXISTS', key)
    redis.call('PERSIST', key)
  else done = redis.call(how, key, at) end
  if done == 1 then applied = applied + 1 else missing = missing + 1 end
end
return {1, applied, missing}";

/// Commands for one slot, sent together.
#[derive(Clone)]
pub(crate) struct Request {
    commands: Vec<Cmd>,
    is_atomic: bool,
}

impl Request {
    /// One command.
    pub(crate) fn one(command: Cmd) -> Request {
        Request { commands: vec![command], is_atomic: false }
    }

    /// Commands that only read, or each of which stands for itself.
    pub(crate) fn each(commands: Vec<Cmd>) -> Request {
        Request { commands, is_atomic: false }
    }

    /// Changes that are made together or not at all.
    pub(crate) fn atomic(commands: Vec<Cmd>) -> Request {
        Request { commands, is_atomic: true }
    }

    /// Its commands as they are sent, for a request that only reads.
    pub(crate) fn packed(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        self.commands.iter().for_each(|command| command.write_packed_command(&mut packed));
        packed
    }

    /// How many commands it has, and so how many replies.
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// The single command, if it is one that needs no company.
    pub(crate) fn single(&self, ack_replicas: u64) -> Option<&Cmd> {
        (ack_replicas == 0 && !self.is_atomic && self.commands.len() == 1)
            .then(|| &self.commands[0])
    }

    /// All that is sent. Replicas are waited for behind the changes, on the same connection, since that is
    /// what the server asks of them.
    pub(crate) fn pipeline(&self, ack_replicas: u64, ack_ms: u64) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(self.commands.len() + 3);
        if self.is_atomic {
            pipeline.add_command(cmd("MULTI"));
        }
        for command in &self.commands {
            pipeline.add_command(command.clone());
        }
        if self.is_atomic {
            pipeline.add_command(cmd("EXEC"));
        }
        if ack_replicas > 0 {
            pipeline.cmd("WAIT").arg(ack_replicas).arg(ack_ms);
        }
        pipeline
    }

    /// All that is sent to a server that a key is on its way to: it serves the key to those who say before
    /// each command that they were sent. `None` for a transaction, which has to wait until the key is there.
    pub(crate) fn asking(&self, ack_replicas: u64, ack_ms: u64) -> Option<Pipeline> {
        if self.is_atomic {
            return None;
        }
        let mut pipeline = Pipeline::with_capacity(2 * self.commands.len() + 1);
        for command in &self.commands {
            pipeline.cmd("ASKING").add_command(command.clone());
        }
        if ack_replicas > 0 {
            pipeline.cmd("WAIT").arg(ack_replicas).arg(ack_ms);
        }
        Some(pipeline)
    }

    /// The replies to what [`asking`](Request::asking) sent.
    pub(crate) fn asked(&self, all: Vec<Value>, ack_replicas: u64) -> (Vec<Value>, u64) {
        let confirmed = match (ack_replicas, all.last()) {
            (1.., Some(Value::Int(count))) => u64::try_from(*count).unwrap_or(0),
            _ => 0,
        };
        let replies = all.into_iter().take(2 * self.commands.len()).skip(1).step_by(2);
        (replies.collect(), confirmed)
    }

    /// Takes the replies of the commands out of all that came, and how many replicas confirmed.
    ///
    /// # Errors
    /// What kept a transaction from being made.
    pub(crate) fn replies(
        &self,
        mut all: Vec<Value>,
        ack_replicas: u64,
    ) -> Result<(Vec<Value>, u64), RedisError> {
        let confirmed = match (ack_replicas, &all.last()) {
            (1.., Some(Value::Int(count))) => u64::try_from(*count).unwrap_or(0),
            _ => 0,
        };
        if ack_replicas > 0 {
            all.pop();
        }
        if !self.is_atomic {
            return Ok((all, confirmed));
        }
        // What was wrong with a command says more than that the transaction was not made.
        let executed = all.pop().unwrap_or_default();
        for queued in all {
            if let Value::ServerError(error) = queued {
                return Err(error.into());
            }
        }
        match executed {
            Value::Array(replies) => Ok((replies, confirmed)),
            Value::ServerError(error) => Err(error.into()),
            _ => Err((redis::ErrorKind::UnexpectedReturnType, "EXEC answered no list").into()),
        }
    }
}

/// When a written entry expires, as a server is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Never,
    Keep,
    AfterMs(u64),
    AtMs(i64),
}

impl Deadline {
    fn of(expiry: Expiry, settings: &Settings) -> Result<Deadline> {
        expiry.check()?;
        let after = |ms| match settings.ttl_ms(ms) {
            0 | ENDLESS_MS.. => Deadline::Never,
            ms => Deadline::AfterMs(ms),
        };
        Ok(match expiry {
            Expiry::Default => after(0),
            Expiry::AfterMs(ms) => after(ms),
            Expiry::Never | Expiry::AtMs(TTL_NONE) => Deadline::Never,
            Expiry::Keep => Deadline::Keep,
            // A server refuses the year 1970's first moment; both have passed.
            Expiry::AtMs(at) => Deadline::AtMs(at.max(1)),
        })
    }

    /// The words of `SET`: what kind, and the number.
    fn words(self, settings: &Settings) -> (&'static str, i64) {
        match self {
            Deadline::Never => ("", 0),
            Deadline::Keep => ("KEEPTTL", signed(settings.ttl_ms(0))),
            Deadline::AfterMs(ms) => ("PX", signed(ms)),
            Deadline::AtMs(at) => ("PXAT", at),
        }
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The word of a condition.
///
/// # Errors
/// `Unsupported` for versions, which a server does not have.
fn condition(condition: Condition) -> Result<&'static str> {
    match condition {
        Condition::Any => Ok(""),
        Condition::Absent => Ok("NX"),
        Condition::Present => Ok("XX"),
        Condition::Version(_) => Err(no_versions()),
    }
}

/// What a call answers that names a version.
pub(crate) fn no_versions() -> Error {
    Error::new(
        Status::Unsupported,
        "a value on a server has no version: use a condition on presence, or a batch on one slot",
    )
}

/// A command on one key.
pub(crate) fn on(name: &str, key: &[u8]) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// The value of a key and its deadline.
pub(crate) fn get(key: &[u8]) -> [Cmd; 2] {
    [on("GET", key), on("PEXPIRETIME", key)]
}

/// One `SET`; `None` where only a script does it in one step.
pub(crate) fn set(
    settings: &Settings,
    key: &[u8],
    value: &[u8],
    options: &SetOptions,
) -> Result<Option<Cmd>> {
    let deadline = Deadline::of(options.expiry, settings)?;
    let condition = condition(options.condition)?;
    if needs_script(settings, options) && condition.is_empty() {
        return Ok(None);
    }
    // A key that is absent has no deadline to keep.
    let deadline = match (deadline, condition) {
        (Deadline::Keep, "NX") => Deadline::of(Expiry::Default, settings)?,
        (deadline, _) => deadline,
    };
    let mut command = on("SET", key);
    command.arg(value);
    match deadline.words(settings) {
        ("", _) => {}
        ("KEEPTTL", _) => drop(command.arg("KEEPTTL")),
        (how, at) => drop(command.arg(how).arg(at)),
    }
    if !condition.is_empty() {
        command.arg(condition);
    }
    Ok(Some(command))
}

/// Whether a set keeps the deadline of a key and gives one to a new key, which no command does.
pub(crate) fn needs_script(settings: &Settings, options: &SetOptions) -> bool {
    options.expiry == Expiry::Keep && settings.has_default_ttl()
}

/// Adding to a number.
pub(crate) fn incr(settings: &Settings, key: &[u8], delta: i64, expiry: Expiry) -> Result<Cmd> {
    /// The longest decimal text of a number.
    const LONGEST: usize = 20;
    let keeps = matches!(expiry, Expiry::Default | Expiry::Keep | Expiry::AfterMs(0));
    let deadline = Deadline::of(if keeps { Expiry::Default } else { expiry }, settings)?;
    if keeps && deadline == Deadline::Never && settings.max_value_bytes >= LONGEST {
        let mut command = on("INCRBY", key);
        command.arg(delta);
        return Ok(command);
    }
    let (how, at) = match deadline {
        _ if keeps => ("NEW", signed(settings.ttl_ms(0))),
        Deadline::AfterMs(ms) => ("PEXPIRE", signed(ms)),
        Deadline::AtMs(at) => ("PEXPIREAT", at),
        Deadline::Never | Deadline::Keep => ("PERSIST", 0),
    };
    let mut command = script(INCR, &[key]);
    command.arg(delta).arg(settings.max_value_bytes).arg(how).arg(at);
    Ok(command)
}

/// Appending. A script's -1 means that the value would be too long.
pub(crate) fn append(settings: &Settings, key: &[u8], data: &[u8]) -> Cmd {
    /// What a server allows by itself.
    const SERVER_MAX: usize = 512 << 20;
    if settings.max_value_bytes >= SERVER_MAX && !settings.has_default_ttl() {
        let mut command = on("APPEND", key);
        command.arg(data);
        return command;
    }
    let mut command = script(APPEND, &[key]);
    command.arg(data).arg(settings.max_value_bytes).arg(settings.ttl_ms(0));
    command
}

/// A new deadline.
pub(crate) enum Expire {
    /// In so many milliseconds.
    After(i64),
    /// At this Unix time in milliseconds.
    At(i64),
}

impl Expire {
    /// The command and its number: a deadline that has passed is a deletion, one that never comes is none.
    fn words(&self) -> (&'static str, i64) {
        match *self {
            Expire::After(..=0) | Expire::At(..=0) => ("DEL", 0),
            Expire::After(ms) if ms.unsigned_abs() >= ENDLESS_MS => ("PERSIST", 0),
            Expire::After(ms) => ("PEXPIRE", ms),
            Expire::At(TTL_NONE) => ("PERSIST", 0),
            Expire::At(at) => ("PEXPIREAT", at),
        }
    }

    /// Whether it may remove the key before a call is over that begins now, a Unix time, and takes so long.
    pub(crate) fn may_delete(&self, now_ms: i64, call_ms: i64) -> bool {
        match self.words() {
            ("DEL", _) => true,
            ("PEXPIRE", after) => after <= call_ms,
            ("PEXPIREAT", at) => at <= now_ms.saturating_add(call_ms),
            _ => false,
        }
    }

    /// The commands; the first one's reply says whether the key was there.
    pub(crate) fn request(&self, key: &[u8]) -> Request {
        match self.words() {
            ("DEL", _) => Request::one(on("DEL", key)),
            ("PERSIST", _) => Request::atomic(vec![on("EXISTS", key), on("PERSIST", key)]),
            (name, at) => {
                let mut command = on(name, key);
                command.arg(at);
                Request::one(command)
            }
        }
    }
}

/// One change of a batch, checked.
pub(crate) struct Change<'a> {
    what: &'static str,
    condition: &'static str,
    value: &'a [u8],
    how: &'static str,
    at: i64,
}

impl<'a> Change<'a> {
    pub(crate) fn set(settings: &Settings, value: &'a [u8], options: &SetOptions) -> Result<Self> {
        let (how, at) = Deadline::of(options.expiry, settings)?.words(settings);
        Ok(Change { what: "SET", condition: condition(options.condition)?, value, how, at })
    }

    pub(crate) fn del() -> Self {
        Change { what: "DEL", condition: "", value: b"", how: "", at: 0 }
    }

    pub(crate) fn expire(expire: &Expire) -> Self {
        match expire.words() {
            ("DEL", _) => Change::del(),
            (how, at) => Change { what: "EXPIRE", condition: "", value: b"", how, at },
        }
    }

    /// Whether `MULTI` can make it: it has no condition, and one command does it.
    pub(crate) fn is_plain(&self) -> bool {
        self.condition.is_empty() && (self.how != "KEEPTTL" || self.at == 0)
    }

    /// The commands of a plain change; the first one's reply says whether the key was there.
    pub(crate) fn commands(&self, key: &[u8]) -> Vec<Cmd> {
        let mut command = match (self.what, self.how) {
            ("SET", _) => {
                let mut command = on("SET", key);
                command.arg(self.value);
                command
            }
            ("DEL", _) => return vec![on("DEL", key)],
            (_, "PERSIST") => return vec![on("EXISTS", key), on("PERSIST", key)],
            (_, how) => {
                let mut command = on(how, key);
                command.arg(self.at);
                return vec![command];
            }
        };
        match self.how {
            "" => {}
            "KEEPTTL" => drop(command.arg("KEEPTTL")),
            how => drop(command.arg(how).arg(self.at)),
        }
        vec![command]
    }
}

/// All changes of a batch in a script, which checks their conditions.
pub(crate) fn batch<'a>(keys: &[Vec<u8>], changes: impl Iterator<Item = &'a Change<'a>>) -> Cmd {
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut command = script(BATCH, &keys);
    for change in changes {
        command.arg(change.what).arg(change.condition).arg(change.value);
        command.arg(change.how).arg(change.at);
    }
    command
}

fn script(text: &str, keys: &[&[u8]]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(keys.len());
    for key in keys {
        command.arg(*key);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvcore::Options;

    fn settings(options: &[(&str, &str)]) -> Settings {
        let with = |options: Options, (name, value): &(&str, &str)| options.with(name, value);
        let options = options.iter().try_fold(Options::new(), with).unwrap();
        Settings::new(options).unwrap()
    }

    /// The words of a command.
    fn words(command: &Cmd) -> String {
        let word = |arg| match arg {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "?".to_string(),
        };
        command.args_iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn put(options: &[(&str, &str)], set_options: SetOptions) -> String {
        words(&set(&settings(options), b"k", b"v", &set_options).unwrap().unwrap())
    }

    #[test]
    fn sets() {
        let set = SetOptions::default();
        let ttl = [("default_ttl", "1s")];
        assert_eq!(put(&[], set), "SET k v");
        assert_eq!(put(&ttl, set), "SET k v PX 1000");
        assert_eq!(put(&ttl, set.never()), "SET k v");
        assert_eq!(put(&[], set.keep_ttl()), "SET k v KEEPTTL");
        assert_eq!(put(&ttl, set.keep_ttl().if_absent()), "SET k v PX 1000 NX");
        assert_eq!(put(&ttl, set.keep_ttl().if_present()), "SET k v KEEPTTL XX");
        assert_eq!(put(&[], set.expire_at_ms(0)), "SET k v PXAT 1");
        assert_eq!(put(&[], set.expire_at_ms(TTL_NONE)), "SET k v");
        let endless = SetOptions { expiry: Expiry::AfterMs(u64::MAX), ..set };
        assert_eq!(put(&[], endless), "SET k v");
        let refused = super::set(&settings(&[]), b"k", b"v", &set.if_version(1)).err();
        assert_eq!(refused.map(|error| error.status()), Some(Status::Unsupported));
        assert!(super::set(&settings(&ttl), b"k", b"v", &set.keep_ttl()).unwrap().is_none());
    }

    #[test]
    fn increments() {
        let plain = incr(&settings(&[]), b"k", 5, Expiry::Keep).unwrap();
        assert_eq!(words(&plain), "INCRBY k 5");
        let late = incr(&settings(&[]), b"k", 5, Expiry::AfterMs(9)).unwrap();
        assert!(words(&late).ends_with("1 k 5 536870912 PEXPIRE 9"));
        let never = incr(&settings(&[("default_ttl", "1s")]), b"k", 5, Expiry::Never).unwrap();
        assert!(words(&never).ends_with("1 k 5 536870912 PERSIST 0"));
        let default = incr(&settings(&[("default_ttl", "1s")]), b"k", 5, Expiry::Default).unwrap();
        assert!(words(&default).ends_with("1 k 5 536870912 NEW 1000"));
        let short = incr(&settings(&[("max_value_bytes", "3")]), b"k", 5, Expiry::Keep).unwrap();
        assert!(words(&short).ends_with("1 k 5 3 NEW 0"));
    }

    #[test]
    fn deadlines() {
        assert_eq!(Expire::After(-5).words(), ("DEL", 0));
        assert_eq!(Expire::After(TTL_NONE).words(), ("PERSIST", 0));
        assert_eq!(Expire::After(5).words(), ("PEXPIRE", 5));
        assert_eq!(Expire::At(5).words(), ("PEXPIREAT", 5));
        for (expire, may) in [
            (Expire::After(-5), true),
            (Expire::After(10), true),
            (Expire::After(11), false),
            (Expire::After(TTL_NONE), false),
            (Expire::At(110), true),
            (Expire::At(111), false),
            (Expire::At(TTL_NONE), false),
        ] {
            assert_eq!(expire.may_delete(100, 10), may, "{:?}", expire.words());
        }
    }

    #[test]
    fn what_stopped_a_transaction_is_said() {
        let request = Request::atomic(vec![on("DEL", b"k")]);
        let moved = redis::parse_redis_value(b"-MOVED 1 h:1\r\n").unwrap();
        let aborted = redis::parse_redis_value(b"-EXECABORT x\r\n").unwrap();
        let error = request.replies(vec![Value::Okay, moved, aborted], 0).unwrap_err();
        assert_eq!(error.code(), Some("MOVED"));
        let all = vec![Value::Okay, Value::Okay, Value::Array(vec![Value::Int(1)]), Value::Int(2)];
        assert_eq!(request.replies(all, 1).unwrap(), (vec![Value::Int(1)], 2));
    }
}
