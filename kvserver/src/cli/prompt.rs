//! `kv open`: a prompt on a store, with history and completion.
//!
//! Owns: the prompt. A line is a command as on the command line, without the store's place, quoted as in
//! `redis-cli`: `set "a b" "\xff"`. Invariants: a failure is shown and the prompt goes on; without a terminal
//! the lines of standard input are run one after the other, and the first failure ends that. History may
//! hold values, so its file is for its owner alone, and it is only kept where it was asked for or where it
//! always is (`~/.kv_history`).

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;

use clap::{Args, CommandFactory, Parser, Subcommand};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper, history::FileHistory};

use super::Operation;
use super::keys::{DelArgs, ExpireArgs, GetArgs, IncrArgs, SetArgs, TtlArgs};
use super::outcome::{Failure, Outcome, Result};
use super::output::{Output, shown};
use super::scan::ScanArgs;
use super::session::{Session, Wanted};
use super::stats::StatsArgs;
use super::watch::WatchArgs;
use crate::resp::{Limits, Read, Reader};

/// Keys that completion offers at most.
const OFFERED: u64 = 50;

/// What a line may hold.
const LIMITS: Limits = Limits { bulk_bytes_max: u32::MAX as u64, authenticated: true };

/// `kv open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Keep no history.
    #[arg(long)]
    no_history: bool,
    /// Where history is kept.
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    history: Option<PathBuf>,
}

/// A line of the prompt.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_version_flag = true, disable_help_flag = true)]
struct Line {
    #[command(subcommand)]
    command: PromptCommand,
}

/// The commands of the prompt.
#[derive(Debug, Subcommand)]
enum PromptCommand {
    /// Print the value of a key
    Get(GetArgs),
    /// Set a key
    Set(SetArgs),
    /// Remove keys
    Del(DelArgs),
    /// Print how long a key has left
    Ttl(TtlArgs),
    /// Give a key a deadline, or take it away
    Expire(ExpireArgs),
    /// Add to a number
    Incr(IncrArgs),
    /// List entries
    Scan(ScanArgs),
    /// Follow changes as they happen, or those that the log still has
    Watch(WatchArgs),
    /// Print what the store counts
    Stats(StatsArgs),
    /// Leave
    #[command(alias = "quit")]
    Exit,
}

impl Operation for OpenArgs {
    const CREATES: bool = true;

    fn run(&self, session: &mut Session, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        if !std::io::stdin().is_terminal() {
            return self.script(session, output, quiet);
        }
        let shared = Rc::new(RefCell::new(session));
        let mut editor = Editor::<Completion<'_>, FileHistory>::new().map_err(unreadable)?;
        editor.set_helper(Some(Completion { session: Rc::clone(&shared) }));
        let history = self.history_file();
        if let Some(path) = &history {
            // The first time there is none.
            let _ = editor.load_history(path);
        }
        let ended = loop {
            match editor.readline("kv> ") {
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    let ran = run_line(&line, &mut shared.borrow_mut(), output, quiet);
                    let ran = ran.and_then(|step| output.flush().map(|()| step));
                    match ran {
                        Ok(Step::Exit) => break Ok(()),
                        Ok(Step::Next(_)) => {}
                        Err(failure) if failure.is_broken_pipe() => break Err(failure),
                        Err(failure) => eprintln!("{failure}"),
                    }
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break Ok(()),
                Err(error) => break Err(unreadable(error)),
            }
        };
        if let Some(path) = &history {
            let saved = editor.save_history(path);
            saved.unwrap_or_else(|error| eprintln!("kv: history is not kept: {error}"));
        }
        ended.map(|()| Outcome::Done)
    }
}

impl OpenArgs {
    /// Runs the lines of standard input. The outcome is that of the last one.
    fn script(
        &self,
        session: &mut Session,
        output: &mut Output<'_>,
        quiet: bool,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::Done;
        for line in std::io::stdin().lines() {
            let line = line.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
            match run_line(&line, session, output, quiet)? {
                Step::Next(next) => outcome = next,
                Step::Exit => break,
            }
        }
        Ok(outcome)
    }

    fn history_file(&self) -> Option<PathBuf> {
        if self.no_history {
            return None;
        }
        let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".kv_history"));
        self.history.clone().or_else(usual)
    }
}

/// What a line led to.
enum Step {
    Next(Outcome),
    Exit,
}

