//! One key as a resource: `GET`, `PUT` and `DELETE` of `/v1/keys/{key}`.
//!
//! The body is the value, byte for byte. The rest of the path is the key: `%2F` and a slash are the same, and
//! any byte can be written as `%XX`. The entity tag is the version, so HTTP's own conditions are those of
//! the store.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kvcore::{Condition, DeleteOutcome, SetOptions, SetOutcome, Status};

use super::problem::Problem;
use super::query::{Query, decode};
use super::text;
use crate::web::{Caller, Front};

/// The path before a key.
const BEFORE_KEY: &str = "/v1/keys/";

/// Milliseconds that the entry has left. Not there if it never expires.
const TTL_MS: HeaderName = HeaderName::from_static("kv-ttl-ms");

/// The key that a path names.
fn key_of(uri: &Uri) -> Vec<u8> {
    decode(uri.path().strip_prefix(BEFORE_KEY).unwrap_or_default())
}

/// The one value of a header.
fn header(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    match first.map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) if second.is_none() => Ok(Some(text.trim())),
        _ => Err(Problem::invalid(format!("the header {name} has to come once, as plain text"))),
    }
}

/// The condition that `If-Match` and `If-None-Match` of a change come to.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    match (header(headers, IF_MATCH)?, header(headers, IF_NONE_MATCH)?) {
        (None, None) => Ok(Condition::Any),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(tag), None) => match text::version(tag) {
            Some(version) => Ok(Condition::Version(version)),
            None if tag.contains(',') => Err(Problem::invalid(
                "If-Match takes one entity tag here: send the ETag that the last read answered",
            )),
            // A tag that no version has can match none.
            None => Err(Problem::condition(Status::Conflict)),
        },
        (None, Some("*")) => Ok(Condition::Absent),
        _ => Err(Problem::invalid(
            "a change takes If-Match with a tag or *, or If-None-Match: *, and not both",
        )),
    }
}

/// Whether a reader has this version already.
fn has_already(headers: &HeaderMap, version: u64) -> Result<bool, Problem> {
    let Some(tags) = header(headers, IF_NONE_MATCH)? else { return Ok(false) };
    // A weak tag is as good for a reader.
    let mut tags = tags.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    Ok(tags.any(|tag| tag == "*" || (version > 0 && text::version(tag) == Some(version))))
}

/// The header of an entity tag. A value on other servers has no version, and so none.
fn etag(version: u64) -> HeaderMap {
    // A number is always plain text.
    let tag = HeaderValue::try_from(text::tag(version)).ok().filter(|_| version > 0);
    tag.map(|tag| (ETAG, tag)).into_iter().collect()
}

/// `GET`: the value.
pub async fn read(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let key = key_of(&uri);
    front.permit(&caller, &[b"get", &key])?;
    let value = front.read(move |store| store.get(&key)).await?;
    let Some(value) = value else { return Err(Problem::no_key()) };
    let etag = etag(value.version());
    if has_already(&headers, value.version())? {
        return Ok((StatusCode::NOT_MODIFIED, etag).into_response());
    }
    let mut response = (etag, Body::from(value.to_vec())).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Some(at_ms) = value.expire_at_ms() {
        headers.insert(TTL_MS, HeaderValue::from((at_ms - front.shared.store.now_ms()).max(1)));
    }
    Ok(response)
}

/// `PUT`: a new value.
pub async fn write(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = key_of(&parts.uri);
    front.permit(&caller, &[b"set", &key, b""])?;
    let mut query = Query::parse(parts.uri.query(), &["ttl"])?;
    let expiry = text::expiry(query.text("ttl")?.as_deref())?;
    let options = SetOptions { expiry, condition: condition(&parts.headers)? };
    let bytes_max = front.body_bytes_max();
    let body = front.read_body(body, bytes_max).await?;
    caller.calls.begin();
    let change = front.change(move |store, changes| {
        // Whole, with its share of the memory for bodies, until it is written.
        let body = body;
        let outcome = store.set_with(&key, &body.bytes, &options)?;
        if matches!(outcome, SetOutcome::Stored { .. }) {
            changes.set(&key);
        }
        Ok(outcome)
    });
    match change.await? {
        SetOutcome::Stored { version } => {
            Ok((StatusCode::NO_CONTENT, etag(version)).into_response())
        }
        SetOutcome::Exists => Err(Problem::condition(Status::Exists)),
        SetOutcome::NotFound => Err(Problem::condition(Status::NotFound)),
        SetOutcome::Conflict => Err(Problem::condition(Status::Conflict)),
    }
}

/// `DELETE`: no value any more.
pub async fn delete(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    Query::parse(uri.query(), &[])?;
    let key = key_of(&uri);
    front.permit(&caller, &[b"del", &key])?;
    let condition = condition(&headers)?;
    if condition == Condition::Absent {
        return Err(Problem::invalid("DELETE takes If-Match and no If-None-Match: leave it out"));
    }
    match (front.delete(key, condition).await?, condition) {
        (DeleteOutcome::Deleted, _) => Ok(StatusCode::NO_CONTENT),
        (DeleteOutcome::NotFound, Condition::Any) => Err(Problem::no_key()),
        (DeleteOutcome::NotFound, _) => Err(Problem::condition(Status::NotFound)),
        (DeleteOutcome::Conflict, _) => Err(Problem::condition(Status::Conflict)),
    }
}
