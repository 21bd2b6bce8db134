//! `HELP` of commands with subcommands.

use super::call::{Call, Outcome};
use super::failure::Failure;

/// What a command with subcommands does by itself: nothing, since one of them is always named.
pub fn container(call: &mut Call<'_, '_>) -> Outcome {
    Err(Failure::arity(call.command.name))
}

/// Writes lines of help, with what all of them begin and end with.
pub fn write(call: &mut Call<'_, '_>, lines: &[&str]) -> Outcome {
    let name = call.command.name.split('|').next().unwrap_or_default().to_ascii_uppercase();
    let first = format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    call.out.array(lines.len() + 3);
    call.out.simple(&first);
    for line in lines {
        call.out.simple(line);
    }
    call.out.simple("HELP");
    call.out.simple("    Print this help.");
    Ok(())
}
