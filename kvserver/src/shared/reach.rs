//! Who can reach the server, and by which kind of connection.
//!
//! The rule has two parts. With `tls_cert_file` every front end speaks TLS and nothing else, unless
//! `tls_loopback_plain` is set and its address is a loopback one. And an address that others can reach is
//! listened on only if not everybody comes in there: the user `default` needs a password or is off, or TLS asks
//! for a certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;

use super::Shared;
use crate::tls::{self, Inside, Stream};

impl Shared {
    /// Whether a front end at this address speaks TLS.
    pub fn speaks_tls(&self, address: SocketAddr) -> bool {
        let is_plain = |plain: bool| plain && address.ip().is_loopback();
        self.tls.as_ref().is_some_and(|tls| !is_plain(tls.options.loopback_plain))
    }

    /// Whether a front end may listen at an address.
    ///
    /// # Errors
    /// `PermissionDenied` if it can be reached from elsewhere and everybody would come in.
    pub fn check_reach(&self, address: SocketAddr) -> io::Result<()> {
        let user = self.acl.default_user();
        let asks_for_certificate = self.speaks_tls(address)
            && self.tls.as_ref().is_some_and(|tls| tls.options.requires_certificate());
        let is_open = user.is_on() && user.needs_no_password() && !asks_for_certificate;
        if address.ip().is_loopback() || !is_open {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "refusing to listen on {address} without a password: set one, ask clients for certificates \
                 (tls_client_ca_file), or listen on 127.0.0.1"
            ),
        ))
    }

    /// The name in the certificate that a client has shown, if that is the name of its user.
    pub fn certified(&self, stream: &Stream) -> Option<String> {
        let names_users = self.tls.as_ref().is_some_and(|tls| tls.options.names_users);
        if names_users { stream.common_name() } else { None }
    }

    /// Agrees on TLS with a client, if the front end that it came to speaks that. `None` if they do not agree in
    /// time, or the server stops; what went wrong is the client's to tell, who got an alert.
    pub async fn secure(&self, stream: TcpStream, is_tls: bool, inside: Inside) -> Option<Stream> {
        let Some(tls) = self.tls.as_ref().filter(|_| is_tls) else {
            return Some(Stream::Plain(stream));
        };
        let within_s = self.options.handshake_timeout_s;
        let within = (within_s > 0).then(|| Duration::from_secs(within_s));
        let agree = async {
            match tls.accept(stream, inside, within).await {
                Ok(stream) => Some(stream),
                Err(left) => {
                    self.counters.tls_failed.fetch_add(1, Ordering::Relaxed);
                    if let Some(stream) = left {
                        tls::take_leave(stream).await;
                    }
                    None
                }
            }
        };
        tokio::select! {
            agreed = agree => agreed,
            () = self.stopped() => None,
        }
    }
}
