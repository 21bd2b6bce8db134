//! What a server and its store are told of a configuration.

use kvcore::{Options, Store};

use super::{Config, Listen, Secret};
use crate::options::ServerOptions;

/// The policy of a store that shall evict nothing at first. It is there for `CONFIG SET maxmemory-policy`.
const POLICY_IN_WAITING: &str = "lru";

impl Config {
    /// Opens the store on other servers, if it is there.
    ///
    /// # Errors
    /// Those of [`libkv::Store::open`].
    pub fn open_remote(&self) -> kvcore::Result<Option<libkv::Store>> {
        let open = |place: &Secret| libkv::Store::open(place.expose(), self.engine.clone());
        self.store.as_ref().map(open).transpose()
    }

    /// Opens the store of this server's own.
    ///
    /// # Errors
    /// Those of [`Store::open_directory`] and [`Store::memory`].
    pub fn open_store(&self) -> kvcore::Result<Store> {
        let options: Options = self.engine.clone().with("eviction", self.policy())?;
        match &self.dir {
            Some(directory) => Store::open_directory(directory, options),
            None => Store::memory(options),
        }
    }

    /// What the server is told.
    pub fn server_options(&self) -> ServerOptions {
        let limits = &self.limits;
        let usual = ServerOptions::default();
        ServerOptions {
            resp: address(self.resp),
            http: address(self.http),
            grpc: address(self.grpc),
            threads: self.threads.unwrap_or(usual.threads),
            password: self.password.as_ref().map(Secret::expose).map(str::to_owned),
            users_file: self.users_file.clone(),
            auth_backoff_max_ms: limits.auth_backoff_max_ms,
            tls: self.tls.clone(),
            clients_max: size(limits.clients_max),
            idle_timeout_s: limits.idle_timeout_ms.div_ceil(1000),
            handshake_timeout_s: limits.handshake_timeout_ms.div_ceil(1000),
            shutdown_timeout_ms: limits.shutdown_timeout_ms,
            query_bytes_max: size(limits.query_bytes_max),
            reply_bytes_max: size(limits.reply_bytes_max),
            push_bytes_max: size(limits.push_bytes_max),
            clients_bytes_max: size(limits.clients_bytes_max),
            bulk_bytes_max: limits.bulk_bytes_max,
            eviction: self.policy().to_owned(),
            evicts: self.eviction != "none",
            notify_keyspace_events: self.notify_keyspace_events.clone(),
            resp_del_returns_value: self.resp_del_returns_value,
        }
    }

    fn policy(&self) -> &str {
        if self.eviction == "none" { POLICY_IN_WAITING } else { &self.eviction }
    }
}

fn address(listen: Listen) -> Option<std::net::SocketAddr> {
    match listen {
        Listen::Off => None,
        Listen::At(address) => Some(address),
    }
}

/// A size that this machine can count to.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
