//! Runs one case against a store, and compares each answer with what the line expects.
//!
//! Owns: the meaning of the operations. After every operation the store checks its own invariants.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kvcore::{
    Clock, Condition, DeleteOutcome, Error, Expiry, ManualClock, Options, RecoveryReport,
    Remaining, SetOptions, SetOutcome, Status, Store, TTL_KEEP, TTL_NONE, Value, Watched,
};

use crate::case::{self, Arguments, Case, Line, Word, option_text, shown, shown_bytes};
use crate::folder::Folder;
use crate::group;
use crate::removed::Told;
use crate::watched::{Asked, Watching, words};

/// Where the time of a case comes from.
pub enum Timing {
    System,
    Manual(Clock, ManualClock),
}

impl Timing {
    pub fn system() -> Timing {
        Timing::System
    }

    pub fn manual() -> Timing {
        let (clock, hand) = Clock::manual(1_700_000_000_123);
        Timing::Manual(clock, hand)
    }

    fn now_ms(&self) -> i64 {
        match self {
            Timing::System => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                now.unwrap().as_millis() as i64
            }
            Timing::Manual(_, hand) => hand.now_ms(),
        }
    }

    fn wait(&self, ms: u64) {
        match self {
            Timing::System => std::thread::sleep(Duration::from_millis(ms)),
            Timing::Manual(_, hand) => hand.advance_ms(ms),
        }
    }
}

/// What a call answered.
#[derive(Default)]
pub struct Answer {
    status: String,
    bytes: Vec<Option<Vec<u8>>>,
    numbers: HashMap<String, i64>,
    message: String,
}

impl Answer {
    pub fn of(status: Status) -> Answer {
        let status = status.c_name().strip_prefix("KV_").unwrap_or_default().to_string();
        Answer { status, ..Answer::default() }
    }

    pub fn failed(error: &Error) -> Answer {
        Answer { message: error.message().to_string(), ..Answer::of(error.status()) }
    }

    pub fn number(mut self, name: &str, number: i64) -> Answer {
        self.numbers.insert(name.to_string(), number);
        self
    }

    pub fn with_bytes(mut self, bytes: &[u8]) -> Answer {
        self.bytes.push(Some(bytes.to_vec()));
        self
    }

    fn found(found: bool) -> Answer {
        Answer::of(if found { Status::Ok } else { Status::NotFound })
    }

    fn value(value: Option<Value>) -> Answer {
        value
            .map_or(Answer::of(Status::NotFound), |value| Answer::of(Status::Ok).with_bytes(&value))
    }
}

pub type Outcome = Result<Answer, String>;

/// An engine's error becomes an answer; only a badly written line is an error of the driver.
pub fn answered(result: Result<Answer, Error>) -> Outcome {
    Ok(result.unwrap_or_else(|error| Answer::failed(&error)))
}

struct Runner {
    timing: Timing,
    store: Option<Store>,
    told: Arc<Told>,
    watching: Watching,
    folder: Folder,
    variables: HashMap<String, i64>,
}

/// Runs a case; an error says `file:line: what was expected and what came`.
pub fn run(case: &Case, timing: Timing) -> Result<(), String> {
    let mut runner = Runner {
        timing,
        store: None,
        told: Arc::default(),
        watching: Watching::default(),
        folder: Folder::default(),
        variables: HashMap::new(),
    };
    for line in &case.lines {
        runner.line(line).map_err(|error| {
            format!("{}:{}: {error} (case {})", case.file, line.number, case.name)
        })?;
    }
    runner.close().map_err(|error| format!("{}: {error} (case {})", case.file, case.name))
}

impl Runner {
    fn line(&mut self, line: &Line) -> Result<(), String> {
        let Word::Plain(first) = &line.words[0] else {
            return Err("a line begins with a plain word".into());
        };
        let rest = &line.words[1..];
        match (first.as_str(), rest) {
            ("let", [Word::Plain(name), number]) if name.starts_with('$') => {
                let number = self.number(number)?;
                self.variables.insert(name.clone(), number);
                return Ok(());
            }
            ("wait", [number]) => {
                let ms = self.number(number)?;
                self.timing.wait(u64::try_from(ms).map_err(|_| "a wait is positive")?);
                return Ok(());
            }
            _ => {}
        }
        let arrow = Word::Plain("->".into());
        let at = rest.iter().position(|word| *word == arrow).ok_or("there is no ->")?;
        let (arguments, expected) = (&rest[..at], &rest[at + 1..]);
        let answer = self.call(first, &Arguments::new(arguments))?;
        if let Some(store) = &self.store {
            store.validate();
        }
        self.check(first, answer, expected)
    }

