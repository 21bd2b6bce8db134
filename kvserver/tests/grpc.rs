//! The gRPC front end, asked over a socket by tonic's client.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kvcore::{Clock, ManualClock, Options, Store};
use kvserver::{Server, ServerOptions, Shared};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request};

#[allow(missing_docs, clippy::all, reason = "generated code")]
mod kvstore {
    tonic::include_proto!("kvstore");
}
#[allow(missing_docs, clippy::all, reason = "generated code")]
mod v1 {
    tonic::include_proto!("kv.v1");
}

use kvstore::key_value_store_client::KeyValueStoreClient;
use v1::key_value_client::KeyValueClient;
use v1::watch_response::What;

/// A server on a free port.
struct Rig {
    store: Store,
    shared: Arc<Shared>,
    hand: ManualClock,
    channel: Channel,
}

impl Rig {
    async fn new(password: Option<&str>) -> Rig {
        let (clock, hand) = Clock::manual(1_000_000);
        let store =
            Store::with_clock(Options::new().with("default_ttl", "6h").unwrap(), clock).unwrap();
        let options = ServerOptions {
            resp: None,
            grpc: Some("127.0.0.1:0".parse().unwrap()),
            threads: 1,
            password: password.map(str::to_owned),
            ..ServerOptions::default()
        };
        let shared = Shared::new(store.clone(), options).unwrap();
        let server = Server::open(Arc::clone(&shared)).unwrap();
        let to = format!("http://{}", server.grpc_address().unwrap());
        let channel = Channel::from_shared(to).unwrap().connect().await.unwrap();
        Rig { store, shared, hand, channel }
    }

    fn simple(&self) -> KeyValueStoreClient<Channel> {
        KeyValueStoreClient::new(self.channel.clone())
    }

    fn full(&self) -> KeyValueClient<Channel> {
        KeyValueClient::new(self.channel.clone())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Waiting here would keep the client from taking its leave. The threads end by themselves.
        self.shared.stop();
    }
}

fn set(key: &[u8], value: &[u8]) -> v1::SetRequest {
    v1::SetRequest { key: key.to_vec(), value: value.to_vec(), expiry: None, condition: None }
}

#[tokio::test]
async fn the_small_service_answers_as_described() {
    let rig = Rig::new(None).await;
    let mut client = rig.simple();
    let key = || "test_key".to_owned();
    let request = |ttl_seconds| kvstore::SetRequest {
        key: key(),
        value: "test_value".to_owned(),
        ttl_seconds,
    };
    let done = client.set(request(0)).await.unwrap().into_inner();
    assert_eq!(done, kvstore::SetResponse { success: true, error: String::new() });
    let got = client.get(kvstore::GetRequest { key: key() }).await.unwrap().into_inner();
    assert_eq!((got.found, got.value.as_str(), got.error.as_str()), (true, "test_value", ""));
    // Zero is never, whatever the store's default is.
    rig.hand.advance_ms(7 * 3_600_000);
    assert!(client.get(kvstore::GetRequest { key: key() }).await.unwrap().into_inner().found);
    client.set(request(2)).await.unwrap();
    rig.hand.advance_ms(1999);
    assert!(client.get(kvstore::GetRequest { key: key() }).await.unwrap().into_inner().found);
    rig.hand.advance_ms(1);
    let gone = client.get(kvstore::GetRequest { key: key() }).await.unwrap().into_inner();
    assert_eq!(gone, kvstore::GetResponse::default());
    client.set(request(0)).await.unwrap();
    for _ in 0..2 {
        let deleted =
            client.delete(kvstore::DeleteRequest { key: key() }).await.unwrap().into_inner();
        assert_eq!(deleted, kvstore::DeleteResponse { success: true, error: String::new() });
    }
    let wrong = client.set(request(-1)).await.unwrap().into_inner();
    assert!(!wrong.success && wrong.error.contains("cannot be negative"));
    rig.store.set("test_key", b"\xff").unwrap();
    let bytes = client.get(kvstore::GetRequest { key: key() }).await.unwrap().into_inner();
    assert!(bytes.found && bytes.value.is_empty() && bytes.error.contains("not UTF-8"));
}

#[test]
fn the_numbers_of_the_small_service_are_frozen() {
    use prost::Message;
    let request =
        kvstore::SetRequest { key: "k".to_owned(), value: "v".to_owned(), ttl_seconds: 5 };
    assert_eq!(request.encode_to_vec(), b"\x0a\x01k\x12\x01v\x18\x05");
    let response = kvstore::SetResponse { success: true, error: "e".to_owned() };
    assert_eq!(response.encode_to_vec(), b"\x08\x01\x12\x01e");
    let response =
        kvstore::GetResponse { found: true, value: "v".to_owned(), error: "e".to_owned() };
    assert_eq!(response.encode_to_vec(), b"\x08\x01\x12\x01v\x1a\x01e");
    assert_eq!(kvstore::GetRequest { key: "k".to_owned() }.encode_to_vec(), b"\x0a\x01k");
    assert_eq!(kvstore::DeleteRequest { key: "k".to_owned() }.encode_to_vec(), b"\x0a\x01k");
    let response = kvstore::DeleteResponse { success: true, error: "e".to_owned() };
    assert_eq!(response.encode_to_vec(), b"\x08\x01\x12\x01e");
}

