//! `cargo xtask tsan`: the engine's concurrent tests under ThreadSanitizer.
//!
//! No part of `test`, because sanitizers need a nightly compiler. The standard library stays as it
//! is shipped, without instrumentation, so what the test harness does inside it is suppressed by
//! name. A program with a planted race shows first that a race is found at all.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::report::say;
use crate::workspace::Workspace;

const FLAGS: &str = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";

/// Two threads count on one plain integer, and take turns so that they surely meet.
const PLANTED_RACE: &str = "
static mut COUNT: u64 = 0;
fn count() {
    let place = &raw mut COUNT;
    for _ in 0..100_000 {
        unsafe { place.write(place.read() + 1) };
        std::thread::yield_now();
    }
}
fn main() {
    let thread = std::thread::spawn(count);
    count();
    thread.join().unwrap();
}
";

/// What the test harness and `std::thread` free inside the standard library, and what is done with a
/// large value after the last `Arc` has gone and before the first is made: the fence in `Arc::drop`
/// is one that the sanitizer does not know of in the shipped library.
const SUPPRESSIONS: &str = "\
race:test::run_test
race:Arc<kvcore::value::LargeValue
race:kvcore::value::LargeValue>::new
race:test::event::CompletedTest
race:Arc<std::thread::lifecycle::Packet
race:Arc<std::thread::thread::Inner
race:Arc<std::thread::scoped::ScopeData
";

/// Runs the planted race, which must be found, and then the tests, which must be clean.
pub fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let sh = Shell::new()?;
    sh.change_dir(workspace.root());
    let version = cmd!(sh, "rustc +nightly -vV")
        .read()
        .context("ThreadSanitizer needs a nightly compiler: rustup toolchain install nightly")?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc did not name its host")?;
    let target = workspace.target().join("tsan");
    sh.create_dir(&target)?;
    let suppressions = target.join("suppressions.txt");
    sh.write_file(&suppressions, SUPPRESSIONS)?;
    let options = format!("exitcode=66 suppressions={}", suppressions.display());
    let _options = sh.push_env("TSAN_OPTIONS", options);

    let source = target.join("planted_race.rs");
    let program = target.join("planted_race");
    sh.write_file(&source, PLANTED_RACE)?;
    let flags = FLAGS.split(' ');
    cmd!(sh, "rustc +nightly {flags...} --target {host} -o {program} {source}").run()?;
    let found = cmd!(sh, "{program}").ignore_status().quiet().output()?;
    ensure!(
        found.status.code() == Some(66),
        "ThreadSanitizer did not find the planted race, so its silence would mean nothing"
    );
    say("the planted race was found");

    let _flags = sh.push_env("RUSTFLAGS", FLAGS);
    cmd!(
        sh,
        "cargo +nightly test --locked --package kvcore --test concurrent --test readers --test linearizable --test ttl --target {host} --target-dir {target}"
    )
    .run()?;
    Ok(())
}
