//! Packages of Debian and Ubuntu, unpacked under `target/` without being installed.
//!
//! That needs no rights, and starts no service: nginx and Redis, once installed, would take their ports. What the
//! system has already is used as it is.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::report::say;

/// Downloads and unpacks into `root` what the system lacks of some packages and of all that they need, once. The
/// names are asked for twice if apt does not know them before it has updated its list.
pub fn unpack(sh: &Shell, root: &Path, packages: impl Fn() -> Result<Vec<String>>) -> Result<()> {
    let done = root.join("complete");
    if done.exists() {
        return Ok(());
    }
    let missing = || missing(sh, &packages()?);
    let lacking = missing().or_else(|_| {
        say("asking apt for its list of packages");
        cmd!(sh, "apt-get update --quiet").ignore_stdout().run()?;
        missing()
    })?;
    let archives = root.join("archives");
    sh.create_dir(&archives)?;
    if !lacking.is_empty() {
        say(&format!("downloading {} into {}", lacking.join(", "), root.display()));
        let _there = sh.push_dir(&archives);
        cmd!(sh, "apt-get download --quiet {lacking...}").ignore_stdout().run()?;
        for archive in sh.read_dir(&archives)? {
            cmd!(sh, "dpkg-deb --extract {archive} {root}").quiet().run()?;
        }
    }
    sh.write_file(done, "")?;
    Ok(())
}

/// The packages that would have to be installed, with all that they depend on.
fn missing(sh: &Shell, packages: &[String]) -> Result<Vec<String>> {
    let plan = cmd!(sh, "apt-get install --simulate --no-install-recommends {packages...}");
    Ok(installed_by(&plan.quiet().ignore_stderr().read()?))
}

/// The packages that a simulated installation names.
fn installed_by(plan: &str) -> Vec<String> {
    let lines = plan.lines().filter_map(|line| line.strip_prefix("Inst "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_simulated_installation_names() {
        let plan =
            "Reading...\nInst liba (1.2 Debian:12 [amd64])\nInst b-c (2 x)\nConf liba (1.2 x)\n";
        assert_eq!(installed_by(plan), ["liba", "b-c"]);
    }
}
