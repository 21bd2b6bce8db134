//! A gateway: HTTP and gRPC over a store on a real cluster.
//!
//! It needs `redis-server` or `valkey-server`, which `cargo xtask test` installs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

// The servers of the tests of `kvremote`, which use more of them.
#[allow(dead_code)]
#[path = "../../kvremote/tests/remote/servers.rs"]
mod servers;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::sync::Arc;

use kvcore::Options;
use kvserver::{Server as Gateway, ServerOptions, Shared};
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use crate::servers::{Server, cluster};

#[allow(missing_docs, clippy::all, reason = "generated code")]
mod v1 {
    tonic::include_proto!("kv.v1");
}

use v1::key_value_client::KeyValueClient;
use v1::watch_response::What;

/// A gateway on free ports, and a client of its HTTP.
struct Rig {
    gateway: Option<Gateway>,
    shared: Arc<Shared>,
    agent: Agent,
}

impl Rig {
    fn new(location: &str) -> Rig {
        Rig::with(location, ServerOptions::default())
    }

    fn with(location: &str, options: ServerOptions) -> Rig {
        let any: Option<SocketAddr> = Some(([127, 0, 0, 1], 0).into());
        let options = ServerOptions { resp: None, http: any, grpc: any, threads: 1, ..options };
        let store = libkv::Store::open(location, Options::new()).unwrap();
        let shared = Shared::gateway(store, options).unwrap();
        let gateway = Gateway::open(Arc::clone(&shared)).unwrap();
        let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
        Rig { gateway: Some(gateway), shared, agent }
    }

    fn on_cluster(prefix: &str) -> Rig {
        let first: Vec<String> = cluster().servers[..2].iter().map(Server::address).collect();
        Rig::new(&format!("valkey-cluster://{}/?prefix={prefix}", first.join(",")))
    }

    fn address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().http_address().unwrap()
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Body> {
        let uri = format!("http://{}{path}", self.address());
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.agent.run(request.body(body.to_vec()).unwrap()).unwrap()
    }

    fn get(&self, path: &str) -> (u16, String) {
        let request = Request::get(format!("http://{}{path}", self.address())).body(()).unwrap();
        let mut response = self.agent.run(request).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    fn put(&self, key: &str, value: &str) -> u16 {
        self.ask(Method::PUT, &format!("/v1/keys/{key}"), &[], value.as_bytes()).status().as_u16()
    }

    fn batch(&self, body: &Value) -> (u16, Value) {
        let json = [("content-type", "application/json")];
        let mut response = self.ask(Method::POST, "/v1/batch", &json, body.to_string().as_bytes());
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }
}

impl Rig {
    /// A client of its gRPC, with a connection of its own.
    async fn grpc(&self) -> KeyValueClient<Channel> {
        let to = format!("http://{}", self.gateway.as_ref().unwrap().grpc_address().unwrap());
        KeyValueClient::new(Channel::from_shared(to).unwrap().connect().await.unwrap())
    }

