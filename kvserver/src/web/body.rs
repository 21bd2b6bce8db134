//! Takes the body of a request in, within bounds.
//!
//! Owns: [`Front::read_body`], and [`Room`], the share of a body in what all may take. Three things are bounded: how
//! long a body may be, how long its next piece may take, and how much all bodies that are under way hold together.
//! Nothing is reserved by a length that a header only promises.
//!
//! Invariant: what a body holds is given back when nothing made of it is there any more, and not before: also
//! not when its client goes while another thread still waits with it for a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body as Incoming;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::{BYTES_PER_PERMIT, Front};

/// How long the next piece of a body may take.
pub const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a body holds of the room that all bodies share, given back when it is dropped.
#[derive(Debug, Default)]
pub struct Room {
    bytes: usize,
    permits: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes room for so many more bytes.
    ///
    /// # Errors
    /// `NoRoom` if others hold too much.
    pub fn grow(&mut self, front: &Front, bytes: usize) -> Result<(), BodyError> {
        self.bytes += bytes;
        let held = self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = self.bytes.div_ceil(BYTES_PER_PERMIT) - held;
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| BodyError::NoRoom)?;
        let more = Arc::clone(&front.bytes).try_acquire_many_owned(more);
        let more = more.map_err(|_| BodyError::NoRoom)?;
        match &mut self.permits {
            Some(permits) => permits.merge(more),
            None => self.permits = Some(more),
        }
        Ok(())
    }
}

/// A room that several hold; the last one gives it back.
pub type SharedRoom = Arc<Mutex<Room>>;

tokio::task_local! {
    /// The room of the message of a request, which was decoded before its handler runs.
    static HELD: SharedRoom;
}

/// Runs the handler of a request with the room that its message holds, which goes along with whatever the handler hands
/// to another thread.
pub async fn holding<F: Future>(room: SharedRoom, handler: F) -> F::Output {
    HELD.scope(room, handler).await
}

/// The room of the request that this task serves, if it has one.
pub(super) fn held() -> Option<SharedRoom> {
    HELD.try_with(Arc::clone).ok()
}

/// A body, which counts against the limit of all bodies until it is dropped.
#[derive(Debug)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    _room: Room,
}

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than this many bytes.
    TooLong(usize),
    /// Other bodies hold all the room there is.
    NoRoom,
    /// Nothing came for too long.
    TooSlow,
    /// The connection failed.
    Broken,
}

impl Front {
    /// Longest body in bytes: as the longest argument of the Redis protocol.
    pub fn body_bytes_max(&self) -> usize {
        let most = self.shared.settings.bulk_bytes_max.load(Ordering::Relaxed);
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Reads a body of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// Each of [`BodyError`].
    pub async fn read_body(&self, mut body: Incoming, bytes_max: usize) -> Result<Body, BodyError> {
        let (mut bytes, mut room) = (Vec::new(), Room::default());
        loop {
            let next = tokio::time::timeout(PIECE_TIMEOUT, body.frame());
            let Some(frame) = next.await.map_err(|_| BodyError::TooSlow)? else { break };
            // Trailers say nothing to us.
            let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            if piece.len() > bytes_max - bytes.len() {
                return Err(BodyError::TooLong(bytes_max));
            }
            room.grow(self, piece.len())?;
            bytes.try_reserve(piece.len()).map_err(|_| BodyError::NoRoom)?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Body { bytes, _room: room })
    }
}
