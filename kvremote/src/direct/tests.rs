//! What the short way makes of servers that answer as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

use kvcore::{Location, Options};

use super::gather::{Gather, Wanted};
use super::*;
use crate::address::Address;
use crate::commands;
use crate::near::{Near, Ticket};

/// A server, and the short way to it.
struct Place {
    engine: Engine,
    direct: Arc<Direct>,
    connections: Arc<AtomicUsize>,
}

/// What a server does with a command: it answers, or ends the connection after a last word.
enum Does {
    Say(&'static str),
    End(&'static str),
}
use Does::{End, Say};

impl Place {
    /// Starts a server, whose threads end with the process. `reply` is told the last word of each command.
    fn start(login: &str, reply: impl Fn(&str) -> Does + Send + Sync + 'static) -> Place {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let location = format!("valkey://{login}{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (reply, counted) = (Arc::new(reply), Arc::clone(&connections));
        kvcore::spawn_thread("server", move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (reply, stream) = (Arc::clone(&reply), stream.unwrap());
                kvcore::spawn_thread("connection", move || serve(&stream, &*reply)).unwrap();
            }
        })
        .unwrap();
        let mut options = Options::new();
        let Location::Remote(place) = Location::read(&location, &mut options).unwrap() else {
            panic!("{location} is no server")
        };
        let settings = Settings::new(options).unwrap();
        let link = Arc::new(Link::new(Address::read(&place).unwrap(), &settings));
        let engine = Engine::start().unwrap();
        engine.wait(link.refresh_topology()).unwrap();
        let direct = Direct::new(&link, &settings).unwrap();
        Place { engine, direct, connections }
    }

    fn get(&self, key: &str) -> Option<Vec<Value>> {
        self.direct.ask(&self.engine, 0, &Request::one(commands::on("GET", key.as_bytes())))
    }

    fn count(&self, count: impl Fn(&Lines) -> usize) -> usize {
        self.direct.servers.lock().values().map(|lines| count(&lines.lock())).sum()
    }

    fn pause(&self) {
        self.engine.wait(async { sleep(Duration::from_millis(1)).await });
    }

    /// Has a line made, and waits until no more are under way.
    fn with_line(self) -> Place {
        while self.count(|lines| lines.idle.len()) == 0 {
            let topology = self.direct.topology().unwrap();
            let taken = self.direct.take(&self.engine, &topology, &topology.masters()[0]);
            taken.into_iter().for_each(Taken::put_back);
            self.pause();
        }
        while self.count(|lines| lines.count - lines.idle.len()) > 0 {
            self.pause();
        }
        self
    }

