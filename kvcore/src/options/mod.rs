//! The options of a store: what a caller set, checked against the one table.
//!
//! Owns: [`Options`], a value for each row of [`OPTION_TABLE`]. Invariant: a value in here has
//! passed the bounds of its row, so whoever reads it need not check again. Reads no file and no
//! environment variable; a share of memory is resolved when the store opens.

mod parse;
mod table;

pub use parse::{boolean as flag_value, bytes as size_bytes, duration_ms};
pub(crate) use table::Persistence;
pub use table::{OPTION_TABLE, Offers, OptionKind, OptionSpec};

use crate::error::{Error, Result, Status};
use crate::recovery::{Progress, ProgressListener};
use crate::removals::{Causes, Listener, Removal};
use crate::snapshot::Compression;
use crate::stats::LatencyMode;
use crate::wal::SyncMode;

/// A value that has passed its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    Word(&'static str),
    Flag(bool),
    Number(u64),
    Percent(u32),
    Text(Box<str>),
    Auto,
}

/// For a name that is in no row.
const AUTO: &Setting = &Setting::Auto;

/// What a store is opened with. Starts from the defaults of [`OPTION_TABLE`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// let options = kvcore::Options::new().with("max_memory", "256MiB")?.with("eviction", "random")?;
/// # let _ = options; Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// One for each row of the table, in its order.
    settings: Vec<Setting>,
    listener: Option<Listener>,
    progress: Option<ProgressListener>,
}

impl Default for Options {
    fn default() -> Self {
        let default = |spec: &OptionSpec| read(spec, spec.default).unwrap_or(Setting::Auto);
        let settings = OPTION_TABLE.iter().map(default).collect();
        Options { settings, listener: None, progress: None }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Options {
        Options::default()
    }

    /// Sets one option from its text.
    ///
    /// # Errors
    /// `Unsupported` for an unknown name (the message gives the nearest valid one) and for a value
    /// that this version does not offer; `Invalid` for a value that does not fit (the message gives
    /// the valid range). The options are unchanged then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let row = find(name)?;
        self.settings[row] = check(&OPTION_TABLE[row], value)?;
        Ok(())
    }

    /// As [`set`](Options::set), for chaining.
    ///
    /// # Errors
    /// As [`set`](Options::set).
    pub fn with(mut self, name: &str, value: &str) -> Result<Options> {
        self.set(name, value)?;
        Ok(self)
    }

    /// Has `callback` called for every entry that goes for one of these causes. The last callback
    /// that was given is the one that counts.
    ///
    /// It runs on a thread of the store, after the change and with no lock held, for one removal
    /// after the other: in their order, where one thread made the changes. It may call the store,
    /// but not [`shutdown`](crate::Store::shutdown). A slow callback delays other callbacks and
    /// never a write: `callback_buffer` removals wait for it (and 64 MiB of keys and values), and
    /// more are dropped and counted in `callbacks_dropped`. Shutting down tells what waits; what a
    /// shutdown itself frees is not told. A panic in it is reported by the panic hook and ends
    /// only that one call. The callback is dropped with the last of these options, their clones
    /// and the stores opened with them.
    ///
    /// ```
    /// use kvcore::{Cause, Options, Store};
    ///
    /// # fn main() -> kvcore::Result<()> {
    /// let options = Options::new().on_remove(Cause::Expired | Cause::Evicted, |removal| {
    ///     println!("{} for being {}", removal.key.escape_ascii(), removal.cause.name());
    /// });
    /// let store = Store::memory(options)?;
    /// # store.shutdown()
    /// # }
    /// ```
    #[must_use]
    pub fn on_remove(
        mut self,
        causes: impl Into<Causes>,
        callback: impl Fn(Removal<'_>) + Send + Sync + 'static,
    ) -> Options {
        self.listener = Some(Listener::new(causes.into(), callback));
        self
    }

    /// Has `callback` called while a store in a directory is opened, to tell how far that has come. The
    /// last callback that was given is the one that counts.
    ///
    /// It runs on the thread that opens the store, once when a phase begins, once when it ends, and at
    /// most every 100 ms in between. Opening goes on when it returns. A new store and one in memory read
    /// nothing and tell nothing. A panic in it ends the opening and goes on to the caller. The callback is
    /// dropped with the last of these options and their clones; an open store does not keep it.
    ///
    /// ```
    /// let options = kvcore::Options::new().on_progress(|progress| {
    ///     let percent = progress.done_bytes * 100 / progress.total_bytes.max(1);
    ///     println!("{}: {percent} %", progress.phase.name());
    /// });
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(Progress) + Send + Sync + 'static) -> Options {
        self.progress = Some(ProgressListener::new(callback));
        self
    }

