//! Runs the cases of `tests/conformance` that apply to a server, on one server and on a cluster.
//!
//! A case applies if it needs no versions, no limits, no files and no watches. Each has a prefix of its own, on the
//! cluster one with a hash tag, so that its batches stay in one slot.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kvcore::{
    Batch, BatchOutcome, Condition, Entry, Error, Expiry, Options, Remaining, Result as KvResult,
    ScanOptions, SetOptions, SetOutcome, Status, TTL_KEEP, TTL_NONE, Value,
};
use kvremote::RemoteStore;

use crate::case::{self, Arguments, Case, Line, Word, option_text, shown};
use crate::servers;

/// Operations of this driver.
const OPERATIONS: &[&str] = &[
    "open",
    "set",
    "fill",
    "set_many",
    "write",
    "scan",
    "get",
    "info",
    "get_into",
    "get_many",
    "del_many",
    "take",
    "del",
    "exists",
    "persist",
    "expire",
    "expire_at",
    "ttl",
    "incr",
    "append",
    "len",
    "clear",
    "shutdown",
    "let",
    "wait",
];

/// Options that hold on a server.
const OPTIONS: &[&str] = &["max_key_bytes", "max_value_bytes", "default_ttl", "ttl_jitter"];

/// Results and arguments that only the embedded engine has.
const EMBEDDED: &[&str] = &[
    "version",
    "if_version",
    "created_at",
    "hits",
    "order",
    "start",
    "end",
    "point_in_time",
    "on_remove",
    "at",
];

/// As many cases must apply at least, so that none drops out by accident.
const AT_LEAST: usize = 120;

fn applies(case: &Case) -> bool {
    case.lines.iter().all(|line| {
        let Word::Plain(operation) = &line.words[0] else { return false };
        let named = |word: &Word| match word {
            Word::Named(name, _) => match operation.as_str() {
                "open" => OPTIONS.contains(&name.as_str()),
                "set" | "write" if name == "at" => true,
                _ => !EMBEDDED.contains(&name.as_str()),
            },
            _ => true,
        };
        // What names a status of limits or versions is about them.
        let about_limits = line.words.contains(&Word::Plain("ERR_FULL".into()));
        OPERATIONS.contains(&operation.as_str()) && line.words.iter().all(named) && !about_limits
    })
}

fn cases() -> Vec<Case> {
    let mut cases = case::all();
    cases.retain(applies);
    assert!(cases.len() >= AT_LEAST, "only {} cases apply", cases.len());
    cases
}

fn run_all(location: &str, tag: (&str, &str)) {
    let cases = cases();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let prefix = format!("{}{}{}:", tag.0, case.name, tag.1);
            let location = format!("{location}/?prefix={prefix}");
            Runner { location, store: None, variables: HashMap::new() }.run(case).err()
        })
        .collect();
    let (failed, all) = (failures.len(), cases.len());
    assert!(failures.is_empty(), "{failed} of {all} cases failed:\n{}", failures.join("\n"));
}

#[test]
fn on_one_server() {
    run_all(&format!("valkey://{}", servers::one().address()), ("", ""));
}

#[test]
fn on_a_cluster() {
    let address = servers::cluster().servers[0].address();
    run_all(&format!("valkey-cluster://{address}"), ("{", "}"));
}

#[test]
fn planted_mistakes_are_found() {
    let location = format!("valkey://{}/?prefix=planted:", servers::one().address());
    for line in [
        "get \"k\" -> OK \"w\"",
        "get \"k\" -> NOT_FOUND",
        "incr \"n\" 5 -> OK number=6",
        "scan -> OK \"k\" \"w\"",
        "write del \"k\" -> OK applied=2",
    ] {
        let text =
            format!("case planted\nopen -> OK\nclear -> OK\nset \"k\" \"v\" -> OK\n{line}\n");
        let case = &case::parse("planted", text.as_bytes()).unwrap()[0];
        let runner = Runner { location: location.clone(), store: None, variables: HashMap::new() };
        let error = runner.run(case).expect_err(line);
        assert!(error.starts_with("planted:5: "), "{line} gave {error}");
    }
}

struct Runner {
    location: String,
    store: Option<RemoteStore>,
    variables: HashMap<String, i64>,
}

/// What a call answered.
struct Answer {
    status: Status,
    bytes: Vec<Option<Vec<u8>>>,
    numbers: Vec<(&'static str, i64)>,
    message: String,
}

impl Answer {
    fn of(status: Status) -> Answer {
        Answer { status, bytes: Vec::new(), numbers: Vec::new(), message: String::new() }
    }

