//! What the command line takes. Help, completions and manual page are made from this.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::bench::BenchArgs;
use super::files::{BackupArgs, RestoreArgs, SalvageArgs, VerifyArgs};
use super::generate::{CompletionsArgs, ManArgs};
use super::keys::{DelArgs, ExpireArgs, GetArgs, IncrArgs, SetArgs, TtlArgs};
use super::log::LogArgs;
use super::ping::PingArgs;
use super::prompt::OpenArgs;
use super::scan::ScanArgs;
use super::stats::StatsArgs;
use super::tls::TlsArgs;
use super::top::TopArgs;
use super::transfer::{ExportArgs, ImportArgs};
use super::watch::WatchArgs;

/// What `kv --help` ends with.
const AFTER_HELP: &str = "\
TARGET is the directory of a store, :memory:, or a running server: redis://[USER:PASSWORD@]HOST[:PORT].
With --server ADDRESS the TARGET is left out. rediss:// and --tls speak TLS.

Exit codes: 0 done; 1 not found, condition not met, or damage found; 2 asked in a wrong way;
3 refused or failed; 4 open elsewhere, or no answer: try again later.";

/// A key-value store in a directory or behind a server, from the command line.
#[derive(Debug, Parser)]
#[command(name = "kv", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// Answer with one JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Draw no progress bars.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// A server in the place of TARGET, such as localhost:6379.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub server: Option<String>,
    /// How a server is reached that speaks TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// An option of the engine for a store that is opened here, such as eviction=lru. May be repeated.
    #[arg(long = "option", short, global = true, value_name = "NAME=VALUE")]
    pub options: Vec<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Arguments of a command that works on a store, behind the store's place.
#[derive(Debug, Args)]
pub struct On<A: Args> {
    /// The store: a directory, :memory:, or redis://HOST.
    pub target: OsString,
    /// What the command itself takes.
    #[command(flatten)]
    pub args: A,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A prompt on a store, with history and completion
    Open(On<OpenArgs>),
    /// Print the value of a key
    Get(On<GetArgs>),
    /// Set a key
    Set(On<SetArgs>),
    /// Remove keys
    Del(On<DelArgs>),
    /// Print how long a key has left
    Ttl(On<TtlArgs>),
    /// Give a key a deadline, or take it away
    Expire(On<ExpireArgs>),
    /// Add to a number
    Incr(On<IncrArgs>),
    /// List entries
    Scan(On<ScanArgs>),
    /// Follow changes as they happen, or those that the log still has
    Watch(On<WatchArgs>),
    /// Write all entries to a file, as of one moment
    Backup(On<BackupArgs>),
    /// Bring back what a backup holds
    Restore(RestoreArgs),
    /// Check every stored byte, and say what is damaged
    Verify(VerifyArgs),
    /// Copy what can be read of a damaged directory into a new one
    Salvage(SalvageArgs),
    /// Print the log, change by change
    Log(LogArgs),
    /// Write all entries as text that other programs read
    Export(On<ExportArgs>),
    /// Read entries that export wrote, or the commands of a Redis client
    Import(On<ImportArgs>),
    /// Print what a store counts
    Stats(On<StatsArgs>),
    /// Show what a store does, live
    Top(On<TopArgs>),
    /// Tell whether a store can be opened, or a server answers
    Ping(On<PingArgs>),
    /// Measure reads and writes
    Bench(On<BenchArgs>),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Print a manual page
    Man(ManArgs),
}

/// One of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// The command line.
    Kv,
    /// The server.
    KvServer,
}

/// A file, or `-` for standard input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// Standard input or output.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Stream {
    /// Reads the argument; without one it is the standard stream.
    pub fn of(path: Option<&PathBuf>) -> Stream {
        match path {
            Some(path) if path.as_os_str() != "-" => Stream::File(path.clone()),
            _ => Stream::Standard,
        }
    }
}

/// Reads a duration such as `250ms` or `6h` into milliseconds, for clap.
///
/// # Errors
/// What a duration looks like.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let ms = kvcore::duration_ms(text).filter(|ms| *ms > 0);
    ms.ok_or_else(|| "give a duration with its unit, such as 250ms, 1s, 5m, 6h or 1d".to_string())
}