/// Runs one line.
fn run_line(
    line: &str,
    session: &mut Session,
    output: &mut Output<'_>,
    quiet: bool,
) -> Result<Step> {
    let words = words(line)?;
    if words.is_empty() {
        return Ok(Step::Next(Outcome::Done));
    }
    let command = match Line::try_parse_from(words) {
        Ok(line) => line.command,
        Err(error) if error.exit_code() == 0 => {
            output.raw(error.to_string().as_bytes())?;
            return Ok(Step::Next(Outcome::Done));
        }
        Err(error) => return Err(Failure::usage(error.to_string().trim_end().to_string())),
    };
    let outcome = match command {
        PromptCommand::Get(args) => args.run(session, output, quiet),
        PromptCommand::Set(args) => args.run(session, output, quiet),
        PromptCommand::Del(args) => args.run(session, output, quiet),
        PromptCommand::Ttl(args) => args.run(session, output, quiet),
        PromptCommand::Expire(args) => args.run(session, output, quiet),
        PromptCommand::Incr(args) => args.run(session, output, quiet),
        PromptCommand::Scan(args) => args.run(session, output, quiet),
        PromptCommand::Watch(args) => args.run(session, output, quiet),
        PromptCommand::Stats(args) => args.run(session, output, quiet),
        PromptCommand::Exit => return Ok(Step::Exit),
    };
    outcome.map(Step::Next)
}

/// The words of a line.
fn words(line: &str) -> Result<Vec<OsString>> {
    let mut reader = Reader::new();
    // A word in front keeps a line that begins with an asterisk from being taken for an array.
    let line = format!("kv {line}\n");
    match reader.read(line.as_bytes(), LIMITS) {
        Ok(Read::Request(request, _)) => {
            Ok(request.args().skip(1).map(|word| OsString::from_vec(word.to_vec())).collect())
        }
        Ok(Read::Nothing(_) | Read::More(_)) => Ok(Vec::new()),
        Err(error) => Err(Failure::usage(error.to_string().replace("Protocol error: ", ""))),
    }
}

fn unreadable(error: ReadlineError) -> Failure {
    Failure::failed(format!("cannot read a line: {error}"))
}

/// Completes the names of commands, and keys behind them.
struct Completion<'s> {
    session: Rc<RefCell<&'s mut Session>>,
}

impl Completer for Completion<'_> {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..at).unwrap_or_default();
        let start = typed.rfind(' ').map_or(0, |blank| blank + 1);
        let word = &typed[start..];
        let found = if start == 0 { names(word) } else { self.keys(word) };
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Completion<'_> {
    /// Keys that begin with what was typed, of those that can be typed without quotes.
    fn keys(&self, word: &str) -> Vec<String> {
        let Ok(mut session) = self.session.try_borrow_mut() else { return Vec::new() };
        let mut keys = Vec::new();
        let wanted = Wanted { prefix: word.into(), limit: OFFERED, ..Wanted::default() };
        // What cannot be offered need not be complained of: the command itself will.
        let _ = session.scan(&wanted, &mut |item| {
            let text = shown(&item.key);
            let plain = !text.contains(['\\', ' ', '"', '\'']);
            keys.extend(plain.then_some(text));
            Ok(true)
        });
        keys.sort();
        keys
    }
}

/// The commands that begin with what was typed.
fn names(word: &str) -> Vec<String> {
    let command = Line::command();
    let names = command.get_subcommands().map(|command| command.get_name().to_string());
    names.chain(["help".into()]).filter(|name| name.starts_with(word)).collect()
}

impl Hinter for Completion<'_> {
    type Hint = String;
}

impl Highlighter for Completion<'_> {}
impl Validator for Completion<'_> {}
impl Helper for Completion<'_> {}

#[cfg(test)]
mod tests {
    use kvcore::{Options, Store};

    use super::*;

    fn told(lines: &[&str]) -> (String, Vec<Failure>) {
        let mut session = Session::Store(Store::memory(Options::new()).unwrap());
        let (mut out, mut failures) = (Vec::new(), Vec::new());
        for line in lines {
            let mut output = Output::new(&mut out, false);
            failures.extend(run_line(line, &mut session, &mut output, true).err());
        }
        (String::from_utf8_lossy(&out).into_owned(), failures)
    }

    #[test]
    fn a_line_is_a_command_without_the_store() {
        let (out, failures) =
            told(&["set \"a b\" '*x'", "", "get \"a b\"", "incr n 5", "incr n -- -7", "ttl n"]);
        assert_eq!((&out[..], failures.len()), ("OK\n*x\n5\n-2\nnever\n", 0));
    }

    #[test]
    fn what_cannot_be_run_is_said() {
        let (_, failures) = told(&["frob", "get", "set a \"b", "expire a 5", "incr a b"]);
        assert_eq!(failures.len(), 5);
        assert!(failures.iter().all(|failure| failure.code() == 2));
        let (help, failures) = told(&["help"]);
        assert!(help.contains("scan") && failures.is_empty(), "{help}");
    }

    #[test]
    fn names_and_keys_are_completed() {
        assert_eq!(names("s"), ["set", "scan", "stats"]);
        let store = Store::memory(Options::new()).unwrap();
        for key in ["user:2", "user:1", "user:a b", "other"] {
            store.set(key, "").unwrap();
        }
        let mut session = Session::Store(store);
        let completion = Completion { session: Rc::new(RefCell::new(&mut session)) };
        assert_eq!(completion.keys("user:"), ["user:1", "user:2"]);
    }
}
