//! Errors as HTTP tells them: problem details of RFC 9457, which name the thing at fault and the remedy.
//!
//! Owns: [`Problem`], and which status of HTTP each refusal and each fault of the store becomes.

use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kvcore::{Error, Status};
use serde_json::{Map, Value, json};

use crate::web::{BodyError, Fault, Refusal};

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    more: Map<String, Value>,
    /// Seconds after which it is worth to try again.
    retry_s: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), more: Map::new(), retry_s: None }
    }

    /// Adds a member.
    pub fn with(mut self, name: &str, value: Value) -> Problem {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The request cannot be understood.
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is no such key.
    pub fn no_key() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, Status::NotFound.message())
            .with("code", json!(Status::NotFound.c_name()))
    }

    /// A condition in the headers does not hold.
    pub fn condition(outcome: Status) -> Problem {
        Problem::new(StatusCode::PRECONDITION_FAILED, outcome.message())
            .with("code", json!(outcome.c_name()))
    }

    /// The condition of a change in a batch does not hold.
    pub fn batch_conflict(index: usize) -> Problem {
        let detail = format!(
            "the condition of the change at index {index} does not hold, so nothing was done: read its \
             key again and retry"
        );
        Problem::new(StatusCode::CONFLICT, detail)
            .with("code", json!(Status::Conflict.c_name()))
            .with("index", json!(index))
    }

    /// The body is of another kind.
    pub fn media_type() -> Problem {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body has to be JSON: send it with Content-Type: application/json",
        )
    }

    /// There is no room for one more of something.
    pub fn busy(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The request was sent to a name that is not this machine's.
    pub fn misdirected() -> Problem {
        Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "without a password this server answers only to localhost and to addresses: send the request \
             there, or set a password",
        )
    }

    /// Something that does not happen.
    pub fn internal(detail: &str) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// There is nothing at this path.
    pub async fn path(uri: Uri) -> Problem {
        let path = uri.path();
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is nothing at {path}: /openapi.json lists all paths"),
        )
    }

    /// The path does not take this method.
    pub async fn method(method: Method, uri: Uri) -> Problem {
        let path = uri.path();
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{path} does not take {method}: the header Allow lists what it takes"),
        )
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let status = match error.status() {
            Status::Invalid | Status::Unsupported | Status::CrossSlot => StatusCode::BAD_REQUEST,
            Status::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Status::Conflict | Status::Type => StatusCode::CONFLICT,
            Status::Full | Status::NoSpace | Status::NoMemory => StatusCode::INSUFFICIENT_STORAGE,
            Status::Closed | Status::Poisoned | Status::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, error.message()).with("code", json!(error.status().c_name()))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        let text = fault.to_string();
        match fault {
            Fault::Store(error) => Problem::from(error),
            Fault::Refused(_) => Problem::new(StatusCode::BAD_GATEWAY, text),
            Fault::Busy => Problem::busy(text),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let status = match refusal {
            Refusal::Denied { .. } => StatusCode::FORBIDDEN,
            Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Unknown | Refusal::Wrong => StatusCode::UNAUTHORIZED,
        };
        let mut problem = Problem::new(status, refusal.to_string());
        if let Refusal::TooMany { retry_s } = refusal {
            problem.retry_s = Some(retry_s);
        }
        problem
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        match error {
            BodyError::TooLong(bytes_max) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than the {bytes_max} bytes that this server takes"),
            ),
            BodyError::NoRoom => {
                Problem::busy("other requests hold all the room for bodies: retry later")
            }
            BodyError::TooSlow => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the rest of the body did not come: send it again",
            ),
            BodyError::Broken => Problem::invalid("the body broke off: send it again"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut members = self.more;
        members.insert("type".to_owned(), json!("about:blank"));
        members.insert("status".to_owned(), json!(self.status.as_u16()));
        members
            .insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or_default()));
        members.insert("detail".to_owned(), json!(self.detail));
        let mut response = (self.status, Value::Object(members).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("Basic realm=\"kv\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, schemes);
        }
        let unavailable = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        if let Some(retry_s) = self.retry_s.or(unavailable) {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_s));
        }
        response
    }
}
