//! The watch of a case.

use kvcore::{Error, Event, EventKinds, Store, Watch, WatchOptions, Watched};

/// The watch that the case began last.
#[derive(Default)]
pub struct Watching(Option<Watch>);

/// What to watch, as a line says it.
#[derive(Default)]
pub struct Asked {
    pub key: Option<Vec<u8>>,
    pub prefix: Vec<u8>,
    pub from: i64,
    pub changes: i64,
}

impl Watching {
    pub fn begin(&mut self, store: &Store, asked: Asked) -> Result<(), Error> {
        let kinds = EventKinds::from_bits(u32::try_from(asked.changes).unwrap_or(u32::MAX))?;
        let options =
            asked.key.map_or_else(|| WatchOptions::prefix(asked.prefix), WatchOptions::key);
        let from = asked.from.unsigned_abs();
        self.0 = Some(store.watch(&options.kinds(kinds).from_revision(from))?);
        Ok(())
    }

    /// What comes next, without waiting.
    pub fn next(&mut self) -> Result<Result<Watched, Error>, String> {
        Ok(self.0.as_mut().ok_or("there is no watch")?.try_next())
    }

    pub fn cancel(&self) -> Result<(), String> {
        self.0.as_ref().ok_or("there is no watch")?.canceller().cancel();
        Ok(())
    }
}

/// Kind, key and value of an event.
pub fn words(event: &Event) -> Vec<Option<Vec<u8>>> {
    let value = event.value().unwrap_or_default();
    [event.kind().name().as_bytes(), event.key(), value].map(|bytes| Some(bytes.to_vec())).into()
}
