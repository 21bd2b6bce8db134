//! A user whose permissions are on some keys hears of no other key, by whatever way.

use std::io::{BufRead, BufReader, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::certificates::Files;
use crate::grpc::{Client, v1};
use crate::rig::{Rig, basic, connected, http_request};

const USERS: &str = "user default on nopass ~* &* +@all
user ada on >pw ~app:* %R~lib:* resetchannels +@all
user eve on >pw ~*:end +@all
";

fn rig(files: &Files) -> Rig {
    let (rig, _) = Rig::with_users(files, USERS);
    for key in ["aaa:1", "app:1", "app:2", "bbb:1", "lib:1", "zzz:end"] {
        rig.store.set(key, "v").unwrap();
    }
    rig
}

/// The bulk strings in an answer of the Redis protocol, sorted.
fn bulks(answer: &str) -> Vec<&str> {
    let mut lines = answer.split("\r\n");
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with('$') && line != "$-1" {
            found.extend(lines.next());
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn lists_of_the_redis_protocol_have_its_own_keys() {
    let files = Files::new();
    let rig = rig(&files);
    let own = ["app:1", "app:2", "lib:1"];
    assert_eq!(bulks(&rig.redis(&["AUTH ada pw", "KEYS *"])), own);
    let scanned = rig.redis(&["AUTH ada pw", "SCAN 0 COUNT 1000"]);
    assert_eq!(bulks(&scanned), [&["0"][..], &own].concat());
    assert_eq!(bulks(&rig.redis(&["AUTH ada pw", "KEYS b*"])), [""; 0]);
    let draws = [&["AUTH ada pw"][..], &["RANDOMKEY"; 50]].concat();
    assert!(bulks(&rig.redis(&draws)).iter().all(|key| own.contains(key)));
    // The only key that it may use is found though draws hardly meet it.
    for number in 0..5_000 {
        rig.store.set(format!("bbb:{number}"), "").unwrap();
    }
    assert_eq!(bulks(&rig.redis(&["AUTH eve pw", "RANDOMKEY"])), ["zzz:end"]);
    assert_eq!(rig.redis(&["DBSIZE"]), ":5005\r\n+OK\r\n");
}

#[test]
fn lists_of_http_have_its_own_keys_and_no_other_in_a_cursor() {
    let files = Files::new();
    let rig = rig(&files);
    let page = |user: &str, query: &str| {
        let answer = rig.ask("GET", &format!("/v1/keys{query}"), &basic(user, "pw"));
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let keys = body["keys"].as_array().unwrap().iter();
        let keys: Vec<String> = keys.map(|key| key["key"].as_str().unwrap().to_owned()).collect();
        let cursor = body["cursor"].as_str().map(str::to_owned);
        (keys, cursor)
    };
    let (mut all, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let (keys, cursor) = page("ada", &query);
        // A page is full although keys of others lie between.
        assert_eq!(keys.len(), 1);
        all.extend(keys);
        let Some(cursor) = cursor else { break };
        let last = String::from_utf8(URL_SAFE_NO_PAD.decode(&cursor).unwrap()).unwrap();
        assert_eq!(Some(&last), all.last());
        query = format!("?limit=1&cursor={cursor}");
    }
    assert_eq!(all, ["app:1", "app:2", "lib:1"]);
    assert_eq!(page("ada", "?prefix=app:").0, ["app:1", "app:2"]);
    assert_eq!(page("ada", "?prefix=bbb").0, [""; 0]);
    assert_eq!(page("eve", "").0, ["zzz:end"]);
}

#[test]
fn scans_and_watches_of_grpc_have_its_own_keys() {
    let files = Files::new();
    let rig = rig(&files);
    let mut ada = Client::new(rig.grpc(), &basic("ada", "pw"));
    let scan = |ada: &mut Client, prefix, limit, order| ada.scan(prefix, limit, order).unwrap();
    assert_eq!(scan(&mut ada, "", 0, v1::Order::Asc), ["app:1", "app:2", "lib:1"]);
    assert_eq!(scan(&mut ada, "", 2, v1::Order::Desc), ["lib:1", "app:2"]);
    assert_eq!(scan(&mut ada, "zzz", 0, v1::Order::Asc), [""; 0]);
    let seen = ada.watch(|| {
        for key in ["bbb:2", "app:3", "zzz:end", "lib:2", "app:end"] {
            rig.store.set(key, "v").unwrap();
        }
    });
    assert_eq!(seen.unwrap(), ["app:3", "lib:2", "app:end"]);
    // What changes for the user changes in a watch that goes on.
    let seen = ada.watch(|| {
        rig.redis(&["ACL SETUSER ada resetkeys ~bbb:*"]);
        for key in ["app:4", "bbb:3", "bbb:end"] {
            rig.store.set(key, "v").unwrap();
        }
    });
    assert_eq!(seen.unwrap(), ["bbb:3", "bbb:end"]);
    let ended = ada.watch(|| {
        rig.redis(&["ACL DELUSER ada"]);
        rig.store.set("bbb:end", "v").unwrap();
    });
    assert_eq!(ended.unwrap_err().code(), tonic::Code::Unauthenticated);
}

#[test]
fn a_watch_of_http_has_its_own_keys_and_ends_with_its_user() {
    let files = Files::new();
    let rig = rig(&files);
    let mut stream = connected(rig.http());
    let request = http_request("GET", "/v1/watch", &basic("ada", "pw"), "");
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    // The first thing that is sent says that the watch stands.
    lines.find(|line| line == ":").unwrap();
    for key in ["bbb:2", "app:3"] {
        rig.store.set(key, "v").unwrap();
    }
    let data = lines.find(|line| line.starts_with("data: ")).unwrap();
    assert!(data.contains("\"app:3\""), "{data}");
    rig.redis(&["ACL SETUSER ada off"]);
    rig.store.set("app:4", "v").unwrap();
    assert!(!lines.any(|line| line.contains("app:4")));
}

#[test]
fn broadcasts_tell_of_its_own_keys() {
    let files = Files::new();
    let rig = rig(&files);
    let mut stream = connected(rig.resp());
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    stream.write_all(b"HELLO 3 AUTH ada pw\r\nCLIENT TRACKING ON BCAST\r\nECHO begun\r\n").unwrap();
    lines.find(|line| line == "begun").unwrap();
    rig.redis(&["SET bbb:2 v", "MSET app:3 v bbb:3 v", "SET app:end v"]);
    stream.write_all(b"QUIT\r\n").unwrap();
    let told: Vec<String> = lines.filter(|line| line.contains(':')).collect();
    assert_eq!(told, ["app:3", "app:end"]);
}
