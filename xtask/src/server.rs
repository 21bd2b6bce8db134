//! `kv-server` as its users meet it: the step `server`, and the server's part of the quickstart.
//!
//! The tests are in `tests/server`, in Python, because that is where clients of all its protocols are: redis-py,
//! grpcio, schemathesis, and a handful of lines that drive a browser. This file brings what they need:
//! the programs of the workspace as `cargo test` builds them, a virtual environment, Debian's redis-tools, nginx and
//! Chromium. Each is told to the tests by a variable, so that a test which lacks one fails by its name.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use xshell::{PushEnv, Shell, cmd};

use crate::artifacts::Artifacts;
use crate::report::say;
use crate::{debian, tools};

/// What the quickstart alone runs, since it needs a program that takes a while to build.
const QUICKSTART: &str = "tests/server/test_readme.py";

/// The client of the quickstart for gRPC.
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";

/// nginx, and the module that balances what is not HTTP.
const NGINX: [&str; 2] = ["nginx", "libnginx-mod-stream"];

/// Runs all tests but those of the quickstart.
pub fn test(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    {
        let _there = sh.push_dir(artifacts.workspace.file("tests/server/go")?);
        let unformatted = cmd!(sh, "gofmt -l .").read()?;
        ensure!(unformatted.is_empty(), "in tests/server/go, run gofmt -w on: {unformatted}");
    }
    let _nginx = nginx(artifacts)?;
    let _browser = sh.push_env("KV_CHROMIUM", tools::ensure_browser(sh)?);
    pytest(artifacts, &["tests/server", "--ignore", QUICKSTART])
}

/// Types what README.md and `docs/grpc.md` say.
pub fn quickstart(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    let bin = artifacts.workspace.target().join("go-bin");
    {
        let _bin = sh.push_env("GOBIN", &bin);
        // In a directory without a module, whose versions would take part in the choice.
        let _there = sh.push_dir(artifacts.workspace.target());
        cmd!(sh, "go install {GRPCURL}").run()?;
    }
    let _bin = sh.push_env("KV_GO_BIN", bin);
    pytest(artifacts, &[QUICKSTART])
}

/// Takes the pictures of the live page that the documentation shows.
pub fn pictures(artifacts: &Artifacts) -> Result<()> {
    let sh = &artifacts.sh;
    let folder = artifacts.workspace.root().join("docs/images");
    sh.create_dir(&folder)?;
    let _browser = sh.push_env("KV_CHROMIUM", tools::ensure_browser(sh)?);
    let _folder = sh.push_env("KV_SCREENSHOTS", &folder);
    pytest(artifacts, &["tests/server/test_page.py", "-k", "pictures"])?;
    say(&format!("look at what is in {}", folder.display()));
    Ok(())
}

/// Builds the programs and runs some tests with them.
fn pytest(artifacts: &Artifacts, arguments: &[&str]) -> Result<()> {
    let sh = &artifacts.sh;
    tools::ensure_server_clients(sh)?;
    // As the step `rust` builds it, so that there is nothing left to do after that.
    cmd!(sh, "cargo test --locked --workspace --no-run --quiet").run()?;
    let requirements = sh.read_file(artifacts.workspace.file("tests/server/requirements.txt")?)?;
    let venv = tools::kept_venv(sh, &artifacts.workspace.venv("server"), &requirements)?;
    let python = venv.join("bin/python");
    let programs = artifacts.workspace.target().join("debug");
    let _server = sh.push_env("KV_SERVER", programs.join("kv-server"));
    let _cli = sh.push_env("KV_CLI", programs.join("kv"));
    Ok(cmd!(sh, "{python} -m pytest -q -p no:cacheprovider {arguments...}").run()?)
}

/// Tells the tests where nginx and its modules are.
fn nginx(artifacts: &Artifacts) -> Result<Vec<PushEnv<'_>>> {
    let sh: &Shell = &artifacts.sh;
    let root = artifacts.workspace.target().join("debian/nginx");
    debian::unpack(sh, &root, || Ok(NGINX.map(str::to_owned).to_vec()))?;
    // What was not unpacked is installed.
    let place = |path: &str| -> Option<PathBuf> {
        [root.join(path), Path::new("/").join(path)].into_iter().find(|path| path.exists())
    };
    let Some(program) = place("usr/sbin/nginx") else {
        anyhow::bail!("the package nginx has no usr/sbin/nginx")
    };
    let mut guards = vec![sh.push_env("KV_NGINX", program)];
    // Without it the module is part of the program, as in the packages of nginx itself.
    if let Some(module) = place("usr/lib/nginx/modules/ngx_stream_module.so") {
        guards.push(sh.push_env("KV_NGINX_STREAM", module));
    }
    Ok(guards)
}
