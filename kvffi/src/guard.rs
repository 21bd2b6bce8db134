//! The guard around every exported function: a panic never crosses into foreign code.
//!
//! A panic inside a call on a store poisons that store, so that nothing quietly continues on
//! half-made changes, and becomes `KV_ERR_PANIC`. Forked and closed stores are told apart by the
//! core, on every call. On the path without a panic a guard costs a few instructions, allocates
//! nothing and formats nothing.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kvcore::Status;
use libkv::Store;

use crate::arguments::Out;
use crate::error::{Failure, kv_error_t};
use crate::status::kv_status_t;
use crate::store::kv_store_t;

/// What the code between guard and core returns.
pub(crate) type Outcome = Result<Status, Failure>;

/// Runs a hot call on a store, one that answers with its status alone.
#[inline]
pub(crate) fn call(
    name: &'static str,
    store: Option<&kv_store_t>,
    body: impl FnOnce(&Store) -> Outcome,
) -> kv_status_t {
    let Some(store) = store else { return Status::Invalid.code() };
    call_on(name, &store.store, body)
}

/// As [`call`], for a handle that has a store of its own, such as a scan.
#[inline]
pub(crate) fn call_on(
    name: &'static str,
    store: &Store,
    body: impl FnOnce(&Store) -> Outcome,
) -> kv_status_t {
    // Only the number leaves the guard: whatever does goes through memory.
    let code = contain(name, || match body(store) {
        Ok(status) => status.code(),
        Err(failure) => failure.status().code(),
    });
    match code {
        Ok(code) => code,
        Err(message) => poison(store, message).status().code(),
    }
}

/// Runs a call that has no store and answers with its status alone.
#[inline]
pub(crate) fn alone(name: &'static str, body: impl FnOnce() -> Outcome) -> kv_status_t {
    match contain(name, body) {
        Ok(Ok(status)) => status.code(),
        Ok(Err(failure)) => failure.status().code(),
        Err(message) => Failure::Panic(message).status().code(),
    }
}

/// Runs a slow call on a store, one that explains its failure in an error object.
pub(crate) fn call_explained(
    name: &'static str,
    store: Option<&kv_store_t>,
    err: Out<*mut kv_error_t>,
    body: impl FnOnce(&Store) -> Outcome,
) -> kv_status_t {
    explain(on_store(name, store, body), err)
}

/// Runs a call that has no store, and explains its failure.
pub(crate) fn explained(
    name: &'static str,
    err: Out<*mut kv_error_t>,
    body: impl FnOnce() -> Outcome,
) -> kv_status_t {
    explain(contain(name, body).unwrap_or_else(|panic| Err(Failure::Panic(panic))), err)
}

/// Runs a call that cannot fail: one that reads a number, or frees. `fallback` is the answer if it
/// panics all the same.
#[inline]
pub(crate) fn or<R>(fallback: R, name: &'static str, body: impl FnOnce() -> R) -> R {
    contain(name, body).unwrap_or(fallback)
}

#[inline]
fn on_store(
    name: &'static str,
    store: Option<&kv_store_t>,
    body: impl FnOnce(&Store) -> Outcome,
) -> Outcome {
    let Some(store) = store else {
        return Err(Failure::invalid("the store is NULL: pass a handle that kv_open gave"));
    };
    match contain(name, || body(&store.store)) {
        Ok(outcome) => outcome,
        Err(message) => Err(poison(&store.store, message)),
    }
}

/// Catches a panic and says what it said.
#[inline]
fn contain<R>(name: &'static str, body: impl FnOnce() -> R) -> Result<R, String> {
    // Nothing that crossed a panic is used again: the store is poisoned, and the outputs are
    // written last.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "planted-panics")]
        crate::plant::panic_if_planted(name);
        body()
    }));
    caught.map_err(|payload| describe(name, payload))
}

/// What the panic said, with the name of the call and the remedy.
#[cold]
fn describe(name: &str, payload: Box<dyn Any + Send>) -> String {
    let said = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => {
                // A payload of another type could panic again when dropped.
                std::mem::forget(payload);
                "no message".to_owned()
            }
        },
    };
    format!("{name} panicked: {said}; please report this, then reopen the store")
}

/// Poisons the store. If even that panics, the call still answers.
#[cold]
fn poison(store: &Store, message: String) -> Failure {
    let _ = contain("poisoning", || store.poison(&message));
    Failure::Panic(message)
}

fn explain(outcome: Outcome, err: Out<*mut kv_error_t>) -> kv_status_t {
    match outcome {
        Ok(status) => status.code(),
        Err(failure) => {
            let status = failure.status().code();
            if err.is_wanted() {
                err.put(failure.into_object());
            }
            status
        }
    }
}
