//! No secret that was sent to the server can be read from it again.
//!
//! Secrets are driven through everything that takes one, and then looked for in everything that the server
//! says: its answers, its figures, its lists of commands and clients, its lines on standard error.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvserver::ServerOptions;

use crate::certificates::Files;
use crate::grpc::Client;
use crate::rig::{Program, Rig, basic, http_request, with_password};

/// What every secret of these tests has in it.
const MARK: &str = "s3cr3t";

/// The password of the user `default`.
const PASSWORD: &str = "default-s3cr3t";

/// A client that answers everything which came until it is told that this is all.
struct Redis {
    stream: TcpStream,
    asked: usize,
}

impl Redis {
    fn new(rig: &Rig) -> Redis {
        let mut client = Redis { stream: crate::rig::connected(rig.resp()), asked: 0 };
        client.ask(&[&["AUTH", PASSWORD]]);
        client
    }

    fn ask(&mut self, requests: &[&[&str]]) -> String {
        for words in requests {
            self.stream.write_all(format!("*{}\r\n", words.len()).as_bytes()).unwrap();
            for word in *words {
                let word = format!("${}\r\n{word}\r\n", word.len());
                self.stream.write_all(word.as_bytes()).unwrap();
            }
        }
        // A word that was in no answer before, since answers repeat what was asked.
        self.asked += 1;
        let over = format!("over-{:06}\r\n", self.asked);
        self.stream.write_all(format!("ECHO {over}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(over.as_bytes()) {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Refuses a text with a secret in it, plain or as a header has it.
#[track_caller]
fn has_none(text: &str, place: &str) {
    let encoded = STANDARD.encode(format!("default:{PASSWORD}"));
    assert!(!text.contains(MARK) && !text.contains(&encoded), "{place}: {text}");
}

/// Everything that takes a secret.
const TAKES: &[&[&str]] = &[
    &["AUTH", "wrong-s3cr3t"],
    &["AUTH", "nobody", "wrong-s3cr3t"],
    &["AUTH", "default", "too", "many-s3cr3t"],
    &["HELLO", "3", "AUTH", "default", "hello-s3cr3t", "SETNAME", "me"],
    &["HELLO", "2", "AUTH", "default", PASSWORD],
    &["ACL", "SETUSER", "ada", "on", ">plain-s3cr3t", "~a:*", "+get"],
    &["ACL", "SETUSER", "ada", "<other-s3cr3t"],
    &["ACL", "SETUSER", "ada", "+nonsense", ">later-s3cr3t"],
    &["ACL", "SETUSER", "ada", "(+get", ">within-s3cr3t"],
    &["CONFIG", "SET", "requirepass", "new-s3cr3t"],
    &["CONFIG", "SET", "requirepass", "new-s3cr3t", "maxclients", "none"],
    &["CONFIG", "SET", "masterauth", "master-s3cr3t"],
    &["CONFIG", "SET", "requirepass", PASSWORD],
    &["MIGRATE", "host", "6379", "k", "0", "10", "AUTH", "migrate-s3cr3t"],
    &["MIGRATE", "host", "6379", "k", "0", "10", "AUTH2", "me", "migrate-s3cr3t"],
];

/// The same in a transaction.
const QUEUED: &[&[&str]] = &[
    &["MULTI"],
    &["AUTH", "queued-s3cr3t"],
    &["CONFIG", "SET", "requirepass", PASSWORD],
    &["EXEC"],
];

/// Everything that shows something.
const SHOWS: &[&[&str]] = &[
    &["INFO", "everything"],
    &["SLOWLOG", "GET", "-1"],
    &["CLIENT", "LIST"],
    &["CLIENT", "INFO"],
    &["ACL", "LIST"],
    &["ACL", "GETUSER", "ada"],
    &["ACL", "GETUSER", "default"],
    &["ACL", "LOG", "128"],
    &["ACL", "USERS"],
    &["CONFIG", "GET", "*"],
    &["COMMAND", "DOCS"],
    &["LATENCY", "LATEST"],
    &["MEMORY", "STATS"],
];

#[test]
fn no_answer_repeats_a_secret() {
    let options = ServerOptions { auth_backoff_max_ms: 0, ..with_password(PASSWORD) };
    let rig = Rig::new(options);
    let mut watching = Redis::new(&rig);
    watching.ask(&[&["MONITOR"]]);
    let mut client = Redis::new(&rig);
    // Everything counts as slow.
    client.ask(&[&["CONFIG", "SET", "slowlog-log-slower-than", "0"]]);
    client.ask(&[&["CONFIG", "SET", "latency-monitor-threshold", "1"]]);
    for request in TAKES {
        has_none(&client.ask(&[request]), &request.join(" "));
    }
    has_none(&client.ask(QUEUED), "EXEC");
    for authorization in ["Bearer wrong-s3cr3t".to_owned(), basic("ada", "wrong-s3cr3t")] {
        has_none(&rig.ask("GET", "/v1/keys/k", &authorization), "HTTP");
        has_none(&rig.ask("GET", "/v1/keys/k?ttl=5", &authorization), "HTTP");
        let refused = Client::new(rig.grpc(), &authorization).get("k").unwrap_err();
        has_none(&format!("{refused:?}"), "gRPC");
    }
    let bearer = format!("Bearer {PASSWORD}");
    Client::new(rig.grpc(), &bearer).get("k").unwrap();
    for path in ["/metrics", "/v1/stats", "/v1/deadlines", "/v1/keys", "/", "/openapi.json", "/no"]
    {
        has_none(&rig.ask("GET", path, &bearer), path);
    }
    for request in SHOWS {
        has_none(&client.ask(&[request]), &request.join(" "));
    }
    // Something was kept, and shown: the look was no look at nothing.
    let slow = client.ask(&[&["SLOWLOG", "GET", "-1"]]);
    assert!(slow.contains("(redacted)"), "{slow}");
    let monitored = watching.ask(&[&["PING"]]);
    assert!(monitored.contains("\"ECHO\" \"over-"), "{monitored}");
    has_none(&monitored, "MONITOR");
    has_none(&format!("{:?}", rig.shared), "Debug");
    // A request that is no HTTP is refused without its text.
    let request = http_request("GET", "/", "Bearer s3cr3t", "").replace(' ', "  ");
    let refused = crate::rig::talk(crate::rig::connected(rig.http()), request.as_bytes());
    has_none(&refused.unwrap_or_default(), "broken HTTP");
}

#[test]
fn no_line_of_the_process_shows_a_secret() {
    let files = Files::new();
    let program = env!("CARGO_BIN_EXE_kv-server");
    let password = files.write("password", PASSWORD);
    let config = files.write("kv-server.toml", "password = \"inline-s3cr3t\"\n");
    let printed = |args: &[&str], variable: &str| {
        let mut command = Command::new(program);
        command.args(args);
        if !variable.is_empty() {
            command.env("KV_PASSWORD", variable);
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let config = format!("--config={}", config.display());
    let password = format!("--password-file={}", password.display());
    has_none(&printed(&["--print-config"], "variable-s3cr3t"), "--print-config");
    has_none(&printed(&[&config, "--print-config"], ""), "--print-config");
    has_none(&printed(&[&password, "--print-config"], "variable-s3cr3t"), "two passwords");
    let users = files.write("users", "user ada on >file-s3cr3t <gone-s3cr3t\n");
    let users = format!("--users-file={}", users.display());
    let fronts = ["--resp=127.0.0.1:0", "--http=off", "--grpc=off"];
    has_none(&printed(&[&fronts[..], &[&users]].concat(), ""), "--users-file");

    // A server that lives: what it says from its first to its last line.
    let mut program = Program::start(Command::new(program).args(fronts).arg(&password));
    let child = &mut program.0;
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    lines.read_line(&mut said).unwrap();
    let address = said.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let mut stream = crate::rig::connected(address);
    let requests = "AUTH wrong-s3cr3t\r\nAUTH default-s3cr3t\r\nACL SETUSER ada >x-s3cr3t\r\nACL SAVE\r\n\
                    CONFIG SET requirepass next-s3cr3t\r\nSHUTDOWN\r\n";
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    lines.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    has_none(&answer, "answers");
    has_none(&said, "standard error");
}
