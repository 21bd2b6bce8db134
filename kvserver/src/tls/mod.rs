//! TLS for every front end.
//!
//! Owns: [`Tls`], what certificates the server shows and asks for, and the handshake. `files` reads them and
//! words what is wrong with them, `certificate` reads what rustls keeps to itself, `stream` is a connection
//! with or without TLS.
//!
//! Invariants: certificates that were read anew hold for connections that come, never for those that are
//! there; certificates that cannot be used change nothing; a handshake ends within the time that a client has
//! to say who it is, and takes no room but its own. Whoever asks for certificates of clients resumes no
//! session, so each connection is judged by the certificate that it shows now.
//!
//! Why the clock of the store: a certificate runs out by the same time as a deadline, so tests can move both.

mod certificate;
mod files;
mod stream;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kvcore::Store;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use files::{Identity, Trust};
pub use stream::Stream;

/// Protocols that HTTP and gRPC agree on with a client by ALPN, the preferred one first.
const WEB_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Time that a client has to read why it is not let in.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of such a client that are read, and how often.
const LEAVE_BYTES_AT_ONCE: usize = 1 << 10;
const LEAVE_READS_MAX: usize = 64;

/// Whether a client has to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificate {
    /// Without one it is not let in.
    #[default]
    Required,
    /// It may say who it is by other means.
    Optional,
}

/// How the server speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificate of the server in PEM, and those between it and the authority.
    pub cert_file: PathBuf,
    /// Its private key in PEM.
    pub key_file: PathBuf,
    /// The authorities of the certificates of clients, in PEM; `None` asks clients for none.
    pub client_ca_file: Option<PathBuf>,
    /// Which of their certificates were revoked, in PEM: a list of each authority. `None` judges them by their
    /// dates alone.
    pub client_crl_file: Option<PathBuf>,
    /// Whether a client has to show one.
    pub client_certificate: ClientCertificate,
    /// Whether a client is the user whose name is the common name of its certificate.
    pub names_users: bool,
    /// Whether front ends on loopback addresses speak no TLS.
    pub loopback_plain: bool,
}

impl TlsOptions {
    /// Whether nobody comes in without a certificate.
    pub fn requires_certificate(&self) -> bool {
        self.client_ca_file.is_some() && self.client_certificate == ClientCertificate::Required
    }
}

/// Which protocol is spoken inside of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// That of Redis, whose clients name no protocol.
    Resp,
    /// HTTP, which gRPC is spoken in as well.
    Web,
}

/// What connections that come are served with.
#[derive(Debug)]
struct Served {
    resp: Arc<ServerConfig>,
    web: Arc<ServerConfig>,
}

/// TLS of a server.
#[derive(Debug)]
pub struct Tls {
    /// How it was started.
    pub options: TlsOptions,
    clock: Arc<StoreClock>,
    served: RwLock<Arc<Served>>,
}

impl Tls {
    /// Reads the certificates. The second part is what the operator should know, line by line.
    ///
    /// # Errors
    /// What is wrong with which file, and the remedy.
    pub fn open(options: TlsOptions, store: &Store) -> Result<(Tls, Vec<String>), String> {
        let clock = Arc::new(StoreClock(store.clone()));
        let (served, notices) = read(&options, &clock)?;
        Ok((Tls { options, clock, served: RwLock::new(Arc::new(served)) }, notices))
    }

    /// Reads the certificates again, for connections that come from now on. Answers what the operator should
    /// know.
    ///
    /// # Errors
    /// As [`open`](Tls::open); those that were read before stay then.
    pub fn reload(&self) -> Result<Vec<String>, String> {
        let (served, notices) = read(&self.options, &self.clock)?;
        *self.served.write() = Arc::new(served);
        Ok(notices)
    }

    /// Agrees on TLS with a client that has connected, within a time.
    ///
    /// # Errors
    /// They do not agree. The client was told why by an alert, and [`take_leave`] of what is left of the connection
    /// lets it read that; nothing is left if the time was over.
    pub async fn accept(
        &self,
        stream: TcpStream,
        inside: Inside,
        within: Option<Duration>,
    ) -> Result<Stream, Option<TcpStream>> {
        let served = Arc::clone(&self.served.read());
        let config = match inside {
            Inside::Resp => &served.resp,
            Inside::Web => &served.web,
        };
        let agree = TlsAcceptor::from(Arc::clone(config)).accept(stream).into_fallible();
        let agreed = match within {
            None => agree.await,
            Some(time) => tokio::time::timeout(time, agree).await.map_err(|_| None)?,
        };
        agreed.map(|stream| Stream::Tls(Box::new(stream))).map_err(|(_, stream)| Some(stream))
    }
}

/// Closes a connection after an alert. What the client has sent meanwhile is read, within bounds, since what is left
/// unread would reach it as a reset, which may overtake the alert.
pub async fn take_leave(mut stream: TcpStream) {
    let mut scratch = [0; LEAVE_BYTES_AT_ONCE];
    let read_rest = async {
        stream.shutdown().await?;
        for _ in 0..LEAVE_READS_MAX {
            if stream.read(&mut scratch).await? == 0 {
                break;
            }
        }
        Ok::<_, io::Error>(())
    };
    // Who does not go in time is cut off.
    let _ = tokio::time::timeout(LEAVE_TIMEOUT, read_rest).await;
}

/// Reads all files.
fn read(options: &TlsOptions, clock: &Arc<StoreClock>) -> Result<(Served, Vec<String>), String> {
    let identity = Identity::read(&options.cert_file, &options.key_file)?;
    let trust = options
        .client_ca_file
        .as_deref()
        .map(|path| Trust::read(path, options.client_crl_file.as_deref()))
        .transpose()?;
    let mut notices = Vec::new();
    if let Some(notice) = identity.notice(clock.now_s()) {
        notices.push(notice);
    }
    let config = config(options, identity, trust, clock)?;
    let mut web = config.clone();
    web.alpn_protocols = WEB_PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok((Served { resp: Arc::new(config), web: Arc::new(web) }, notices))
}

/// What rustls is told.
fn config(
    options: &TlsOptions,
    identity: Identity,
    trust: Option<Trust>,
    clock: &Arc<StoreClock>,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clock: Arc<StoreClock> = Arc::clone(clock);
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), clock)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let asks_for_certificates = trust.is_some();
    let builder = match trust {
        None => builder.with_no_client_auth(),
        Some(trust) => builder
            .with_client_cert_verifier(trust.into_verifier(provider, options.client_certificate)?),
    };
    let mut config = identity.into_config(builder)?;
    if asks_for_certificates {
        // A session that is resumed shows no certificate, and may outlive the one it began with.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// The clock of the store, by which certificates run out.
#[derive(Debug)]
struct StoreClock(Store);

impl StoreClock {
    /// Unix time in seconds.
    fn now_s(&self) -> u64 {
        u64::try_from(self.0.now_ms() / 1000).unwrap_or(0)
    }
}

impl TimeProvider for StoreClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.now_s())))
    }
}
