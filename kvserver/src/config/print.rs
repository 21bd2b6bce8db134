//! The effective configuration as a file that means the same.

use super::layers::{Layers, Origin};
use super::table::{Kind, SERVER_OPTIONS, engine_options};

/// The file: every option, with who gave it where that was not the default. A secret is a comment that says
/// whether it is set, and so is a location with a password in it.
pub(super) fn effective(layers: &Layers) -> String {
    let mut file = String::new();
    for row in SERVER_OPTIONS {
        let (text, origin) = layers.text(row.name, row.default);
        if row.kind == Kind::Secret || (row.kind == Kind::Location && text.contains('@')) {
            let state = if text.is_empty() { "not set" } else { "set, and not shown" };
            file += &format!("# {} is {state}\n", row.name);
        } else {
            file += &line(row.name, text, origin);
        }
    }
    file.push('\n');
    for row in engine_options() {
        let (text, origin) = layers.text(row.name, row.default);
        file += &line(row.name, text, origin);
    }
    file
}

fn line(name: &str, text: &str, origin: &Origin) -> String {
    let value = toml::Value::String(text.to_string());
    match origin {
        Origin::Default => format!("{name} = {value}\n"),
        origin => format!("{name} = {value} # {}\n", origin.to_string().escape_debug()),
    }
}
