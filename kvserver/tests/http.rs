//! The HTTP front end, asked over a socket by a client that is not ours.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kvcore::{Clock, Options, Store};
use kvserver::{Server, ServerOptions, Shared};
use serde_json::{Value, json};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

/// A server on free ports, and a client for it.
struct Rig {
    server: Option<Server>,
    store: Store,
    shared: Arc<Shared>,
    agent: Agent,
    base: String,
}

impl Rig {
    fn with(password: Option<&str>, options: Options) -> Rig {
        let store = Store::memory(options).unwrap();
        Rig::of(store, password)
    }

    fn of(store: Store, password: Option<&str>) -> Rig {
        let any: Option<SocketAddr> = Some("127.0.0.1:0".parse().unwrap());
        let options = ServerOptions {
            resp: any,
            http: any,
            threads: 1,
            password: password.map(str::to_owned),
            ..ServerOptions::default()
        };
        let shared = Shared::new(store.clone(), options).unwrap();
        let server = Server::open(Arc::clone(&shared)).unwrap();
        let base = format!("http://{}", server.http_address().unwrap());
        let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
        Rig { server: Some(server), store, shared, agent, base }
    }

    fn new() -> Rig {
        Rig::with(None, Options::new())
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.agent.run(request.body(body.to_vec()).unwrap()).unwrap()
    }

    fn get(&self, path: &str) -> Response<Body> {
        let request = Request::get(format!("{}{path}", self.base));
        self.agent.run(request.body(()).unwrap()).unwrap()
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.agent.run(request.body(()).unwrap()).unwrap()
    }

    fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<Body> {
        self.ask(Method::PUT, path, headers, body)
    }

    fn delete(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::delete(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.agent.run(request.body(()).unwrap()).unwrap()
    }

    fn batch(&self, body: &Value) -> Response<Body> {
        let json = [("content-type", "application/json")];
        self.ask(Method::POST, "/v1/batch", &json, body.to_string().as_bytes())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(server) = self.server.take() {
            server.join();
        }
    }
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn bytes(mut response: Response<Body>) -> Vec<u8> {
    response.body_mut().read_to_vec().unwrap()
}

fn json_of(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response)).unwrap()
}

/// Expects a problem with this status whose detail says this.
#[track_caller]
fn expect_problem(response: Response<Body>, status: u16, says: &str) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let problem = json_of(response);
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    problem
}

#[test]
fn requests_are_shown_counted_and_kept_as_the_commands_that_do_the_same() {
    let rig = Rig::new();
    let mut redis = TcpStream::connect(rig.server.as_ref().unwrap().address()).unwrap();
    redis.write_all(b"MONITOR\r\n").unwrap();
    let mut shown = BufReader::new(redis).lines();
    assert_eq!(shown.next().unwrap().unwrap(), "+OK");
    rig.shared.settings.slow_us.store(0, Ordering::Relaxed);
    rig.put("/v1/keys/k", &[], b"secret");
    rig.get("/v1/keys/k");
    rig.batch(&json!({ "ops": [{"op": "delete", "key": "k"}, {"op": "delete", "key": "l"}] }));
    for words in [r#""set" "k""#, r#""get" "k""#, r#""del" "k""#, r#""del" "l""#] {
        let line = shown.next().unwrap().unwrap();
        assert!(line.contains("[0 127.0.0.1:") && line.ends_with(words), "{line}");
    }
    // MONITOR is one of them.
    assert_eq!(rig.shared.counters.calls(), 5);
    let slow = rig.shared.slowlog.newest(10);
    let words: Vec<String> =
        slow.iter().map(|slow| slow.args.join(&b' ').escape_ascii().to_string()).collect();
    assert_eq!(words, ["del k", "get k", "set k"]);
    assert!(slow.iter().all(|slow| slow.name == "http"));
}

