//! The option and error tables of `README.md`, written from the engine's own tables.
//!
//! The engine is the only place where an option or a status is described; the README cannot say
//! anything else, because `cargo xtask test` refuses a stale one.

use anyhow::{Context, Result, ensure};
use kvcore::{OPTION_TABLE, Status};

use crate::markdown::replace_between;
use crate::report::say;
use crate::workspace::Workspace;

/// Rewrites the tables, or with `check` only says whether they are fresh.
pub fn run(check: bool) -> Result<()> {
    let path = Workspace::find()?.file("README.md")?;
    let old = std::fs::read_to_string(&path).context("cannot read README.md")?;
    let new = replace_between(&old, "options", &option_table())?;
    let new = replace_between(&new, "errors", &error_table())?;
    if new == old {
        say("the tables of README.md are fresh");
        return Ok(());
    }
    ensure!(!check, "the tables of README.md are stale; mend them with: cargo xtask tables");
    std::fs::write(&path, new).context("cannot write README.md")?;
    say("README.md rewritten");
    Ok(())
}

fn option_table() -> String {
    let mut table =
        String::from("| option | default | online | meaning |\n| --- | --- | --- | --- |\n");
    for option in OPTION_TABLE {
        let online = if option.online { "yes" } else { "" };
        table.push_str(&format!(
            "| `{}` | {} | {online} | {} |\n",
            option.name,
            code(option.default),
            cell(option.meaning),
        ));
    }
    table
}

fn error_table() -> String {
    let mut table = String::from("| status | number | what it means |\n| --- | --- | --- |\n");
    for status in Status::ALL {
        table.push_str(&format!(
            "| `{}` | {} | {} |\n",
            status.c_name(),
            status.code(),
            cell(status.message()),
        ));
    }
    table
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) }
}

/// Text as a table cell holds it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_and_status_has_one_row() {
        assert_eq!(option_table().lines().count(), OPTION_TABLE.len() + 2);
        assert_eq!(error_table().lines().count(), Status::ALL.len() + 2);
    }
}
