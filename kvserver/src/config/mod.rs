//! The configuration of `kv-server`: one [`Config`] from a file, the environment and flags.
//!
//! Owns: which source wins (a flag over the environment over the file over the default), what must fit
//! together, and how it is printed. `table` has the options, `value` what their texts mean, `layers` where
//! the texts come from, `print` the way back to a file, `fill` what a server is told of it. Invariants: a `Config` that exists is valid as a
//! whole; an unknown name is refused wherever it stands, with the nearest one that is known; a secret is
//! never printed, neither by `--print-config` nor in an error.

// The engine reaches files through its seam; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

mod fill;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod layers;
mod print;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};

use crate::shared::events::Classes;
use crate::tls::{ClientCertificate, TlsOptions};
use layers::Layers;
pub use layers::Origin;
pub use table::{Kind, SERVER_OPTIONS, ServerOption, engine_options};
use value::Value;
pub use value::{Listen, Secret};

/// The variable that names the file.
const CONFIG_VARIABLE: &str = "KV_CONFIG";

/// Everything that `kv-server` goes by.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Redis clients connect.
    pub resp: Listen,
    /// Where gRPC clients connect.
    pub grpc: Listen,
    /// Where HTTP clients connect.
    pub http: Listen,
    /// Whether nobody has said where gRPC clients connect. A place that nobody asked for may be taken.
    pub grpc_is_default: bool,
    /// As `grpc_is_default`, for HTTP.
    pub http_is_default: bool,
    /// The directory of the store; `None` keeps it in memory.
    pub dir: Option<PathBuf>,
    /// Where other servers have the store; `None` is one of this server's own.
    pub store: Option<Secret>,
    /// Threads that serve clients; `None` is one for each core.
    pub threads: Option<usize>,
    /// The password of the default user.
    pub password: Option<Secret>,
    /// The file of the users.
    pub users_file: Option<PathBuf>,
    /// TLS; `None` speaks none.
    pub tls: Option<TlsOptions>,
    /// Whether `DEL` of one key answers the value it had.
    pub resp_del_returns_value: bool,
    /// Classes of keyspace notifications, as `CONFIG SET notify-keyspace-events` takes them.
    pub notify_keyspace_events: String,
    /// The eviction policy, as the engine's option has it.
    pub eviction: String,
    /// What clients may use.
    pub limits: Limits,
    /// The options of the store.
    pub engine: kvcore::Options,
}

/// What clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most clients at a time.
    pub clients_max: u64,
    /// Most bytes of a client's unanswered requests.
    pub query_bytes_max: u64,
    /// Longest argument of a request, in bytes.
    pub bulk_bytes_max: u64,
    /// Bytes of replies that wait for a client to read them, above which it is not served further.
    pub reply_bytes_max: u64,
    /// Bytes of messages that wait for a subscriber, above which it is disconnected.
    pub push_bytes_max: u64,
    /// Bytes that the buffers of all clients may take, above which the largest are disconnected.
    pub clients_bytes_max: u64,
    /// Milliseconds of silence after which a client is disconnected; 0 is never.
    pub idle_timeout_ms: u64,
    /// Milliseconds for saying who one is; 0 is no limit.
    pub handshake_timeout_ms: u64,
    /// The longest pause behind wrong passwords of one address, in milliseconds; 0 is none.
    pub auth_backoff_max_ms: u64,
    /// Milliseconds that clients have to take their last replies when the server stops.
    pub shutdown_timeout_ms: u64,
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Asked {
    /// To serve.
    Serve(Box<Config>),
    /// To print this, and end: the effective configuration.
    Print(String),
}

