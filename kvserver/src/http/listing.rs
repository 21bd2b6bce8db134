//! The keys of a prefix, page by page: `GET /v1/keys`.
//!
//! Pages are sorted, and a cursor is the last key of a page. So the server remembers nothing between pages, and
//! a key that is there all the time comes exactly once. With `ordered_index` a page takes as long as it has
//! keys; without, as long as a walk through the store, on a thread of its own.
//!
//! A store on other servers has no order, and so no pages: of it the first keys are shown that a scan meets, and
//! whether there are more.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvcore::{Order, ScanOptions};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::query::Query;
use super::text;
use crate::web::{Caller, Front};

/// Keys of a page unless the request says otherwise, and at most.
const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

/// `GET`: some keys with their versions and deadlines, and where the next ones begin.
pub async fn list(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    front.permit(&caller, &[b"scan", b"0"])?;
    let mut query = Query::parse(uri.query(), &["prefix", "limit", "cursor"])?;
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let has_order = front.shared.data.capabilities().ordered_scans;
    let mut options = ScanOptions::new()
        .prefix(query.bytes("prefix").unwrap_or_default())
        .order(if has_order { Order::Asc } else { Order::None })
        // One more says whether there are more.
        .limit(limit + 1)
        .keys_only();
    if let Some(cursor) = query.text("cursor")? {
        let last = URL_SAFE_NO_PAD.decode(&cursor).map_err(|_| {
            Problem::invalid(format!(
                "'{cursor}' is no cursor: send the one that the page before answered"
            ))
        })?;
        // The first key behind another one is that with a zero added.
        options = options.start([&last[..], b"\0"].concat());
    }
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut entries = front.scan(&caller, options).await?.next(wanted + 1).await?;
    let has_more = entries.len() > wanted;
    entries.truncate(wanted);
    let next = entries.last().filter(|_| has_more && has_order);
    let cursor = next.map(|last| URL_SAFE_NO_PAD.encode(last.key()));
    let keys: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut shown = Map::new();
            text::put(&mut shown, "key", entry.key());
            shown.insert("version".to_owned(), entry.version().into());
            shown.insert("expire_at_ms".to_owned(), entry.expire_at_ms().into());
            Value::Object(shown)
        })
        .collect();
    Ok(Json(json!({ "keys": keys, "cursor": cursor, "has_more": has_more })))
}
