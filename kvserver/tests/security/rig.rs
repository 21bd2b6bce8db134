//! A server with all three front ends, and the plainest clients of each.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvcore::{Options, Store};
use kvserver::{ClientCertificate, Server, ServerOptions, Shared, TlsOptions};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection, StreamOwned};

use crate::certificates::{Authority, Files, Pair};

/// A server that runs until this is dropped.
pub struct Rig {
    server: Option<Server>,
    pub shared: Arc<Shared>,
    pub store: Store,
}

/// A program that does not outlive a test that fails.
pub struct Program(pub Child);

impl Program {
    /// Starts it. What it says to its standard error can be read.
    pub fn start(command: &mut Command) -> Program {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Program(command.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Options with all front ends on free ports.
pub fn options() -> ServerOptions {
    let any: Option<SocketAddr> = Some("127.0.0.1:0".parse().unwrap());
    ServerOptions { resp: any, http: any, grpc: any, threads: 1, ..ServerOptions::default() }
}

/// Options with this password.
pub fn with_password(password: &str) -> ServerOptions {
    ServerOptions { password: Some(password.to_owned()), ..options() }
}

/// TLS with these certificates, out of files in `files`.
pub fn tls(files: &Files, server: &Pair, clients: Option<&Authority>) -> TlsOptions {
    TlsOptions {
        cert_file: files.write("server.pem", &server.cert),
        key_file: files.write("server.key", &server.key),
        client_ca_file: clients.map(|authority| files.write("clients.pem", &authority.pem())),
        client_crl_file: None,
        client_certificate: ClientCertificate::Required,
        names_users: false,
        loopback_plain: false,
    }
}

impl Rig {
    pub fn new(options: ServerOptions) -> Rig {
        Rig::on(Store::memory(Options::new()).unwrap(), options)
    }

    pub fn on(store: Store, options: ServerOptions) -> Rig {
        let shared = Shared::new(store.clone(), options).unwrap();
        let server = Server::open(Arc::clone(&shared)).unwrap();
        Rig { server: Some(server), shared, store }
    }

    pub fn with_users(files: &Files, users: &str) -> (Rig, PathBuf) {
        let path = files.write("users.acl", users);
        (Rig::new(ServerOptions { users_file: Some(path.clone()), ..options() }), path)
    }

    pub fn resp(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    pub fn http(&self) -> SocketAddr {
        self.server.as_ref().unwrap().http_address().unwrap()
    }

    pub fn grpc(&self) -> SocketAddr {
        self.server.as_ref().unwrap().grpc_address().unwrap()
    }

    /// The addresses of all three, with the protocol that each one's clients agree on.
    pub fn fronts(&self) -> [(SocketAddr, &'static [&'static str]); 3] {
        [(self.resp(), &[]), (self.http(), &["http/1.1"]), (self.grpc(), &["h2"])]
    }

    /// Sends lines to the Redis protocol and answers everything that comes back until the end.
    pub fn redis(&self, lines: &[&str]) -> String {
        talk(connected(self.resp()), &redis_lines(lines)).unwrap()
    }

    /// Answers status line, headers and body of a request of HTTP.
    pub fn ask(&self, method: &str, path: &str, authorization: &str) -> String {
        let request = http_request(method, path, authorization, "");
        talk(connected(self.http()), request.as_bytes()).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(server) = self.server.take() {
            server.join();
        }
    }
}

/// A connection, on which a test that waits for long has failed.
pub fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
    stream
}

/// Lines of the Redis protocol, and the one that ends the connection.
pub fn redis_lines(lines: &[&str]) -> Vec<u8> {
    let lines = lines.iter().chain(&["QUIT"]);
    lines.flat_map(|line| format!("{line}\r\n").into_bytes()).collect()
}

/// A request of HTTP behind which the connection ends.
pub fn http_request(method: &str, path: &str, authorization: &str, body: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if !authorization.is_empty() {
        head += &format!("authorization: {authorization}\r\n");
    }
    if !body.is_empty() {
        head += "content-type: application/json\r\n";
    }
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// The header of a user and its password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Sends bytes, and answers what comes back until the end.
pub fn talk(mut stream: impl Read + Write, bytes: &[u8]) -> io::Result<String> {
    stream.write_all(bytes)?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A connection with TLS, on which the handshake is made with the first byte.
pub fn secured(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(session, connected(address))
}

/// The alert by which a server refuses a client.
#[track_caller]
pub fn alert(address: SocketAddr, config: &Arc<ClientConfig>) -> AlertDescription {
    // Nothing is sent but the handshake: what a server has not read when it closes would overtake the alert.
    let error = secured(address, config).read(&mut [0]).unwrap_err();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        other => panic!("{address} answered {other:?}: {error}"),
    }
}
