//! The step `remote`: stores on servers from C, Python and Go, and the example that runs anywhere.
//!
//! Owns: the servers, which are those of the tests of `kvremote`: its example `servers` starts them, says where they are,
//! and ends them when its input ends. Rust's own tests against servers are in the step `rust`. Which cases apply every
//! driver asks the store itself; here is only where the store is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::say;
use crate::tools;

/// Servers that run until this is dropped.
struct Servers {
    process: Child,
    /// What `KV_SERVERS` says of them.
    named: String,
}

impl Servers {
    fn start(artifacts: &Artifacts) -> Result<Servers> {
        let sh = &artifacts.sh;
        // As the step `rust` has built it: alone, its dependencies would get other features and be built again.
        cmd!(sh, "cargo build --locked --workspace --all-targets").run()?;
        let program = artifacts.workspace.target().join("debug/examples/servers");
        let mut process = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let told = process.stdout.take().context("the servers have no output")?;
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        let named = line.trim().strip_prefix("KV_SERVERS=").map(str::to_owned);
        let servers = Servers { process, named: named.unwrap_or_default() };
        ensure!(!servers.named.is_empty(), "no servers could be started: see above");
        Ok(servers)
    }

    /// Where one of them is.
    fn place(&self, name: &str) -> Result<&str> {
        let mut all = self.named.split(' ').filter_map(|word| word.split_once('='));
        let found = all.find(|(known, _)| *known == name);
        Ok(found.with_context(|| format!("there is no server '{name}'"))?.1)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // The end of its input ends it, and it takes the servers along.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Runs the conformance cases on one server and on a cluster, those about servers, and the example.
pub fn test(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    tools::ensure_test_tools(sh)?;
    let options = ["-DKV_TESTS=ON", "-DCMAKE_BUILD_TYPE=Release"];
    let tree = artifacts.configure("test", &options)?;
    cmd!(sh, "cmake --build {tree} --target test_c_conformance anywhere").run()?;
    let python = artifacts.wheel_venv("remote", &tools::pinned(&["pytest"])?)?;
    let prefix = artifacts.prefix()?;
    let servers = Servers::start(artifacts)?;
    let one = format!("valkey://{}", servers.place("one")?);
    let cluster = format!("valkey-cluster://{}", servers.place("cluster")?);

    let _named = sh.push_env("KV_SERVERS", &servers.named);
    let _env = artifacts.env_for(prefix);
    let tests = "bindings/python/tests";
    let kvstore = artifacts.workspace.file("bindings/go/kvstore")?;
    for at in [&one, &cluster] {
        say(&format!("the conformance cases on {at}"));
        let _at = sh.push_env("KV_AT", at);
        cmd!(sh, "{tree}/tests/c/test_c_conformance tests/conformance").run()?;
        cmd!(sh, "{python} -m pytest -q {tests}/test_conformance.py").run()?;
        let _there = sh.push_dir(&kvstore);
        cmd!(sh, "go test -count=1 -timeout=60m -run ^TestConformance$ .").run()?;
    }
    say("what Python and Go have beyond the cases");
    cmd!(sh, "{python} -m pytest -q {tests}/test_remote.py").run()?;
    {
        let _there = sh.push_dir(&kvstore);
        cmd!(sh, "go test -count=1 -timeout=60m -run ^TestRemote .").run()?;
    }
    for at in [&one, &cluster] {
        say(&format!("the example, on {at}"));
        let location = format!("{at}/?prefix=example:&near=1MiB");
        let in_c = cmd!(sh, "{tree}/examples/c/anywhere {location}").read()?;
        let in_python = cmd!(sh, "{python} examples/python/anywhere.py {location}").read()?;
        ensure!(in_c == in_python, "C prints\n{in_c}\nand Python\n{in_python}");
        ensure!(in_c.starts_with("visitors: 1\n"), "the example prints\n{in_c}");
    }
    Ok(())
}
