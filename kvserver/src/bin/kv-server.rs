//! `kv-server`: a store behind the Redis protocol, HTTP and gRPC.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use kvcore::{Options, Store};
use kvserver::{Server, ServerOptions, Shared};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
Usage: kv-server [--resp ADDRESS] [--http ADDRESS] [--grpc ADDRESS] [--threads N] [--dir DIRECTORY]
                 [--password-file FILE] [--OPTION VALUE]...

  --resp ADDRESS        where to speak the Redis protocol (127.0.0.1:6379), or off
  --http ADDRESS        where to speak HTTP (127.0.0.1:8080), or off
  --grpc ADDRESS        where to speak gRPC (127.0.0.1:50051), or off
  --threads N           threads that serve clients
  --dir DIRECTORY       where to keep the data; without it, in memory only
  --password-file FILE  a file with the password of the user `default`
  --max-clients N       most clients at a time (10000)
  --del-returns-value   DEL of one key answers the value it removes
  --OPTION VALUE        any option of the store, such as --default-ttl 6h";

/// What the command line says.
struct Arguments {
    options: ServerOptions,
    directory: Option<String>,
    store: Options,
    /// Where to speak HTTP and gRPC, if it says so.
    http: Option<String>,
    /// As `http`.
    grpc: Option<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "kv-server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let Some(Arguments { options, directory, store, .. }) = arguments()? else { return Ok(()) };
    let opened = match &directory {
        Some(directory) => Store::open_directory(directory, store),
        None => Store::memory(store),
    };
    let store = opened.map_err(|error| error.to_string())?;
    let shared = Shared::new(store.clone(), options).map_err(|error| error.to_string())?;
    let server = Server::open(shared).map_err(|error| error.to_string())?;
    // Whoever started it without looking does without.
    if server.shared().options.resp.is_some() {
        let _ = writeln!(std::io::stderr(), "kv-server: listening on {}", server.address());
    }
    for (name, address) in [("HTTP", server.http_address()), ("gRPC", server.grpc_address())] {
        if let Some(address) = address {
            // As above.
            let _ = writeln!(std::io::stderr(), "kv-server: {name} on {address}");
        }
    }
    kvserver::wait_for_signal(server.shared()).map_err(|error| error.to_string())?;
    server.join();
    store.shutdown().map_err(|error| error.to_string())
}

/// Reads the command line. `None` if it only asked for help.
fn arguments() -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments {
        options: ServerOptions::default(),
        directory: None,
        store: Options::new(),
        http: None,
        grpc: None,
    };
    // Ready for CONFIG SET maxmemory-policy, and refusing until then, as Redis does at first.
    arguments.set("eviction", "lru".to_owned())?;
    arguments.options.evicts = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let name =
            word.strip_prefix("--").ok_or_else(|| format!("unknown argument {word}\n{USAGE}"))?;
        if name == "help" {
            // As above.
            let _ = writeln!(std::io::stdout(), "{USAGE}");
            return Ok(None);
        }
        if name == "del-returns-value" {
            arguments.options.resp_del_returns_value = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
        arguments.set(name, value)?;
    }
    arguments.options.http = front("http", arguments.http.as_deref(), 8080)?;
    arguments.options.grpc = front("grpc", arguments.grpc.as_deref(), 50051)?;
    Ok(Some(arguments))
}

/// Where a front end listens. The place that nobody asked for is left out if another program has it, so that a
/// second server needs no more than another port for the Redis protocol.
fn front(name: &str, given: Option<&str>, port: u16) -> Result<Option<SocketAddr>, String> {
    match given {
        Some("off") => Ok(None),
        Some(text) => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(format!("--{name}: {text} is no address with a port")),
        },
        None => {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let is_free = std::net::TcpListener::bind(address).is_ok();
            if !is_free {
                // As above.
                let _ = writeln!(
                    std::io::stderr(),
                    "kv-server: {address} is taken, so --{name} is off: give it another address"
                );
            }
            Ok(is_free.then_some(address))
        }
    }
}

impl Arguments {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let wrong = |what: &str| format!("--{name}: {value} is {what}");
        match name {
            "resp" if value == "off" => self.options.resp = None,
            "resp" => {
                self.options.resp =
                    Some(value.parse().map_err(|_| wrong("no address with a port"))?);
            }
            "http" => self.http = Some(value),
            "grpc" => self.grpc = Some(value),
            "threads" => self.options.threads = value.parse().map_err(|_| wrong("no number"))?,
            "max-clients" => {
                self.options.clients_max = value.parse().map_err(|_| wrong("no number"))?;
            }
            "dir" => self.directory = Some(value),
            "password-file" => self.options.password = Some(kvserver::read_password(&value)?),
            _ => {
                if name == "eviction" {
                    self.options.eviction.clone_from(&value);
                    self.options.evicts = true;
                }
                let option = name.replace('-', "_");
                self.store.set(&option, &value).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}
