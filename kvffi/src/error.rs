//! Errors in C: why a call failed, with a message, as an object of the caller's.
//!
//! Owns `kv_error_t`, and [`Failure`], which is what the code between guard and core returns. A
//! failure formats nothing until a caller asked for an error object: hot calls only take its status.

use std::borrow::Cow;
use std::ffi::{CString, c_char};

use kvcore::{Error, Status};

use crate::arguments::c_text;
use crate::guard;
use crate::status::kv_status_t;

/// Why a call failed: a status, a message that names what is at fault and the remedy, and the
/// operating system's error number if there is one. Whoever receives one frees it with
/// kv_error_free. Threads: never changes, so any number of threads may read it.
pub struct kv_error_t {
    status: kv_status_t,
    os_code: i32,
    message: CString,
}

/// Why a call of this crate failed, before anyone asked for the details.
pub(crate) enum Failure {
    /// The core said so.
    Core(Error),
    /// An argument was refused here, and the core never heard of it.
    Argument(Status, Cow<'static, str>),
    /// A panic was contained.
    Panic(String),
}

impl Failure {
    /// An argument that is simply wrong; the text names it and the remedy.
    pub(crate) fn invalid(message: &'static str) -> Failure {
        Failure::Argument(Status::Invalid, Cow::Borrowed(message))
    }

    pub(crate) fn status(&self) -> Status {
        match self {
            Failure::Core(error) => error.status(),
            Failure::Argument(status, _) => *status,
            Failure::Panic(_) => Status::Panic,
        }
    }

    /// The object that carries this failure to the caller.
    pub(crate) fn into_object(self) -> *mut kv_error_t {
        let status = self.status().code();
        let (os_code, message) = match &self {
            Failure::Core(error) => (error.os_code().unwrap_or(0), error.message()),
            Failure::Argument(_, message) => (0, message.as_ref()),
            Failure::Panic(message) => (0, message.as_str()),
        };
        Box::into_raw(Box::new(kv_error_t { status, os_code, message: c_text(message) }))
    }
}

/// Why an argument was refused. A word long, because the arguments of a hot call travel together with
/// the reason they might be refused for.
pub(crate) type Refusal = &'static Refused;

/// A status, and a message that names the argument and the remedy.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Status, pub(crate) &'static str);

impl From<Refusal> for Failure {
    #[cold]
    fn from(refusal: Refusal) -> Failure {
        Failure::Argument(refusal.0, Cow::Borrowed(refusal.1))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Core(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Argument(status, Cow::Borrowed(status.message()))
    }
}

/// The status an error carries. KV_OK for NULL, which is how "no error" looks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_error_status(error: *const kv_error_t) -> kv_status_t {
    // SAFETY: the caller passes NULL or an error it has not freed.
    let error = unsafe { error.as_ref() };
    guard::or(Status::Panic.code(), "kv_error_status", || error.map_or(0, |error| error.status))
}

/// The operating system's error number (errno) behind an error; 0 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_error_os_code(error: *const kv_error_t) -> i32 {
    // SAFETY: the caller passes NULL or an error it has not freed.
    let error = unsafe { error.as_ref() };
    guard::or(0, "kv_error_os_code", || error.map_or(0, |error| error.os_code))
}

/// What went wrong and what to do about it, in one line of UTF-8. Never NULL; empty for NULL. The
/// text belongs to the error and goes with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_error_message(error: *const kv_error_t) -> *const c_char {
    // SAFETY: the caller passes NULL or an error it has not freed.
    let error = unsafe { error.as_ref() };
    guard::or(c"".as_ptr(), "kv_error_message", || {
        error.map_or(c"".as_ptr(), |error| error.message.as_ptr())
    })
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_error_free(error: *mut kv_error_t) {
    guard::or((), "kv_error_free", || {
        if !error.is_null() {
            // SAFETY: it came from `Failure::into_object`, and the caller gives it up here.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}