/// Why a configuration is refused: one line that names the source and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    fn new(message: impl Into<String>) -> ConfigError {
        ConfigError(message.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The command line of `kv-server`.
pub fn command() -> Command {
    let command = Command::new("kv-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves a key-value store to Redis, gRPC and HTTP clients")
        .max_term_width(100)
        .after_help(
            "Each option may be in the configuration file under its name with underscores, in the \
             environment as KV_NAME, or a flag; the later of these wins.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("configuration file, such as kv-server.toml; KV_CONFIG names it as well"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("print the configuration that results, without secrets, and end"),
        );
    layers::with_flags(command)
}

impl Config {
    /// Reads the arguments and the environment of this process, and the file that they name. Help, and
    /// what clap refuses, ends the process here.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn from_process() -> Result<Asked, ConfigError> {
        // A variable that is not UTF-8 is of no option: their values are texts, and so are their names.
        let variables = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
        Config::from_sources(std::env::args_os(), variables)
    }

    /// As [`from_process`](Config::from_process), of these arguments, the program's name first, and these
    /// variables.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn from_sources(
        args: impl IntoIterator<Item = OsString>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Asked, ConfigError> {
        let flags = command().try_get_matches_from(args).unwrap_or_else(|error| error.exit());
        let variables: Vec<_> = variables.collect();
        let mut layers = Layers::default();
        let named = variables.iter().find(|(name, _)| name == CONFIG_VARIABLE);
        let named = named.map(|(_, path)| PathBuf::from(path));
        if let Some(path) = flags.get_one::<PathBuf>("config").cloned().or(named) {
            layers.add_file(&path.display().to_string(), &read_file(&path)?)?;
        }
        layers.add_environment(variables.into_iter())?;
        layers.add_flags(&flags);
        let config = Config::of(&layers)?;
        if flags.get_flag("print-config") {
            return Ok(Asked::Print(print::effective(&layers)));
        }
        Ok(Asked::Serve(Box::new(config)))
    }

    /// Reads the texts, and checks that they fit together.
    fn of(layers: &Layers) -> Result<Config, ConfigError> {
        let given = Given(layers);
        let config = Config {
            resp: given.resp()?,
            grpc: given.listen("grpc")?,
            http: given.listen("http")?,
            grpc_is_default: given.is_default("grpc"),
            http_is_default: given.is_default("http"),
            dir: given.path("dir")?,
            store: given.store()?,
            threads: given.number("threads")?.and_then(|count| usize::try_from(count).ok()),
            password: given.password()?,
            users_file: given.path("users_file")?,
            tls: given.tls()?,
            resp_del_returns_value: given.truth("resp_del_returns_value")?,
            notify_keyspace_events: given.events()?,
            eviction: given.engine_text("eviction"),
            limits: given.limits()?,
            engine: given.engine()?,
        };
        config.check_exposure()?;
        config.check_gateway()?;
        Ok(config)
    }

    /// Refuses to let strangers in: an address that others can reach needs a password, or asks for certificates.
    /// Whether a file of users has passwords is known only once the server reads it, which asks again.
    fn check_exposure(&self) -> Result<(), ConfigError> {
        let asks_for_certificate = self.tls.as_ref().is_some_and(TlsOptions::requires_certificate);
        if self.users_file.is_some() || asks_for_certificate {
            return Ok(());
        }
        for (name, listen) in [("resp", self.resp), ("grpc", self.grpc), ("http", self.http)] {
            if let Listen::At(address) = listen
                && listen.is_open_to_others()
                && self.password.is_none()
            {
                return Err(ConfigError::new(format!(
                    "{name} = {address} lets everybody in who can reach it: set password_file, or ask for \
                     certificates (tls_client_ca_file), or listen at 127.0.0.1"
                )));
            }
        }
        Ok(())
    }
}

impl Config {
    /// Refuses what a gateway cannot do.
    fn check_gateway(&self) -> Result<(), ConfigError> {
        if self.store.is_none() {
            return Ok(());
        }
        if self.dir.is_some() {
            return Err(ConfigError::new(
                "both store and dir are set: the store is on other servers or in a directory, leave one out",
            ));
        }
        if self.resp != Listen::Off {
            return Err(ConfigError::new(
                "both store and resp are set: over a store on other servers the Redis protocol is not spoken, \
                 since its clients can reach those themselves; leave resp out",
            ));
        }
        Ok(())
    }
}

/// Reads texts as what they mean.
struct Given<'a>(&'a Layers);