    /// Does something that waits, and ends.
    async fn end(self, act: impl FnOnce(&Rig) + Send + 'static) {
        let act = move || {
            act(&self);
            drop(self);
        };
        tokio::task::spawn_blocking(act).await.unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(gateway) = self.gateway.take() {
            gateway.join();
        }
    }
}

#[test]
fn http_reaches_every_master() {
    let rig = Rig::on_cluster("http:");
    for number in 0..20 {
        assert_eq!(rig.put(&format!("k{number}"), &format!("v{number}")), 204);
    }
    for number in 0..20 {
        assert_eq!(rig.get(&format!("/v1/keys/k{number}")), (200, format!("v{number}")));
    }
    assert_eq!(rig.get("/v1/keys/none").0, 404);
    // A value there has no version, so nobody is told that he has it already.
    let known = rig.ask(Method::GET, "/v1/keys/k1", &[("if-none-match", "\"0\"")], b"");
    assert_eq!((known.status().as_u16(), known.headers().get("etag")), (200, None));
    let tagged = rig.ask(Method::PUT, "/v1/keys/k1", &[("if-match", "\"7\"")], b"x");
    assert_eq!(tagged.status().as_u16(), 400);
    let absent = rig.ask(Method::PUT, "/v1/keys/k1", &[("if-none-match", "*")], b"x");
    assert_eq!(absent.status().as_u16(), 412);

    let (status, listed) = rig.get("/v1/keys?limit=5");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((status, listed["keys"].as_array().unwrap().len()), (200, 5));
    assert_eq!((&listed["has_more"], &listed["cursor"]), (&json!(true), &Value::Null));
    assert_eq!(rig.get("/v1/stats").0, 200);
    assert_eq!(rig.get("/v1/deadlines").0, 200);
    assert!(rig.get("/metrics").1.contains("kv_server_writable 1"));
    assert_eq!(rig.get("/readyz"), (200, "ready\n".to_owned()));
    assert!(rig.get("/").1.contains("<html"));
    let gone = rig.ask(Method::DELETE, "/v1/keys/k1", &[], b"");
    assert_eq!((gone.status().as_u16(), rig.get("/v1/keys/k1").0), (204, 404));
    rig.shared.data.clear().unwrap();
}

#[test]
fn a_batch_of_two_slots_is_the_clients_fault() {
    let rig = Rig::on_cluster("batch:");
    let set = |key| json!({ "op": "set", "key": key, "value": "1" });
    let (status, problem) = rig.batch(&json!({ "ops": [set("alpha"), set("beta")] }));
    assert_eq!((status, &problem["code"]), (400, &json!("KV_ERR_CROSS_SLOT")));
    let (status, _) = rig.batch(&json!({ "ops": [set("{u}a"), set("{u}b")] }));
    assert_eq!((status, rig.get("/v1/keys/%7Bu%7Db")), (200, (200, "1".to_owned())));
    rig.shared.data.clear().unwrap();
}

#[test]
fn changes_are_fed_from_every_master() {
    let rig = Rig::on_cluster("fed:");
    let uri = format!("http://{}/v1/watch", rig.address());
    let feed = rig.agent.run(Request::get(uri).body(()).unwrap()).unwrap();
    let mut lines = BufReader::new(feed.into_body().into_reader()).lines().map(Result::unwrap);
    // It stands once something came.
    assert_eq!(lines.next().as_deref(), Some(":"));
    for number in 0..10 {
        rig.put(&format!("k{number}"), "v");
    }
    let mut seen: Vec<String> = lines.filter(|line| line.starts_with("data: ")).take(10).collect();
    seen.sort();
    let expected = (0..10).map(|number| {
        format!("data: {{\"expire_at_ms\":null,\"key\":\"k{number}\",\"revision\":0}}")
    });
    assert_eq!(seen, expected.collect::<Vec<_>>());
    rig.shared.data.clear().unwrap();
}

#[tokio::test]
async fn grpc_does_what_the_cluster_can() {
    let rig = Rig::on_cluster("grpc:");
    let mut client = rig.grpc().await;
    let mut watch = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    let started = watch.message().await.unwrap().unwrap().what;
    assert!(matches!(started, Some(What::Started(_))));
    let key = b"k".to_vec();
    let set =
        v1::SetRequest { key: key.clone(), value: b"1".to_vec(), expiry: None, condition: None };
    client.set(set).await.unwrap();
    let incr = v1::IncrRequest { key: key.clone(), delta: 41, expiry: None };
    assert_eq!(client.incr(incr).await.unwrap().into_inner().value, 42);
    let entry = client.get(v1::GetRequest { key: key.clone() }).await.unwrap().into_inner().entry;
    assert_eq!(entry.unwrap().value, b"42");
    for _ in 0..2 {
        let told = watch.message().await.unwrap().unwrap().what;
        assert!(matches!(&told, Some(What::Event(event)) if event.key == key), "{told:?}");
    }
    let scan = v1::ScanRequest::default();
    let found = client.scan(scan.clone()).await.unwrap().into_inner().message().await.unwrap();
    assert_eq!(found.unwrap().entries.len(), 1);
    let sorted = v1::ScanRequest { order: v1::Order::Asc.into(), ..scan };
    assert_eq!(client.scan(sorted).await.unwrap_err().code(), Code::InvalidArgument);
    drop((watch, client));
    rig.end(|rig| rig.shared.data.clear().unwrap()).await;
}

#[test]
fn a_server_that_is_silent_holds_up_nobody_else() {
    let server = Server::start(&[]);
    let rig = Rig::new(&format!("valkey://{}/?timeout=5s", server.address()));
    assert_eq!(rig.put("k", "v"), 204);
    server.signal("-STOP");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| rig.get("/v1/keys/k").0);
        // There is one thread for all requests, and it goes on while one of them waits.
        while !waiting.is_finished() {
            assert_eq!(rig.get("/healthz"), (200, "ok\n".to_owned()));
        }
        assert_eq!(waiting.join().unwrap(), 503);
    });
    assert_eq!(rig.get("/readyz").0, 503);
    server.signal("-CONT");
    servers::wait_until("the server is back", || rig.get("/v1/keys/k") == (200, "v".to_owned()));
}