    fn close(&mut self) -> Result<(), String> {
        self.store.take().map_or(Ok(()), |store| store.shutdown()).map_err(|e| e.to_string())
    }

    fn number(&self, word: &Word) -> Result<i64, String> {
        match word {
            Word::Plain(text) => self.number_text(text),
            _ => Err(format!("{} is no number", shown(word))),
        }
    }

    fn number_text(&self, text: &str) -> Result<i64, String> {
        case::number(text, &self.variables, || self.timing.now_ms())
    }

    fn open(&mut self, arguments: &Arguments<'_>) -> Outcome {
        self.close()?;
        let mut options = Options::new();
        let mut location = None;
        self.told = Arc::default();
        for (name, value) in &arguments.named {
            let text = option_text(value)?;
            if *name == "at" {
                location = Some(self.folder.fill(&text));
            } else if *name == "on_remove" {
                match self.told.listen(self.number_text(&text)?, options) {
                    Ok(listening) => options = listening,
                    Err(error) => return Ok(Answer::failed(&error)),
                }
            } else if let Err(error) = options.set(name, &text) {
                return Ok(Answer::failed(&error));
            }
        }
        let opened = match (&self.timing, location) {
            (_, Some(location)) => Store::open(&location, options),
            (Timing::System, None) => Store::memory(options),
            (Timing::Manual(clock, _), None) => Store::with_clock(options, clock.clone()),
        };
        answered(opened.map(|store| {
            self.store = Some(store);
            Answer::of(Status::Ok)
        }))
    }

    fn watch(&mut self, operation: &str, arguments: &Arguments<'_>) -> Outcome {
        let mut asked = Asked::default();
        for (name, value) in &arguments.named {
            match (operation, *name, value) {
                ("watch", "key", Word::Bytes(key)) => asked.key = Some(key.clone()),
                ("watch", "prefix", Word::Bytes(prefix)) => asked.prefix.clone_from(prefix),
                ("watch", "from", number) => asked.from = self.number(number)?,
                ("watch", "changes", number) => asked.changes = self.number(number)?,
                _ => return Err(format!("there is no argument '{name}' here")),
            }
        }
        let lagged = |revision: u64, missed: u64| {
            let answer = Answer::of(Status::Lagged).number("revision", revision as i64);
            answer.number("lagged", missed as i64)
        };
        match operation {
            "watch" => {
                let store = self.store.as_ref().ok_or("no store is open")?;
                answered(self.watching.begin(store, asked).map(|()| Answer::of(Status::Ok)))
            }
            "cancel" => self.watching.cancel().map(|()| Answer::of(Status::Ok)),
            _ => answered(self.watching.next()?.map(|watched| {
                match watched {
                    Watched::Event(event) => {
                        Answer { bytes: words(&event), ..Answer::of(Status::Ok) }
                            .number("revision", event.revision() as i64)
                            .number("expire_at", event.expire_at_ms().unwrap_or(TTL_NONE))
                    }
                    Watched::Lagged { revision, missed } => lagged(revision, missed),
                    Watched::TimedOut => Answer::of(Status::Timeout),
                    Watched::Cancelled => Answer::of(Status::Done),
                }
            })),
        }
    }

