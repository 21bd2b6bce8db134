//! Encrypted connections: to a server whose certificate is trusted, and to none other.

use std::path::PathBuf;

use kvcore::{Options, Status};
use kvremote::RemoteStore;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::servers::{Server, wait_until};

/// Files of certificates, removed at the end.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Files {
    /// Makes an authority and a certificate of it for this machine, and another authority.
    fn new() -> Files {
        let folder = std::env::temp_dir().join(format!("kvremote-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = Files(folder);
        let authority = || {
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
        };
        let (ours, other, key) = (authority(), authority(), KeyPair::generate().unwrap());
        let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
        let server = CertificateParams::new(names).unwrap().signed_by(&key, &ours).unwrap();
        std::fs::write(files.path("ca.pem"), ours.pem()).unwrap();
        std::fs::write(files.path("other.pem"), other.pem()).unwrap();
        std::fs::write(files.path("server.pem"), server.pem()).unwrap();
        std::fs::write(files.path("server.key"), key.serialize_pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
}

#[test]
fn only_a_trusted_server_is_talked_to() {
    let files = Files::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (certificate, key, ca) =
        (files.path("server.pem"), files.path("server.key"), files.path("ca.pem"));
    let port_text = port.to_string();
    let arguments = [
        ["--tls-port", &port_text],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", "no"],
    ];
    let _server = Server::start(&arguments.concat());
    let open = |ca: &str| {
        let location = format!("valkey://127.0.0.1:{port}/?tls=true&near=1MiB&tls_ca_file={ca}");
        RemoteStore::open(&location, Options::new())
    };
    let store = open(&ca).unwrap();
    store.set("k", "v").unwrap();
    assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"v"[..]));
    wait_until("the listener is confirmed", || store.near_stats().confirmed);
    let error = open(&files.path("other.pem")).unwrap_err();
    assert_eq!(error.status(), Status::Invalid, "{error}");
    assert!(error.message().to_lowercase().contains("certificate"), "{error}");
    let error = open(&files.path("server.key")).unwrap_err();
    assert_eq!(error.status(), Status::Invalid, "{error}");
}
