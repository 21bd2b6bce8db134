//! Changes of many keys in one step: `POST /v1/batch`.
//!
//! The body is JSON. All changes are made or none, for readers, in the log and after a crash.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::{Extension, Json};
use kvcore::{Batch, BatchOutcome, Condition, SetOptions, TTL_NONE, duration_ms};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::problem::Problem;
use super::query::Query;
use super::text;
use crate::web::{Caller, Front};

/// Most changes of one request.
const CHANGES_MAX: usize = 100_000;

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    ops: Vec<Op>,
}

/// What to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Set,
    Delete,
    Expire,
}

/// One change. A member that is there has a value: `null` is refused, since a caller that sends it has lost a
/// key, a TTL or a condition on the way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Op {
    op: Kind,
    #[serde(default, deserialize_with = "given")]
    key: Option<String>,
    #[serde(default, deserialize_with = "given")]
    key_base64: Option<String>,
    #[serde(default, deserialize_with = "given")]
    value: Option<String>,
    #[serde(default, deserialize_with = "given")]
    value_base64: Option<String>,
    #[serde(default, deserialize_with = "given")]
    ttl: Option<String>,
    #[serde(default, deserialize_with = "given")]
    if_absent: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    if_version: Option<u64>,
}

/// A member that is there.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A change whose parts are known to fit together.
struct Change {
    key: Vec<u8>,
    what: What,
}

enum What {
    Set(Vec<u8>, SetOptions),
    Delete,
    /// In this many milliseconds; `TTL_NONE` is never.
    Expire(i64),
}

/// `POST`: makes all changes, or none.
pub async fn write(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (parts, body) = request.into_parts();
    Query::parse(parts.uri.query(), &[])?;
    if !is_json(&parts.headers) {
        return Err(Problem::media_type());
    }
    let body = front.read_body(body, front.body_bytes_max()).await?;
    let wanted: Wanted = serde_json::from_slice(&body.bytes)
        .map_err(|error| Problem::invalid(format!("the body is no batch: {error}")))?;
    if wanted.ops.len() > CHANGES_MAX {
        return Err(Problem::invalid(format!(
            "{} changes are too many for one batch: send at most {CHANGES_MAX}",
            wanted.ops.len()
        )));
    }
    let mut made = Vec::with_capacity(wanted.ops.len());
    for (index, op) in wanted.ops.into_iter().enumerate() {
        let change = op.checked().map_err(|problem| problem.with("index", json!(index)))?;
        let args: &[&[u8]] = match change.what {
            What::Set(..) => &[b"set", &change.key, b""],
            What::Delete => &[b"del", &change.key],
            What::Expire(_) => &[b"pexpire", &change.key, b"0"],
        };
        front.permit(&caller, args)?;
        made.push(change);
    }
    let mut batch = Batch::new();
    for change in &made {
        match &change.what {
            What::Set(value, options) => batch.set_with(&change.key, value, options),
            What::Delete => batch.del(&change.key),
            What::Expire(ttl_ms) => batch.expire(&change.key, *ttl_ms),
        };
    }
    let outcome = front.change(move |store, changes| {
        // Its share of the memory for bodies is in use as long as what was made of it.
        let _body = body;
        let outcome = store.write(&batch)?;
        if matches!(outcome, BatchOutcome::Applied { .. }) {
            for change in &made {
                match change.what {
                    What::Set(..) => changes.set(&change.key),
                    What::Delete => changes.deleted(&change.key),
                    What::Expire(_) => changes.expires(&change.key),
                }
            }
        }
        Ok(outcome)
    });
    match outcome.await? {
        BatchOutcome::Applied { applied, missing } => {
            Ok(Json(json!({ "applied": applied, "missing": missing })))
        }
        BatchOutcome::Conflict { index } => Err(Problem::batch_conflict(index)),
    }
}

/// Whether the body is JSON by its type. No form of a browser can send that.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl Op {
    /// The change, if its members fit together.
    fn checked(self) -> Result<Change, Problem> {
        let key = text::bytes("key", self.key, self.key_base64)?
            .ok_or_else(|| Problem::invalid("a change has no 'key': give 'key' or 'key_base64'"))?;
        let value = text::bytes("value", self.value, self.value_base64)?;
        let has_condition = self.if_absent.is_some() || self.if_version.is_some();
        if self.op != Kind::Set && (value.is_some() || has_condition) {
            return Err(Problem::invalid(
                "only a 'set' takes a value and conditions: leave them out",
            ));
        }
        let what = match self.op {
            Kind::Set => {
                let value = value.ok_or_else(|| {
                    Problem::invalid("a 'set' has no 'value': give 'value' or 'value_base64'")
                })?;
                let condition = match (self.if_absent, self.if_version) {
                    (None | Some(false), None) => Condition::Any,
                    (Some(true), None) => Condition::Absent,
                    (None | Some(false), Some(version)) => Condition::Version(version),
                    (Some(true), Some(_)) => {
                        return Err(Problem::invalid(
                            "'if_absent' and 'if_version' exclude each other: give one of them",
                        ));
                    }
                };
                let expiry = text::expiry(self.ttl.as_deref())?;
                What::Set(value, SetOptions { expiry, condition })
            }
            Kind::Delete if self.ttl.is_some() => {
                return Err(Problem::invalid("a 'delete' takes no 'ttl': leave it out"));
            }
            Kind::Delete => What::Delete,
            Kind::Expire => What::Expire(expire_in(self.ttl.as_deref())?),
        };
        Ok(Change { key, what })
    }
}

/// The TTL of an `expire` in milliseconds.
fn expire_in(ttl: Option<&str>) -> Result<i64, Problem> {
    let wrong = || {
        Problem::invalid(
            "an 'expire' needs a 'ttl': write 500ms, 30s, 5m, 6h or 1d, or none to make it stay",
        )
    };
    match ttl.ok_or_else(wrong)? {
        "none" => Ok(TTL_NONE),
        text => {
            let ms = duration_ms(text).filter(|ms| *ms > 0).ok_or_else(wrong)?;
            // The largest number means that it stays, which is what so long a time comes to.
            Ok(i64::try_from(ms).unwrap_or(TTL_NONE))
        }
    }
}
