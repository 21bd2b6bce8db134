//! `Watch`: changes as a stream, in the order of their revisions.

use std::sync::Arc;

use kvcore::{EventKind, EventKinds, WatchOptions, Watched};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::full::Answers;
use super::proto::kv::v1::watch_request::Keys;
use super::proto::kv::v1::watch_response::What;
use super::proto::kv::v1::{self, Lagged, Started, WatchRequest, WatchResponse};
use super::status;
use crate::web::{Caller, Front, Refusal, Watching};

/// Changes that wait for a slow client here. More of them wait in the store, which says when it lets some go.
const AHEAD: usize = 16;

/// The changes that a request asks for.
///
/// # Errors
/// `INVALID_ARGUMENT` for a kind that there is not; `RESOURCE_EXHAUSTED` if there are too many watches.
pub async fn answers(
    front: Arc<Front>,
    caller: Caller,
    request: WatchRequest,
) -> Result<Answers<WatchResponse>, Status> {
    let options = match request.keys {
        Some(Keys::Key(key)) => WatchOptions::key(key),
        Some(Keys::Prefix(prefix)) => WatchOptions::prefix(prefix),
        None => WatchOptions::all(),
    };
    let options = options.kinds(kinds(&request.kinds)?).from_revision(request.from_revision);
    let watching =
        front.watch(options, request.from_revision > 0).await.map_err(status::of_fault)?;
    let watching = watching.ok_or_else(|| {
        Status::resource_exhausted("there are too many watches: end some, or retry later")
    })?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    drop(tokio::spawn(follow(front, caller, watching, sender)));
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

/// The set of some kinds; all if there are none.
fn kinds(numbers: &[i32]) -> Result<EventKinds, Status> {
    let mut bits = 0;
    for number in numbers {
        let kind = match v1::EventKind::try_from(*number) {
            Ok(v1::EventKind::Set) => EventKind::Set,
            Ok(v1::EventKind::Deleted) => EventKind::Deleted,
            Ok(v1::EventKind::Expired) => EventKind::Expired,
            Ok(v1::EventKind::Evicted) => EventKind::Evicted,
            Ok(v1::EventKind::Cleared) => EventKind::Cleared,
            Ok(v1::EventKind::Touched) => EventKind::Touched,
            Ok(v1::EventKind::Unspecified) | Err(_) => {
                return Err(Status::invalid_argument(format!(
                    "there is no kind {number} of change: give some of 1 to 6, or none for all"
                )));
            }
        };
        bits |= kind.bit();
    }
    EventKinds::from_bits(bits).map_err(status::of_fault)
}

/// Sends what happens until the client leaves, the server stops, or the watch ends.
async fn follow(
    front: Arc<Front>,
    mut caller: Caller,
    mut watching: Watching,
    sender: mpsc::Sender<Result<WatchResponse, Status>>,
) {
    let mut next = Some(Ok(WatchResponse { what: Some(What::Started(Started {})) }));
    loop {
        if let Some(answer) = next.take() {
            let is_over = answer.is_err();
            let is_sent = tokio::select! {
                sent = sender.send(answer) => sent.is_ok(),
                () = front.shared.stopped() => false,
            };
            if is_over || !is_sent {
                return;
            }
        }
        let watched = tokio::select! {
            watched = watching.next() => watched,
            () = sender.closed() => return,
            () = front.shared.stopped() => return,
        };
        next = match watched {
            Ok(Watched::Event(_)) if !front.is_still_let_in(&mut caller) => {
                Some(Err(status::of_refusal(Refusal::Wrong)))
            }
            Ok(Watched::Event(event))
                if event.kind() == EventKind::Cleared || front.may_see(&caller, event.key()) =>
            {
                Some(Ok(WatchResponse { what: Some(What::Event(shown(&event))) }))
            }
            Ok(Watched::Event(_) | Watched::TimedOut) => None,
            Ok(Watched::Lagged { revision, missed }) => {
                Some(Ok(WatchResponse { what: Some(What::Lagged(Lagged { revision, missed })) }))
            }
            Ok(Watched::Cancelled) => return,
            Err(error) => Some(Err(status::of_fault(error))),
        };
    }
}

/// A change as it is sent.
fn shown(event: &kvcore::Event) -> v1::Event {
    let kind = match event.kind() {
        EventKind::Set => v1::EventKind::Set,
        EventKind::Deleted => v1::EventKind::Deleted,
        EventKind::Expired => v1::EventKind::Expired,
        EventKind::Evicted => v1::EventKind::Evicted,
        EventKind::Cleared => v1::EventKind::Cleared,
        EventKind::Touched => v1::EventKind::Touched,
        // A kind that this program was not made for.
        _ => v1::EventKind::Unspecified,
    };
    v1::Event {
        kind: kind.into(),
        key: event.key().to_vec(),
        value: event.value().map(<[u8]>::to_vec),
        revision: event.revision(),
        expire_at_ms: event.expire_at_ms(),
    }
}