#[tokio::test]
async fn calls_are_counted_and_kept_as_the_commands_that_do_the_same() {
    let rig = Rig::new(None).await;
    rig.shared.settings.slow_us.store(0, Ordering::Relaxed);
    let mut client = rig.full();
    client.set(set(b"k", b"secret")).await.unwrap();
    client.get(v1::GetRequest { key: b"k".to_vec() }).await.unwrap();
    rig.simple().delete(kvstore::DeleteRequest { key: "k".to_owned() }).await.unwrap();
    assert_eq!(rig.shared.counters.calls(), 3);
    let slow = rig.shared.slowlog.newest(10);
    let words: Vec<String> =
        slow.iter().map(|slow| slow.args.join(&b' ').escape_ascii().to_string()).collect();
    assert_eq!(words, ["del k", "get k", "set k"]);
    assert!(slow.iter().all(|slow| slow.name == "grpc"));
}

#[tokio::test]
async fn conditions_and_deadlines() {
    let rig = Rig::new(None).await;
    let mut client = rig.full();
    let condition = |holds| Some(v1::Condition { holds: Some(holds) });
    let absent = condition(v1::condition::Holds::Absent(true));
    let first = client
        .set(v1::SetRequest { condition: absent, ..set(b"\xff", b"\0") })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.outcome(), v1::Outcome::Done);
    let again = client
        .set(v1::SetRequest { condition: absent, ..set(b"\xff", b"1") })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((again.outcome(), again.version), (v1::Outcome::Exists, 0));
    let got = client
        .get(v1::GetRequest { key: b"\xff".to_vec() })
        .await
        .unwrap()
        .into_inner()
        .entry
        .unwrap();
    assert_eq!((got.value.as_slice(), got.version), (&b"\0"[..], first.version));
    assert_eq!(got.expire_at_ms, Some(1_000_000 + 21_600_000));
    let key = || b"\xff".to_vec();
    let never = v1::ExpireRequest { key: key(), when: Some(v1::expire_request::When::Never(true)) };
    assert!(client.expire(never).await.unwrap().into_inner().found);
    let ttl = client.ttl(v1::TtlRequest { key: key() }).await.unwrap().into_inner();
    assert_eq!(ttl, v1::TtlResponse { found: true, ttl_ms: None });
    let soon = v1::ExpireRequest { key: key(), when: Some(v1::expire_request::When::TtlMs(50)) };
    assert!(client.expire(soon).await.unwrap().into_inner().found);
    let ttl = client.ttl(v1::TtlRequest { key: key() }).await.unwrap().into_inner();
    assert_eq!(ttl, v1::TtlResponse { found: true, ttl_ms: Some(50) });
    let old = condition(v1::condition::Holds::Version(first.version));
    let refused =
        client.delete(v1::DeleteRequest { key: key(), condition: old }).await.unwrap().into_inner();
    assert_eq!(refused.outcome(), v1::Outcome::Conflict);
    rig.hand.advance_ms(50);
    assert_eq!(client.get(v1::GetRequest { key: key() }).await.unwrap().into_inner().entry, None);
    let none = client
        .delete(v1::DeleteRequest { key: key(), condition: None })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(none.outcome(), v1::Outcome::NotFound);
    let no_ttl = Some(v1::Expiry { when: Some(v1::expiry::When::TtlMs(0)) });
    let wrong = client.set(v1::SetRequest { expiry: no_ttl, ..set(b"a", b"") }).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn numbers_and_batches() {
    let rig = Rig::new(None).await;
    let mut client = rig.full();
    let incr = |delta| v1::IncrRequest { key: b"n".to_vec(), delta, expiry: None };
    assert_eq!(client.incr(incr(5)).await.unwrap().into_inner().value, 5);
    assert_eq!(client.incr(incr(-7)).await.unwrap().into_inner().value, -2);
    rig.store.set("n", "x").unwrap();
    let wrong = client.incr(incr(1)).await.unwrap_err();
    assert_eq!(wrong.code(), Code::FailedPrecondition);
    let change = |what| v1::Change { what: Some(what) };
    let delete = |key: &[u8]| v1::DeleteRequest { key: key.to_vec(), condition: None };
    let changes = vec![
        change(v1::change::What::Set(set(b"a", b"1"))),
        change(v1::change::What::Delete(delete(b"n"))),
        change(v1::change::What::Delete(delete(b"none"))),
    ];
    let done = client.batch(v1::BatchRequest { changes }).await.unwrap().into_inner();
    assert_eq!((done.outcome(), done.applied, done.missing), (v1::Outcome::Done, 2, 1));
    let absent = Some(v1::Condition { holds: Some(v1::condition::Holds::Absent(true)) });
    let changes = vec![
        change(v1::change::What::Set(set(b"b", b"1"))),
        change(v1::change::What::Set(v1::SetRequest { condition: absent, ..set(b"a", b"2") })),
    ];
    let conflict = client.batch(v1::BatchRequest { changes }).await.unwrap().into_inner();
    assert_eq!((conflict.outcome(), conflict.conflict_index), (v1::Outcome::Conflict, Some(1)));
    assert!(!rig.store.exists("b").unwrap());
}

