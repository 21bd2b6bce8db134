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
        let mut command = command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
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

impl Drop for Running {
    fn drop(&mut self) {
        // It is there still only if the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        while all.load(Ordering::Relaxed) < 400 && !writers.is_finished() {
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

/// A file of `deploy/`.
fn deployed(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The options of the server that a file sets: `KV_NAME: value` in one of compose, `KV_NAME=value` in a Dockerfile.
fn variables(text: &str) -> Vec<(String, String)> {
    let settings = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let pairs = settings.filter_map(|line| {
        let line = &line[line.find("KV_")?..];
        let (name, value) = line.split_once(": ").or_else(|| line.split_once('='))?;
        Some((name.to_owned(), value.trim_end_matches(['\\', ' ']).trim_matches('"').to_owned()))
    });
    pairs.collect()
}

#[test]
fn what_the_images_set_is_what_the_server_knows() {
    let secret = directory("image-secret");
    std::fs::write(&secret, "secret\n").unwrap();
    let image = deployed("Dockerfile");
    for (composed, shown) in [
        ("docker-compose.yml", "default_ttl = \"6h\""),
        ("docker-compose.tls.yml", "tls_client_ca_file = \"/tls/ca.pem\""),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kv-server"));
        command.arg("--print-config").env_clear();
        for (name, value) in variables(&image).into_iter().chain(variables(&deployed(composed))) {
            let is_secret = value.starts_with("/run/secrets/");
            command.env(name, if is_secret { secret.display().to_string() } else { value });
        }
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let fault = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{composed}: {fault}");
        assert!(told.contains(shown) && told.contains("resp = \"0.0.0.0:6379\""), "{told}");
    }
    std::fs::remove_file(secret).unwrap();
}

#[test]
fn the_image_builds_and_starts_what_is_there() {
    let image = deployed("Dockerfile");
    let of = |word: &str| -> Vec<&str> {
        image.lines().filter_map(|line| line.trim().strip_prefix(word)).collect()
    };
    // The compiler is the one that the workspace asks for.
    let wanted = concat!("rust:", env!("CARGO_PKG_RUST_VERSION"), "-");
    assert!(of("FROM ")[0].starts_with(wanted), "{:?}", of("FROM "));
    assert!(image.contains("cargo build --release --locked -p kvserver"));
    assert!(image.contains("target/release/kv-server target/release/kv\n"));
    assert_eq!(of("ENTRYPOINT "), [r#"["kv-server"]"#]);
    // What it listens on is what it offers, and what the balancer offers is what nginx listens on.
    let ports: BTreeSet<String> = variables(&image)
        .into_iter()
        .filter_map(|(_, value)| Some(value.split_once("0.0.0.0:")?.1.to_owned()))
        .collect();
    assert_eq!(of("EXPOSE ")[0].split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), ports);
    let (composed, nginx) = (deployed("docker-compose.yml"), deployed("nginx.conf"));
    let listens: BTreeSet<&str> = nginx
        .lines()
        .filter_map(|line| line.trim().strip_prefix("listen "))
        .map(|rest| rest.trim_end_matches(';').split(' ').next().unwrap())
        .collect();
    let offered: BTreeSet<&str> = composed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- \"127.0.0.1:"))
        .map(|rest| rest.trim_end_matches('"').split(':').next_back().unwrap())
        .collect();
    assert_eq!(listens, offered);
    // What says that it is well needs no password.
    let health = of("CMD ").concat();
    assert_eq!(health, r#"["kv", "ping", "redis://127.0.0.1:6379"]"#);
    let secret = directory("health-secret");
    std::fs::write(&secret, "secret\n").unwrap();
    let server = Running::start(&["--password-file", secret.to_str().unwrap()]);
    let mut ping = Command::new(env!("CARGO_BIN_EXE_kv"));
    let ping = ping.args(["ping", &format!("redis://{}", server.address)]).output().unwrap();
    assert!(ping.status.success(), "{ping:?}");
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_file(secret).unwrap();
}
