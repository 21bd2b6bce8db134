//! `cargo xtask docs`: the pages of the interfaces, under `target/docs`.
//!
//! Each language has the pages that its users know: rustdoc, Doxygen for `kv.h` and `kv.hpp`, Sphinx for
//! Python, `go doc` for Go; `index.html` leads to them and to the guides. A warning of any of these tools is
//! an error: a broken link is noticed here and not by a reader.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::say;
use crate::tools;

/// Not in `tools.txt`, whose tools every build installs.
const SPHINX: &str = "sphinx==9.0.4";

/// Builds all pages.
pub fn run(artifacts: &Artifacts) -> Result<()> {
    tools::ensure_document_tools(&artifacts.sh)?;
    let out = artifacts.workspace.fresh_dir("docs")?;
    rust(artifacts, &out)?;
    c_and_cpp(artifacts, &out)?;
    python(artifacts, &out)?;
    go(artifacts, &out)?;
    index(artifacts, &out)?;
    say(&format!("the pages are in {}", out.join("index.html").display()));
    Ok(())
}

fn rust(artifacts: &Artifacts, out: &Path) -> Result<()> {
    let sh = &artifacts.sh;
    let target = artifacts.workspace.target();
    let _strict = sh.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(sh, "cargo doc --locked --no-deps --package kvcore --target-dir {target}").run()?;
    let made = target.join("doc");
    let place = out.join("rust");
    Ok(cmd!(sh, "cp -r {made} {place}").run()?)
}

fn c_and_cpp(artifacts: &Artifacts, out: &Path) -> Result<()> {
    let sh = &artifacts.sh;
    let settings = std::fs::read_to_string(artifacts.workspace.file("docs/api/Doxyfile")?)?;
    let place = sh.create_dir(out.join("c"))?;
    let version = env!("CARGO_PKG_VERSION");
    let here =
        format!("{settings}\nOUTPUT_DIRECTORY = {}\nPROJECT_NUMBER = {version}\n", place.display());
    Ok(cmd!(sh, "doxygen -").stdin(here).run()?)
}

fn python(artifacts: &Artifacts, out: &Path) -> Result<()> {
    let python = artifacts.wheel_venv("docs", &[SPHINX])?;
    let sh = &artifacts.sh;
    let source = artifacts.workspace.file("docs/api/python")?;
    let place = out.join("python");
    Ok(cmd!(sh, "{python} -m sphinx -W --keep-going -q -b html {source} {place}").run()?)
}

fn go(artifacts: &Artifacts, out: &Path) -> Result<()> {
    let sh = &artifacts.sh;
    let place = sh.create_dir(out.join("go"))?;
    let _env = artifacts.env_for(artifacts.prefix()?);
    let _there = sh.push_dir(artifacts.workspace.file("bindings/go")?);
    for package in ["kvstore", "storage"] {
        let text = cmd!(sh, "go doc -all ./{package}").read()?;
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{package}</title>\
             <pre>{}</pre></html>\n",
            escaped(&text)
        );
        sh.write_file(place.join(format!("{package}.html")), page)?;
    }
    Ok(())
}

/// The page that leads to the others. The guides stay Markdown, as the repository shows them.
fn index(artifacts: &Artifacts, out: &Path) -> Result<()> {
    let sh = &artifacts.sh;
    let mut guides = String::new();
    for file in sh.read_dir(artifacts.workspace.file("docs")?)? {
        if file.extension().is_some_and(|extension| extension == "md") {
            let name = file.file_name().and_then(|name| name.to_str()).context("a strange name")?;
            let title = std::fs::read_to_string(&file)?;
            let title = title.lines().next().unwrap_or(name).trim_start_matches("# ").to_owned();
            sh.copy_file(&file, out.join(name))?;
            guides += &format!("<li><a href=\"{name}\">{}</a></li>", escaped(&title));
        }
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>libkv</title><h1>libkv</h1><ul>\
         <li><a href=\"rust/kvcore/index.html\">Rust</a></li>\
         <li><a href=\"c/index.html\">C and C++</a></li>\
         <li><a href=\"python/index.html\">Python</a></li>\
         <li>Go: <a href=\"go/kvstore.html\">kvstore</a>, <a href=\"go/storage.html\">storage</a></li></ul>\
         <h2>Guides</h2><ul>{guides}</ul></html>\n"
    );
    Ok(sh.write_file(out.join("index.html"), page)?)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_in_a_page() {
        assert_eq!(escaped("a < b && c > d"), "a &lt; b &amp;&amp; c &gt; d");
    }
}
