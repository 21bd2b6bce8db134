//! The tests that cannot pass, each with its reason.
//!
//! Owns: the format of `not-applicable.txt`. A line `= word: text` gives a reason its word; a line
//! `unit/…` begins a unit; a line `word: name` in it names a test. `#` begins a comment.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The reasons by their words.
    pub reasons: BTreeMap<String, String>,
    /// The word of the reason, by unit and test.
    tests: BTreeMap<(String, String), String>,
}

impl Listed {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Listed> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Listed::parse(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn parse(text: &str) -> Result<Listed> {
        let mut listed = Listed::default();
        let mut unit = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("unit/") {
                unit = Some(line.to_owned());
                continue;
            }
            let (word, text) =
                line.split_once(": ").with_context(|| format!("`{line}` has no `: `"))?;
            if let Some(word) = word.strip_prefix("= ") {
                listed.reasons.insert(word.to_owned(), text.to_owned());
                continue;
            }
            let unit = unit.clone().with_context(|| format!("`{line}` stands before any unit"))?;
            if !listed.reasons.contains_key(word) {
                bail!("there is no reason `{word}` for `{text}`");
            }
            listed.tests.insert((unit, text.to_owned()), word.to_owned());
        }
        Ok(listed)
    }

    /// The tests of a unit.
    pub fn of(&self, unit: &str) -> Vec<&str> {
        self.tests.keys().filter(|(known, _)| known == unit).map(|(_, test)| &**test).collect()
    }

    /// The tests of some units, by the words of their reasons.
    pub fn by_reason<'l>(&'l self, units: &[&str]) -> BTreeMap<&'l str, usize> {
        let mut counts = BTreeMap::new();
        for ((unit, _), word) in &self.tests {
            if units.contains(&&**unit) {
                *counts.entry(&**word).or_default() += 1;
            }
        }
        counts
    }

    /// The word of the reason why a test cannot pass.
    pub fn reason(&self, unit: &str, test: &str) -> Option<&str> {
        // Blanks around a name are lost in the list.
        let key = (unit.to_owned(), test.trim().to_owned());
        self.tests.get(&key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_list_can_be_read() {
        let listed = Listed::parse(include_str!("not-applicable.txt")).unwrap();
        assert!(!listed.tests.is_empty());
    }

    #[test]
    fn a_test_needs_a_unit_and_a_known_reason() {
        let listed = Listed::parse("= types: none\nunit/scan\n  types: SSCAN: all\n").unwrap();
        assert_eq!(listed.reason("unit/scan", "SSCAN: all"), Some("types"));
        assert_eq!(listed.reason("unit/keyspace", "SSCAN: all"), None);
        assert!(Listed::parse("= types: none\ntypes: SSCAN\n").is_err());
        assert!(Listed::parse("unit/scan\ntypes: SSCAN\n").is_err());
    }
}
