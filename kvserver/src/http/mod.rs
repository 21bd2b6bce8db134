//! The HTTP front end: keys as resources, batches, a feed of changes, metrics, and the live page.
//!
//! Owns: [`router`], the table of paths, and what every answer has in common: who may ask, and the headers
//! that keep a browser from taking a stored value for a page. One file for each group of paths; `problem`
//! words errors, `query` and `text` turn bytes that need not be text into what URLs and JSON can hold.
//!
//! Invariant: no value that somebody stored is ever run by a browser as part of this server, and no page of
//! another site reaches the store through somebody's browser: see [`guard`].

mod batch;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod keys;
mod listing;
mod observe;
mod page;
mod problem;
mod query;
mod text;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::web::{Front, Peer};
use problem::Problem;

/// Keeps browsers from sending what this server answers, even its addresses, to others.
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// All paths.
pub fn router(front: &Arc<Front>) -> Router {
    let guarded = Router::new()
        .route("/", get(page::index))
        .route("/page.css", get(page::css))
        .route("/page.js", get(page::script))
        .route("/openapi.json", get(page::openapi))
        .route("/metrics", get(observe::metrics))
        .route("/v1/stats", get(observe::stats))
        .route("/v1/deadlines", get(observe::deadlines))
        .route("/v1/keys", get(listing::list))
        .route("/v1/keys/", get(keys::read).put(keys::write).delete(keys::delete))
        .route("/v1/keys/{*key}", get(keys::read).put(keys::write).delete(keys::delete))
        .route("/v1/batch", post(batch::write))
        .route("/v1/watch", get(watch::watch))
        .method_not_allowed_fallback(Problem::method)
        .fallback(Problem::path)
        .layer(from_fn_with_state(Arc::clone(front), guard));
    Router::new()
        .route("/healthz", get(observe::healthz))
        .route("/readyz", get(observe::readyz))
        .merge(guarded)
        .layer(from_fn_with_state(Arc::clone(front), finish))
        .with_state(Arc::clone(front))
}

/// Lets a request in, or answers why not.
///
/// A page of another site may make a browser send requests here. What it may send without asking first is a
/// plain `GET`, whose answer it cannot read, and a form, which is not the JSON that `POST` takes. A site
/// whose name suddenly leads to this machine could do more; so as long as there is no password, the name
/// that a request was sent to must be this machine's own. With TLS the browser sees to that: the certificate
/// has to be of that name.
async fn guard(State(front): State<Arc<Front>>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Arc<Peer>>().cloned() else {
        return Problem::internal("the connection has no address").into_response();
    };
    let is_open = front.shared.acl.default_user().needs_no_password() && !peer.is_tls;
    if is_open && !is_sent_here(&request) {
        return Problem::misdirected().into_response();
    }
    let authorization =
        request.headers().get(AUTHORIZATION).map(|header| header.as_bytes().to_vec());
    match front.admit(authorization.as_deref(), &peer).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            let response = next.run(request).await;
            front.count_calls(&caller, response.status().is_server_error());
            response
        }
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

/// Whether a request was sent to an address or to this machine's own name, and not to a name that only leads
/// here.
fn is_sent_here(request: &Request) -> bool {
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    // Browsers always say where they send a request to.
    let Some(name) = authority.or(header) else { return true };
    let name = match name.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => name.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Counts an answer, and adds the headers that every one of them has.
async fn finish(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let is_refused = status.is_client_error() || status.is_server_error();
    let counts = &front.counts.http;
    let count = if is_refused { &counts.refused } else { &counts.answered };
    count.fetch_add(1, Ordering::Relaxed);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    page::protect(headers);
    response
}