    fn call(&mut self, operation: &str, arguments: &Arguments<'_>) -> Outcome {
        if operation == "open" {
            return self.open(arguments);
        }
        if let "watch" | "event" | "cancel" = operation {
            return self.watch(operation, arguments);
        }
        let path = match (operation, arguments.word(0)) {
            ("snapshot" | "restore", Ok(Word::Bytes(path))) => {
                Some(self.folder.fill(&String::from_utf8_lossy(path)))
            }
            _ => None,
        };
        let store = self.store.as_ref().ok_or("no store is open")?;
        let ok = |_| Answer::of(Status::Ok);
        let count = |count: u64| Answer::of(Status::Ok).number("count", count as i64);
        match operation {
            "set" => arguments.only_named(&["ttl", "at", "if", "if_version"])?,
            "incr" | "set_many" | "fill" => arguments.only_named(&["ttl"])?,
            "configure" | "write" | "scan" => {}
            _ => arguments.only_named(&[])?,
        }
        let key = || arguments.bytes(0);
        match operation {
            "set" => self.set(store, arguments),
            "fill" => self.fill(store, arguments),
            "set_many" => self.set_many(store, arguments),
            "write" => group::write(store, arguments.all, &|word| self.number(word)),
            "scan" => group::scan(store, arguments, &|word| self.number(word)),
            "get" => answered(store.get(key()?).map(Answer::value)),
            "info" => answered(store.get(key()?).map(info)),
            "get_into" => get_into(store, key()?, self.number(arguments.word(1)?)?),
            "get_many" => get_many(store, arguments),
            "del_many" => answered(store.del_many(&arguments.all_bytes()?).map(count)),
            "take" => answered(store.take(key()?).map(Answer::value)),
            "del" => answered(store.del(key()?).map(Answer::found)),
            "del_if" => {
                let version = self.number(arguments.word(1)?)? as u64;
                answered(store.del_if(key()?, version).map(deleted))
            }
            "exists" => answered(store.exists(key()?).map(Answer::found)),
            "persist" => answered(store.persist(key()?).map(Answer::found)),
            "expire" => {
                let ttl_ms = self.number(arguments.word(1)?)?;
                answered(store.expire(key()?, ttl_ms).map(Answer::found))
            }
            "expire_at" => {
                let unix_ms = self.number(arguments.word(1)?)?;
                answered(store.expire_at(key()?, unix_ms).map(Answer::found))
            }
            "ttl" => answered(store.ttl(key()?).map(remaining)),
            "incr" => self.incr(store, arguments),
            "append" => answered(
                store
                    .append(key()?, arguments.bytes(1)?)
                    .map(|len| Answer::of(Status::Ok).number("len", len as i64)),
            ),
            "keys" => answered(keys(store)),
            "removed" => {
                let bytes = self.told.take(self.number(arguments.word(0)?)?)?;
                Ok(Answer { bytes, ..Answer::of(Status::Ok) })
            }
            "len" => answered(store.len().map(count)),
            "purge_expired" => answered(store.purge_expired().map(count)),
            "clear" => answered(store.clear().map(ok)),
            "stats" => answered(store.stats().map(|stats| stats_fields(&stats))),
            "configure" => {
                let (name, value) = arguments.named.first().ok_or("configure what?")?;
                answered(store.configure(name, &option_text(value)?).map(ok))
            }
            "last_fault" => Ok(store.last_fault().map_or(Answer::of(Status::NotFound), |fault| {
                Answer { message: fault.message().to_string(), ..Answer::of(Status::Ok) }
            })),
            "sync" => answered(store.sync().map(ok)),
            "snapshot" => answered(
                store
                    .snapshot(path.as_deref().map(Path::new))
                    .map(|info| Answer::of(Status::Ok).number("entries", info.entries as i64)),
            ),
            "restore" => answered(store.restore(path.ok_or("restore what?")?).map(ok)),
            "recovery" => answered(store.recovery().map(|report| recovered(&report))),
            "shutdown" => answered(store.shutdown().map(ok)),
            _ => Err(format!("there is no operation '{operation}'")),
        }
    }

    /// The expiry that `ttl=` asks for: an error of the engine, or one of the line.
    fn expiry(&self, arguments: &Arguments<'_>) -> Result<Result<Expiry, Error>, String> {
        let ttl_ms = match arguments.named("ttl") {
            None => 0,
            Some(Word::Plain(text)) if text == "default" => 0,
            Some(Word::Plain(text)) if text == "none" => TTL_NONE,
            Some(Word::Plain(text)) if text == "keep" => TTL_KEEP,
            Some(word) => self.number(word)?,
        };
        Ok(Expiry::from_ttl_ms(ttl_ms))
    }

