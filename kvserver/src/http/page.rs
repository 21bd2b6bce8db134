//! The live page and the description of the interface: documents that are part of the program.
//!
//! The page is three files without a build step, and loads nothing from anywhere else. Its policy allows it
//! its own style, its own script and requests to this server, and nothing besides.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};

/// What a browser may do with any answer of this server. Nobody may show it inside a page of their own.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Document = ([(HeaderName, &'static str); 1], &'static str);

const fn document(kind: &'static str, text: &'static str) -> Document {
    ([(CONTENT_TYPE, kind)], text)
}

/// `GET /`
pub async fn index() -> Document {
    document("text/html; charset=utf-8", include_str!("page/index.html"))
}

/// `GET /page.css`
pub async fn css() -> Document {
    document("text/css; charset=utf-8", include_str!("page/page.css"))
}

/// `GET /page.js`
pub async fn script() -> Document {
    document("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

/// `GET /openapi.json`
pub async fn openapi() -> Document {
    document("application/json", include_str!("openapi.json"))
}

/// Adds the policy to an answer.
pub fn protect(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
}
