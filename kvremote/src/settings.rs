//! What the options mean for a remote store.
//!
//! Owns: [`Settings`], and the list of options that a server cannot honour. Invariant: an option that has no
//! meaning there is refused unless it is at its default, so that nobody relies on a limit or a log that is
//! not there; no callback of the caller is kept.

use std::time::Duration;

use kvcore::{Error, OPTION_TABLE, Offers, Options, Result, Status};

/// Options of the embedded engine that hold for a remote store as well.
const SHARED: &[&str] =
    &["max_key_bytes", "max_value_bytes", "default_ttl", "ttl_jitter", "watch_buffer"];

/// What a remote store goes by.
pub(crate) struct Settings {
    options: Options,
    /// What every key begins with on the server.
    pub(crate) prefix: Vec<u8>,
    /// The longest that a call takes.
    pub(crate) timeout: Duration,
    /// Replicas that must have a change.
    pub(crate) ack_replicas: u64,
    /// Bytes of the near cache; 0 is none.
    pub(crate) near_bytes: u64,
    /// How long the near cache keeps an entry at most.
    pub(crate) near_max_ttl_ms: i64,
    /// Whether everything on the servers may be cleared.
    pub(crate) allow_flush: bool,
    pub(crate) tls: bool,
    /// What is in the file of trusted certificates, if one is given.
    pub(crate) tls_ca: Option<Vec<u8>>,
    pub(crate) max_key_bytes: usize,
    pub(crate) max_value_bytes: usize,
    /// Events that a slow watch keeps.
    pub(crate) watch_buffer: usize,
}

impl Settings {
    /// # Errors
    /// `Unsupported` for an option that has no meaning on a server, `Invalid` for two that contradict each
    /// other, `Io` if the file of certificates cannot be read.
    pub(crate) fn new(options: Options) -> Result<Settings> {
        let local = |name: &str| !SHARED.contains(&name) && !options.is_default(name);
        let mut engine_only = OPTION_TABLE.iter().filter(|spec| spec.offers != Offers::RemoteOnly);
        if let Some(spec) = engine_only.find(|spec| local(spec.name)) {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "option '{}' has no meaning for a store on a server: leave it out, and configure the server",
                    spec.name
                ),
            ));
        }
        if options.has_callback() {
            return Err(Error::new(
                Status::Unsupported,
                "a store on a server has no removal callback: use a watch",
            ));
        }
        let tls = options.flag("tls");
        let ca_file = options.text("tls_ca_file");
        if !tls && !ca_file.is_empty() {
            return Err(Error::new(
                Status::Invalid,
                "tls_ca_file is given without tls=true: add it",
            ));
        }
        let tls_ca = if ca_file.is_empty() { None } else { Some(certificates(ca_file)?) };
        Ok(Settings {
            prefix: options.text("prefix").as_bytes().to_vec(),
            timeout: Duration::from_millis(options.number("timeout")),
            ack_replicas: options.number("ack_replicas"),
            near_bytes: options.number("near"),
            near_max_ttl_ms: i64::try_from(options.number("near_max_ttl")).unwrap_or(i64::MAX),
            allow_flush: options.flag("allow_flush"),
            tls,
            tls_ca,
            max_key_bytes: usize::try_from(options.number("max_key_bytes")).unwrap_or(usize::MAX),
            max_value_bytes: usize::try_from(options.number("max_value_bytes"))
                .unwrap_or(usize::MAX),
            watch_buffer: usize::try_from(options.number("watch_buffer")).unwrap_or(usize::MAX),
            options: options.without_progress(),
        })
    }

    /// A relative TTL in milliseconds after `default_ttl` and `ttl_jitter`; 0 is never.
    pub(crate) fn ttl_ms(&self, ttl_ms: u64) -> u64 {
        self.options.ttl_ms(ttl_ms)
    }

    /// Whether a write that names no TTL gets one.
    pub(crate) fn has_default_ttl(&self) -> bool {
        self.options.number("default_ttl") > 0
    }

    /// Checks a key and gives the one that the server knows.
    ///
    /// # Errors
    /// `TooLarge`.
    pub(crate) fn key(&self, key: &[u8]) -> Result<Vec<u8>> {
        self.check_key(key)?;
        Ok([&self.prefix, key].concat())
    }

    /// # Errors
    /// `TooLarge`.
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.len() > self.max_key_bytes { Err(Status::TooLarge.into()) } else { Ok(()) }
    }

    /// # Errors
    /// `TooLarge`.
    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() > self.max_value_bytes { Err(Status::TooLarge.into()) } else { Ok(()) }
    }
}

/// The bytes of a file that has certificates in it.
fn certificates(path: &str) -> Result<Vec<u8>> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let bytes = kvcore::read_file(path)?;
    if bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Ok(bytes);
    }
    Err(Error::new(
        Status::Invalid,
        format!("there is no certificate in '{path}': give a file in PEM"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> Error {
        match Settings::new(Options::new().with(name, value).unwrap()) {
            Err(error) => error,
            Ok(_) => panic!("{name}={value} is taken"),
        }
    }

    #[test]
    fn what_a_server_cannot_honour_is_refused() {
        for (name, value) in
            [("max_memory", "1MiB"), ("eviction", "lru"), ("persistence", "none"), ("shards", "2")]
        {
            let error = refused(name, value);
            assert_eq!(error.status(), Status::Unsupported);
            assert!(error.message().contains(name), "{error}");
        }
        assert_eq!(refused("tls_ca_file", "/x").status(), Status::Invalid);
        let callback = Options::new().on_remove(kvcore::Causes::ALL, |_| {});
        assert_eq!(Settings::new(callback).err().map(|e| e.status()), Some(Status::Unsupported));
    }

    #[test]
    fn callbacks_are_let_go() {
        let kept = std::sync::Arc::new(());
        let held = std::sync::Arc::clone(&kept);
        let options = Options::new().on_progress(move |_| assert_eq!(*held, ()));
        let settings = Settings::new(options).unwrap();
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
        drop(settings);
    }

    #[test]
    fn what_holds_on_a_server() {
        let options = Options::new().with("prefix", "app:").unwrap();
        let options =
            options.with("default_ttl", "5s").unwrap().with("max_key_bytes", "2").unwrap();
        let settings = Settings::new(options).unwrap();
        assert_eq!(settings.key(b"ab").unwrap(), b"app:ab");
        assert_eq!(settings.key(b"abc").map_err(|e| e.status()), Err(Status::TooLarge));
        assert_eq!((settings.ttl_ms(0), settings.ttl_ms(7)), (5000, 7));
        assert!(settings.has_default_ttl());
    }
}