    fn set(&self, store: &Store, arguments: &Arguments<'_>) -> Outcome {
        let (key, value) = (arguments.bytes(0)?, arguments.bytes(1)?);
        if arguments.named.is_empty() {
            let stored = |version| Answer::of(Status::Ok).number("version", version as i64);
            return answered(store.set(key, value).map(stored));
        }
        let mut expiry = match self.expiry(arguments)? {
            Ok(expiry) => expiry,
            Err(error) => return Ok(Answer::failed(&error)),
        };
        if let Some(at) = arguments.named("at") {
            expiry = Expiry::AtMs(self.number(at)?);
        }
        let condition = match (arguments.named("if"), arguments.named("if_version")) {
            (None, None) => Condition::Any,
            (Some(Word::Plain(word)), None) if word == "absent" => Condition::Absent,
            (Some(Word::Plain(word)), None) if word == "present" => Condition::Present,
            (None, Some(version)) => Condition::Version(self.number(version)? as u64),
            _ => return Err("if is absent or present, and goes without if_version".into()),
        };
        let outcome = store.set_with(key, value, &SetOptions { expiry, condition });
        answered(outcome.map(|outcome| match outcome {
            SetOutcome::Stored { version } => {
                Answer::of(Status::Ok).number("version", version as i64)
            }
            SetOutcome::Exists => Answer::of(Status::Exists),
            SetOutcome::NotFound => Answer::of(Status::NotFound),
            SetOutcome::Conflict => Answer::of(Status::Conflict),
        }))
    }

    fn fill(&self, store: &Store, arguments: &Arguments<'_>) -> Outcome {
        let (prefix, count) = (arguments.bytes(0)?, self.number(arguments.word(1)?)?);
        let value = arguments.bytes(2)?;
        let expiry = self.expiry(arguments)?.map_err(|error| error.to_string())?;
        let options = SetOptions { expiry, ..SetOptions::default() };
        for index in 0..count {
            let key = [prefix, index.to_string().as_bytes()].concat();
            if let Err(error) = store.set_with(key, value, &options) {
                return Ok(Answer::failed(&error).number("count", index));
            }
        }
        Ok(Answer::of(Status::Ok).number("count", count))
    }

    fn set_many(&self, store: &Store, arguments: &Arguments<'_>) -> Outcome {
        let all = arguments.all_bytes()?;
        if all.len() % 2 != 0 {
            return Err("set_many takes pairs".into());
        }
        let items: Vec<(&[u8], &[u8])> = all.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let ok = |_| Answer::of(Status::Ok);
        answered(self.expiry(arguments)?.and_then(|expiry| store.set_many(&items, expiry).map(ok)))
    }

    fn incr(&self, store: &Store, arguments: &Arguments<'_>) -> Outcome {
        let (key, delta) = (arguments.bytes(0)?, self.number(arguments.word(1)?)?);
        let number = |number| Answer::of(Status::Ok).number("number", number);
        let expiry = self.expiry(arguments)?;
        answered(expiry.and_then(|expiry| store.incr(key, delta, expiry).map(number)))
    }

    fn check(&mut self, operation: &str, answer: Answer, expected: &[Word]) -> Result<(), String> {
        let (status, results) = expected.split_first().ok_or("a status stands behind ->")?;
        if *status != Word::Plain(answer.status.clone()) {
            let message = &answer.message;
            return Err(format!("expected {}, got {} {message}", shown(status), answer.status));
        }
        let mut bytes = Vec::new();
        for result in results {
            match result {
                Word::Bytes(expected) => bytes.push(Some(expected.clone())),
                Word::Plain(hole) if hole == "-" => bytes.push(None),
                Word::Named(name, value) => self.check_named(&answer, name, value)?,
                Word::Plain(_) => return Err(format!("{} is no result", shown(result))),
            }
        }
        let lists_all = matches!(operation, "keys" | "get_many" | "removed" | "scan" | "event")
            && answer.status == "OK";
        if (lists_all || !bytes.is_empty()) && bytes != answer.bytes {
            let list = |all: &[Option<Vec<u8>>]| {
                let shown: Vec<String> =
                    all.iter().map(|b| b.as_ref().map_or("-".into(), |b| shown_bytes(b))).collect();
                shown.join(" ")
            };
            return Err(format!("expected {}, got {}", list(&bytes), list(&answer.bytes)));
        }
        Ok(())
    }

