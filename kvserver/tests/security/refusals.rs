//! What is answered to whom on each front end, with the error that the documents name.

use std::io::Read;

use kvserver::ServerOptions;
use tonic::Code;

use crate::certificates::{Authority, Files};
use crate::grpc::Client;
use crate::rig::{Rig, basic, connected, options, tls, with_password};

/// The status and the detail of an answer of HTTP.
fn problem(answer: &str) -> (&str, &str) {
    let status = &answer["HTTP/1.1 ".len()..][..3];
    let detail = answer.split("\"detail\":\"").nth(1).unwrap_or_default();
    (status, detail.split("\",\"").next().unwrap_or_default())
}

#[test]
fn who_says_nothing_is_asked() {
    let rig = Rig::new(with_password("secret"));
    let noauth = "-NOAUTH Authentication required.\r\n";
    let answer = rig.redis(&["GET k", "SET k v", "INFO", "KEYS *"]);
    assert_eq!(answer, format!("{}+OK\r\n", noauth.repeat(4)));
    for (method, path) in [
        ("GET", "/v1/keys/k"),
        ("PUT", "/v1/keys/k"),
        ("GET", "/v1/keys"),
        ("GET", "/v1/watch"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("POST", "/v1/batch"),
        ("GET", "/nothing"),
    ] {
        let answer = rig.ask(method, path, "");
        assert_eq!(problem(&answer).0, "401", "{path}");
        assert!(answer.contains("www-authenticate: Basic"), "{answer}");
    }
    let refused = Client::new(rig.grpc(), "").get("k").unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("Authorization"), "{refused}");
}

#[test]
fn who_sends_nothing_is_not_waited_for() {
    let rig = Rig::new(ServerOptions { handshake_timeout_s: 1, ..with_password("secret") });
    let mut silent: Vec<_> = rig.fronts().iter().map(|(address, _)| connected(*address)).collect();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    let rig = Rig::new(with_password("secret"));
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    let answer = rig.redis(&["AUTH guess", "HELLO 3 AUTH default guess", "AUTH nobody secret"]);
    assert_eq!(answer, format!("{}+OK\r\n", wrong.repeat(3)));
    // The next ones would have to wait.
    for scheme in ["Bearer guess".to_owned(), basic("default", "guess")] {
        let rig = Rig::new(with_password("secret"));
        let (status, detail) = (rig.ask("GET", "/v1/keys/k", &scheme), "is wrong");
        assert_eq!(problem(&status).0, "401");
        assert!(problem(&status).1.contains(detail), "{status}");
        let refused = Client::new(rig.grpc(), &scheme).get("k").unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(refused.message().contains(detail), "{refused}");
    }
    // The right one does.
    let rig = Rig::new(with_password("secret"));
    assert_eq!(rig.redis(&["AUTH secret", "GET k"]), "+OK\r\n$-1\r\n+OK\r\n");
    assert_eq!(problem(&rig.ask("GET", "/v1/keys/k", "Bearer secret")).0, "404");
    assert_eq!(Client::new(rig.grpc(), "Bearer secret").get("k").unwrap(), None);
}

#[test]
fn a_wrong_prefix_is_refused_by_name() {
    let files = Files::new();
    let (rig, _) = Rig::with_users(&files, "user default off\nuser ada on >pw ~app:* +@all\n");
    rig.store.set("other:1", "x").unwrap();
    let ada = basic("ada", "pw");
    let answer = rig.redis(&["AUTH ada pw", "GET other:1", "MGET app:1 other:1"]);
    let refused = "-NOPERM No permissions to access a key\r\n";
    assert_eq!(answer, format!("+OK\r\n{}+OK\r\n", refused.repeat(2)));
    for method in ["GET", "PUT", "DELETE"] {
        let answer = rig.ask(method, "/v1/keys/other:1", &ada);
        assert_eq!(problem(&answer).0, "403");
        assert!(problem(&answer).1.contains("use the key 'other:1'"), "{answer}");
    }
    let mut client = Client::new(rig.grpc(), &ada);
    for refused in
        [client.get("other:1").unwrap_err(), client.batch("app:1", "other:1").unwrap_err()]
    {
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("use the key 'other:1'"), "{refused}");
    }
    // Nothing of the batch was done.
    assert_eq!((rig.store.exists("app:1"), rig.store.exists("other:1")), (Ok(false), Ok(true)));
}

#[test]
fn grpc_is_spoken_in_tls() {
    let (files, servers) = (Files::new(), Authority::new("servers"));
    let clients = Authority::new("clients");
    let tls = tls(&files, &servers.server(), Some(&clients));
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..options() });
    rig.store.set("k", "v").unwrap();
    let config = servers.trusted(Some(&clients.client("ada", 2100)), &["h2"]);
    let value = Client::with_tls(rig.grpc(), config, "").get("k").unwrap();
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_browser_cannot_send_commands() {
    let rig = Rig::new(options());
    // A form of another site, whose body is commands.
    let answer = rig.redis(&["POST / HTTP/1.1", "Host: localhost:6379", "", "SET k v"]);
    assert!(answer.starts_with("-ERR unknown command 'POST'"), "{answer}");
    let answer = rig.redis(&["GET / HTTP/1.1", "Host: localhost:6379", "", "SET k v"]);
    assert!(!answer.contains("+OK"), "{answer}");
    assert_eq!(rig.store.exists("k"), Ok(false));
}
