//! `kv-server`: a store behind the Redis protocol, HTTP and gRPC.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use kvserver::config::{Asked, Config};
use kvserver::{Server, Shared, Signals, say};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match Config::from_process() {
        Ok(Asked::Print(text)) => {
            io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
        }
        Ok(Asked::Serve(config)) => serve(&config),
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&message);
            ExitCode::FAILURE
        }
    }
}

/// Serves until it is told to end.
fn serve(config: &Config) -> Result<(), String> {
    let mut options = config.server_options();
    leave_out_if_taken("http", &mut options.http, config.http_is_default);
    leave_out_if_taken("grpc", &mut options.grpc, config.grpc_is_default);
    let clients_max = options.clients_max;
    let files = kvserver::raise_file_limit();
    let shared = match config.open_remote().map_err(|error| error.to_string())? {
        Some(remote) => Shared::gateway(remote, options),
        None => Shared::new(config.open_store().map_err(|error| error.to_string())?, options),
    };
    let shared = shared.map_err(|error| error.to_string())?;
    let store = shared.data.clone();
    let signals = Signals::catch().map_err(|error| error.to_string())?;
    let server = Server::open(shared).map_err(|error| error.to_string())?;
    let shared = server.shared();
    shared.notices.iter().for_each(|notice| say(notice));
    let by = |address| if shared.speaks_tls(address) { " (TLS)" } else { "" };
    if shared.options.resp.is_some() {
        say(&format!("listening on {}{}", server.address(), by(server.address())));
    }
    for (name, address) in [("HTTP", server.http_address()), ("gRPC", server.grpc_address())] {
        if let Some(address) = address {
            say(&format!("{name} on {address}{}", by(address)));
        }
    }
    if files < clients_max as u64 + OTHER_FILES {
        say(&format!(
            "only {files} files may be open, too few for {clients_max} clients: see `ulimit -n`"
        ));
    }
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    signals.wait(server.shared());
    server.join();
    store.shutdown().map_err(|error| error.to_string())
}

/// Files that the server has open besides those of its clients, at most about so many.
const OTHER_FILES: u64 = 100;

/// Does without a front end that nobody asked for if another program has its place, so that a second server
/// needs no more than another port for the Redis protocol.
fn leave_out_if_taken(name: &str, address: &mut Option<SocketAddr>, is_default: bool) {
    if let Some(place) = *address
        && is_default
        && TcpListener::bind(place).is_err()
    {
        say(&format!("{place} is taken, so --{name} is off: give it another address"));
        *address = None;
    }
}