    /// Takes out who wants to know how far opening has come. An open store does not need it any more.
    pub(crate) fn take_progress(&mut self) -> Option<ProgressListener> {
        self.progress.take()
    }

    /// The same without a callback of [`on_progress`](Options::on_progress), for who keeps options without opening
    /// anything that has progress to tell.
    #[doc(hidden)]
    #[must_use]
    pub fn without_progress(mut self) -> Options {
        self.progress = None;
        self
    }

    /// Whether somebody wants to know of removals.
    pub fn has_callback(&self) -> bool {
        self.listener.is_some()
    }

    /// Who wants to know of removals.
    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// Events that are kept for slow watches at most.
    pub(crate) fn watch_buffer(&self) -> usize {
        self.number("watch_buffer") as usize
    }

    /// Bytes of events that are kept for slow watches at most.
    pub(crate) fn watch_buffer_bytes(&self) -> u64 {
        self.number("watch_buffer_bytes")
    }

    /// Bytes of changed entries that are kept for one scan of one moment at most.
    pub(crate) fn scan_buffer_bytes(&self) -> u64 {
        self.number("scan_buffer_bytes")
    }

    /// Removals that wait for a slow callback at most.
    pub(crate) fn callback_buffer(&self) -> usize {
        self.number("callback_buffer") as usize
    }