#[test]
fn a_value_comes_back_byte_for_byte() {
    let rig = Rig::new();
    let value: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (path, key) in [
        ("/v1/keys/a", &b"a"[..]),
        ("/v1/keys/a%2Fb", b"a/b"),
        ("/v1/keys/a/c", b"a/c"),
        ("/v1/keys/%FF%00+%20", b"\xff\0+ "),
        ("/v1/keys/", b""),
    ] {
        let set = rig.put(path, &[], &value);
        assert_eq!(set.status(), 204, "{path}");
        let stored = rig.store.get(key).unwrap().unwrap();
        assert_eq!(*stored, value[..]);
        let got = rig.get(path);
        assert_eq!(got.status(), 200);
        assert_eq!(header(&got, "content-type"), "application/octet-stream");
        assert_eq!(header(&got, "etag"), format!("\"{}\"", stored.version()));
        assert_eq!(header(&got, "etag"), header(&set, "etag"));
        assert_eq!(header(&got, "kv-ttl-ms"), "");
        assert_eq!(bytes(got), value);
        assert_eq!(rig.delete(path, &[]).status(), 204);
        expect_problem(rig.get(path), 404, "absent");
        expect_problem(rig.delete(path, &[]), 404, "absent");
    }
}

#[test]
fn deadlines_are_those_of_the_store() {
    let (clock, hand) = Clock::manual(1_000_000);
    let options = Options::new().with("default_ttl", "6h").unwrap();
    let rig = Rig::of(Store::with_clock(options, clock).unwrap(), None);
    for (ttl, left) in
        [("?ttl=1500ms", "1500"), ("?ttl=2h", "7200000"), ("", "21600000"), ("?ttl=none", "")]
    {
        assert_eq!(rig.put(&format!("/v1/keys/a{ttl}"), &[], b"1").status(), 204);
        assert_eq!(header(&rig.get("/v1/keys/a"), "kv-ttl-ms"), left, "{ttl}");
    }
    rig.put("/v1/keys/a?ttl=10s", &[], b"1");
    hand.advance_ms(4000);
    rig.put("/v1/keys/a?ttl=keep", &[], b"2");
    assert_eq!(header(&rig.get("/v1/keys/a"), "kv-ttl-ms"), "6000");
    hand.advance_ms(5999);
    assert_eq!(rig.get("/v1/keys/a").status(), 200);
    hand.advance_ms(1);
    assert_eq!(rig.get("/v1/keys/a").status(), 404);
    expect_problem(rig.put("/v1/keys/a?ttl=5", &[], b"1"), 400, "no duration");
    expect_problem(rig.put("/v1/keys/a?tll=5s", &[], b"1"), 400, "'tll' is not known");
    assert!(!rig.store.exists("a").unwrap());
}

#[test]
fn conditions_are_those_of_http() {
    let rig = Rig::new();
    let absent = [("if-none-match", "*")];
    let first = rig.put("/v1/keys/a", &absent, b"1");
    let first = header(&first, "etag").to_owned();
    expect_problem(rig.put("/v1/keys/a", &absent, b"2"), 412, "there already");
    let second = rig.put("/v1/keys/a", &[("if-match", &first)], b"2");
    assert_eq!(second.status(), 204);
    let second = header(&second, "etag").to_owned();
    assert_ne!(first, second);
    expect_problem(rig.put("/v1/keys/a", &[("if-match", &first)], b"3"), 412, "another version");
    expect_problem(rig.put("/v1/keys/a", &[("if-match", "\"x\"")], b"3"), 412, "another version");
    expect_problem(rig.put("/v1/keys/b", &[("if-match", "*")], b"3"), 412, "absent");
    expect_problem(
        rig.put("/v1/keys/a", &[("if-match", "\"1\", \"2\"")], b"3"),
        400,
        "one entity tag",
    );
    assert_eq!(rig.get_with("/v1/keys/a", &[("if-none-match", &second)]).status(), 304);
    assert_eq!(rig.get_with("/v1/keys/a", &[("if-none-match", &first)]).status(), 200);
    expect_problem(rig.delete("/v1/keys/a", &[("if-match", &first)]), 412, "another version");
    assert_eq!(rig.delete("/v1/keys/a", &[("if-match", &second)]).status(), 204);
    assert!(!rig.store.exists("a").unwrap());
}

