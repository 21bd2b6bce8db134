//! The option and error tables of `README.md`, written from the engine's own tables.
//!
//! The engine is the only place where an option or a status is described; the README cannot say
//! anything else, because `cargo xtask test` refuses a stale one.

use anyhow::{Context, Result, ensure};
use kvcore::{OPTION_TABLE, Offers, OptionKind, OptionSpec, Status};

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
    let mut table = String::from(
        "| option | default | online | meaning | this version |\n| --- | --- | --- | --- | --- |\n",
    );
    for option in OPTION_TABLE {
        let online = if option.online { "yes" } else { "" };
        table.push_str(&format!(
            "| `{}` | {} | {online} | {} | {} |\n",
            option.name,
            code(option.default),
            meaning(option),
            offered(option.offers),
        ));
    }
    table
}

/// What the option does and, where words are to choose from, which.
fn meaning(option: &OptionSpec) -> String {
    match option.kind {
        OptionKind::Choice(choices) => {
            format!("{}: {}", words(choices), cell(option.meaning))
        }
        _ => cell(option.meaning),
    }
}

/// What this version makes of the option; empty where it does all that the table says.
fn offered(offers: Offers) -> String {
    match offers {
        Offers::All => String::new(),
        Offers::DefaultOnly => "default only".to_owned(),
        Offers::OnDiskOnly => "on disk".to_owned(),
        Offers::RemoteOnly => "on a server".to_owned(),
        // A kind of offer that this table does not know yet must not pass for a whole one.
        _ => "see the documentation".to_owned(),
    }
}

fn words(choices: &[&str]) -> String {
    choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
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

    #[test]
    fn an_option_shows_its_choices_and_what_is_missing() {
        let table = option_table();
        let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(row("`eviction`").contains("`tinylfu`: "), "{table}");
        assert!(row("`eviction`").ends_with("|  |"), "{table}");
        assert!(row("`sync`").ends_with("| on disk |"), "{table}");
        assert!(row("`max_entries`").ends_with("|  |"), "{table}");
    }
}
