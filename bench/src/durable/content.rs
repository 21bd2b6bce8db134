//! The values that are set: bytes that no compression makes shorter, the same for a key in every run.

use std::sync::LazyLock;

use crate::plan::{Key, VALUE_BYTES};

const POOL_BYTES: usize = 1 << 20;

static POOL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut pool = vec![0; POOL_BYTES + VALUE_BYTES];
    fastrand::Rng::with_seed(6).fill(&mut pool);
    pool
});

/// The value of a key.
pub fn value(key: &Key) -> &'static [u8] {
    let number = key
        .iter()
        .fold(0, |number: usize, &digit| number.wrapping_mul(31).wrapping_add(usize::from(digit)));
    let start = number.wrapping_mul(2_654_435_761) % POOL_BYTES;
    &POOL[start..start + VALUE_BYTES]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::key;

    #[test]
    fn values_belong_to_keys() {
        assert_eq!(value(&key(1)).len(), VALUE_BYTES);
        assert_eq!(value(&key(1)), value(&key(1)));
        assert_ne!(value(&key(1)), value(&key(2)));
    }
}