    fn check_named(&mut self, answer: &Answer, name: &str, value: &Word) -> Result<(), String> {
        let text = match value {
            Word::Bytes(part) if name == "message" => {
                let part = String::from_utf8_lossy(part);
                if answer.message.contains(&*part) {
                    return Ok(());
                }
                return Err(format!("message lacks '{part}': {}", answer.message));
            }
            Word::Plain(text) => text,
            _ => return Err(format!("{name} is no number")),
        };
        let got = *answer.numbers.get(name).ok_or(format!("there is no result '{name}'"))?;
        let holds = if let Some(variable) = text.strip_prefix('?') {
            self.variables.insert(format!("${variable}"), got);
            true
        } else {
            case::holds(got, text, |text| self.number_text(text))?
        };
        if holds { Ok(()) } else { Err(format!("expected {name}={text}, got {got}")) }
    }
}

fn info(value: Option<Value>) -> Answer {
    let Some(value) = value else { return Answer::of(Status::NotFound) };
    Answer::of(Status::Ok)
        .with_bytes(&value)
        .number("version", value.version() as i64)
        .number("expire_at", value.expire_at_ms().unwrap_or(TTL_NONE))
        .number("created_at", value.created_at_ms().unwrap_or(-1))
        .number("hits", value.hits() as i64)
}

fn remaining(remaining: Option<Remaining>) -> Answer {
    match remaining {
        None => Answer::of(Status::NotFound),
        Some(Remaining::Never) => Answer::of(Status::Ok).number("ttl", TTL_NONE),
        Some(Remaining::Ms(ms)) => Answer::of(Status::Ok).number("ttl", ms),
    }
}

fn deleted(outcome: DeleteOutcome) -> Answer {
    Answer::of(match outcome {
        DeleteOutcome::Deleted => Status::Ok,
        DeleteOutcome::NotFound => Status::NotFound,
        DeleteOutcome::Conflict => Status::Conflict,
    })
}

fn get_into(store: &Store, key: &[u8], capacity: i64) -> Outcome {
    const FILLER: u8 = 0xaa;
    let capacity = usize::try_from(capacity).map_err(|_| "a capacity is not negative")?;
    let mut buffer = vec![FILLER; capacity];
    let len = match store.get_into(key, &mut buffer) {
        Ok(Some(len)) => len,
        Ok(None) => return Ok(Answer::of(Status::NotFound)),
        Err(error) => return Ok(Answer::failed(&error)),
    };
    let untouched = &buffer[len.min(capacity)..];
    let short = len > capacity;
    if !untouched.iter().chain(buffer.iter().filter(|_| short)).all(|byte| *byte == FILLER) {
        return Err("get_into wrote where it should not".into());
    }
    let answer = if short {
        Answer::of(Status::ShortBuffer)
    } else {
        Answer::of(Status::Ok).with_bytes(&buffer[..len])
    };
    Ok(answer.number("len", len as i64))
}

fn get_many(store: &Store, arguments: &Arguments<'_>) -> Outcome {
    let keys = arguments.all_bytes()?;
    answered(store.get_many(&keys).map(|values| {
        let bytes = values.iter().map(|value| value.as_ref().map(|value| value.to_vec())).collect();
        Answer { bytes, ..Answer::of(Status::Ok) }
    }))
}

/// The keys in the order of the alphabet, as `check` compares lists.
fn keys(store: &Store) -> Result<Answer, Error> {
    let mut keys = store.keys()?.collect::<Result<Vec<_>, _>>()?;
    keys.sort();
    Ok(Answer { bytes: keys.into_iter().map(Some).collect(), ..Answer::of(Status::Ok) })
}

fn stats_fields(stats: &kvcore::Stats) -> Answer {
    let fields = serde_json::to_value(stats).unwrap();
    fields.as_object().unwrap().iter().fold(Answer::of(Status::Ok), |answer, (name, value)| {
        answer.number(name, value.as_u64().unwrap() as i64)
    })
}

fn recovered(report: &RecoveryReport) -> Answer {
    [
        ("snapshot_revision", report.snapshot_revision),
        ("last_revision", report.last_revision),
        ("records", report.records),
        ("discarded_bytes", report.discarded_bytes),
    ]
    .into_iter()
    .fold(Answer::of(Status::Ok), |answer, (name, number)| answer.number(name, number as i64))
}
