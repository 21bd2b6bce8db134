//! `kv-server` as a process: how it is configured, what it says, and how it ends.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server of this test's own, with a directory that goes with the test.
struct Running {
    child: Child,
    address: String,
}

fn directory(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("kv-process-{name}-{}", std::process::id()))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kv-server"));
    command.args(arguments).args(["--resp=127.0.0.1:0", "--http=off", "--grpc=off"]);
    command
}

impl Running {
    fn start(arguments: &[&str]) -> Running {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("kv-server: listening on ").unwrap().to_owned();
        Running { child, address }
    }

    fn ask(&self, requests: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(requests.as_bytes()).unwrap();
        let mut replies = String::new();
        stream.read_to_string(&mut replies).unwrap();
        replies
    }

    /// Asks it to end as a service manager does, and says how it exited.
    fn terminate(mut self) -> Option<i32> {
        // The shell has a `kill` of its own, where no program of that name is installed.
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn what_was_set_is_there_after_sigterm() {
    let path = directory("sigterm");
    let dir = path.display().to_string();
    let server = Running::start(&["--dir", &dir, "--sync=never"]);
    assert_eq!(server.ask("set a 1\r\nset b 2 px 100000\r\nquit\r\n"), "+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(server.terminate(), Some(0));
    let server = Running::start(&["--dir", &dir]);
    assert_eq!(server.ask("mget a b\r\nquit\r\n"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n+OK\r\n");
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn flags_reach_the_store_and_the_server() {
    let server = Running::start(&[
        "--default-ttl=6h",
        "--resp-del-returns-value",
        "--notify-keyspace-events=KA",
        "--clients-max=7",
    ]);
    let replies = server.ask(
        "set a 1\r\nexpire b 1\r\nttl a\r\ndel a\r\nconfig get notify-keyspace-events\r\n\
         config get maxclients\r\nquit\r\n",
    );
    let (before, after) = replies.split_once("$1\r\n1\r\n").unwrap();
    let left: u64 = before.rsplit(':').next().unwrap().trim().parse().unwrap();
    assert!(before.starts_with("+OK\r\n:0\r\n:") && (21_000..=21_600).contains(&left), "{before}");
    assert!(after.contains("$2\r\nAK\r\n") && after.contains("$1\r\n7\r\n"), "{after}");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_wrong_configuration_is_refused_with_the_remedy() {
    for (argument, said) in [
        ("--config=/no/such/file", "/no/such/file"),
        ("--max-memory=lots", "max_memory"),
        ("--http=0.0.0.0:0", "password_file"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kv-server"));
        let output = command.args([argument, "--resp=off", "--grpc=off"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(said), "{argument}: {text}");
    }
}

/// Writers that set keys of their own one after the other, as long as the server answers. Gives how many each was
/// told of; `all` counts them together.
fn write_until_the_end(address: &str, all: &AtomicUsize) -> Vec<usize> {
    let write = |writer: usize| {
        let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
        let mut told = 0;
        loop {
            let request = format!("set {writer}:{told} {told}\r\n");
            let mut line = String::new();
            let sent = stream.get_mut().write_all(request.as_bytes());
            // The end may cut an answer short, which then says nothing.
            match sent.and_then(|()| stream.read_line(&mut line)) {
                Ok(_) if line == "+OK\r\n" => told += 1,
                _ => return told,
            }
            all.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

/// Lets writers write to a server on disk, ends it in the middle of that, and looks for what they were told of.
fn nothing_told_is_lost(name: &str, end: impl FnOnce(Running)) {
    let path = directory(name);
    let dir = path.display().to_string();
    let server = Running::start(&["--dir", &dir, "--sync=always"]);
    let (address, all) = (server.address.clone(), AtomicUsize::new(0));
    let told = std::thread::scope(|scope| {
        let writers = scope.spawn(|| write_until_the_end(&address, &all));
        while all.load(Ordering::Relaxed) < 400 {
            std::thread::yield_now();
        }
        end(server);
        writers.join().unwrap()
    });
    let server = Running::start(&["--dir", &dir]);
    let replies = server.ask("keys *\r\nquit\r\n");
    let keys: BTreeSet<&str> = replies.lines().collect();
    for (writer, told) in told.into_iter().enumerate() {
        let missing = (0..told).find(|number| !keys.contains(&*format!("{writer}:{number}")));
        assert_eq!(missing, None, "of {told} that writer {writer} was told of");
    }
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    nothing_told_is_lost("kill", |mut server| {
        server.child.kill().unwrap();
        server.child.wait().unwrap();
    });
}

#[test]
fn sigterm_under_load_loses_nothing_and_is_no_failure() {
    nothing_told_is_lost("load", |server| assert_eq!(server.terminate(), Some(0)));
}
