//! The one table of the server's own options. Those of the engine are of `kvcore::OPTION_TABLE`.
//!
//! The configuration file, the environment, the flags, `--print-config`, help, completions and manual page
//! all come from the two tables, so an option that is added here is everywhere.

use kvcore::{Offers, OptionSpec};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct ServerOption {
    /// The name: as it is in the file, in capitals behind `KV_` in the environment, and with dashes as a flag.
    pub name: &'static str,
    /// The default, as it would be written; empty is unset.
    pub default: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// What it does, in one line.
    pub meaning: &'static str,
}

/// Which values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An address and a port, or `off`.
    Listen,
    /// A file or a directory.
    Path,
    /// Any text.
    Text,
    /// Where a store is: text that is shown only if there is no user and no password in it.
    Location,
    /// Text that is never shown, and no flag: arguments of a process are no secret.
    Secret,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A number within these bounds.
    Count {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// As `Count`, or `auto`.
    AutoCount {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A size in bytes, such as `64MiB`, from `min` on.
    Bytes {
        /// The smallest.
        min: u64,
    },
    /// A duration, such as `30s`; `0` is none.
    Duration,
}

const fn row(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    meaning: &'static str,
) -> ServerOption {
    ServerOption { name, default, kind, meaning }
}

/// That a certificate is required, as `tls_client_cert` says it.
pub const REQUIRED: &str = "required";

/// Every option of the server, in the order in which they are listed.
pub const SERVER_OPTIONS: &[ServerOption] = &[
    row("resp", "127.0.0.1:6379", Kind::Listen, "where Redis clients connect; `off` for nowhere"),
    row("grpc", "127.0.0.1:50051", Kind::Listen, "where gRPC clients connect; `off` for nowhere"),
    row("http", "127.0.0.1:8080", Kind::Listen, "where HTTP clients connect; `off` for nowhere"),
    row("dir", "", Kind::Path, "directory of the store; without one it is in memory only"),
    row(
        "store",
        "",
        Kind::Location,
        "server or cluster that has the store, such as valkey-cluster://h1:7000,h2:7001/?prefix=app: for a \
         gateway of HTTP and gRPC; a password in it is better in the environment or the file",
    ),
    row(
        "threads",
        "auto",
        Kind::AutoCount { min: 1, max: 1024 },
        "threads that serve clients; `auto` is one for each core, `1` does everything on one",
    ),
    row(
        "password",
        "",
        Kind::Secret,
        "password of the default user; better in a file of its own: see password_file",
    ),
    row(
        "password_file",
        "",
        Kind::Path,
        "file whose first line is the password of the default user",
    ),
    row(
        "users_file",
        "",
        Kind::Path,
        "file of users, one a line as ACL LIST shows them; ACL LOAD reads and ACL SAVE writes it",
    ),
    row(
        "auth_backoff_max",
        "2s",
        Kind::Duration,
        "longest pause behind wrong passwords from one address; `0` is none",
    ),
    row(
        "tls_cert_file",
        "",
        Kind::Path,
        "certificate of the server in PEM, with those between it and the authority; with it every \
         front end speaks TLS and nothing else",
    ),
    row("tls_key_file", "", Kind::Path, "private key of that certificate in PEM"),
    row(
        "tls_client_ca_file",
        "",
        Kind::Path,
        "authorities of the certificates of clients in PEM; with it clients are asked for one",
    ),
    row(
        "tls_client_crl_file",
        "",
        Kind::Path,
        "certificates of clients that their authorities have revoked: a list of each of them in PEM",
    ),
    row(
        "tls_client_cert",
        REQUIRED,
        Kind::Choice(&[REQUIRED, "optional"]),
        "whether a client has to show a certificate, where tls_client_ca_file is set",
    ),
    row(
        "tls_client_user",
        "false",
        Kind::Bool,
        "whether a client is the user that the common name of its certificate names",
    ),
    row(
        "tls_loopback_plain",
        "false",
        Kind::Bool,
        "whether front ends on loopback addresses speak no TLS",
    ),
    row(
        "resp_del_returns_value",
        "false",
        Kind::Bool,
        "whether DEL of one key answers the value it had, not a count",
    ),
    row(
        "notify_keyspace_events",
        "",
        Kind::Text,
        "classes of keyspace notifications, such as `KEA`; empty is none",
    ),
    row("clients_max", "10000", Kind::Count { min: 1, max: 1_000_000 }, "most clients at a time"),
    row(
        "query_bytes_max",
        "1GiB",
        Kind::Bytes { min: 1 << 20 },
        "most bytes of a client's unanswered requests",
    ),
    row("bulk_bytes_max", "512MiB", Kind::Bytes { min: 1 << 10 }, "longest argument of a request"),
    row(
        "reply_bytes_max",
        "32MiB",
        Kind::Bytes { min: 1 << 10 },
        "bytes of replies that wait for a client to read them, above which it is not served further",
    ),
    row(
        "push_bytes_max",
        "32MiB",
        Kind::Bytes { min: 1 << 10 },
        "bytes of messages that wait for a subscriber, above which it is disconnected",
    ),
    row(
        "clients_bytes_max",
        "1GiB",
        Kind::Bytes { min: 1 << 20 },
        "bytes that the buffers of all clients may take, above which the largest are disconnected",
    ),
    row("idle_timeout", "0", Kind::Duration, "a client that is silent for so long is disconnected"),
    row(
        "handshake_timeout",
        "60s",
        Kind::Duration,
        "time in which a client must have said who it is; `0` is for ever",
    ),
    row(
        "shutdown_timeout",
        "1200ms",
        Kind::Duration,
        "time that clients have to take their last replies when the server stops",
    ),
];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static ServerOption> {
    SERVER_OPTIONS.iter().find(|row| row.name == name)
}

/// The options of the engine that a store of the server's own has.
pub fn engine_options() -> impl Iterator<Item = &'static OptionSpec> {
    kvcore::OPTION_TABLE.iter().filter(|row| row.offers != Offers::RemoteOnly)
}

/// Every name, the engine's included.
pub fn names() -> impl Iterator<Item = &'static str> {
    let own = SERVER_OPTIONS.iter().map(|row| row.name);
    own.chain(engine_options().map(|row| row.name))
}

/// The name that is closest to another one.
pub fn nearest(name: &str) -> &'static str {
    let distance = |other: &&'static str| strsim::damerau_levenshtein(name, other);
    names().min_by_key(distance).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_means_two_things() {
        let unique: BTreeSet<_> = names().collect();
        assert_eq!(unique.len(), names().count());
    }

    #[test]
    fn the_nearest_name_is_of_either_table() {
        assert_eq!(nearest("max_memry"), "max_memory");
        assert_eq!(nearest("clients_maximum"), "clients_max");
    }
}