#[test]
fn pages_have_every_key_once() {
    let rig = Rig::new();
    for n in 0..25 {
        rig.store.set(format!("p:{n:02}"), "").unwrap();
    }
    rig.store.set(b"p:\xff", "").unwrap();
    rig.store.set("q", "").unwrap();
    let (mut keys, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = json_of(rig.get(&format!("/v1/keys?prefix=p%3A&limit=10{cursor}")));
        let found = page["keys"].as_array().unwrap();
        assert!(found.len() <= 10);
        keys.extend(found.clone());
        pages += 1;
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((keys.len(), pages), (26, 3));
    assert_eq!(keys[7]["key"], "p:07");
    assert_eq!(keys[25]["key_base64"], "cDr/");
    assert_eq!(keys[25]["expire_at_ms"], Value::Null);
    expect_problem(rig.get("/v1/keys?limit=0"), 400, "from 1 to 10000");
    expect_problem(rig.get("/v1/keys?cursor=!"), 400, "no cursor");
}

#[test]
fn a_batch_is_all_or_nothing() {
    let rig = Rig::new();
    rig.store.set("old", "1").unwrap();
    let done = rig.batch(&json!({ "ops": [
        { "op": "set", "key": "a", "value": "1", "ttl": "30s" },
        { "op": "set", "key_base64": "/w==", "value_base64": "AAE=" },
        { "op": "delete", "key": "old" },
        { "op": "delete", "key": "never" },
        { "op": "expire", "key": "a", "ttl": "none" },
    ]}));
    assert_eq!(done.status(), 200);
    assert_eq!(json_of(done), json!({ "applied": 4, "missing": 1 }));
    assert_eq!(rig.store.get(b"\xff").unwrap().as_deref(), Some(&[0, 1][..]));
    let conflict = rig.batch(&json!({ "ops": [
        { "op": "set", "key": "b", "value": "1" },
        { "op": "set", "key": "a", "value": "2", "if_absent": true },
    ]}));
    assert_eq!(expect_problem(conflict, 409, "nothing was done")["index"], 1);
    assert!(!rig.store.exists("b").unwrap());
    let wrong =
        rig.batch(&json!({ "ops": [{ "op": "set", "key": "b", "value": "1", "tll": "5s" }] }));
    expect_problem(wrong, 400, "tll");
    let null =
        rig.batch(&json!({ "ops": [{ "op": "set", "key": "b", "value": "1", "ttl": null }] }));
    expect_problem(null, 400, "null");
    let wrong = rig
        .batch(&json!({ "ops": [{ "op": "delete", "key": "a" }, { "op": "expire", "key": "a" }] }));
    assert_eq!(expect_problem(wrong, 400, "needs a 'ttl'")["index"], 1);
    // What a form of a browser can send is not taken.
    let form =
        rig.ask(Method::POST, "/v1/batch", &[("content-type", "text/plain")], b"{\"ops\":[]}");
    expect_problem(form, 415, "application/json");
}

/// The next event of a stream: its lines up to the empty one.
fn event(stream: &mut impl BufRead) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream has ended after {lines:?}");
        match line.trim_end() {
            "" if lines.is_empty() => {}
            "" => return lines,
            text if text.starts_with(':') => {}
            text => lines.push(text.to_owned()),
        }
    }
}

