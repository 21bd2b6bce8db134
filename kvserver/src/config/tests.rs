//! Which source wins, what is refused, and that what is printed means the same.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use super::*;
use crate::options::ServerOptions;

/// A file of this test's own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, text: &str) -> Place {
        let path = std::env::temp_dir().join(format!("kv-config-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Place(path)
    }

    fn flag(&self) -> String {
        format!("--config={}", self.0.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn asked(args: &[&str], variables: &[(&str, &str)]) -> Result<Asked, ConfigError> {
    let args = ["kv-server"].iter().chain(args).map(OsString::from);
    let variables = variables.iter().map(|(name, text)| (name.to_string(), text.to_string()));
    Config::from_sources(args, variables)
}

fn config(args: &[&str], variables: &[(&str, &str)]) -> Config {
    match asked(args, variables).unwrap() {
        Asked::Serve(config) => *config,
        Asked::Print(_) => panic!("it was not asked to print"),
    }
}

fn printed(args: &[&str], variables: &[(&str, &str)]) -> String {
    match asked(&[args, &["--print-config"]].concat(), variables).unwrap() {
        Asked::Print(text) => text,
        Asked::Serve(_) => panic!("it was asked to print"),
    }
}

fn fault(args: &[&str], variables: &[(&str, &str)]) -> String {
    asked(args, variables).unwrap_err().to_string()
}

#[test]
fn without_anything_it_is_the_defaults() {
    let config = config(&[], &[]);
    assert_eq!(config.resp, Listen::At("127.0.0.1:6379".parse().unwrap()));
    assert_eq!(config.engine, kvcore::Options::new());
    assert_eq!((config.dir, config.threads, config.password), (None, None, None));
    assert_eq!(config.limits.clients_max, 10_000);
    assert_eq!(config.limits.handshake_timeout_ms, 60_000);
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file() {
    let file = Place::new(
        "wins",
        "clients_max = 1\nidle_timeout = '1s'\ngrpc = 'off'\neviction = 'lru'\nshards = 4\n",
    );
    let variables = [("KV_CLIENTS_MAX", "2"), ("KV_IDLE_TIMEOUT", "2s"), ("PATH", "/bin")];
    let config = config(&[&file.flag(), "--clients-max", "3", "--eviction=lfu"], &variables);
    assert_eq!(config.limits.clients_max, 3);
    assert_eq!(config.limits.idle_timeout_ms, 2_000);
    assert_eq!(config.grpc, Listen::Off);
    let engine = kvcore::Options::new().with("eviction", "lfu").unwrap();
    assert_eq!(config.engine, engine.with("shards", "4").unwrap());
}

#[test]
fn the_environment_can_name_the_file() {
    let file = Place::new("named", "resp = 'off'\n");
    let path = file.0.display().to_string();
    assert_eq!(config(&[], &[("KV_CONFIG", &path)]).resp, Listen::Off);
    assert!(fault(&["--config=/nowhere/kv.toml"], &[]).contains("cannot read /nowhere/kv.toml"));
}

#[test]
fn flags_have_dashes_and_truths_need_no_value() {
    let given = config(&["--resp-del-returns-value", "--default-ttl", "6h"], &[]);
    assert!(given.resp_del_returns_value);
    assert_eq!(given.engine, kvcore::Options::new().with("default_ttl", "6h").unwrap());
    let given = config(&["--ordered_index=true", "--resp-del-returns-value=off"], &[]);
    assert!(!given.resp_del_returns_value);
    assert_eq!(given.engine, kvcore::Options::new().with("ordered_index", "true").unwrap());
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let file = Place::new("unknown", "max_memroy = '1GiB'\n");
    let message = fault(&[&file.flag()], &[]);
    assert!(
        message.contains("unknown option 'max_memroy': did you mean 'max_memory'?"),
        "{message}"
    );
    let message = fault(&[], &[("KV_CLIENT_MAX", "1")]);
    assert!(message.contains("'KV_CLIENT_MAX': did you mean 'KV_CLIENTS_MAX'?"), "{message}");
    let refused = command().try_get_matches_from(["kv-server", "--evictoin=lru"]).unwrap_err();
    assert!(refused.to_string().contains("--eviction"), "{refused}");
}

#[test]
fn variables_of_services_are_left_alone() {
    let links = [
        ("KV_SERVICE_HOST", "10.0.0.1"),
        ("KV_PORT", "tcp://10.0.0.1:6379"),
        ("KV_SERVER_PORT_6379_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(config(&[], &links).limits.clients_max, 10_000);
}

#[test]
fn a_value_that_does_not_fit_names_its_source() {
    let file = Place::new("fit", "threads = 0\n");
    let message = fault(&[&file.flag()], &[]);
    assert!(message.contains(&file.0.display().to_string()), "{message}");
    assert!(message.contains("'threads' cannot be '0'"), "{message}");
    let message = fault(&[], &[("KV_MAX_MEMORY", "lots")]);
    assert!(message.starts_with("environment: option 'max_memory'"), "{message}");
    let message = fault(&["--resp", "6379"], &[]);
    assert!(message.starts_with("flag: option 'resp'"), "{message}");
    let file = Place::new("list", "resp = ['a']\n");
    assert!(fault(&[&file.flag()], &[]).contains("resp is neither"));
}

#[test]
fn nobody_listens_to_others_without_asking_who_they_are() {
    let message = fault(&["--http", "0.0.0.0:8080"], &[]);
    assert!(message.contains("http = 0.0.0.0:8080 lets everybody in"), "{message}");
    let password = Place::new("password", "hunter2\nmore\n");
    let flag = format!("--password-file={}", password.0.display());
    let given = config(&["--http=0.0.0.0:8080", &flag], &[]);
    assert_eq!(given.password.as_ref().map(Secret::expose), Some("hunter2"));
    assert!(!format!("{given:?}").contains("hunter2"));
}

#[test]
fn what_must_come_together_does() {
    let empty = Place::new("empty", "\n");
    let flag = format!("--password-file={}", empty.0.display());
    assert!(fault(&[&flag], &[]).contains("is empty"));
    assert!(fault(&[&flag], &[("KV_PASSWORD", "x")]).contains("leave one out"));
}

#[test]
fn a_gateway_speaks_no_redis_and_has_no_directory() {
    let place = "--store=valkey-cluster://h1:7000,h2:7001/?prefix=app:";
    let gateway = config(&[place], &[]);
    assert_eq!(gateway.resp, Listen::Off);
    assert_eq!(gateway.store.map(|store| store.expose().contains("h2:7001")), Some(true));
    assert!(config(&[], &[]).store.is_none());
    assert!(fault(&[place, "--resp=127.0.0.1:6379"], &[]).contains("leave resp out"));
    assert!(fault(&[place, "--dir=/a"], &[]).contains("leave one out"));
    assert!(fault(&["--store=cache.d"], &[]).contains("use dir"));
    assert!(fault(&["--store=valkey://h/?prefixes=a"], &[]).contains("'prefix'"));
}

#[test]
fn the_password_of_a_store_is_not_printed() {
    let text = printed(&[], &[("KV_STORE", "valkey://me:hunter2@h:7000/?near=1MiB")]);
    assert!(text.contains("# store is set, and not shown"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let text = printed(&["--store=valkey://h:7000"], &[]);
    assert!(text.contains("store = \"valkey://h:7000\" # flag"), "{text}");
    let error = fault(&["--store=valkey://me:hunter2@h?timeout=soon"], &[]);
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn tls_needs_all_that_belongs_to_it() {
    let both = ["--tls-cert-file=c.pem", "--tls-key-file=k.pem"];
    let tls = config(&both, &[]).server_options().tls.unwrap();
    assert_eq!((tls.cert_file, tls.key_file), (PathBuf::from("c.pem"), PathBuf::from("k.pem")));
    assert_eq!((tls.client_ca_file, tls.names_users, tls.loopback_plain), (None, false, false));
    assert!(fault(&both[..1], &[]).contains("tls_key_file is not"));
    assert!(fault(&both[1..], &[]).contains("tls_cert_file is not"));
    assert!(fault(&["--tls-client-ca-file=a.pem"], &[]).contains("tls_cert_file is not"));
    let list = fault(&[both[0], both[1], "--tls-client-crl-file=r.pem"], &[]);
    assert!(list.contains("tls_client_ca_file is not"), "{list}");
    let names = fault(&[both[0], both[1], "--tls-client-user"], &[]);
    assert!(names.contains("tls_client_ca_file is not"), "{names}");
}

#[test]
fn certificates_of_clients_let_others_reach_the_server() {
    let open = "--resp=0.0.0.0:6379";
    let tls = [open, "--tls-cert-file=c.pem", "--tls-key-file=k.pem"];
    assert!(fault(&tls, &[]).contains("tls_client_ca_file"));
    let asks = [&tls[..], &["--tls-client-ca-file=a.pem"]].concat();
    let told = config(&asks, &[]).server_options().tls.unwrap();
    assert_eq!(told.client_certificate, ClientCertificate::Required);
    let optional = [&asks[..], &["--tls-client-cert=optional"]].concat();
    assert!(fault(&optional, &[]).contains("lets everybody in"));
    // What the users of a file may do is known only once it was read.
    assert_eq!(config(&[open, "--users-file=u"], &[]).users_file, Some(PathBuf::from("u")));
}

#[test]
fn what_is_printed_means_the_same_and_has_no_secret() {
    let given = ["--threads=2", "--dir=/a \"b\"", "--eviction=s3fifo", "--snapshot-interval=30s"];
    let variables = [("KV_PASSWORD", "hunter2")];
    let text = printed(&given, &variables);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("# password is set, and not shown\n"), "{text}");
    assert!(text.contains("threads = \"2\" # flag\n"), "{text}");
    let file = Place::new("printed", &text);
    let (first, mut again) = (config(&given, &[]), config(&[&file.flag()], &[]));
    // Every place that is printed was asked for.
    assert!(!again.http_is_default && !again.grpc_is_default);
    (again.http_is_default, again.grpc_is_default) = (true, true);
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    for name in table::names() {
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_without_its_text() {
    let file = Place::new("toml", "resp = 'off'\npassword = 'hunter2\n");
    let message = fault(&[&file.flag()], &[]);
    assert!(message.contains("line 2"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn no_secret_is_a_flag() {
    let refused = command().try_get_matches_from(["kv-server", "--password=x"]);
    assert!(refused.is_err());
    command().debug_assert();
}

#[test]
fn a_server_is_told_what_was_configured() {
    let args =
        ["--http=off", "--threads=3", "--idle-timeout=1500ms", "--notify-keyspace-events=KEA"];
    let given = config(&[&args[..], &["--eviction=s3fifo"]].concat(), &[]);
    let told = given.server_options();
    assert_eq!((told.http, told.threads, told.idle_timeout_s), (None, 3, 2));
    assert_eq!((told.eviction.as_str(), told.evicts), ("s3fifo", true));
    assert_eq!(told.notify_keyspace_events, "KEA");
    assert!((given.grpc_is_default, given.http_is_default) == (true, false));
    // A store that evicts nothing is ready to do so later.
    let told = config(&[], &[]).server_options();
    assert_eq!((told.eviction.as_str(), told.evicts), ("lru", false));
    assert!(fault(&["--notify-keyspace-events=KQ"], &[]).contains("KQ"));
}

#[test]
fn what_is_told_by_default_is_the_default() {
    let told = config(&[], &[]).server_options();
    let usual = ServerOptions::default();
    assert_eq!(
        (told.resp, told.threads, told.clients_max),
        (usual.resp, usual.threads, usual.clients_max)
    );
    assert_eq!(
        (told.query_bytes_max, told.reply_bytes_max, told.push_bytes_max),
        (usual.query_bytes_max, usual.reply_bytes_max, usual.push_bytes_max)
    );
    assert_eq!(
        (told.clients_bytes_max, told.bulk_bytes_max, told.shutdown_timeout_ms),
        (usual.clients_bytes_max, usual.bulk_bytes_max, usual.shutdown_timeout_ms)
    );
    assert_eq!(
        (told.idle_timeout_s, told.handshake_timeout_s),
        (usual.idle_timeout_s, usual.handshake_timeout_s)
    );
    assert_eq!(
        (told.users_file, told.auth_backoff_max_ms, told.tls),
        (usual.users_file, usual.auth_backoff_max_ms, usual.tls)
    );
}
