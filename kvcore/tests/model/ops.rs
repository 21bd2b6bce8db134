//! What a sequence is made of: every operation of the store, with arguments that meet often.
//!
//! Few keys, so that operations meet on the same one; short TTLs and small steps of the clock, so
//! that deadlines pass between them; now and then the extremes.

use kvcore::{Condition, Order, TTL_NONE};
use proptest::prelude::*;

/// A value, which a failure shows in few words.
#[derive(Clone)]
pub struct Bytes(pub Vec<u8>);

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = &self[..self.len().min(24)];
        write!(f, "\"{}\" ({} bytes)", head.escape_ascii(), self.len())
    }
}

/// When an entry expires, relative to the time at which the operation runs.
#[derive(Debug, Clone, Copy)]
pub enum Ttl {
    Default,
    Never,
    Keep,
    AfterMs(u64),
    /// An absolute deadline this far from now.
    AtOffset(i64),
    /// An absolute deadline as it stands.
    AtMs(i64),
}

/// Which version a condition names.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Plain(Condition),
    /// The version that the key has, if it is there.
    CurrentVersion,
    /// A version that no key has.
    OtherVersion,
}

/// One change of a batch.
#[derive(Debug, Clone)]
pub enum Part {
    Set(u8, Bytes, Ttl, When),
    Del(u8),
    Expire(u8, i64),
    ExpireAtOffset(u8, i64),
}

impl Part {
    pub fn key(&self) -> Vec<u8> {
        match self {
            Part::Set(k, ..) | Part::Del(k) | Part::Expire(k, _) | Part::ExpireAtOffset(k, _) => {
                key(*k)
            }
        }
    }
}

/// What a scan is asked for. Prefix, start and end are the first bytes of keys.
#[derive(Debug, Clone)]
pub struct Range {
    pub prefix: (u8, usize),
    pub start: Option<u8>,
    pub end: Option<u8>,
    pub limit: u64,
    pub order: Order,
    pub keys_only: bool,
}

#[derive(Debug, Clone)]
pub enum Op {
    Set(u8, Bytes),
    SetWith(u8, Bytes, Ttl, When),
    SetMany(Vec<(u8, Bytes)>, Ttl),
    Batch(Vec<Part>),
    Get(u8),
    GetMany(Vec<u8>),
    GetInto(u8, usize),
    Exists(u8),
    Remaining(u8),
    Take(u8),
    Del(u8),
    DelMany(Vec<u8>),
    DelIf(u8, bool),
    Incr(u8, i64, Ttl),
    Append(u8, Bytes),
    Expire(u8, i64),
    ExpireAtOffset(u8, i64),
    ExpireAt(u8, i64),
    Persist(u8),
    Len,
    Keys,
    Scan(Range),
    /// Begins a scan of one moment, to go on beside what follows.
    BeginMoment(Range),
    /// Lets each of them give so many entries.
    StepMoments(usize),
    Clear,
    PurgeExpired,
    MaxEntries(u64),
    DefaultTtl(u64),
    Stats,
    Advance(u64),
}

/// Keys by number: short, empty, binary, sharing a prefix, at the longest and one byte over, and with
/// lengths that take one byte or two.
pub const KEYS: u8 = 16;

/// The limits that the stores of the model are opened with.
pub const MAX_KEY_BYTES: usize = 65_535;
pub const MAX_VALUE_BYTES: usize = 40_000;

pub fn key(number: u8) -> Vec<u8> {
    match number {
        0 => Vec::new(),
        1 => b"\0".to_vec(),
        2 => b"\0\0".to_vec(),
        3 => vec![0xff; 9],
        4 => vec![b'k'; MAX_KEY_BYTES],
        5 => vec![b'k'; MAX_KEY_BYTES + 1],
        6 => vec![b'k'; 255],
        7 => vec![b'k'; 256],
        _ => format!("key{number}").into_bytes(),
    }
}

fn any_key() -> impl Strategy<Value = u8> {
    prop_oneof![20 => 6..KEYS, 8 => 0..5u8, 1 => Just(5u8)]
}

fn value() -> impl Strategy<Value = Bytes> {
    let bytes = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..40),
        6 => (-200i64..200).prop_map(|number| number.to_string().into_bytes()),
        1 => Just(i64::MAX.to_string().into_bytes()),
        1 => Just(b"-0".to_vec()),
        2 => (0usize..9000).prop_map(|len| vec![b'm'; len]),
        // Lengths in one byte or two, entries that readers copy or do not, in a place or out of line.
        2 => (250usize..260).prop_map(|len| vec![b'b'; len]),
        2 => (590usize..650).prop_map(|len| vec![b'p'; len]),
        3 => (4060usize..4100).prop_map(|len| vec![b'r'; len]),
        3 => (16_000usize..=MAX_VALUE_BYTES).prop_map(|len| vec![b'l'; len]),
        1 => (0usize..3).prop_map(|over| vec![b'x'; MAX_VALUE_BYTES + over]),
    ];
    bytes.prop_map(Bytes)
}

/// Deadlines that take six bytes or more.
fn far() -> impl Strategy<Value = i64> {
    (-2i64..3).prop_map(|off| (1 << 48) + off)
}

