//! Runs the cases of `tests/conformance` on one server and on a cluster, and those about servers.
//!
//! Which cases apply is what the store's capabilities say. Each has a prefix of its own with a hash tag in it, so that on
//! a cluster its batches stay in one slot.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kvcore::{
    Batch, BatchOutcome, Capabilities, Condition, DeleteOutcome, Entry, Error, Expiry, Options,
    Order, Remaining, Result as KvResult, ScanOptions, SetOptions, SetOutcome, Status, TTL_KEEP,
    TTL_NONE, Value, WatchOptions,
};
use kvremote::{RemoteStore, RemoteWatch};

use crate::case::{self, Arguments, Case, Line, Word, option_text, shown};
use crate::own::Own;
use crate::servers::{self, Places};

/// As many cases must apply at least, so that none drops out by accident.
const AT_LEAST: usize = 220;

/// As many of them need a script at most.
const SCRIPTS: usize = 20;

/// The features that a store does not have.
fn lacks(can: Capabilities) -> Vec<&'static str> {
    let features = [
        ("versions", can.versions),
        ("del_if", can.versions),
        ("order", can.ordered_scans),
        ("moment", can.exact_scans),
        ("history", can.watch_history),
        ("files", can.snapshots),
        ("directory", can.snapshots),
        ("engine", can.eviction),
        // Such a case says itself where its store is.
        ("location", false),
        ("servers", false),
    ];
    features.iter().filter(|(_, has)| !has).map(|(feature, _)| *feature).collect()
}

fn cases(can: Capabilities) -> Vec<Case> {
    let lacks = lacks(can);
    let mut cases = case::all();
    cases.retain(|case| !lacks.iter().any(|feature| case.needs(feature)));
    assert!(cases.len() >= AT_LEAST, "only {} cases apply", cases.len());
    cases
}

fn report(cases: &[Case], run: impl Fn(&Case) -> Result<(), String>) {
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    let (failed, all) = (failures.len(), cases.len());
    assert!(failures.is_empty(), "{failed} of {all} cases failed:\n{}", failures.join("\n"));
}

/// What the store at a location can do.
fn capabilities(location: &str) -> Capabilities {
    let options = Options::new().with("prefix", "all:").unwrap();
    RemoteStore::open(location, options).unwrap().capabilities()
}

fn run_all(location: &str) {
    report(&cases(capabilities(location)), |case| {
        Runner::new(&format!("{location}/?prefix={{{}}}:", case.name)).run(case)
    });
}

#[test]
fn on_one_server() {
    run_all(&format!("valkey://{}", servers::one().address()));
}

#[test]
fn on_kv_server() {
    let server = Own::start();
    let location = format!("valkey://{}", server.address());
    // It runs no scripts, which few calls need.
    let scripts = AtomicUsize::new(0);
    report(&cases(capabilities(&location)), |case| {
        // No prefix, since the longest key is as long as the server allows.
        match Runner::new(&format!("{location}/?allow_flush=true")).run(case) {
            Err(failure) if failure.contains("EVAL") => {
                scripts.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            outcome => outcome,
        }
    });
    let scripts = scripts.into_inner();
    assert!(scripts <= SCRIPTS, "{scripts} cases need scripts");
}

#[test]
fn on_a_cluster() {
    run_all(&format!("valkey-cluster://{}", servers::cluster().servers[0].address()));
}

#[test]
fn what_servers_refuse() {
    let mut cases = case::all();
    cases.retain(|case| case.needs("servers"));
    assert!(cases.len() >= 10);
    let places = Places::start();
    report(&cases, |case| {
        let mut runner = Runner::new("");
        runner.places = places.named();
        runner.run(case)
    });
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
        let error = Runner::new(&location).run(case).expect_err(line);
        assert!(error.starts_with("planted:5: "), "{line} gave {error}");
    }
}

