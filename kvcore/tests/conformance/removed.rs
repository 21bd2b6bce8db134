//! What the removal callback of a case was told.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use kvcore::{Causes, Error, Options};

/// More than any machine needs; a case that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Cause, key and value of each removal since the last look.
#[derive(Default)]
pub struct Told {
    words: Mutex<Vec<Vec<u8>>>,
    more: Condvar,
}

impl Told {
    /// Options that have these causes told, or all of them for none.
    pub fn listen(self: &Arc<Self>, causes: i64, options: Options) -> Result<Options, Error> {
        let bits = u32::try_from(causes).unwrap_or(u32::MAX);
        let causes = if bits == 0 { Causes::ALL } else { Causes::from_bits(bits)? };
        let told = Arc::clone(self);
        Ok(options.on_remove(causes, move |removal| {
            let words = [removal.cause.name().as_bytes(), removal.key, removal.value];
            told.words.lock().unwrap().extend(words.map(<[u8]>::to_vec));
            told.more.notify_all();
        }))
    }

    /// Waits until so many removals were told, and takes all that were.
    pub fn take(&self, count: i64) -> Result<Vec<Option<Vec<u8>>>, String> {
        let wanted = usize::try_from(count).map_err(|_| "a count is not negative")? * 3;
        let words = self.words.lock().unwrap();
        let (mut words, waited) =
            self.more.wait_timeout_while(words, PATIENCE, |words| words.len() < wanted).unwrap();
        if waited.timed_out() {
            return Err(format!("only {} removals were told, not {count}", words.len() / 3));
        }
        Ok(std::mem::take(&mut *words).into_iter().map(Some).collect())
    }
}