impl Given<'_> {
    fn value(&self, name: &str) -> Result<Value, ConfigError> {
        let row = table::find(name).ok_or_else(|| misread(name))?;
        let (text, origin) = self.0.text(name, row.default);
        let read = value::read(row, text);
        read.map_err(|fault| ConfigError::new(format!("{origin}: option '{name}' {fault}")))
    }

    /// Whether nobody has given this option of the server.
    fn is_default(&self, name: &str) -> bool {
        *self.0.text(name, "").1 == Origin::Default
    }

    /// The text of an option of the engine.
    fn engine_text(&self, name: &str) -> String {
        let row = engine_options().find(|row| row.name == name);
        self.0.text(name, row.map_or("", |row| row.default)).0.to_owned()
    }

    /// The classes of keyspace notifications.
    fn events(&self) -> Result<String, ConfigError> {
        let letters = self.text("notify_keyspace_events")?;
        match Classes::parse(&letters) {
            Some(_) => Ok(letters),
            None => Err(ConfigError::new(format!(
                "notify_keyspace_events cannot be '{}': give letters out of KEAg$xen",
                letters.escape_debug()
            ))),
        }
    }

    fn listen(&self, name: &str) -> Result<Listen, ConfigError> {
        match self.value(name)? {
            Value::Listen(listen) => Ok(listen),
            _ => Err(misread(name)),
        }
    }

    /// Where Redis clients connect: without a word of it nowhere on a gateway.
    fn resp(&self) -> Result<Listen, ConfigError> {
        let is_gateway = !self.text("store")?.is_empty();
        if is_gateway && self.is_default("resp") { Ok(Listen::Off) } else { self.listen("resp") }
    }

    /// Where other servers have the store.
    fn store(&self) -> Result<Option<Secret>, ConfigError> {
        let text = self.text("store")?;
        if text.is_empty() {
            return Ok(None);
        }
        // Opening reads it again; here only what is no such place is told early.
        match kvcore::Location::read(&text, &mut kvcore::Options::new()) {
            Ok(kvcore::Location::Remote(_)) => Ok(Some(Secret::new(text))),
            Ok(_) => Err(ConfigError::new(
                "option 'store' is a place on servers, valkey:// or valkey-cluster://: use dir for a directory",
            )),
            Err(error) => Err(ConfigError::new(format!("option 'store': {}", error.message()))),
        }
    }

    fn text(&self, name: &str) -> Result<String, ConfigError> {
        match self.value(name)? {
            Value::Text(text) => Ok(text),
            _ => Err(misread(name)),
        }
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(Some(self.text(name)?).filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    fn truth(&self, name: &str) -> Result<bool, ConfigError> {
        match self.value(name)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(misread(name)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, ConfigError> {
        match self.value(name)? {
            Value::Number(number) => Ok(number),
            _ => Err(misread(name)),
        }
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let number = |name: &str| Ok(self.number(name)?.unwrap_or(0));
        Ok(Limits {
            clients_max: number("clients_max")?,
            query_bytes_max: number("query_bytes_max")?,
            bulk_bytes_max: number("bulk_bytes_max")?,
            reply_bytes_max: number("reply_bytes_max")?,
            push_bytes_max: number("push_bytes_max")?,
            clients_bytes_max: number("clients_bytes_max")?,
            idle_timeout_ms: number("idle_timeout")?,
            handshake_timeout_ms: number("handshake_timeout")?,
            auth_backoff_max_ms: number("auth_backoff_max")?,
            shutdown_timeout_ms: number("shutdown_timeout")?,
        })
    }

    /// The password, out of its file if one is named.
    fn password(&self) -> Result<Option<Secret>, ConfigError> {
        let inline = Some(self.text("password")?).filter(|text| !text.is_empty());
        match (inline, self.path("password_file")?) {
            (Some(_), Some(_)) => {
                Err(ConfigError::new("both password and password_file are set: leave one out"))
            }
            (inline, None) => Ok(inline.map(Secret::new)),
            (None, Some(path)) => {
                let text = read_file(&path)?;
                let password = text.lines().next().unwrap_or_default();
                if password.is_empty() {
                    let fault =
                        format!("{}: the first line, the password, is empty", path.display());
                    return Err(ConfigError::new(fault));
                }
                Ok(Some(Secret::new(password)))
            }
        }
    }

    /// TLS, of whose options some need others.
    fn tls(&self) -> Result<Option<TlsOptions>, ConfigError> {
        let client_ca_file = self.path("tls_client_ca_file")?;
        let names_users = self.truth("tls_client_user")?;
        if names_users && client_ca_file.is_none() {
            return Err(ConfigError::new(
                "tls_client_user is set and tls_client_ca_file is not: name the authority of the \
                 certificates whose names are believed",
            ));
        }
        let client_crl_file = self.path("tls_client_crl_file")?;
        if client_crl_file.is_some() && client_ca_file.is_none() {
            return Err(lonely("tls_client_crl_file", "tls_client_ca_file"));
        }
        let (cert_file, key_file) = match (self.path("tls_cert_file")?, self.path("tls_key_file")?)
        {
            (Some(cert_file), Some(key_file)) => (cert_file, key_file),
            (Some(_), None) => return Err(lonely("tls_cert_file", "tls_key_file")),
            (None, Some(_)) => return Err(lonely("tls_key_file", "tls_cert_file")),
            (None, None) if client_ca_file.is_some() => {
                return Err(lonely("tls_client_ca_file", "tls_cert_file"));
            }
            (None, None) => return Ok(None),
        };
        let client_certificate = match self.text("tls_client_cert")?.as_str() {
            table::REQUIRED => ClientCertificate::Required,
            _ => ClientCertificate::Optional,
        };
        Ok(Some(TlsOptions {
            cert_file,
            key_file,
            client_ca_file,
            client_crl_file,
            client_certificate,
            names_users,
            loopback_plain: self.truth("tls_loopback_plain")?,
        }))
    }

    fn engine(&self) -> Result<kvcore::Options, ConfigError> {
        let mut options = kvcore::Options::new();
        for row in engine_options() {
            let (text, origin) = self.0.text(row.name, row.default);
            let set = options.set(row.name, text);
            set.map_err(|error| ConfigError::new(format!("{origin}: {}", error.message())))?;
        }
        Ok(options)
    }
}

/// An option is set that means nothing without another one.
fn lonely(name: &str, missing: &str) -> ConfigError {
    ConfigError::new(format!("{name} is set and {missing} is not: TLS needs both"))
}

/// The table and what reads it disagree, which the tests of this module would have shown.
fn misread(name: &str) -> ConfigError {
    ConfigError::new(format!(
        "option '{name}' is not of the kind it is read as: please report this"
    ))
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::new(format!("cannot read {}: {error}", path.display())))
}