    /// Sets one option of an open store: only those marked online are taken.
    pub(crate) fn set_online(&mut self, name: &str, value: &str) -> Result<()> {
        if !OPTION_TABLE[find(name)?].online {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "option '{name}' cannot be changed while the store is open: give it to open"
                ),
            ));
        }
        self.set(name, value)
    }

    fn setting(&self, name: &str) -> &Setting {
        let row = OPTION_TABLE.iter().position(|spec| spec.name == name);
        row.map_or(AUTO, |row| &self.settings[row])
    }

    /// The value of an option that is a number, a size in bytes or a duration in milliseconds; 0 for any other.
    pub fn number(&self, name: &str) -> u64 {
        match self.setting(name) {
            Setting::Number(number) => *number,
            _ => 0,
        }
    }

    /// Whether an option is `true`; `false` for one that is no truth.
    pub fn flag(&self, name: &str) -> bool {
        *self.setting(name) == Setting::Flag(true)
    }

    /// The value of an option that is any text; empty for any other.
    pub fn text(&self, name: &str) -> &str {
        match self.setting(name) {
            Setting::Text(text) => text,
            _ => "",
        }
    }

    /// Whether an option has the value it begins with. An unknown one has.
    pub fn is_default(&self, name: &str) -> bool {
        OPTION_TABLE.iter().zip(&self.settings).all(|(spec, setting)| {
            spec.name != name || read(spec, spec.default).as_ref() == Some(setting)
        })
    }

    /// Refuses options that mean something only on a server or cluster.
    ///
    /// # Errors
    /// `Unsupported`, naming the option.
    pub(crate) fn check_local(&self) -> Result<()> {
        let remote = |spec: &&OptionSpec| spec.offers == Offers::RemoteOnly;
        let given = OPTION_TABLE.iter().filter(remote).find(|spec| !self.is_default(spec.name));
        given.map_or(Ok(()), |spec| {
            Err(Error::new(
                Status::Unsupported,
                format!(
                    "option '{}' is for a store on a server: open valkey://HOST:PORT or leave it out",
                    spec.name
                ),
            ))
        })
    }

    /// What a store in a directory keeps there.
    pub(crate) fn persistence(&self) -> Persistence {
        match self.setting("persistence") {
            Setting::Word("none") => Persistence::None,
            Setting::Word("wal") => Persistence::Wal,
            Setting::Word("snapshot") => Persistence::Snapshot,
            _ => Persistence::Hybrid,
        }
    }

    pub(crate) fn sync_mode(&self) -> SyncMode {
        match self.setting("sync") {
            Setting::Word("always") => SyncMode::Always,
            Setting::Word("never") => SyncMode::Never,
            _ => SyncMode::Interval,
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        match self.setting("compression") {
            Setting::Word("gzip") => Compression::Gzip,
            Setting::Word("lz4") => Compression::Lz4,
            Setting::Word("zstd") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    pub(crate) fn sync_interval_ms(&self) -> u64 {
        self.number("sync_interval")
    }

    pub(crate) fn snapshot_interval_ms(&self) -> u64 {
        self.number("snapshot_interval")
    }

    pub(crate) fn snapshot_keep(&self) -> usize {
        self.number("snapshot_keep") as usize
    }

    pub(crate) fn wal_segment_bytes(&self) -> u64 {
        self.number("wal_segment_bytes")
    }

    pub(crate) fn wal_bytes_max(&self) -> u64 {
        self.number("wal_bytes_max")
    }

    /// Whether a missing directory is made.
    pub(crate) fn create(&self) -> bool {
        self.flag("create")
    }

    /// Whether something other than memory alone was asked for.
    pub(crate) fn wants_disk(&self) -> bool {
        !matches!(self.setting("persistence"), Setting::Word("auto" | "none"))
    }

    pub(crate) fn eviction(&self) -> &'static str {
        match self.setting("eviction") {
            Setting::Word(word) => word,
            _ => "none",
        }
    }

    pub(crate) fn max_entries(&self) -> u64 {
        self.number("max_entries")
    }

    /// The limit in bytes; a share is taken of the memory that this process may use now.
    pub(crate) fn max_memory(&self) -> u64 {
        match self.setting("max_memory") {
            Setting::Percent(ppm) => {
                let share = u128::from(crate::io::usable_memory()) * u128::from(*ppm) / 1_000_000;
                u64::try_from(share).unwrap_or(u64::MAX)
            }
            Setting::Number(number) => *number,
            _ => 0,
        }
    }

    pub(crate) fn metrics(&self) -> bool {
        self.flag("metrics")
    }

    pub(crate) fn latency(&self) -> LatencyMode {
        match self.setting("latency") {
            Setting::Word("full") => LatencyMode::Full,
            Setting::Word("sampled") => LatencyMode::Sampled,
            _ => LatencyMode::Off,
        }
    }

    pub(crate) fn max_key_bytes(&self) -> usize {
        self.number("max_key_bytes") as usize
    }

    pub(crate) fn max_value_bytes(&self) -> usize {
        self.number("max_value_bytes") as usize
    }

    /// A relative TTL in milliseconds as these options would have it: zero is `default_ttl`, which may be zero
    /// as well for never, and `ttl_jitter` shortens it.
    pub fn ttl_ms(&self, ttl_ms: u64) -> u64 {
        let ttl_ms = if ttl_ms == 0 { self.default_ttl_ms() } else { ttl_ms };
        let shortened = crate::context::jittered(ttl_ms, self.ttl_jitter_ppm());
        if ttl_ms == 0 { 0 } else { shortened.max(1) }
    }

    pub(crate) fn default_ttl_ms(&self) -> u64 {
        self.number("default_ttl")
    }

    pub(crate) fn ttl_jitter_ppm(&self) -> u32 {
        match self.setting("ttl_jitter") {
            Setting::Percent(ppm) => *ppm,
            _ => 0,
        }
    }

    pub(crate) fn cleanup_interval_ms(&self) -> u64 {
        self.number("cleanup_interval")
    }

    /// The number of shards asked for, if one was.
    pub(crate) fn shards(&self) -> Option<usize> {
        match self.setting("shards") {
            Setting::Number(number) => Some(*number as usize),
            _ => None,
        }
    }

    /// Whether keys are kept sorted.
    pub(crate) fn ordered_index(&self) -> bool {
        self.flag("ordered_index")
    }

    pub(crate) fn entry_stats(&self) -> bool {
        self.flag("entry_stats")
    }
}

/// The row of an option, or an error that names the nearest one.
fn find(name: &str) -> Result<usize> {
    if let Some(row) = OPTION_TABLE.iter().position(|spec| spec.name == name) {
        return Ok(row);
    }
    let nearest = OPTION_TABLE
        .iter()
        .map(|spec| (strsim::damerau_levenshtein(name, spec.name), spec.name))
        .min()
        .map_or("", |(_, name)| name);
    Err(Error::new(
        Status::Unsupported,
        format!("unknown option '{}': did you mean '{nearest}'?", shown(name)),
    ))
}

/// Reads a value and refuses what does not fit or is not offered.
fn check(spec: &OptionSpec, value: &str) -> Result<Setting> {
    let setting = read(spec, value).ok_or_else(|| {
        Error::new(
            Status::Invalid,
            format!(
                "option '{}' cannot be '{}': give {}",
                spec.name,
                shown(value),
                range(spec.kind)
            ),
        )
    })?;
    let offered = match spec.offers {
        Offers::All | Offers::OnDiskOnly | Offers::RemoteOnly => return Ok(setting),
        Offers::DefaultOnly if read(spec, spec.default).as_ref() == Some(&setting) => {
            return Ok(setting);
        }
        Offers::DefaultOnly => format!("its default, {}", spec.default),
    };
    Err(Error::new(
        Status::Unsupported,
        format!("{}={value} is not available in this version: use {offered}", spec.name),
    ))
}

fn read(spec: &OptionSpec, value: &str) -> Option<Setting> {
    let within = |number: u64, min: u64, max: u64| {
        (min..=max).contains(&number).then_some(Setting::Number(number))
    };
    match spec.kind {
        OptionKind::Choice(words) => {
            words.iter().find(|word| **word == value).copied().map(Setting::Word)
        }
        OptionKind::Bool => parse::boolean(value).map(Setting::Flag),
        OptionKind::Count { min, max } => within(parse::count(value)?, min, max),
        OptionKind::PowerOfTwo { .. } if value == "auto" => Some(Setting::Auto),
        OptionKind::PowerOfTwo { max } => {
            let number = parse::count(value)?;
            number.is_power_of_two().then(|| within(number, 1, max))?
        }
        OptionKind::Bytes { min, max } => within(parse::bytes(value)?, min, max),
        OptionKind::Memory if value.ends_with('%') => {
            parse::share_ppm(value).filter(|ppm| *ppm > 0).map(Setting::Percent)
        }
        OptionKind::Memory => parse::bytes(value).map(Setting::Number),
        OptionKind::Duration { min_ms, max_ms } => {
            within(parse::duration_ms(value)?, min_ms, max_ms)
        }
        OptionKind::Share => parse::share_ppm(value).map(Setting::Percent),
        OptionKind::Text { max } => (value.len() <= max).then(|| Setting::Text(value.into())),
    }
}

/// What a row takes, in words for an error message.
fn range(kind: OptionKind) -> String {
    match kind {
        OptionKind::Choice(words) => format!("one of {}", words.join(", ")),
        OptionKind::Bool => "true or false".to_string(),
        OptionKind::Count { min, max: u64::MAX } => format!("a number from {min}"),
        OptionKind::Count { min, max } => format!("a number from {min} to {max}"),
        OptionKind::PowerOfTwo { max } => format!("a power of two from 1 to {max}, or auto"),
        OptionKind::Bytes { min, max } => {
            format!("a size from {min} to {max} bytes, such as 1000 or 64KiB")
        }
        OptionKind::Memory => {
            "a size such as 64MiB, 1GB or a number of bytes, or a share such as 25%".to_string()
        }
        OptionKind::Duration { min_ms, max_ms } => {
            format!(
                "a duration from {min_ms}ms to {max_ms}ms with its unit, such as 250ms, 1s, 5m or 6h"
            )
        }
        OptionKind::Share => "a share from 0% to 100%".to_string(),
        OptionKind::Text { max } => format!("a text of {max} bytes at most"),
    }
}

/// Foreign text, short and printable enough for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_fits_its_own_row() {
        for spec in OPTION_TABLE {
            assert!(check(spec, spec.default).is_ok(), "{}", spec.name);
        }
    }

    #[test]
    fn names_the_nearest_option() {
        let error = Options::new().with("max_memry", "1").unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
        assert!(error.message().contains("'max_memory'"), "{error}");
    }

    #[test]
    fn values_that_do_not_fit() {
        let bad = [
            ("max_entries", "-1"),
            ("max_memory", "lots"),
            ("max_memory", "0%"),
            ("max_memory", "101%"),
            ("max_key_bytes", "65536"),
            ("max_key_bytes", "0"),
            ("shards", "3"),
            ("shards", "0"),
            ("metrics", "maybe"),
            ("default_ttl", "5"),
            ("cleanup_interval", "0"),
            ("eviction", "LRU"),
            ("ttl_jitter", "10"),
        ];
        for (name, value) in bad {
            let error = Options::new().with(name, value).unwrap_err();
            assert_eq!(error.status(), Status::Invalid, "{name}={value}");
            assert!(error.message().contains(name) && error.message().contains(value), "{error}");
        }
    }

    #[test]
    fn only_online_options_change_while_open() {
        let mut options = Options::new();
        assert!(options.set_online("max_entries", "10").is_ok());
        assert_eq!(options.max_entries(), 10);
        let error = options.set_online("shards", "8").unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
    }

    #[test]
    fn a_share_of_memory() {
        let options = Options::new().with("max_memory", "50%").unwrap();
        let all = crate::io::usable_memory();
        assert!(options.max_memory() <= all / 2 && options.max_memory() > all / 4);
    }
}
