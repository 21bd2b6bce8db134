//! `kv`, the command line: every command on a store in a directory or behind a server.
//!
//! Owns: the way from arguments to an exit code. `args` has what is taken, `target` where a store is,
//! `session` the calls on it, `remote` those on a server; each command has a file. Invariants: standard
//! output has the answer and nothing else; a store that was opened is closed before the command ends, and
//! what could not be made safe is a failure of the command; exit codes are those of `outcome`.

// The engine reaches files and time through its seams; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

mod args;
mod bench;
mod files;
mod generate;
mod inserter;
mod item;
mod keys;
mod log;
mod outcome;
mod output;
mod ping;
mod progress;
mod prompt;
mod remote;
mod scan;
mod session;
mod stats;
mod target;
mod tls;
mod top;
mod transfer;
mod watch;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser};

#[cfg(feature = "fuzzing")]
pub(crate) use transfer::fuzz;

use args::{Cli, Command, On};
use outcome::{Outcome, Result};
use output::Output;
use session::{Opening, Session};
use target::Target;

/// Something to do on a store.
trait Operation: Args {
    /// Whether a directory that is not there is made for it.
    const CREATES: bool = false;

    /// Does it.
    ///
    /// # Errors
    /// Those of the store, the server, and the output.
    fn run(&self, session: &mut Session, output: &mut Output<'_>, quiet: bool) -> Result<Outcome>;
}

/// Runs `kv` with these arguments, the program's name first, and says how it ended.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = parse(args.collect()).and_then(|cli| execute(&cli, &mut out));
    let ended = ended.and_then(|outcome| Ok(out.flush().map(|()| outcome)?));
    let code = match ended {
        Ok(outcome) => outcome.code(),
        Err(failure) if failure.is_broken_pipe() => 0,
        Err(failure) => {
            // Whoever cannot be told has the exit code.
            let _ = writeln!(io::stderr(), "kv: {failure}");
            failure.code()
        }
    };
    ExitCode::from(code)
}

/// Reads the arguments. Help, and what clap refuses, ends the process here.
fn parse(args: Vec<OsString>) -> Result<Cli> {
    let args = target::place_server(args, &Cli::command())?;
    Ok(Cli::try_parse_from(args).unwrap_or_else(|error| error.exit()))
}

fn execute(cli: &Cli, out: &mut dyn Write) -> Result<Outcome> {
    let output = &mut Output::new(out, cli.json);
    match &cli.command {
        Command::Open(on) => on.run(cli, output),
        Command::Get(on) => on.run(cli, output),
        Command::Set(on) => on.run(cli, output),
        Command::Del(on) => on.run(cli, output),
        Command::Ttl(on) => on.run(cli, output),
        Command::Expire(on) => on.run(cli, output),
        Command::Incr(on) => on.run(cli, output),
        Command::Scan(on) => on.run(cli, output),
        Command::Watch(on) => on.run(cli, output),
        Command::Backup(on) => on.run(cli, output),
        Command::Restore(args) => {
            let target = Target::parse(&args.target)?;
            with_session(&target, cli, true, |session| args.run(session, output, cli.quiet))
        }
        Command::Verify(args) => args.run(output, cli.quiet),
        Command::Salvage(args) => args.run(output, cli.quiet),
        Command::Log(args) => args.run(output, cli.quiet),
        Command::Export(on) => on.run(cli, output),
        Command::Import(on) => on.run(cli, output),
        Command::Stats(on) => on.run(cli, output),
        Command::Top(on) => on.run(cli, output),
        Command::Ping(on) => on.run(cli, output),
        Command::Bench(on) => on.run(cli, output),
        Command::Completions(args) => args.run(output),
        Command::Man(args) => args.run(output),
    }
}

impl<A: Operation> On<A> {
    fn run(&self, cli: &Cli, output: &mut Output<'_>) -> Result<Outcome> {
        let target = Target::parse(&self.target)?;
        with_session(&target, cli, A::CREATES, |session| self.args.run(session, output, cli.quiet))
    }
}

/// Opens a store, works on it, and closes it whatever came of the work.
fn with_session(
    target: &Target,
    cli: &Cli,
    creates: bool,
    work: impl FnOnce(&mut Session) -> Result<Outcome>,
) -> Result<Outcome> {
    let opening = Opening { options: &cli.options, tls: &cli.tls, creates, quiet: cli.quiet };
    let mut session = Session::open(target, opening)?;
    let worked = work(&mut session);
    let closed = session.close();
    let outcome = worked?;
    closed.map(|()| outcome)
}

/// The command line of `kv`, for whoever describes it.
fn kv_command() -> clap::Command {
    Cli::command()
}
