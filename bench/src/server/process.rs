//! The servers under test: `kv-server` as this repository builds it and `redis-server` as Debian has it,
//! each a process of its own on a free port of the loopback interface.
//!
//! Both have their default options, except that neither keeps anything on disk. A server ends with the value
//! that stands for it.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::wire::Client;
use crate::engines::system::bytes_in;
use crate::outside::required;

/// The server of this repository.
pub const KV: &str = "kv-server";
/// The one that it is held against.
pub const REDIS: &str = "redis-server";
/// Both, in the order in which a round begins.
pub const BOTH: [&str; 2] = [KV, REDIS];

/// The variable with the path of `kv-server`.
const PROGRAM: &str = "KVBENCH_SERVER";
/// How long a server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the server of that name with further arguments, and waits until it answers.
    ///
    /// # Errors
    /// It is not there, or does not answer.
    pub fn start(name: &str, arguments: &[String]) -> Result<Server> {
        let address = free_address()?;
        let mut command = match name {
            KV => {
                let mut command = Command::new(required(PROGRAM)?);
                command.args(["--http=off", "--grpc=off"]).arg(format!("--resp={address}"));
                command
            }
            _ => {
                let mut command = Command::new(OsString::from(REDIS));
                command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
                command.args(["--port", &address.port().to_string()]);
                command
            }
        };
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("{name} is not installed"))?;
        let mut server = Server { child, address };
        let began = Instant::now();
        loop {
            match Client::connect(address).and_then(|mut client| client.ask(&[b"PING"])) {
                Ok(_) => return Ok(server),
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended with {status}");
            }
        }
    }

    /// Bytes that it has in memory now.
    pub fn resident_bytes(&self) -> Result<f64> {
        self.status_bytes("VmRSS:")
    }

    /// The most bytes that it has had in memory since [`forget_peak`](Server::forget_peak).
    pub fn peak_bytes(&self) -> Result<f64> {
        self.status_bytes("VmHWM:")
    }

    /// From now on, [`peak_bytes`](Server::peak_bytes) tells of what comes.
    pub fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    fn status_bytes(&self, name: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        bytes_in(&status, name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing that it holds is of use to anybody, so it need not end by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on. Somebody else may take it before the server does, who then fails.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
