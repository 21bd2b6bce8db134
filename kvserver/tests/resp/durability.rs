//! A store on disk: what was answered is there again, and the end comes without loss.

use std::path::PathBuf;

use crate::client::Running;
use kvcore::{Options, Store};
use kvserver::ServerOptions;

/// A directory of this test's own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        Place(std::env::temp_dir().join(format!("kv-server-{name}-{}", std::process::id())))
    }

    fn open(&self) -> Store {
        let options = Options::new().with("sync", "always").unwrap();
        Store::open_directory(&self.0, options).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn clients_share_the_syncs_of_the_log() {
    let place = Place::new("syncs");
    let store = place.open();
    let options = ServerOptions { threads: 1, ..ServerOptions::default() };
    let running = Running::on(store.clone(), options.clone());
    let before = store.stats().unwrap().wal_syncs;
    let mut client = running.client();
    let mut pipeline = Vec::new();
    (0..1000).for_each(|n| pipeline.extend(format!("SET key{n} {n}\r\n").into_bytes()));
    client.send(&pipeline);
    (0..1000).for_each(|_| assert_eq!(client.reply(), "+OK"));
    let syncs = store.stats().unwrap().wal_syncs - before;
    assert!((1..=100).contains(&syncs), "{syncs} syncs for 1000 changes of one pipeline");
    assert_eq!(client.ask("SAVE"), "+OK");
    assert_eq!(client.ask("SET last 1"), "+OK");
    drop(running);
    store.shutdown().unwrap();
    drop(store);
    let store = place.open();
    let running = Running::on(store, options);
    assert_eq!(running.client().ask("MGET key0 key999 last"), "[$0 $999 $1]");
}

#[test]
fn shutdown_by_a_client_ends_the_server() {
    let running = Running::new();
    let mut client = running.client();
    client.ask("SET k v");
    client.send(b"SHUTDOWN\r\n");
    assert!(client.is_closed());
    assert!(running.shared.is_stopping());
}