    /// Asks for these keys, with their deadlines if there is a ticket. Answers what was told, in the order of the keys,
    /// and which are left over.
    fn gather(&self, keys: &[&str], ticket: Option<Ticket>) -> (Vec<String>, Vec<usize>) {
        let mut gather = Gather::new(Some(&self.direct), &self.engine).unwrap();
        for (place, key) in keys.iter().enumerate() {
            gather.add(0, key.as_bytes(), Wanted { place, ticket });
        }
        let mut told = vec!["?".to_string(); keys.len()];
        gather.round(|wanted, found| {
            told[wanted.place] = match found {
                None => "none".to_string(),
                Some(found) => {
                    let value = String::from_utf8_lossy(found.value);
                    format!("{value} {:?} {:?}", found.expire_at_ms, found.left_ms)
                }
            };
        });
        (told, gather.left_over().iter().map(|wanted| wanted.place).collect())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

fn serve(mut stream: &std::net::TcpStream, reply: &(impl Fn(&str) -> Does + ?Sized)) {
    let mut reader = BufReader::new(stream);
    while let Some(word) = last_word(&mut reader) {
        let sent = match reply(&word) {
            Say(words) => stream.write_all(words.as_bytes()),
            End(words) => return drop(stream.write_all(words.as_bytes())),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Reads one command. `None` at the end.
fn last_word(reader: &mut impl BufRead) -> Option<String> {
    let mut number = || -> Option<usize> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.get(1..)?.trim().parse().ok()
    };
    let mut last = Vec::new();
    for _ in 0..number()? {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        last = vec![0; line.get(1..)?.trim().parse::<usize>().ok()? + 2];
        reader.read_exact(&mut last).ok()?;
    }
    last.truncate(last.len() - 2);
    String::from_utf8(last).ok()
}

/// What most servers here say.
fn usual(key: &str) -> Does {
    match key {
        "absent" => Say("$-1\r\n"),
        "list" => Say("-WRONGTYPE Operation against a key\r\n"),
        "moved" => Say("-MOVED 5 127.0.0.1:1\r\n"),
        "strange" => Say("*1\r\n:1\r\n"),
        "dies" => End(""),
        "dies within" => End("$5\r\nab"),
        _ => Say("$1\r\nv\r\n"),
    }
}

#[test]
fn the_first_call_does_not_wait_for_a_line() {
    let place = Place::start("", usual);
    assert_eq!(place.get("k"), None);
    let place = place.with_line();
    for _ in 0..10 {
        assert_eq!(place.get("k"), Some(vec![Value::BulkString(b"v".to_vec())]));
        assert_eq!(place.get("absent"), Some(vec![Value::Nil]));
    }
    assert_eq!(place.count(|lines| lines.count), place.connections.load(Ordering::SeqCst));
}

#[test]
fn an_error_goes_the_other_way_and_the_line_stays() {
    let place = Place::start("", usual).with_line();
    let before = place.count(|lines| lines.idle.len());
    assert_eq!((place.get("list"), place.get("moved")), (None, None));
    assert_eq!(place.count(|lines| lines.idle.len()), before);
    assert!(place.get("k").is_some());
}

#[test]
fn a_line_that_fails_is_closed_and_counted_out() {
    for key in ["strange", "dies", "dies within"] {
        let place = Place::start("", usual).with_line();
        assert_eq!(place.get(key), None, "{key}");
        assert_eq!(place.count(|lines| lines.count + lines.idle.len()), 0, "{key}");
        // Nor is another made at once.
        assert_eq!(place.get("k"), None, "{key}");
        assert_eq!(place.count(|lines| lines.count), 0, "{key}");
    }
}

#[test]
fn who_calls_is_said_first() {
    let place = Place::start("ada:secret@", |word| match word {
        "secret" => Say("+OK\r\n"),
        key => usual(key),
    });
    assert!(place.with_line().get("k").is_some());
    let refusing = Place::start("ada:wrong@", |word| match word {
        "wrong" => Say("-WRONGPASS invalid username-password pair\r\n"),
        key => usual(key),
    });
    assert_eq!(refusing.get("k"), None);
    while refusing.count(|lines| usize::from(lines.rested_at.is_some())) == 0 {
        refusing.pause();
    }
    assert_eq!(refusing.count(|lines| lines.count), 0);
}

#[test]
fn of_many_keys_those_that_are_refused_are_left_over() {
    let place = Place::start("", usual).with_line();
    let (told, left) = place.gather(&["a", "moved", "absent", "list", "b"], None);
    assert_eq!(told, ["v None None", "?", "none", "?", "v None None"]);
    assert_eq!(left, [1, 3]);
}

#[test]
fn of_many_keys_all_are_left_over_from_the_one_at_which_the_server_dies() {
    for key in ["dies", "dies within", "strange"] {
        let place = Place::start("", usual).with_line();
        let (told, left) = place.gather(&["a", "absent", key, "b", "c"], None);
        assert_eq!(told, ["v None None", "none", "?", "?", "?"]);
        assert_eq!(left, [2, 3, 4]);
        assert_eq!(place.count(|lines| lines.count), 0);
    }
}

#[test]
fn without_a_line_all_keys_are_left_over() {
    let place = Place::start("", usual);
    assert_eq!(place.gather(&["a", "b"], None), (vec!["?".to_string(); 2], vec![0, 1]));
}

#[test]
fn deadlines_are_told_to_who_has_a_ticket() {
    // Of the three commands for a key the first is answered with a value, the others with numbers.
    let asked = AtomicUsize::new(0);
    let place =
        Place::start("", move |key| match (key, asked.fetch_add(1, Ordering::SeqCst) % 3) {
            ("moved", _) => usual(key),
            ("absent", 1 | 2) => Say(":-2\r\n"),
            ("endless", 1 | 2) => Say(":-1\r\n"),
            (_, 1) => Say(":1000\r\n"),
            (_, 2) => Say(":5\r\n"),
            (key, _) => usual(key),
        });
    let near = Near::new(1 << 20, 60_000).unwrap();
    near.assign(|_| Some(0), &[]);
    near.seal(0);
    let ticket = near.begin(0);
    assert!(ticket.is_some());
    let (told, left) = place.with_line().gather(&["a", "endless", "moved", "absent"], ticket);
    assert_eq!(told, ["v Some(1000) Some(5)", "v None None", "?", "none"]);
    assert_eq!(left, [2]);
}

#[test]
fn a_request_that_is_too_large_goes_the_other_way() {
    let place = Place::start("", usual).with_line();
    let long = "k".repeat(REQUEST_MAX);
    assert_eq!(place.get(&long), None);
    assert_eq!(place.gather(&[&long], None).1, [0]);
    assert!(place.get("k").is_some());
}

#[test]
fn all_masters_are_asked_before_the_first_is_waited_for() {
    // A server answers once every server has been asked.
    let all_asked = Arc::new(Barrier::new(3));
    let places = [(); 3].map(|()| {
        let all_asked = Arc::clone(&all_asked);
        Place::start("", move |key| {
            all_asked.wait();
            usual(key)
        })
    });
    let range = |(number, place): (usize, &Place)| {
        let port = place.direct.topology().unwrap().masters()[0].port;
        let server = vec![Value::BulkString(b"127.0.0.1".to_vec()), Value::Int(port.into())];
        let number = number as i64;
        Value::Array(vec![Value::Int(number), Value::Int(number), Value::Array(server)])
    };
    let ranges = Value::Array(places.iter().enumerate().map(range).collect());
    let topology = Arc::new(Topology::read(ranges, "").unwrap());
    let [Place { engine, direct, .. }, ..] = &places;
    for server in topology.masters() {
        let take = || direct.take(engine, &topology, server);
        while take().map(Taken::put_back).is_none() {
            places[0].pause();
        }
    }
    let mut gather = Gather::from(direct, engine, topology);
    for place in 0..3 {
        gather.add(place as u16, b"k", Wanted { place, ticket: None });
    }
    let mut told = 0;
    gather.round(|_, found| told += usize::from(found.is_some()));
    assert_eq!((told, gather.left_over().len()), (3, 0));
}
