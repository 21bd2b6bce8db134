//! The feed of changes as server-sent events: `GET /v1/watch`.
//!
//! The id of an event is its revision, so a browser that lost the connection goes on where it was: it sends
//! the last id by itself. Who was too slow, or comes back too late, is told so by an event `lagged`, and
//! never misses anything in silence.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use kvcore::{Event, EventKind, EventKinds, WatchOptions, Watched};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::problem::Problem;
use super::query::Query;
use super::text;
use crate::web::{Caller, Front, Watching};

/// How often something is sent while nothing happens, so that nobody in between takes the connection for dead.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Events that wait for a slow reader here. More of them wait in the store, which says when it lets some go.
const EVENTS_AHEAD: usize = 16;

/// `GET`: changes, one after the other, until one side leaves.
pub async fn watch(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    front.permit(&caller, &[b"scan", b"0"])?;
    let (options, is_past) = options(&uri, &headers)?;
    let Some(watching) = front.watch(options, is_past).await? else {
        return Err(Problem::busy("there are too many watches: end some, or retry later"));
    };
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    drop(tokio::spawn(follow(front, caller, watching, sender)));
    let frames = ReceiverStream::new(receiver).map(|text| Ok::<_, Infallible>(Frame::data(text)));
    let mut response = Body::new(StreamBody::new(frames)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// What is watched, and whether from an earlier revision on.
fn options(uri: &Uri, headers: &HeaderMap) -> Result<(WatchOptions, bool), Problem> {
    let mut query = Query::parse(uri.query(), &["key", "prefix", "kinds", "from"])?;
    let options = match (query.bytes("key"), query.bytes("prefix")) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "'key' and 'prefix' exclude each other: give one of them",
            ));
        }
        (Some(key), None) => WatchOptions::key(key),
        (None, prefix) => WatchOptions::prefix(prefix.unwrap_or_default()),
    };
    let options = match query.text("kinds")? {
        None => options,
        Some(names) => options.kinds(kinds(&names)?),
    };
    let mut from = query.number("from", 1, u64::MAX)?;
    if let Some(id) = headers.get("last-event-id") {
        let last = id.to_str().ok().and_then(|id| id.parse::<u64>().ok());
        let last = last.and_then(|last| last.checked_add(1)).ok_or_else(|| {
            Problem::invalid(
                "Last-Event-ID is no revision: send the id of the last event, or leave it out",
            )
        })?;
        from = Some(last);
    }
    Ok((options.from_revision(from.unwrap_or(0)), from.is_some()))
}

/// Kinds of changes by their names, with commas between them.
fn kinds(names: &str) -> Result<EventKinds, Problem> {
    let mut bits = 0;
    for name in names.split(',') {
        let kind = EventKind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| {
            let known: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            Problem::invalid(format!(
                "'{name}' is no kind of change: choose of {}",
                known.join(", ")
            ))
        })?;
        bits |= kind.bit();
    }
    Ok(EventKinds::from_bits(bits)?)
}

/// Sends what happens until the reader leaves, the server stops, or the watch ends.
async fn follow(
    front: Arc<Front>,
    mut caller: Caller,
    mut watching: Watching,
    sender: mpsc::Sender<Bytes>,
) {
    // A browser learns by it that the connection stands.
    let mut next = Some(Bytes::from_static(b":\n\n"));
    loop {
        if let Some(text) = next.take() {
            let sent = tokio::select! {
                sent = sender.send(text) => sent.is_ok(),
                () = front.shared.stopped() => false,
            };
            if !sent {
                return;
            }
        }
        next = tokio::select! {
            watched = watching.next() => match watched {
                // It comes back, and is told then that it is not let in.
                Ok(Watched::Event(_)) if !front.is_still_let_in(&mut caller) => return,
                Ok(Watched::Event(event)) if event.kind() == EventKind::Cleared
                    || front.may_see(&caller, event.key()) => Some(written(&event)),
                Ok(Watched::Event(_) | Watched::TimedOut) => None,
                Ok(Watched::Lagged { revision, missed }) => Some(lagged(revision, missed)),
                // The reader comes back, and is told then why it cannot watch.
                Ok(Watched::Cancelled) | Err(_) => return,
            },
            () = tokio::time::sleep(ALIVE_INTERVAL) => Some(Bytes::from_static(b":\n\n")),
            () = sender.closed() => return,
            () = front.shared.stopped() => return,
        };
    }
}

/// An event as it is sent.
fn written(event: &Event) -> Bytes {
    let mut data = Map::new();
    data.insert("revision".to_owned(), event.revision().into());
    if event.kind() != EventKind::Cleared {
        text::put(&mut data, "key", event.key());
    }
    if let Some(value) = event.value() {
        text::put(&mut data, "value", value);
    }
    if matches!(event.kind(), EventKind::Set | EventKind::Touched) {
        data.insert("expire_at_ms".to_owned(), event.expire_at_ms().into());
    }
    sent(known(event.revision()), event.kind().name(), &Value::Object(data))
}

/// A revision, which changes on other servers do not have.
fn known(revision: u64) -> Option<u64> {
    (revision > 0).then_some(revision)
}

/// Says that revisions were missed. Its id is the one before the next, so that who comes back goes on there.
fn lagged(revision: u64, missed: u64) -> Bytes {
    let data = json!({ "revision": revision, "missed": missed });
    sent(known(revision).map(|next| next - 1), "lagged", &data)
}

/// JSON has no line breaks of its own, so the data is one line. Without an id who comes back begins anew.
fn sent(id: Option<u64>, event: &str, data: &Value) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {event}\ndata: {data}\n\n"))
}
