//! Where the text of options comes from: a file, the environment, the flags.
//!
//! Owns: [`Layers`], the last text that was given for each name, and by whom. Invariant: a name that is in
//! no table is refused where it is met, with the nearest one that is. Kubernetes and Docker put variables
//! for their services into every environment (`KV_SERVICE_HOST`, `KV_PORT_6379_TCP`); these are left alone.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Arg, ArgMatches, Command};

use super::ConfigError;
use super::table::{Kind, SERVER_OPTIONS, engine_options, find, names, nearest};

/// What the names of variables begin with.
const ENV_PREFIX: &str = "KV_";

/// Who gave an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// The file of this name.
    File(String),
    /// The environment.
    Environment,
    /// A flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(name) => f.write_str(name),
            Origin::Environment => f.write_str("environment"),
            Origin::Flag => f.write_str("flag"),
        }
    }
}

/// The texts that were given.
#[derive(Debug, Default)]
pub(super) struct Layers {
    given: BTreeMap<&'static str, (String, Origin)>,
}

impl Layers {
    /// What was given for a name, or its default.
    pub(super) fn text(&self, name: &str, default: &'static str) -> (&str, &Origin) {
        match self.given.get(name) {
            Some((text, origin)) => (text, origin),
            None => (default, &Origin::Default),
        }
    }

    /// Adds what a file says; it wins over what is there.
    ///
    /// # Errors
    /// It is no TOML, has a name that is in no table, or a value that is none.
    pub(super) fn add_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            // The error's own text shows the line, which may hold a password.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::new(format!("{path}, line {line}: {}", error.message()))
        })?;
        for (name, value) in &table {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                _ => {
                    let fault = format!("{path}: {name} is neither a text, a number nor a truth");
                    return Err(ConfigError::new(fault));
                }
            };
            let name = known(name).ok_or_else(|| unknown(path, name, nearest(name)))?;
            self.given.insert(name, (text, Origin::File(path.to_string())));
        }
        Ok(())
    }

    /// Adds what variables say; they win over what is there.
    ///
    /// # Errors
    /// A variable that begins with `KV_` is of no option.
    pub(super) fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(ENV_PREFIX) else { continue };
            if variable == super::CONFIG_VARIABLE || is_service_link(&variable, &text) {
                continue;
            }
            let lower = name.to_ascii_lowercase();
            let name = known(&lower).ok_or_else(|| {
                let nearest = format!("{ENV_PREFIX}{}", nearest(&lower).to_ascii_uppercase());
                unknown("environment", &variable, &nearest)
            })?;
            self.given.insert(name, (text, Origin::Environment));
        }
        Ok(())
    }

    /// Adds the flags that were given; they win over what is there.
    pub(super) fn add_flags(&mut self, flags: &ArgMatches) {
        for name in names().filter(|name| is_flag(name)) {
            if let Some(text) = flags.get_one::<String>(name) {
                self.given.insert(name, (text.clone(), Origin::Flag));
            }
        }
    }
}

/// A name of the tables.
fn known(name: &str) -> Option<&'static str> {
    names().find(|known| *known == name)
}

fn unknown(place: &str, name: &str, nearest: &str) -> ConfigError {
    let name: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    ConfigError::new(format!("{place}: unknown option '{name}': did you mean '{nearest}'?"))
}

/// Whether a variable tells of a service of the same name.
fn is_service_link(variable: &str, text: &str) -> bool {
    variable.contains("_SERVICE_") || variable.contains("_PORT_") || text.starts_with("tcp://")
}

fn is_flag(name: &str) -> bool {
    find(name).is_none_or(|row| row.kind != Kind::Secret)
}

/// The flags of the tables, on top of a command.
pub(super) fn with_flags(mut command: Command) -> Command {
    let own = SERVER_OPTIONS.iter().map(|row| (row.name, row.default, row.meaning, row.kind));
    for (name, default, meaning, kind) in own.filter(|row| row.3 != Kind::Secret) {
        let arg = flag(name, default, meaning).help_heading("Server");
        command = command.arg(if kind == Kind::Bool { truth(arg) } else { arg });
    }
    for row in engine_options() {
        let arg = flag(row.name, row.default, row.meaning).help_heading("Store");
        let is_bool = matches!(row.kind, kvcore::OptionKind::Bool);
        command = command.arg(if is_bool { truth(arg) } else { arg });
    }
    command
}

fn flag(name: &'static str, default: &'static str, meaning: &'static str) -> Arg {
    let help = if default.is_empty() {
        meaning.to_string()
    } else {
        format!("{meaning} [default: {default}]")
    };
    let value_name = name.rsplit('_').next().unwrap_or(name).to_ascii_uppercase();
    let arg = Arg::new(name).long(name.replace('_', "-")).value_name(value_name).help(help);
    if name.contains('_') { arg.alias(name) } else { arg }
}

/// A flag that needs no value to be true.
fn truth(arg: Arg) -> Arg {
    arg.num_args(0..=1).require_equals(true).default_missing_value("true")
}