#[tokio::test]
async fn a_scan_streams_every_key_once() {
    let rig = Rig::new(None).await;
    for n in 0..500 {
        rig.store.set(format!("s:{n:03}"), format!("{n}")).unwrap();
    }
    rig.store.set("other", "").unwrap();
    let request = v1::ScanRequest {
        prefix: b"s:".to_vec(),
        order: v1::Order::Desc.into(),
        limit: 400,
        ..v1::ScanRequest::default()
    };
    let mut stream = rig.full().scan(request).await.unwrap().into_inner();
    let mut keys = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        assert!(!answer.entries.is_empty());
        keys.extend(answer.entries.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()));
    }
    let expected: Vec<String> = (100..500).rev().map(|n| format!("s:{n:03}")).collect();
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_watch_streams_changes_in_order() {
    let rig = Rig::new(None).await;
    let request = v1::WatchRequest {
        keys: Some(v1::watch_request::Keys::Prefix(b"w:".to_vec())),
        ..v1::WatchRequest::default()
    };
    let mut stream = rig.full().watch(request.clone()).await.unwrap().into_inner();
    let started = stream.message().await.unwrap().unwrap();
    assert_eq!(started.what, Some(What::Started(v1::Started {})));
    rig.store.set("other", "").unwrap();
    let revision = rig.store.set("w:1", "one").unwrap();
    rig.store.del("w:1").unwrap();
    let Some(What::Event(event)) = stream.message().await.unwrap().unwrap().what else {
        panic!("no event")
    };
    assert_eq!((event.kind(), event.revision), (v1::EventKind::Set, revision));
    assert_eq!((event.key.as_slice(), event.value.as_deref()), (&b"w:1"[..], Some(&b"one"[..])));
    let Some(What::Event(deleted)) = stream.message().await.unwrap().unwrap().what else {
        panic!("no event")
    };
    assert_eq!(deleted.kind(), v1::EventKind::Deleted);
    drop(stream);
    let request = v1::WatchRequest { from_revision: revision + 1, ..request };
    let mut stream = rig.full().watch(request).await.unwrap().into_inner();
    stream.message().await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap().what, Some(What::Event(deleted)));
}

fn with(authorization: &str, key: &[u8]) -> Request<v1::GetRequest> {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", authorization.parse().unwrap());
    Request::from_parts(
        metadata,
        tonic::Extensions::default(),
        v1::GetRequest { key: key.to_vec() },
    )
}

#[tokio::test]
async fn nobody_comes_in_without_the_password() {
    let rig = Rig::new(Some("secret")).await;
    let mut client = rig.full();
    let unknown = client.get(v1::GetRequest::default()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unauthenticated);
    let unknown = rig.simple().get(kvstore::GetRequest::default()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unauthenticated);
    let unknown = client.watch(v1::WatchRequest::default()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unauthenticated);
    let wrong = client.get(with("Bearer Secret", b"a")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert!(!wrong.message().contains("ecret"));
    for right in ["Bearer secret", "Basic ZGVmYXVsdDpzZWNyZXQ="] {
        assert!(client.get(with(right, b"a")).await.unwrap().into_inner().entry.is_none());
    }
}

#[tokio::test]
async fn health_and_reflection_need_no_file() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let rig = Rig::new(Some("secret")).await;
    let mut health = HealthClient::new(rig.channel.clone());
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in ["", "kvstore.KeyValueStore", "kv.v1.KeyValue"] {
        let status = health.check(of(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    assert_eq!(health.check(of("other")).await.unwrap_err().code(), Code::NotFound);
    rig.store.poison("planted by the test");
    assert_eq!(
        health.check(of("")).await.unwrap().into_inner().status(),
        ServingStatus::NotServing
    );

    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut reflection = ServerReflectionClient::new(rig.channel.clone());
    let mut answers = reflection
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("no list") };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["kvstore.KeyValueStore", "kv.v1.KeyValue", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|other| other == name), "{names:?}");
    }
}
