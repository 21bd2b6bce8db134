//! Damaged files: what is wrong with them, and saving what is left. No store is open here.

use std::path::PathBuf;

use libkv::Finding;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{OrRaise, contained};
use crate::store::record;

/// Read every byte of a store's directory, or of a snapshot file, and check every checksum.
///
/// Returns a VerifyReport: whether the files are sound, and what is damaged, where, and what that
/// loses. Nothing is changed. The store must not be open: LockedError. Raises InvalidError if there
/// is no store at path, and IoError if something cannot be read. Releases the GIL.
#[pyfunction]
pub(crate) fn verify(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let report = contained(py, || py.detach(|| libkv::verify(path)).or_raise(py))?;
    let findings = findings(py, &report.findings)?;
    let fields = (report.is_sound(), report.files, report.bytes, findings);
    record(py, "VerifyReport")?.call1(fields)
}

/// Copy what can be read of the damaged store in the directory src into a new one in dst.
///
/// dst must be empty or not there; src is left as it is. Returns a SalvageReport: what was saved,
/// and what could not be. All that is found is in memory for a while. Raises InvalidError if dst is
/// not empty, CorruptError if nothing of a store can be read in src, LockedError if one of them is
/// open, NoSpaceError and IoError. Releases the GIL.
#[pyfunction]
pub(crate) fn salvage(py: Python<'_>, src: PathBuf, dst: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let report = contained(py, || py.detach(|| libkv::salvage(src, dst)).or_raise(py))?;
    let findings = findings(py, &report.findings)?;
    let fields = (report.entries, report.records, findings, report.may_be_back);
    record(py, "SalvageReport")?.call1(fields)
}

fn findings<'py>(py: Python<'py>, findings: &[Finding]) -> PyResult<Bound<'py, PyTuple>> {
    let class = record(py, "Finding")?;
    let records = findings.iter().map(|found| {
        class.call1((&found.file, found.offset, &found.problem, &found.lost, found.harmless))
    });
    PyTuple::new(py, records.collect::<PyResult<Vec<_>>>()?)
}
