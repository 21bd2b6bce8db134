//! How a server is started. What can be changed while it runs goes from here into
//! [`Settings`](crate::shared::Settings).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::tls::TlsOptions;

/// What a server is told when it starts. Its `Debug` shows no password.
#[derive(Clone)]
pub struct ServerOptions {
    /// Where the Redis protocol is spoken; `None` for nowhere. Port 0 takes any that is free.
    pub resp: Option<SocketAddr>,
    /// Where HTTP is spoken; `None` for nowhere. Port 0 takes any that is free.
    pub http: Option<SocketAddr>,
    /// Where gRPC is spoken; `None` for nowhere. Port 0 takes any that is free.
    pub grpc: Option<SocketAddr>,
    /// Threads that serve connections. With 1, one event loop serves all of them.
    pub threads: usize,
    /// The password of the user `default`. Without one, and without certificates of clients, only a loopback
    /// address may be listened on.
    pub password: Option<String>,
    /// The users, a line for each, as `ACL SAVE` writes them. If the user `default` is among them, `password`
    /// is not looked at.
    pub users_file: Option<PathBuf>,
    /// The longest pause behind wrong passwords of one address, in milliseconds; 0 is none at all.
    pub auth_backoff_max_ms: u64,
    /// TLS; `None` speaks none.
    pub tls: Option<TlsOptions>,
    /// Most clients at a time.
    pub clients_max: usize,
    /// Seconds after which a client that sends nothing is disconnected; 0 is never.
    pub idle_timeout_s: u64,
    /// Seconds that a client has to authenticate if it has to; 0 is for ever.
    pub handshake_timeout_s: u64,
    /// Milliseconds that clients have to take their last replies when the server stops.
    pub shutdown_timeout_ms: u64,
    /// Most bytes that a client may have sent of requests that are not yet served.
    pub query_bytes_max: usize,
    /// Bytes of replies that wait for a client to read them, above which no more of its requests are
    /// served. A single reply may be longer.
    pub reply_bytes_max: usize,
    /// Bytes of messages that wait for a subscriber, above which it is disconnected.
    pub push_bytes_max: usize,
    /// Bytes that the buffers of all clients may take, above which the largest ones are disconnected.
    pub clients_bytes_max: usize,
    /// Longest argument in bytes.
    pub bulk_bytes_max: u64,
    /// The policy that the store was opened with, as its option `eviction` has it.
    pub eviction: String,
    /// Whether that policy evicts from the beginning, or only once `maxmemory-policy` is set.
    pub evicts: bool,
    /// Which keyspace events are published at first, in the letters of
    /// `notify-keyspace-events`; letters that mean nothing are as none.
    pub notify_keyspace_events: String,
    /// Whether `DEL` of one key answers the value that it removes, for people at a telnet.
    pub resp_del_returns_value: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            resp: Some(SocketAddr::from(([127, 0, 0, 1], 6379))),
            http: None,
            grpc: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(8),
            password: None,
            users_file: None,
            auth_backoff_max_ms: 2_000,
            tls: None,
            clients_max: 10_000,
            idle_timeout_s: 0,
            handshake_timeout_s: 60,
            shutdown_timeout_ms: 1200,
            query_bytes_max: 1 << 30,
            reply_bytes_max: 32 << 20,
            push_bytes_max: 32 << 20,
            clients_bytes_max: 1 << 30,
            bulk_bytes_max: 512 << 20,
            eviction: "none".to_owned(),
            evicts: true,
            notify_keyspace_events: String::new(),
            resp_del_returns_value: false,
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("resp", &self.resp)
            .field("http", &self.http)
            .field("grpc", &self.grpc)
            .field("threads", &self.threads)
            .field("has_password", &self.password.is_some())
            .field("users_file", &self.users_file)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
