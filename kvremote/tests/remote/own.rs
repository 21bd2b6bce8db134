//! `kv-server`, which is a server to the remote store as well: it runs in this process.
//!
//! The conformance cases run on it beside those on Redis; here is the near cache, and what servers tell.

use std::net::SocketAddr;
use std::sync::Arc;

use kvcore::{EventKind, Options, Store, WatchOptions, Watched};
use kvremote::RemoteStore;
use kvserver::{Server, ServerOptions, Shared};

use crate::near::confirmed;
use crate::race::{self, Race, Stores};
use crate::single::next;

/// A server for one test.
pub struct Own {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Option<Server>,
}

impl Own {
    /// Starts a server with an empty store.
    pub fn start() -> Own {
        let options = ServerOptions {
            resp: Some(([127, 0, 0, 1], 0).into()),
            notify_keyspace_events: "KA".to_owned(),
            ..ServerOptions::default()
        };
        let shared = Shared::new(Store::memory(Options::new()).unwrap(), options).unwrap();
        let server = Server::open(Arc::clone(&shared)).unwrap();
        Own { shared, address: server.address(), running: Some(server) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn open(&self, query: &str) -> RemoteStore {
        let location = format!("valkey://{}/?{query}", self.address);
        RemoteStore::open(&location, Options::new()).unwrap()
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(format!("redis://{}", self.address)).unwrap().get_connection().unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(running) = self.running.take() {
            running.join();
        }
    }
}

#[test]
fn its_near_caches_are_coherent() {
    let server = Own::start();
    let near = || confirmed(server.open("prefix=race:&near=4MiB"));
    let stores = Stores { writing: near(), reading: near(), plain: server.open("prefix=race:") };
    let say = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query::<redis::Value>(&mut server.connection()).unwrap();
    };
    let harm = |round, race: &Race<'_>| match round % 3 {
        0 => race.flush(|| say(&["FLUSHALL"])),
        1 => say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]),
        _ => {}
    };
    let outcome = race::run(&stores, 9, harm);
    outcome.check();
    assert!(outcome.breaks > 0, "{outcome:?}");
}

#[test]
fn its_events_reach_a_watch() {
    let server = Own::start();
    let store = server.open("prefix=watched:");
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    store.set("k", "v").unwrap();
    store.del("k").unwrap();
    for kind in [EventKind::Set, EventKind::Deleted] {
        let told = next(&mut watch);
        assert!(matches!(&told, Watched::Event(event) if event.kind() == kind), "{told:?}");
    }
}
