//! What recovery, a check and a rescue say of what they found.

use serde::Serialize;

/// What opening a store found in its directory. All zero for a store in memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The last revision that had been given out when the snapshot was taken which was read; 0 if there
    /// was none.
    pub snapshot_revision: u64,
    /// The highest revision that was recovered: that of the snapshot, or of a record of the log behind it.
    /// It is an upper bound and no cut: threads take revisions before their changes enter the log, whose
    /// order is its own, so after a crash a change of a lower revision may be among those that were lost.
    /// The store goes on above it, after a crash well above: see the `revision` of its statistics.
    pub last_revision: u64,
    /// Records of the log that were applied.
    pub records: u64,
    /// Bytes at the end of the log that a crash had left incomplete and that were not used.
    pub discarded_bytes: u64,
    /// Why bytes were discarded or an older snapshot was used; empty if neither happened.
    pub reason: String,
    /// Whether the newest snapshot could not be used. An older one and the log had all of it.
    pub fallback_used: bool,
    /// How many milliseconds the clock is behind a time that the files name; 0 if it is not.
    pub clock_regression_ms: u64,
    /// How long it took.
    pub seconds: f64,
}

impl RecoveryReport {
    /// One JSON object, a member for each field.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The path of the file.
    pub file: String,
    /// Where in the file, in bytes from its start, as far as that can be told.
    pub offset: u64,
    /// What is wrong.
    pub problem: String,
    /// What cannot be read because of it.
    pub lost: String,
    /// Whether nothing that was durable is lost by it, and opening mends it or takes no notice: most often it
    /// is what a crash leaves behind in the ordinary course of things.
    pub harmless: bool,
}

/// What a check of files found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Files that were read.
    pub files: u64,
    /// Their length in bytes, together.
    pub bytes: u64,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether nothing is wrong but what a crash leaves in the ordinary course of things.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.harmless)
    }

    /// One JSON object: `sound`, and a member for each field.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Verdict<'a> {
            sound: bool,
            files: u64,
            bytes: u64,
            findings: &'a [Finding],
        }
        let &VerifyReport { files, bytes, ref findings } = self;
        json(&Verdict { sound: self.is_sound(), files, bytes, findings })
    }
}

/// What a rescue saved and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Entries in the new directory.
    pub entries: u64,
    /// Records of the log that could be read and were applied.
    pub records: u64,
    /// What could not be read.
    pub findings: Vec<Finding>,
    /// Whether records may be missing before others that were applied, so that entries may be there
    /// which had been deleted or changed.
    pub may_be_back: bool,
}

impl SalvageReport {
    /// One JSON object, a member for each field.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

fn json(report: &impl Serialize) -> String {
    // Structs of numbers and texts always serialise.
    serde_json::to_string(report).unwrap_or_default()
}