fn ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![
        4 => Just(Ttl::Default),
        2 => Just(Ttl::Never),
        4 => Just(Ttl::Keep),
        10 => (0u64..60).prop_map(Ttl::AfterMs),
        4 => (60u64..100_000).prop_map(Ttl::AfterMs),
        2 => (1u64 << 20..1 << 45).prop_map(Ttl::AfterMs),
        1 => prop_oneof![Just(u64::MAX), Just(i64::MAX as u64), Just(i64::MAX as u64 - 1)]
            .prop_map(Ttl::AfterMs),
        5 => (-20i64..60).prop_map(Ttl::AtOffset),
        1 => prop_oneof![
            Just(0),
            Just(-1),
            Just(i64::MIN),
            Just(TTL_NONE),
            Just(TTL_NONE - 1),
            Just(1i64 << 62)
        ]
        .prop_map(Ttl::AtMs),
        2 => far().prop_map(Ttl::AtMs),
    ]
}

/// TTLs of `incr` and `set_many`, which name no absolute deadline in C.
fn relative_ttl() -> impl Strategy<Value = Ttl> {
    ttl().prop_map(|ttl| match ttl {
        Ttl::AtOffset(_) | Ttl::AtMs(_) => Ttl::Default,
        other => other,
    })
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => Just(When::Plain(Condition::Any)),
        3 => Just(When::Plain(Condition::Absent)),
        3 => Just(When::Plain(Condition::Present)),
        3 => Just(When::CurrentVersion),
        1 => Just(When::OtherVersion),
    ]
}

fn ttl_number() -> impl Strategy<Value = i64> {
    prop_oneof![
        10 => 1i64..60,
        4 => 60i64..10_000_000,
        1 => -50i64..=0,
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(i64::MAX - 1), Just(1i64 << 62)],
        1 => far(),
    ]
}

fn delta() -> impl Strategy<Value = i64> {
    prop_oneof![
        10 => -1000i64..1000,
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)],
    ]
}

fn step() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => 0u64..20,
        5 => 20u64..300,
        2 => 300u64..100_000,
        1 => (1u64 << 20)..(1 << 36),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    let prefix = (any_key(), prop_oneof![3 => Just(0usize), 2 => 1usize..5]);
    let edge = || prop::option::weighted(0.3, any_key());
    let order = prop::sample::select(&[Order::None, Order::Asc, Order::Desc][..]);
    (prefix, edge(), edge(), 0u64..6, order, any::<bool>()).prop_map(
        |(prefix, start, end, limit, order, keys_only)| Range {
            prefix,
            start,
            end,
            limit,
            order,
            keys_only,
        },
    )
}

/// Conditions of batches mostly hold, or nothing would ever be done.
fn part() -> impl Strategy<Value = Part> {
    let when = prop_oneof![12 => Just(When::Plain(Condition::Any)), 1 => when()];
    prop_oneof![
        6 => (any_key(), value(), ttl(), when).prop_map(|(k, v, t, w)| Part::Set(k, v, t, w)),
        3 => any_key().prop_map(Part::Del),
        2 => (any_key(), ttl_number()).prop_map(|(k, t)| Part::Expire(k, t)),
        1 => (any_key(), -20i64..60).prop_map(|(k, t)| Part::ExpireAtOffset(k, t)),
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    let writes = prop_oneof![
        6 => (any_key(), value()).prop_map(|(k, v)| Op::Set(k, v)),
        14 => (any_key(), value(), ttl(), when()).prop_map(|(k, v, t, w)| Op::SetWith(k, v, t, w)),
        3 => (prop::collection::vec((any_key(), value()), 0..6), relative_ttl())
            .prop_map(|(items, t)| Op::SetMany(items, t)),
        6 => prop::collection::vec(part(), 0..9).prop_map(Op::Batch),
        5 => (any_key(), delta(), relative_ttl()).prop_map(|(k, d, t)| Op::Incr(k, d, t)),
        5 => (any_key(), value()).prop_map(|(k, v)| Op::Append(k, v)),
    ];
    let changes = prop_oneof![
        3 => any_key().prop_map(Op::Take),
        3 => any_key().prop_map(Op::Del),
        1 => prop::collection::vec(any_key(), 0..6).prop_map(Op::DelMany),
        2 => (any_key(), any::<bool>()).prop_map(|(k, current)| Op::DelIf(k, current)),
        4 => (any_key(), ttl_number()).prop_map(|(k, t)| Op::Expire(k, t)),
        3 => (any_key(), -20i64..60).prop_map(|(k, t)| Op::ExpireAtOffset(k, t)),
        1 => (any_key(), ttl_number()).prop_map(|(k, t)| Op::ExpireAt(k, t)),
        3 => any_key().prop_map(Op::Persist),
        1 => Just(Op::Clear),
        2 => Just(Op::PurgeExpired),
    ];
    let reads = prop_oneof![
        4 => any_key().prop_map(Op::Get),
        2 => prop::collection::vec(any_key(), 0..8).prop_map(Op::GetMany),
        2 => (any_key(), 0usize..60).prop_map(|(k, n)| Op::GetInto(k, n)),
        2 => any_key().prop_map(Op::Exists),
        3 => any_key().prop_map(Op::Remaining),
        2 => Just(Op::Len),
        2 => Just(Op::Keys),
        6 => range().prop_map(Op::Scan),
        4 => range().prop_map(Op::BeginMoment),
        4 => (1usize..4).prop_map(Op::StepMoments),
        1 => Just(Op::Stats),
    ];
    let others = prop_oneof![
        1 => (0u64..12).prop_map(Op::MaxEntries),
        1 => prop_oneof![Just(0u64), 1u64..100].prop_map(Op::DefaultTtl),
    ];
    prop_oneof![20 => writes, 12 => changes, 10 => reads, 2 => others, 9 => step().prop_map(Op::Advance)]
}
