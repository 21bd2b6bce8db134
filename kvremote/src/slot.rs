//! Which of the 16,384 hash slots a key belongs to, as the cluster specification defines it.
//!
//! The client has the same function, but does not show its result; a batch has to compare slots, and the
//! near cache to find out who serves one.

/// Slots of a cluster.
pub(crate) const SLOTS: usize = 16_384;

/// CRC-16/XMODEM of each byte.
const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// The slot of a key: of what is between its first `{` and the next `}` if there is anything, else of all
/// of it.
pub(crate) fn of(key: &[u8]) -> u16 {
    let step = |crc: u16, byte: &u8| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ *byte)];
    tag(key).iter().fold(0, step) % SLOTS as u16
}

/// What of a key decides on its slot.
fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let inner = &key[open + 1..];
    match inner.iter().position(|&byte| byte == b'}') {
        Some(len) if len > 0 => &inner[..len],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_specification_has_it() {
        assert_eq!(of(b"123456789"), 0x31c3);
        assert_eq!(of(b"foo"), 12182);
        assert_eq!(of(b""), 0);
    }

    #[test]
    fn only_a_first_tag_with_something_in_it_counts() {
        assert_eq!(of(b"{user42}:a"), of(b"user42"));
        assert_eq!(of(b"x{user42}{b}"), of(b"user42"));
        assert_eq!(tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(tag(b"foo{bar"), b"foo{bar");
    }
}
