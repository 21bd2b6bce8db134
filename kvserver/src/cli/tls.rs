//! How `kv` reaches a server that speaks TLS: the arguments, and the files that they name.
//!
//! Without `--ca-file` the authorities of the system are believed. No argument turns the check of the server's
//! certificate off.

use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use redis::{Client, ClientTlsConfig, TlsCertificates};

use super::outcome::{Failure, Result};

/// Arguments for a server that speaks TLS.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// Speak TLS with the server, as with rediss://HOST. The three files imply it.
    #[arg(long, global = true)]
    pub tls: bool,
    /// The authority of the server's certificate, in PEM. Without it, those of the system.
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to a server that asks for one, in PEM.
    #[arg(long, global = true, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, global = true, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,
}

impl TlsArgs {
    /// Whether one of them says that TLS is to be spoken.
    pub fn is_wanted(&self) -> bool {
        self.tls || self.ca_file.is_some() || self.cert_file.is_some()
    }

    /// The client of the server of a URL.
    ///
    /// # Errors
    /// `Usage` if the URL is none, or one for which there is no TLS; `Failed` for a file that cannot be read, or
    /// holds something else.
    pub fn client(&self, url: &str) -> Result<Client> {
        let url = match url.strip_prefix("redis://") {
            Some(rest) if self.is_wanted() => format!("rediss://{rest}"),
            _ => url.to_owned(),
        };
        if !url.starts_with("rediss://") {
            return match self.is_wanted() {
                true => Err(Failure::usage("a socket of this machine takes no TLS: leave it out")),
                false => Ok(Client::open(url)?),
            };
        }
        let client_tls = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => {
                Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })
            }
            _ => None,
        };
        let root_cert = self.ca_file.as_deref().map(read).transpose()?;
        Ok(Client::build_with_tls(url, TlsCertificates { client_tls, root_cert })?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::file("read", path, &error))
}

/// What to do about a connection on which TLS came to nothing; `None` if that is not what the text of the error
/// says.
pub fn remedy(text: &str) -> Option<&'static str> {
    if text.contains("invalid peer certificate") {
        return Some(
            "name the authority of the server's certificate by --ca-file, and the server by a name in it",
        );
    }
    if text.contains("received fatal alert") {
        return Some("show a certificate that the server accepts by --cert-file and --key-file");
    }
    None
}
