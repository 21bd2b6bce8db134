//! Certificates and keys out of files, and what is wrong with them in words.
//!
//! Every error names the file, what was found there, and the remedy; none shows what is in it.

// The engine reaches files through its seam; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, Error, RootCertStore, ServerConfig};

use super::ClientCertificate;
use super::certificate;

/// Longest file that is read, in bytes. A chain of certificates takes some thousand, a list of a hundred thousand that
/// were revoked some millions.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Who the server is: its certificate and its key.
#[derive(Debug)]
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    cert_file: PathBuf,
    key_file: PathBuf,
}

impl Identity {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read, or holds something else.
    pub(super) fn read(cert_file: &Path, key_file: &Path) -> Result<Identity, String> {
        let chain = certificates("tls_cert_file", cert_file)?;
        let pem = read("tls_key_file", key_file)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| no_key(key_file, &pem))?;
        Ok(Identity { chain, key, cert_file: cert_file.into(), key_file: key_file.into() })
    }

    /// What the operator should know of the certificate at a Unix time in seconds.
    pub(super) fn notice(&self, now_s: u64) -> Option<String> {
        let file = self.cert_file.display();
        let Some(validity) = self.chain.first().and_then(certificate::validity) else {
            return Some(format!(
                "tls_cert_file {file}: the dates of the certificate cannot be read"
            ));
        };
        if now_s > validity.to_s {
            let days = (now_s - validity.to_s) / 86_400;
            return Some(format!(
                "tls_cert_file {file}: the certificate expired {days} days ago, so clients will refuse it: \
                 renew it and send SIGHUP"
            ));
        }
        (now_s < validity.from_s).then(|| {
            format!(
                "tls_cert_file {file}: the certificate is not valid yet, so clients will refuse it: look at \
                 its dates and at the clock of this machine"
            )
        })
    }

    /// Puts certificate and key into the configuration.
    ///
    /// # Errors
    /// The two do not belong together, or the key is of a kind that is not known.
    pub(super) fn into_config(
        self,
        builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> Result<ServerConfig, String> {
        let Identity { chain, key, cert_file, key_file } = self;
        let (cert_file, key_file) = (cert_file.display(), key_file.display());
        builder.with_single_cert(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => format!(
                "tls_key_file {key_file} does not belong to the first certificate in tls_cert_file \
                 {cert_file}: give the key that the certificate was made for, and the server's own \
                 certificate before those of authorities"
            ),
            Error::InvalidCertificate(_) => {
                format!("tls_cert_file {cert_file}: its first certificate cannot be used: {error}")
            }
            error => format!(
                "tls_key_file {key_file} cannot be used: {error}: give an ECDSA (P-256, P-384), Ed25519 or \
                 RSA key"
            ),
        })
    }
}

/// Why there is no key in a file.
fn no_key(path: &Path, pem: &[u8]) -> String {
    let path = path.display();
    let holds = |text: &[u8]| pem.windows(text.len()).any(|part| part == text);
    if holds(b"ENCRYPTED") {
        return format!(
            "tls_key_file {path}: the key needs a passphrase, which nobody is there to type: decrypt it by \
             openssl pkey -in {path} -out key.pem"
        );
    }
    if holds(b"BEGIN CERTIFICATE") {
        return format!(
            "tls_key_file {path} holds a certificate and no private key: give the file of the key"
        );
    }
    format!(
        "tls_key_file {path} holds no private key in PEM: give one, such as openssl genpkey writes"
    )
}

/// Whose certificates clients may show, and which of those were revoked.
#[derive(Debug)]
pub(super) struct Trust {
    roots: RootCertStore,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    ca_file: PathBuf,
}

impl Trust {
    /// Reads the authorities, and their lists of revoked certificates if there is a file of them.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) fn read(ca_file: &Path, crl_file: Option<&Path>) -> Result<Trust, String> {
        let mut roots = RootCertStore::empty();
        for authority in certificates("tls_client_ca_file", ca_file)? {
            roots.add(authority).map_err(|error| {
                let path = ca_file.display();
                format!("tls_client_ca_file {path}: a certificate cannot be used: {error}")
            })?;
        }
        let revoked = crl_file.map(revocation_lists).transpose()?.unwrap_or_default();
        Ok(Trust { roots, revoked, ca_file: ca_file.into() })
    }

    /// What judges the certificates of clients. Where there are lists, one of every authority has to be there and
    /// within its dates: one that is missing or past would let in whom it was to keep out.
    ///
    /// # Errors
    /// The authorities or the lists cannot be used.
    pub(super) fn into_verifier(
        self,
        provider: Arc<CryptoProvider>,
        wanted: ClientCertificate,
    ) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots), provider);
        let builder = match wanted {
            ClientCertificate::Required => builder,
            ClientCertificate::Optional => builder.allow_unauthenticated(),
        };
        let builder = match self.revoked.is_empty() {
            true => builder,
            false => builder.with_crls(self.revoked).enforce_revocation_expiration(),
        };
        builder.build().map_err(|error| match error {
            VerifierBuilderError::InvalidCrl(error) => format!(
                "tls_client_crl_file: a list cannot be used: {error:?}: give whole lists of the second version"
            ),
            error => {
                let path = self.ca_file.display();
                format!("tls_client_ca_file {path} cannot be used: {error}")
            }
        })
    }
}

/// The lists of revoked certificates in a file.
fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let pem = read("tls_client_crl_file", path)?;
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem).collect();
    let path = path.display();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!(
            "tls_client_crl_file {path} holds no list in PEM: give a file with BEGIN X509 CRL in it, such as \
             openssl ca -gencrl writes"
        )),
        Err(_) => Err(format!("tls_client_crl_file {path} is no sound PEM: write it anew")),
    }
}

/// The certificates in the file that an option names.
fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(option, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let path = path.display();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!(
            "{option} {path} holds no certificate in PEM: give a file with BEGIN CERTIFICATE in it"
        )),
        Err(_) => Err(format!("{option} {path} is no sound PEM: write it anew")),
    }
}

/// A file.
fn read(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let told = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{option} {shown}: there is no such file: make it, or correct the path")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{option} {shown} may not be read: give it to the user that the server runs as")
        }
        _ => format!("{option} {shown} cannot be read: {error}"),
    };
    if std::fs::metadata(path).map_err(told)?.len() > FILE_BYTES_MAX {
        return Err(format!("{option} {shown} is larger than 16 MiB: give a file in PEM"));
    }
    std::fs::read(path).map_err(told)
}