struct Runner {
    /// Where a store is opened unless the case says it.
    location: String,
    /// The names of servers, and where they are.
    places: Vec<(&'static str, String)>,
    store: Option<RemoteStore>,
    watch: Option<RemoteWatch>,
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
    fn new(location: &str) -> Runner {
        let location = location.to_string();
        let variables = HashMap::new();
        Runner { location, places: Vec::new(), store: None, watch: None, variables }
    }

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
        let mut location = self.location.clone();
        for (name, value) in &arguments.named {
            let text = option_text(value)?;
            match *name {
                "at" => {
                    location = self.places.iter().fold(text, |text, (name, place)| {
                        text.replace(&format!("{{{name}}}"), place)
                    });
                }
                "on_remove" => options = options.on_remove(kvcore::Causes::ALL, |_| {}),
                name => {
                    if let Err(error) = options.set(name, &text) {
                        return Ok(Err(error));
                    }
                }
            }
        }
        self.store = None;
        Ok(RemoteStore::open(&location, options).and_then(|store| {
            // A case begins with nothing, also at its second opening.
            if location == self.location {
                store.clear()?;
            }
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
        if let "watch" | "cancel" = operation {
            return self.watch(operation, arguments);
        }
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
                        SetOutcome::Stored { version } => {
                            Answer::ok().number("version", version as i64)
                        }
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
            "del_if" => store.del_if(key()?, second()? as u64).map(|outcome| match outcome {
                DeleteOutcome::Deleted => Answer::ok(),
                DeleteOutcome::NotFound => Answer::of(Status::NotFound),
                DeleteOutcome::Conflict => Answer::of(Status::Conflict),
            }),
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
            "keys" => keys(store),
            "last_fault" => Ok(match store.last_fault() {
                Some(fault) => Answer::of(fault.status()),
                None => Answer::of(Status::NotFound),
            }),
            "configure" => match arguments.named.first() {
                Some((name, value)) => {
                    store.configure(name, &option_text(value)?).map(|()| Answer::ok())
                }
                None => return Err("configure takes an option".into()),
            },
            "purge_expired" => store.purge_expired().map(count),
            "sync" => store.sync().map(|()| Answer::ok()),
            "snapshot" => store.snapshot(None).map(|_| Answer::ok()),
            "restore" => store.restore("nowhere").map(|()| Answer::ok()),
            "recovery" => store.recovery().map(|_| Answer::ok()),
            "len" => store.len().map(count),
            "clear" => store.clear().map(|()| Answer::ok()),
            "shutdown" => store.shutdown().map(|()| Answer::ok()),
            _ => return Err(format!("there is no operation '{operation}'")),
        })
    }

    fn watch(
        &mut self,
        operation: &str,
        arguments: &Arguments<'_>,
    ) -> Result<KvResult<Answer>, String> {
        let store = self.store.as_ref().ok_or("no store is open")?;
        if operation == "cancel" {
            self.watch.as_ref().ok_or("there is no watch")?.canceller().cancel();
            return Ok(Ok(Answer::ok()));
        }
        let mut options = WatchOptions::all();
        for (name, word) in &arguments.named {
            options = match *name {
                "from" => options.from_revision(self.number(word)? as u64),
                _ => return Err(format!("there is no argument '{name}'")),
            };
        }
        Ok(store.watch(&options).map(|watch| {
            self.watch = Some(watch);
            Answer::ok()
        }))
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
                ("if_version", number) => {
                    options.condition = Condition::Version(self.number(number)? as u64);
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
                ("start", Word::Bytes(start)) => options.start(start),
                ("end", Word::Bytes(end)) => options.end(end),
                ("order", Word::Plain(order)) if order == "asc" => options.order(Order::Asc),
                ("order", _) => options.order(Order::Desc),
                ("point_in_time", _) => options.point_in_time(),
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
                Word::Named(name, text) if name == "message" => {
                    let text = option_text(text)?;
                    if !answer.message.contains(&text) {
                        return Err(format!(
                            "expected a message with '{text}', got '{}'",
                            answer.message
                        ));
                    }
                }
                Word::Named(name, value) => self.check_number(answer, name, value)?,
                Word::Plain(_) => return Err(format!("{} is no result", shown(result))),
            }
        }
        let is_list =
            ["get_many", "keys", "scan"].contains(&operation) && answer.status == Status::Ok;
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

/// All keys, in their order.
fn keys(store: &RemoteStore) -> KvResult<Answer> {
    let scan = store.scan(&ScanOptions::new().keys_only())?;
    let mut keys = scan
        .map(|entry| Ok(Some(entry?.key().to_vec())))
        .collect::<KvResult<Vec<Option<Vec<u8>>>>>()?;
    keys.sort();
    Ok(Answer { bytes: keys, ..Answer::ok() })
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
