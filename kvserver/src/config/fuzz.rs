//! A configuration file, given any bytes: see [`crate::fuzz`].

use super::layers::Layers;
use super::{Config, ConfigError, print};

/// Reads the text of a file as if there were nothing else.
fn read(text: &str) -> Result<(Layers, Config), ConfigError> {
    let mut layers = Layers::default();
    layers.add_file("a file", text)?;
    let config = Config::of(&layers)?;
    Ok((layers, config))
}

/// Any bytes as a configuration file: what is printed of it means the same.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    // No input decides which file of this machine is read.
    if text.contains("password_file") {
        return false;
    }
    let Ok((layers, config)) = read(text) else { return false };
    let printed = print::effective(&layers);
    if config.password.is_none() {
        let again = read(&printed).map(|(_, config)| config);
        // What nobody gave is given now, so it is no default any more.
        let again = again.map(|again| Config {
            grpc_is_default: config.grpc_is_default,
            http_is_default: config.http_is_default,
            ..again
        });
        assert_eq!(again.map(|again| format!("{again:?}")), Ok(format!("{config:?}")), "{printed}");
    }
    true
}
