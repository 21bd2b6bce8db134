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
        let any: Option<SocketAddr> = Some(([127, 0, 0, 1], 0).into());
        let options = ServerOptions {
            resp: None,
            http: any,
            grpc: any,
            threads: 1,
            ..ServerOptions::default()
        };
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
    let to = format!("http://{}", rig.gateway.as_ref().unwrap().grpc_address().unwrap());
    let channel = Channel::from_shared(to).unwrap().connect().await.unwrap();
    let mut client = KeyValueClient::new(channel);
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
    tokio::task::spawn_blocking(move || {
        rig.shared.data.clear().unwrap();
        drop(rig);
    })
    .await
    .unwrap();
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
