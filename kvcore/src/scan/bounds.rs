//! Which keys a scan wants, as one range. Pure.

/// Keys from `start` on and before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) start: Vec<u8>,
    /// `None`: no end.
    pub(crate) end: Option<Vec<u8>>,
}

impl Bounds {
    /// The keys with a prefix that are also in a range.
    pub(crate) fn new(prefix: &[u8], start: &[u8], end: Option<&[u8]>) -> Bounds {
        let start = prefix.max(start).to_vec();
        let end = match (after_prefix(prefix), end) {
            (Some(last), Some(end)) => Some(last.min(end.to_vec())),
            (last, end) => last.or(end.map(<[u8]>::to_vec)),
        };
        Bounds { start, end }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.is_before_end(key)
    }

    pub(crate) fn is_before_end(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_none_or(|end| key < end.as_slice())
    }

    /// Whether every key is wanted.
    pub(crate) fn is_all(&self) -> bool {
        self.start.is_empty() && self.end.is_none()
    }

    /// Whether no key can be wanted.
    pub(crate) fn is_nothing(&self) -> bool {
        !self.is_before_end(&self.start)
    }
}

/// The first key behind all that have a prefix, or `None` if there is none behind.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_follows_a_prefix() {
        assert_eq!(after_prefix(b""), None);
        assert_eq!(after_prefix(b"\xff\xff"), None);
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"a\xfe"), Some(b"a\xff".to_vec()));
    }

    fn few() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&[0u8, 1, 0xfe, 0xff][..]), 0..4)
    }

    proptest! {
        #[test]
        fn one_range_says_the_same(prefix in few(), start in few(), end in prop::option::of(few()), key in few()) {
            let bounds = Bounds::new(&prefix, &start, end.as_deref());
            let wanted = key.starts_with(&prefix) && key >= start && end.is_none_or(|end| key < end);
            prop_assert_eq!(bounds.contains(&key), wanted);
            prop_assert!(!(wanted && bounds.is_nothing()));
        }
    }
}
