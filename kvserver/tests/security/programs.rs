//! The two programs with TLS: `kv` on a server that speaks it, and `kv-server` whose certificates are renewed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output};

use kvserver::ServerOptions;

use crate::certificates::{Authority, Files, Pair};
use crate::rig::{Program, Rig, options, redis_lines, secured, talk, tls};

/// A server that asks for certificates, and the arguments by which `kv` reaches it.
fn rig(files: &Files) -> (Rig, Vec<String>) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let tls = tls(files, &servers.server(), Some(&clients));
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..options() });
    let ada = clients.client("ada", 2100);
    let ca_file = files.write("ca.pem", &servers.pem());
    let (cert_file, key_file) =
        (files.write("ada.pem", &ada.cert), files.write("ada.key", &ada.key));
    let args = [
        format!("--server=localhost:{}", rig.resp().port()),
        format!("--ca-file={}", ca_file.display()),
        format!("--cert-file={}", cert_file.display()),
        format!("--key-file={}", key_file.display()),
    ];
    (rig, args.into())
}

fn kv(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kv")).args(args).output().unwrap()
}

/// The exit code, and what was said of a failure.
fn failed(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_command_line_speaks_tls() {
    let files = Files::new();
    let (rig, args) = rig(&files);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [server, ca_file, ..] = args[..] else { panic!("{args:?}") };
    let ok = |more: &[&str]| {
        let output = kv(&[&args[..], more].concat());
        assert_eq!(failed(&output), (Some(0), String::new()));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ok(&["set", "k", "v"]), "OK\n");
    assert_eq!(ok(&["get", "k"]), "v\n");
    assert_eq!(rig.store.len(), Ok(1));
    let (code, said) = failed(&kv(&[server, ca_file, "get", "k"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("--cert-file"), "{said}");
    let other = files.write("other.pem", &Authority::new("others").pem());
    let other = format!("--ca-file={}", other.display());
    let (code, said) = failed(&kv(&[server, &other, "get", "k"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("--ca-file"), "{said}");
    let (code, said) = failed(&kv(&[server, "--ca-file=/no/such/file", "get", "k"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("/no/such/file"), "{said}");
    for target in ["unix:///nowhere.sock", ":memory:"] {
        let (code, said) = failed(&kv(&["--tls", "get", target, "k"]));
        assert_eq!(code, Some(2), "{said}");
    }
}

#[test]
fn sighup_reads_the_certificates_again_and_says_what_came_of_it() {
    let (files, old, new) = (Files::new(), Authority::new("old"), Authority::new("new"));
    let write = |pair: &Pair| {
        let cert = files.write("server.pem", &pair.cert);
        (cert, files.write("server.key", &pair.key))
    };
    let (cert, key) = write(&old.server_until(2001));
    let mut program = Program::start(
        Command::new(env!("CARGO_BIN_EXE_kv-server"))
            .args(["--resp=127.0.0.1:0", "--http=off", "--grpc=off"])
            .args([format!("--tls-cert-file={}", cert.display())])
            .args([format!("--tls-key-file={}", key.display())]),
    );
    let child = &mut program.0;
    let id = child.id();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let expired = lines.next().unwrap();
    assert!(expired.contains("expired"), "{expired}");
    let listening = lines.next().unwrap();
    let address = listening.strip_prefix("kv-server: listening on ").unwrap();
    let address = address.strip_suffix(" (TLS)").unwrap().parse().unwrap();
    let signal = |name: &str| {
        // The shell has a `kill` of its own, where no program of that name is installed.
        let kill = format!("kill -{name} {id}");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    };
    files.write("server.pem", "nothing");
    signal("HUP");
    let kept = lines.next().unwrap();
    assert!(kept.contains("stay as they were") && kept.contains("server.pem"), "{kept}");
    write(&new.server());
    signal("HUP");
    let read = lines.next().unwrap();
    assert!(read.contains("were read again"), "{read}");
    let config = new.trusted(None, &[]);
    assert_eq!(
        talk(secured(address, &config), &redis_lines(&["PING"])).unwrap(),
        "+PONG\r\n+OK\r\n"
    );
    signal("TERM");
    assert!(child.wait().unwrap().success());
}