    fn ok() -> Answer {
        Answer::of(Status::Ok)
    }

    fn found(found: bool) -> Answer {
        Answer::of(if found { Status::Ok } else { Status::NotFound })
    }

    fn number(mut self, name: &'static str, number: i64) -> Answer {
        self.numbers.push((name, number));
        self
    }

    fn value(value: Option<Value>) -> Answer {
        let Some(value) = value else { return Answer::of(Status::NotFound) };
        let at = value.expire_at_ms().unwrap_or(TTL_NONE);
        Answer { bytes: vec![Some(value.to_vec())], ..Answer::ok() }.number("expire_at", at)
    }
}

impl Runner {
    fn run(mut self, case: &Case) -> Result<(), String> {
        for line in &case.lines {
            self.line(line).map_err(|error| {
                format!("{}:{}: {error} (case {})", case.file, line.number, case.name)
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), String> {
        let (Word::Plain(operation), rest) = (&line.words[0], &line.words[1..]) else {
            return Err("a line begins with a plain word".into());
        };
        match (operation.as_str(), rest) {
            ("let", [Word::Plain(name), number]) => {
                let number = self.number(number)?;
                self.variables.insert(name.clone(), number);
                return Ok(());
            }
            ("wait", [number]) => {
                std::thread::sleep(Duration::from_millis(self.number(number)? as u64));
                return Ok(());
            }
            _ => {}
        }
        let arrow = rest.iter().position(|word| *word == Word::Plain("->".into()));
        let arrow = arrow.ok_or("there is no ->")?;
        let answer = match self.call(operation, &Arguments::new(&rest[..arrow]))? {
            Ok(answer) => answer,
            Err(error) => Answer { message: error.message().into(), ..Answer::of(error.status()) },
        };
        self.check(operation, &answer, &rest[arrow + 1..])
    }

    fn number(&self, word: &Word) -> Result<i64, String> {
        let Word::Plain(text) = word else { return Err(format!("{} is no number", shown(word))) };
        self.number_text(text)
    }

    fn number_text(&self, text: &str) -> Result<i64, String> {
        case::number(text, &self.variables, || {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
        })
    }

    fn open(&mut self, arguments: &Arguments<'_>) -> Result<KvResult<Answer>, String> {
        let mut options = Options::new();
        for (name, value) in &arguments.named {
            if let Err(error) = options.set(name, &option_text(value)?) {
                return Ok(Err(error));
            }
        }
        Ok(RemoteStore::open(&self.location, options).and_then(|store| {
            // A case begins with nothing, also at its second opening.
            store.clear()?;
            self.store = Some(store);
            Ok(Answer::ok())
        }))
    }

    fn call(
        &mut self,
        operation: &str,
        arguments: &Arguments<'_>,
    ) -> Result<KvResult<Answer>, String> {
        if operation == "open" {
            return self.open(arguments);
        }
        let store = self.store.as_ref().ok_or("no store is open")?;
        let key = || arguments.bytes(0);
        let second = || self.number(arguments.word(1)?);
        let count = |count: u64| Answer::ok().number("count", count as i64);
        Ok(match operation {
            "set" => {
                let (key, value) = (key()?, arguments.bytes(1)?);
                let named: Vec<Word> = arguments
                    .named
                    .iter()
                    .map(|(name, value)| Word::Named((*name).into(), Box::new((*value).clone())))
                    .collect();
                self.set_options(&named)?
                    .and_then(|options| store.set_with(key, value, &options))
                    .map(|outcome| match outcome {
                        SetOutcome::Stored { .. } => Answer::ok(),
                        SetOutcome::Exists => Answer::of(Status::Exists),
                        SetOutcome::NotFound => Answer::of(Status::NotFound),
                        SetOutcome::Conflict => Answer::of(Status::Conflict),
                    })
            }
            "fill" => self.fill(store, arguments)?,
            "set_many" => {
                let all = arguments.all_bytes()?;
                let items: Vec<_> = all.chunks(2).map(|pair| (pair[0], pair[1])).collect();
                let expiry = self.expiry(arguments.named("ttl"))?;
                expiry.and_then(|expiry| store.set_many(&items, expiry)).map(|()| Answer::ok())
            }
            "write" => self.write(store, arguments.all)?,
            "scan" => self.scan(store, arguments)?,
            "get" | "info" => store.get(key()?).map(Answer::value),
            "get_into" => get_into(store, key()?, second()? as usize),
            "get_many" => store.get_many(&arguments.all_bytes()?).map(|values| {
                let bytes = values.iter().map(|value| value.as_deref().map(<[u8]>::to_vec));
                Answer { bytes: bytes.collect(), ..Answer::ok() }
            }),
            "del_many" => store.del_many(&arguments.all_bytes()?).map(count),
            "take" => store.take(key()?).map(Answer::value),
            "del" => store.del(key()?).map(Answer::found),
            "exists" => store.exists(key()?).map(Answer::found),
            "persist" => store.persist(key()?).map(Answer::found),
            "expire" => store.expire(key()?, second()?).map(Answer::found),
            "expire_at" => store.expire_at(key()?, second()?).map(Answer::found),
            "ttl" => store.ttl(key()?).map(|left| match left {
                None => Answer::of(Status::NotFound),
                Some(Remaining::Never) => Answer::ok().number("ttl", TTL_NONE),
                Some(Remaining::Ms(ms)) => Answer::ok().number("ttl", ms),
            }),
            "incr" => {
                let (key, delta) = (key()?, second()?);
                let expiry = self.expiry(arguments.named("ttl"))?;
                let sum = expiry.and_then(|expiry| store.incr(key, delta, expiry));
                sum.map(|sum| Answer::ok().number("number", sum))
            }
            "append" => store
                .append(key()?, arguments.bytes(1)?)
                .map(|len| Answer::ok().number("len", len as i64)),
            "len" => store.len().map(count),
            "clear" => store.clear().map(|()| Answer::ok()),
            "shutdown" => store.shutdown().map(|()| Answer::ok()),
            _ => return Err(format!("there is no operation '{operation}'")),
        })
    }

    fn expiry(&self, ttl: Option<&Word>) -> Result<KvResult<Expiry>, String> {
        let ttl_ms = match ttl {
            None => 0,
            Some(Word::Plain(text)) if text == "default" => 0,
            Some(Word::Plain(text)) if text == "none" => TTL_NONE,
            Some(Word::Plain(text)) if text == "keep" => TTL_KEEP,
            Some(word) => self.number(word)?,
        };
        Ok(Expiry::from_ttl_ms(ttl_ms))
    }

    fn set_options(&self, words: &[Word]) -> Result<KvResult<SetOptions>, String> {
        let mut options = SetOptions::default();
        for word in words {
            let Word::Named(name, value) = word else { return Err("an option is named".into()) };
            match (name.as_str(), &**value) {
                ("ttl", ttl) => match self.expiry(Some(ttl))? {
                    Ok(expiry) => options.expiry = expiry,
                    Err(error) => return Ok(Err(error)),
                },
                ("at", at) => options.expiry = Expiry::AtMs(self.number(at)?),
                ("if", Word::Plain(text)) if text == "absent" => {
                    options.condition = Condition::Absent;
                }
                ("if", Word::Plain(text)) if text == "present" => {
                    options.condition = Condition::Present;
                }
                _ => return Err(format!("there is no option '{name}'")),
            }
        }
        Ok(Ok(options))
    }

    fn fill(
        &self,
        store: &RemoteStore,
        arguments: &Arguments<'_>,
    ) -> Result<KvResult<Answer>, String> {
        let (prefix, value) = (arguments.bytes(0)?, arguments.bytes(2)?);
        let count = self.number(arguments.word(1)?)?;
        let options = match self.expiry(arguments.named("ttl"))? {
            Ok(expiry) => SetOptions { expiry, ..SetOptions::default() },
            Err(error) => return Ok(Err(error)),
        };
        for index in 0..count {
            let key = [prefix, index.to_string().as_bytes()].concat();
            if let Err(error) = store.set_with(key, value, &options) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(Answer::ok().number("count", count)))
    }

    fn write(&self, store: &RemoteStore, words: &[Word]) -> Result<KvResult<Answer>, String> {
        let is_change = |word: &Word| matches!(word, Word::Plain(text) if ["set", "del", "expire"].contains(&text.as_str()));
        let mut batch = Batch::new();
        let mut rest = words;
        while let Some((Word::Plain(change), after)) = rest.split_first() {
            let end = after.iter().position(is_change).unwrap_or(after.len());
            match (change.as_str(), &after[..end]) {
                ("set", [Word::Bytes(key), Word::Bytes(value), options @ ..]) => {
                    match self.set_options(options)? {
                        Ok(options) => drop(batch.set_with(key, value, &options)),
                        Err(error) => return Ok(Err(error)),
                    }
                }
                ("del", [Word::Bytes(key)]) => drop(batch.del(key)),
                ("expire", [Word::Bytes(key), ttl]) => drop(batch.expire(key, self.number(ttl)?)),
                _ => return Err(format!("write does not know these words behind {change}")),
            }
            rest = &after[end..];
        }
        Ok(store.write(&batch).map(|outcome| match outcome {
            BatchOutcome::Applied { applied, missing } => {
                Answer::ok().number("applied", applied as i64).number("missing", missing as i64)
            }
            BatchOutcome::Conflict { index } => {
                Answer::of(Status::Conflict).number("failed", index as i64)
            }
        }))
    }

    fn scan(
        &self,
        store: &RemoteStore,
        arguments: &Arguments<'_>,
    ) -> Result<KvResult<Answer>, String> {
        let mut options = ScanOptions::new();
        for (name, word) in &arguments.named {
            options = match (*name, word) {
                ("prefix", Word::Bytes(prefix)) => options.prefix(prefix),
                ("limit", word) => options.limit(self.number(word)? as u64),
                ("keys_only", _) => options.keys_only(),
                _ => return Err(format!("there is no argument '{name}'")),
            };
        }
        let entries = store.scan(&options).and_then(|scan| scan.collect::<KvResult<Vec<Entry>>>());
        Ok(entries.map(|mut entries| {
            entries.sort_by(|a, b| a.key().cmp(b.key()));
            let mut answer = Answer::ok().number("count", entries.len() as i64);
            for entry in entries {
                answer.bytes.push(Some(entry.key().to_vec()));
                if !options.keys_only {
                    answer.bytes.push(Some(entry.value().to_vec()));
                }
            }
            answer
        }))
    }

    fn check(&mut self, operation: &str, answer: &Answer, expected: &[Word]) -> Result<(), String> {
        let (status, results) = expected.split_first().ok_or("a status stands behind ->")?;
        let got = answer.status.c_name().trim_start_matches("KV_").to_string();
        if *status != Word::Plain(got.clone()) {
            return Err(format!("expected {}, got {got} {}", shown(status), answer.message));
        }
        let mut bytes = Vec::new();
        for result in results {
            match result {
                Word::Bytes(expected) => bytes.push(Some(expected.clone())),
                Word::Plain(hole) if hole == "-" => bytes.push(None),
                // The words of a message are those of each surface.
                Word::Named(name, _) if name == "message" => {}
                Word::Named(name, value) => self.check_number(answer, name, value)?,
                Word::Plain(_) => return Err(format!("{} is no result", shown(result))),
            }
        }
        let is_list = ["get_many", "scan"].contains(&operation) && answer.status == Status::Ok;
        if (is_list || !bytes.is_empty()) && bytes != answer.bytes {
            return Err(format!("expected {bytes:?}, got {:?}", answer.bytes));
        }
        Ok(())
    }

    fn check_number(&mut self, answer: &Answer, name: &str, value: &Word) -> Result<(), String> {
        let Word::Plain(text) = value else { return Err(format!("{name} is no number")) };
        let got = answer.numbers.iter().find(|(known, _)| *known == name);
        let got = got.ok_or(format!("there is no result '{name}'"))?.1;
        let holds = if let Some(variable) = text.strip_prefix('?') {
            self.variables.insert(format!("${variable}"), got);
            true
        } else {
            case::holds(got, text, |text| self.number_text(text))?
        };
        if holds { Ok(()) } else { Err(format!("expected {name}={text}, got {got}")) }
    }
}

fn get_into(store: &RemoteStore, key: &[u8], capacity: usize) -> Result<Answer, Error> {
    let mut buffer = vec![0xaa; capacity];
    let Some(len) = store.get_into(key, &mut buffer)? else {
        return Ok(Answer::of(Status::NotFound));
    };
    let answer = if len > capacity {
        assert!(buffer.iter().all(|byte| *byte == 0xaa), "get_into wrote a part");
        Answer::of(Status::ShortBuffer)
    } else {
        Answer { bytes: vec![Some(buffer[..len].to_vec())], ..Answer::ok() }
    };
    Ok(answer.number("len", len as i64))
}
