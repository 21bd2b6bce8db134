//! `kv-server`: a store behind the Redis protocol.

use std::io::Write;
use std::process::ExitCode;

use kvcore::{Options, Store};
use kvserver::{Server, ServerOptions, Shared};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
Usage: kv-server [--resp ADDRESS] [--threads N] [--dir DIRECTORY] [--password-file FILE] [--OPTION VALUE]...

  --resp ADDRESS        where to speak the Redis protocol (127.0.0.1:6379)
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
    let Some(Arguments { options, directory, store }) = arguments()? else { return Ok(()) };
    let opened = match &directory {
        Some(directory) => Store::open_directory(directory, store),
        None => Store::memory(store),
    };
    let store = opened.map_err(|error| error.to_string())?;
    let address = options.resp.ok_or("there is nothing to serve: --resp is off")?;
    let shared = Shared::new(store.clone(), options).map_err(|error| error.to_string())?;
    let server = Server::start(shared, address).map_err(|error| error.to_string())?;
    // Whoever started it without looking does without.
    let _ = writeln!(std::io::stderr(), "kv-server: listening on {}", server.address());
    kvserver::wait_for_signal(server.shared()).map_err(|error| error.to_string())?;
    server.join();
    store.shutdown().map_err(|error| error.to_string())
}

/// Reads the command line. `None` if it only asked for help.
fn arguments() -> Result<Option<Arguments>, String> {
    let mut arguments =
        Arguments { options: ServerOptions::default(), directory: None, store: Options::new() };
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
    Ok(Some(arguments))
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
