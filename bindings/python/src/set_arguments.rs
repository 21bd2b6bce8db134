//! The keywords of `set`, which a store and a batch share.
//!
//! Owns: which of them contradict each other, and what they mean to the engine.

use libkv::{Expiry, SetOptions};
use pyo3::prelude::*;

use crate::errors::invalid;
use crate::expiry::{deadline_ms, ttl_of_write};

/// The keywords of `set`, where most calls name none.
pub(crate) struct SetArguments<'a, 'py> {
    pub(crate) ttl: Option<&'a Bound<'py, PyAny>>,
    pub(crate) expire_at: Option<&'a Bound<'py, PyAny>>,
    pub(crate) keep_ttl: bool,
    pub(crate) if_absent: bool,
    pub(crate) if_present: bool,
    pub(crate) if_version: Option<u64>,
}

impl SetArguments<'_, '_> {
    /// Whether none is given.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.ttl.is_none()
            && self.expire_at.is_none()
            && !(self.keep_ttl | self.if_absent | self.if_present)
            && self.if_version.is_none()
    }

    /// What they mean to the engine.
    ///
    /// # Errors
    /// `InvalidError` (a `ValueError`) for those that contradict each other, and as the forms of a time.
    pub(crate) fn options(&self, py: Python<'_>) -> PyResult<SetOptions> {
        let expiries = [self.ttl.is_some(), self.expire_at.is_some(), self.keep_ttl];
        if expiries.iter().filter(|given| **given).count() > 1 {
            return Err(invalid(py, "give one of ttl, expire_at and keep_ttl"));
        }
        let conditions = [self.if_absent, self.if_present, self.if_version.is_some()];
        if conditions.iter().filter(|given| **given).count() > 1 {
            return Err(invalid(py, "give one of if_absent, if_present and if_version"));
        }
        let mut options = SetOptions::default();
        if let Some(ttl) = self.ttl {
            options.expiry = ttl_of_write(ttl)?;
        } else if let Some(when) = self.expire_at {
            options.expiry = Expiry::AtMs(deadline_ms(when)?);
        } else if self.keep_ttl {
            options.expiry = Expiry::Keep;
        }
        if self.if_absent {
            options = options.if_absent();
        } else if self.if_present {
            options = options.if_present();
        } else if let Some(version) = self.if_version {
            options = options.if_version(version);
        }
        Ok(options)
    }
}