#[test]
fn a_watch_tells_changes_and_goes_on_where_it_was() {
    let rig = Rig::new();
    let response = rig.get("/v1/watch?prefix=w:");
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let mut stream = BufReader::new(response.into_body().into_reader());
    rig.store.set("other", "0").unwrap();
    let first = rig.store.set("w:1", "one").unwrap();
    let second = rig.store.set("w:2", b"\xff").unwrap();
    rig.store.del("w:1").unwrap();
    let told = event(&mut stream);
    let data = format!(r#"{{"expire_at_ms":null,"key":"w:1","revision":{first},"value":"one"}}"#);
    assert_eq!(told, [format!("id: {first}"), "event: set".to_owned(), format!("data: {data}")]);
    assert!(event(&mut stream)[2].contains(r#""value_base64":"/w==""#));
    let third = event(&mut stream);
    assert_eq!(third[1], "event: deleted");
    drop(stream);
    let last = second.to_string();
    let again = rig.get_with("/v1/watch?prefix=w:", &[("last-event-id", &last)]);
    let mut stream = BufReader::new(again.into_body().into_reader());
    assert_eq!(event(&mut stream), third);
    expect_problem(rig.get("/v1/watch?kinds=sets"), 400, "no kind of change");
    expect_problem(rig.get("/v1/watch?key=a&prefix=b"), 400, "exclude each other");
}

#[test]
fn who_comes_too_late_is_told_so() {
    let rig = Rig::with(None, Options::new().with("watch_buffer", "64").unwrap());
    let mut live = BufReader::new(rig.get("/v1/watch").into_body().into_reader());
    rig.store.set("first", "").unwrap();
    event(&mut live);
    for n in 0..1000 {
        rig.store.set(format!("{n}"), "").unwrap();
    }
    let late = rig.get_with("/v1/watch", &[("last-event-id", "1")]);
    let told = event(&mut BufReader::new(late.into_body().into_reader()));
    assert_eq!(told[1], "event: lagged");
    let data: Value = serde_json::from_str(told[2].strip_prefix("data: ").unwrap()).unwrap();
    let next = data["revision"].as_u64().unwrap();
    assert_eq!(data["missed"].as_u64().unwrap(), next - 2);
    assert_eq!(told[0], format!("id: {}", next - 1));
}

const BASIC_DEFAULT: (&str, &str) = ("authorization", "Basic ZGVmYXVsdDpzZWNyZXQ=");

#[test]
fn nobody_comes_in_without_the_password() {
    let rig = Rig::with(Some("secret"), Options::new());
    rig.store.set("a", "1").unwrap();
    for path in ["/", "/v1/keys/a", "/v1/keys", "/v1/watch", "/metrics", "/v1/stats", "/nothing"] {
        let refused = rig.get(path);
        assert!(header(&refused, "www-authenticate").starts_with("Basic"), "{path}");
        expect_problem(refused, 401, "who you are");
    }
    assert_eq!(rig.put("/v1/keys/a", &[], b"2").status(), 401);
    let wrong = rig.get_with("/v1/keys/a", &[("authorization", "Bearer Secret")]);
    expect_problem(wrong, 401, "wrong");
    for right in [BASIC_DEFAULT, ("authorization", "Bearer secret")] {
        assert_eq!(bytes(rig.get_with("/v1/keys/a", &[right])), b"1");
    }
    let metrics = rig.get_with("/metrics", &[BASIC_DEFAULT]);
    let text = String::from_utf8(bytes(metrics)).unwrap();
    assert!(
        text.contains("kv_entries 1\n") && text.contains("kv_server_denied_total 1\n"),
        "{text}"
    );
    assert!(!text.contains("ecret"));
    // A probe has no password.
    assert_eq!(bytes(rig.get("/healthz")), b"ok\n");
    assert_eq!(bytes(rig.get("/readyz")), b"ready\n");
}

/// Says something to the server in the Redis protocol, and expects it to be fine.
fn command(rig: &Rig, line: &str) {
    let address = rig.server.as_ref().unwrap().address();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    assert_eq!(reply, "+OK\r\n");
}

#[test]
fn a_user_is_held_to_its_commands_and_keys() {
    let rig = Rig::new();
    command(&rig, "ACL SETUSER ada on >pw ~app:* +get +scan +set");
    let ada = ("authorization", "Basic YWRhOnB3");
    rig.store.set("app:1", "1").unwrap();
    rig.store.set("other", "1").unwrap();
    assert_eq!(bytes(rig.get_with("/v1/keys/app%3A1", &[ada])), b"1");
    expect_problem(rig.get_with("/v1/keys/other", &[ada]), 403, "may not use the key 'other'");
    expect_problem(rig.put("/v1/keys/other", &[ada], b"2"), 403, "may not use the key 'other'");
    expect_problem(rig.delete("/v1/keys/app:1", &[ada]), 403, "command 'del'");
    expect_problem(rig.get_with("/metrics", &[ada]), 403, "command 'info'");
    let page = json_of(rig.get_with("/v1/keys", &[ada]));
    assert_eq!(page["keys"].as_array().unwrap().len(), 1);
    let mut watch = BufReader::new(rig.get_with("/v1/watch", &[ada]).into_body().into_reader());
    rig.store.set("other", "2").unwrap();
    rig.store.set("app:2", "2").unwrap();
    assert!(event(&mut watch)[2].contains("app:2"));
    let set_and_steal = json!({ "ops": [
        { "op": "set", "key": "app:3", "value": "" }, { "op": "set", "key": "other", "value": "" }] });
    let headers = [ada, ("content-type", "application/json")];
    let refused =
        rig.ask(Method::POST, "/v1/batch", &headers, set_and_steal.to_string().as_bytes());
    expect_problem(refused, 403, "other");
    assert!(!rig.store.exists("app:3").unwrap());
}

#[test]
fn clients_of_the_other_protocol_learn_of_changes() {
    let rig = Rig::new();
    command(&rig, "CONFIG SET notify-keyspace-events KEA");
    let address = rig.server.as_ref().unwrap().address();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"SUBSCRIBE __keyspace@0__:a\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == ":1"));
    rig.put("/v1/keys/a", &[], b"1");
    assert!(lines.any(|line| line == "set"));
    rig.delete("/v1/keys/a", &[]);
    assert!(lines.any(|line| line == "del"));
}

#[test]
fn with_sync_always_an_answer_means_that_it_is_on_the_disk() {
    let directory = std::env::temp_dir().join(format!("kv-http-{}", std::process::id()));
    let options = || Options::new().with("sync", "always").unwrap();
    let rig = Rig::of(Store::open_directory(&directory, options()).unwrap(), None);
    let syncs = rig.store.stats().unwrap().wal_syncs;
    assert_eq!(rig.put("/v1/keys/a", &[], b"1").status(), 204);
    assert!(rig.store.stats().unwrap().wal_syncs > syncs);
    let store = rig.store.clone();
    drop(rig);
    store.shutdown().unwrap();
    let store = Store::open_directory(&directory, options()).unwrap();
    assert_eq!(store.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    store.shutdown().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn without_a_password_only_this_machine_is_answered() {
    let rig = Rig::new();
    for name in ["evil.example", "localhost.evil.example:8080"] {
        expect_problem(rig.get_with("/v1/keys", &[("host", name)]), 421, "set a password");
    }
    for name in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080"] {
        assert_eq!(rig.get_with("/v1/keys", &[("host", name)]).status(), 200, "{name}");
    }
}

#[test]
fn a_full_store_says_so() {
    let rig = Rig::with(None, Options::new().with("max_entries", "1").unwrap());
    rig.store.set("a", "1").unwrap();
    let full = rig.put("/v1/keys/b", &[], b"1");
    assert_eq!(expect_problem(full, 507, "delete something")["code"], "KV_ERR_FULL");
    let key = "k".repeat(40_000);
    let long = rig.put(&format!("/v1/keys/{key}"), &[], b"1");
    assert!(long.status() == 413 || long.status() == 507, "{}", long.status());
}

#[test]
fn the_page_is_whole_and_closed_to_others() {
    let rig = Rig::new();
    let index = rig.get("/");
    let policy = header(&index, "content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&index, "x-content-type-options"), "nosniff");
    let text = String::from_utf8(bytes(index)).unwrap();
    for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        assert!(text.contains(path));
        assert!(header(&rig.get(path), "content-type").starts_with(kind));
    }
    assert!(!text.contains("http://") && !text.contains("https://"));
    rig.store.set("a", "1").unwrap();
    rig.store
        .set_with(
            "b",
            "1",
            &kvcore::SetOptions::default().ttl(std::time::Duration::from_secs(3000)),
        )
        .unwrap();
    let stats = json_of(rig.get("/v1/stats"));
    assert_eq!(stats["store"]["entries"], 2);
    let deadlines = json_of(rig.get("/v1/deadlines"));
    assert_eq!((&deadlines["never"], &deadlines["ranges"][3]["count"]), (&json!(1), &json!(1)));
}

#[test]
fn every_path_of_the_description_is_there() {
    let rig = Rig::new();
    let described = json_of(rig.get("/openapi.json"));
    let paths = described["paths"].as_object().unwrap();
    for (path, methods) in paths {
        let path = path.replace("{key}", "k");
        // A method that no path takes tells which ones it does.
        let refused = rig.ask(Method::PATCH, &path, &[], b"");
        let allowed = header(&refused, "allow").to_owned();
        for method in ["get", "put", "post", "delete"] {
            let takes = allowed.to_lowercase().contains(method);
            assert_eq!(takes, methods.get(method).is_some(), "{method} {path}: {allowed}");
        }
    }
    expect_problem(rig.get("/v2"), 404, "/openapi.json");
}

#[test]
fn a_server_that_stops_ends_its_watches() {
    let mut rig = Rig::new();
    let mut stream = rig.get("/v1/watch").into_body().into_reader();
    rig.shared.stop();
    rig.server.take().unwrap().join();
    let mut rest = Vec::new();
    // It ends in order, and not by an error.
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
}
