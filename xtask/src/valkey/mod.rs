//! `cargo xtask valkey --suite DIR`: the tests of the Valkey project, run from outside against `kv-server`.
//!
//! Owns: starting a server for each unit, running the unit in the external-server mode of the suite, and the
//! page `docs/valkey-tests.md`. The suite is the user's: a directory with an unpacked Valkey 7.2, of which
//! nothing is shipped here. Every test that cannot pass stands in `not-applicable.txt` with its reason and is
//! left out, because a test that fails in its middle leaves clients behind that the next ones trip over. Any
//! failure is a fault. `--listed` runs them too and tells which of them pass, and need not be listed.

mod listed;
mod output;
mod page;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::report::say;
use crate::tools;
use crate::workspace::Workspace;
use listed::Listed;
use output::Outcome;

/// The units that run in external-server mode and concern what exists here.
const UNITS: &[&str] = &[
    "unit/type/string",
    "unit/type/incr",
    "unit/bitops",
    "unit/bitfield",
    "unit/keyspace",
    "unit/expire",
    "unit/scan",
    "unit/dump",
    "unit/protocol",
    "unit/multi",
    "unit/pubsub",
    "unit/tracking",
    "unit/pause",
    "unit/quit",
    "unit/info-command",
    "unit/introspection",
    "unit/introspection-2",
    "unit/slowlog",
    "unit/latency-monitor",
    "unit/querybuf",
    "unit/replybufsize",
    "unit/lazyfree",
    "unit/other",
];

/// What the suite is told: one database; a failure ends its test and not the unit; no replication.
const FLAGS: &[&str] = &["--singledb", "--durable", "--no-latency", "--tags", "-needs:repl"];

/// A unit that takes longer than this hangs.
const UNIT_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// One unit and what came of it.
struct Ran<'u> {
    unit: &'u str,
    outcome: Outcome,
}

/// Runs the units named, or all of them, which writes the page too.
pub fn run(arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments)?;
    let suite = &asked.suite;
    ensure!(
        suite.join("tests/test_helper.tcl").is_file(),
        "{} holds no tests of Valkey: unpack the source of Valkey 7.2 there, from https://github.com/valkey-io/valkey",
        suite.display()
    );
    let (sh, workspace) = (Shell::new()?, Workspace::find()?);
    sh.change_dir(workspace.root());
    tools::ensure_tcl(&sh)?;
    let listed = Listed::load(&workspace.file("xtask/src/valkey/not-applicable.txt")?)?;
    say("building kv-server");
    let profile: &[&str] = if asked.release { &["--release"] } else { &[] };
    cmd!(sh, "cargo build --locked --quiet --package kvserver --bin kv-server {profile...}")
        .run()?;
    let profile = if asked.release { "release" } else { "debug" };
    let server = workspace.target().join(profile).join("kv-server");
    let mut all = Vec::new();
    for unit in &asked.units {
        let data = workspace.fresh_dir("valkey")?;
        let left_out = if asked.with_listed { Vec::new() } else { listed.of(unit) };
        let outcome = run_unit(&server, &data, suite, unit, &left_out)?;
        println!("{unit:<24} {}", page::line(&outcome, &listed, unit));
        all.push(Ran { unit, outcome });
    }
    if asked.with_listed {
        let passed = page::listed_and_passed(&all, &listed);
        ensure!(passed.is_empty(), "these pass and need not be listed:\n{}", passed.join("\n"));
        say("every test that is listed as not applicable fails");
        return Ok(());
    }
    if asked.is_complete {
        let text = page::write(&all, &listed);
        std::fs::write(workspace.root().join("docs/valkey-tests.md"), text)?;
    }
    let faults = page::faults(&all);
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    say("every test that applies has passed");
    Ok(())
}

/// What the command was told.
struct Asked {
    suite: PathBuf,
    units: Vec<String>,
    is_complete: bool,
    release: bool,
    with_listed: bool,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Asked> {
        let (mut suite, mut units) = (None, Vec::new());
        let (mut release, mut with_listed) = (false, false);
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--suite" => suite = rest.next().map(PathBuf::from),
                "--release" => release = true,
                "--listed" => with_listed = true,
                unit if UNITS.contains(&unit) => units.push(unit.to_owned()),
                other => {
                    bail!("there is no unit `{other}`; those that run are {}", UNITS.join(", "))
                }
            }
        }
        let suite = suite.context("say where the source of Valkey is: --suite DIR")?;
        let is_complete = units.is_empty();
        if is_complete {
            units = UNITS.iter().map(|unit| (*unit).to_owned()).collect();
        }
        Ok(Asked { suite, units, is_complete, release, with_listed })
    }
}

/// A server that ends with this.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &Path, data: &Path) -> Result<Server> {
        // Free a moment ago; nobody else asks for ports meanwhile.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new(program)
            .args(["--resp", &format!("127.0.0.1:{port}"), "--http", "off", "--grpc", "off"])
            .arg("--dir")
            .arg(data.join("store"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.join("server.log"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let server = Server { child, port };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begun.elapsed() < START_TIMEOUT, "kv-server does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which was noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one unit against a server of its own, without the tests that are left out.
fn run_unit(
    program: &Path,
    data: &Path,
    suite: &Path,
    unit: &str,
    left_out: &[&str],
) -> Result<Outcome> {
    let mut server = Server::start(program, data)?;
    let printed = data.join("printed.txt");
    let mut child = Command::new("tclsh")
        .current_dir(suite)
        .args(["tests/test_helper.tcl", "--host", "127.0.0.1", "--port", &server.port.to_string()])
        .args(FLAGS)
        .args(["--single", unit])
        .args(left_out.iter().flat_map(|name| ["--skiptest", name]))
        // Without colours.
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&printed)?)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start tclsh")?;
    let begun = Instant::now();
    let mut hangs = false;
    while child.try_wait()?.is_none() {
        if begun.elapsed() > UNIT_TIMEOUT {
            hangs = true;
            child.kill()?;
            child.wait()?;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut outcome = Outcome::read(&String::from_utf8_lossy(&std::fs::read(&printed)?));
    if hangs {
        outcome.breaks.push(format!("it hangs after {:?}", outcome.passed.last()));
    }
    if server.has_ended() {
        outcome.breaks.push("the server has ended".to_owned());
    }
    Ok(outcome)
}
