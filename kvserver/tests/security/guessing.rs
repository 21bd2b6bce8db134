//! Wrong passwords: whoever sends many of them waits longer and longer, and nobody else does. How long, and for
//! how long that is remembered, `shared/attempts.rs` tests with a clock of its own.

use std::io::{Read, Write};
use std::net::SocketAddr;

use kvcore::{Clock, ManualClock, Options, Store};
use kvserver::ServerOptions;
use tokio::net::TcpSocket;
use tonic::Code;

use crate::grpc::Client;
use crate::rig::{Rig, connected, http_request, redis_lines, talk, with_password};

/// A server whose clock stands still, with pauses of at most this many milliseconds.
fn rig(auth_backoff_max_ms: u64) -> (Rig, ManualClock) {
    let (clock, hand) = Clock::manual(1_000_000);
    let store = Store::with_clock(Options::new(), clock).unwrap();
    let options = ServerOptions { auth_backoff_max_ms, ..with_password("secret") };
    (Rig::on(store, options), hand)
}

/// What is answered to these lines from another address of this machine.
fn from_elsewhere(to: SocketAddr, lines: &[&str]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    talk(stream, &redis_lines(lines)).unwrap()
}

#[test]
fn many_guesses_are_refused_on_every_front_end_and_others_are_not() {
    let (rig, hand) = rig(1);
    // A client that was let in before goes on all the while.
    let request = http_request("GET", "/healthz", "", "");
    let keep_alive =
        http_request("GET", "/v1/keys/k", "Bearer secret", "").replace("close", "keep-alive");
    let mut early = connected(rig.http());
    let ask = |early: &mut std::net::TcpStream| {
        early.write_all(keep_alive.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut byte = [0];
            early.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap()
    };
    assert!(ask(&mut early).starts_with("HTTP/1.1 404 "));
    // The clock stands still, so turns are a pause apart, and soon further away than anybody waits.
    let guesses = vec!["AUTH guess"; 12];
    let answer = rig.redis(&guesses);
    assert_eq!(answer.matches("-WRONGPASS").count() + answer.matches("-ERR too many").count(), 12);
    let refused = "-ERR too many wrong passwords came from your address, retry in 1 seconds\r\n";
    assert_eq!(rig.redis(&["AUTH secret"]), format!("{refused}+OK\r\n"));
    let answer = rig.ask("GET", "/v1/keys/k", "Bearer secret");
    assert!(
        answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: 1\r\n"),
        "{answer}"
    );
    let status = Client::new(rig.grpc(), "Bearer secret").get("k").unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(from_elsewhere(rig.resp(), &["AUTH secret"]), "+OK\r\n+OK\r\n");
    assert!(ask(&mut early).starts_with("HTTP/1.1 404 "));
    assert!(talk(connected(rig.http()), request.as_bytes()).unwrap().starts_with("HTTP/1.1 200 "));
    // It is forgotten in time.
    hand.advance_ms(600_000);
    assert_eq!(rig.redis(&["AUTH secret"]), "+OK\r\n+OK\r\n");
}

#[test]
fn who_knows_the_password_waits_and_is_let_in() {
    let (rig, _) = rig(50);
    let guesses = ["AUTH guess"; 4];
    assert_eq!(rig.redis(&guesses).matches("-WRONGPASS").count(), 4);
    // One pause later, and before all that was sent behind it.
    let lines = ["GET k", "AUTH secret", "SET k v", "GET k"];
    let noauth = "-NOAUTH Authentication required.\r\n";
    assert_eq!(rig.redis(&lines), format!("{noauth}+OK\r\n+OK\r\n$1\r\nv\r\n+OK\r\n"));
}

#[test]
fn a_transaction_does_not_wait() {
    let (rig, _) = rig(50);
    rig.redis(&["AUTH guess"; 4]);
    let lines = ["HELLO 2 AUTH default secret", "MULTI", "AUTH secret", "EXEC"];
    let answer = rig.redis(&lines);
    let refused =
        "*1\r\n-ERR too many wrong passwords came from your address, retry in 1 seconds\r\n";
    assert!(answer.contains(refused), "{answer}");
}
