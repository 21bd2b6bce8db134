//! `client-output-buffer-limit`: what of it holds here.
//!
//! Redis disconnects clients of three classes above a hard limit, or above a soft one for too long. Here messages
//! that a subscriber does not read have a hard limit. Replies make a normal client wait and so need none, and
//! there are no replicas. What would not be kept is refused rather than remembered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::config::{Refused, number};
use crate::shared::Shared;

/// The limits of all classes: for each a hard one, a soft one, and the seconds of that.
pub fn get(shared: &Shared) -> String {
    let bytes = shared.settings.push_bytes_max.load(Ordering::Relaxed);
    format!("normal 0 0 0 slave 0 0 0 pubsub {bytes} 0 0")
}

/// Changes the limits of the classes that are named.
pub fn set(shared: &Arc<Shared>, text: &[u8]) -> Result<(), Refused> {
    let text = String::from_utf8_lossy(text);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (classes, rest) = words.as_chunks::<4>();
    if classes.is_empty() || !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut push_bytes_max = None;
    for [class, hard, soft, seconds] in classes {
        let read = |text: &str, has_unit| {
            number(text.as_bytes(), 0, i64::MAX, has_unit).map_err(|_| {
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                    .to_owned()
            })
        };
        let limits = (read(hard, true)?, read(soft, true)?, read(seconds, false)?);
        match (class.to_ascii_lowercase().as_str(), limits) {
            ("normal" | "slave" | "replica", (0, 0, _)) => {}
            ("normal", _) => {
                return Err("a client that does not read its replies waits, and is not disconnected: give normal 0 0 0".to_owned());
            }
            ("slave" | "replica", _) => {
                return Err("there are no replicas: give slave 0 0 0".to_owned());
            }
            ("pubsub", (1.., 0, _)) => push_bytes_max = usize::try_from(limits.0).ok(),
            ("pubsub", _) => {
                return Err("subscribers have a hard limit alone: give pubsub BYTES 0 0".to_owned());
            }
            _ => {
                return Err(
                    "Invalid client class specified in buffer limit configuration.".to_owned()
                );
            }
        }
    }
    if let Some(bytes) = push_bytes_max {
        shared.settings.push_bytes_max.store(bytes, Ordering::Relaxed);
    }
    Ok(())
}
