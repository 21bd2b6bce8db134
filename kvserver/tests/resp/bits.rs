//! Integers inside values.

use crate::client::{Running, check};

#[test]
fn integers_of_any_width() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            ("BITFIELD k", "[]"),
            ("EXISTS k", ":0"),
            ("BITFIELD k SET i8 0 -100 GET u8 0 GET i4 4", "[:0 :156 :-4]"),
            ("BITFIELD k SET u8 #1 255 INCRBY u8 #1 100", "[:0 :99]"),
            ("BITFIELD k OVERFLOW SAT INCRBY u8 #1 1000 OVERFLOW WRAP INCRBY u8 #1 2", "[:255 :1]"),
            ("BITFIELD k OVERFLOW FAIL INCRBY i8 0 -100 GET i8 0", "[nil :-100]"),
            ("STRLEN k", ":2"),
            ("BITFIELD_RO k GET i8 0 GET u8 100", "[:-100 :0]"),
            ("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
            ("BITFIELD k OVERFLOW never", "-ERR Invalid OVERFLOW type specified"),
            ("BITFIELD k GET u8 -1", "-ERR bit offset is not an integer or out of range"),
            ("BITFIELD k SET u8 #536870912 1", "-ERR bit offset is not an integer or out of range"),
            ("BITFIELD k SET u8 0", "-ERR syntax error"),
            (
                "BITFIELD k GET u64 0",
                "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            ),
            ("MULTI", "+OK"),
            ("BITFIELD k SET i64 0 -1", "+QUEUED"),
            ("EXEC", "[[:-7205477928816082944]]"),
            ("BITFIELD k GET i64 0", "[:-1]"),
        ],
    );
}