#[test]
fn the_redis_protocol_is_refused_at_the_start() {
    let location = format!("valkey://{}", servers::one().address());
    let store = libkv::Store::open(&location, Options::new()).unwrap();
    let error = Shared::gateway(store, ServerOptions::default()).unwrap_err();
    assert!(error.to_string().contains("does not speak the Redis protocol"), "{error}");
}

#[test]
fn a_server_that_refuses_the_gateway_is_no_fault_of_the_client() {
    let server = Server::start(&[]);
    let rig = Rig::new(&format!("valkey://{}/?timeout=10s", server.address()));
    let asked = |(status, text): (u16, String)| {
        let problem: Value = serde_json::from_str(&text).unwrap();
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("the servers behind this gateway refuse the gateway"), "{text}");
        (status, detail)
    };
    server.say(&["ACL", "SETUSER", "default", "-get"]);
    assert_eq!(rig.put("k", "v"), 204);
    let (status, detail) = asked(rig.get("/v1/keys/k"));
    assert!(status == 502 && detail.contains("get"), "{status} {detail}");
    let refused = async {
        let mut client = rig.grpc().await;
        client.get(v1::GetRequest { key: b"k".to_vec() }).await.unwrap_err()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(refused);
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(refused.message().contains("refuse the gateway"), "{refused}");

    // A password that was changed holds for those who connect from now on.
    let mut admin = server.connection();
    let mut command = redis::cmd("CONFIG");
    command.arg(&["SET", "requirepass", "changed"]).exec(&mut admin).unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "SKIPME", "yes"]).exec(&mut admin).unwrap();
    assert_eq!(asked(rig.get("/v1/keys/k")).0, 502);
    // What the client itself does wrong still is its fault.
    let wrong = rig.ask(Method::PUT, "/v1/keys/k", &[("if-match", "\"7\"")], b"x");
    assert_eq!(wrong.status().as_u16(), 400);
}

#[tokio::test]
async fn one_request_more_than_may_wait_is_told_so_at_once() {
    // As many as the gateway says (docs/server.md), and the requests that a connection of gRPC may have under way.
    const WAITING_MAX: usize = 512;
    const STREAMS: usize = 128;
    let server = Server::start(&[]);
    let rig = Rig::new(&format!("valkey://{}/?timeout=60s", server.address()));
    let mut asked = tokio::task::JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..=WAITING_MAX / STREAMS {
        clients.push(rig.grpc().await);
    }
    server.signal("-STOP");
    for number in 0..=WAITING_MAX {
        let mut client = clients[number / STREAMS].clone();
        asked.spawn(async move { client.get(v1::GetRequest { key: b"k".to_vec() }).await });
    }
    // Nobody else is answered before the server goes on.
    let refused = asked.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let uri = format!("http://{}/v1/keys/k", rig.address());
    let agent = rig.agent.clone();
    let ask = move || agent.run(Request::get(uri).body(()).unwrap()).unwrap();
    let response = tokio::task::spawn_blocking(ask).await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
    assert!(response.headers().contains_key("retry-after"));
    server.signal("-CONT");
    while let Some(answered) = asked.join_next().await {
        assert_eq!(answered.unwrap().unwrap().into_inner().entry, None);
    }
    rig.end(move |_| drop(server)).await;
}

#[tokio::test]
async fn a_message_counts_as_long_as_its_call_waits() {
    let server = Server::start(&[]);
    let location = format!("valkey://{}/?timeout=60s", server.address());
    let options = ServerOptions { clients_bytes_max: 1 << 20, ..ServerOptions::default() };
    let rig = Rig::with(&location, options);
    let client = rig.grpc().await;
    server.signal("-STOP");
    // There is room for one of them.
    let set = || v1::SetRequest {
        key: b"k".to_vec(),
        value: vec![b'v'; 600 << 10],
        expiry: None,
        condition: None,
    };
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (mut client, set) = (client.clone(), set());
        calls.spawn(async move { client.set(set).await });
    }
    let refused = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    // Its client goes, and it still waits for the server.
    calls.shutdown().await;
    let refused = client.clone().set(set()).await.unwrap_err();
    assert!(refused.message().contains("hold all the room for messages"), "{refused}");
    server.signal("-CONT");
    while client.clone().set(set()).await.is_err() {}
    rig.end(move |_| drop(server)).await;
}
