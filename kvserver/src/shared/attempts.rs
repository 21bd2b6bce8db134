//! How long whoever sends wrong passwords has to wait before the next one is looked at.
//!
//! Owns: [`Attempts`], the wrong passwords of each remote address. The first `FREE` cost nothing, since people
//! mistype. Each one behind them doubles the pause before the next password from that address is looked at, up to a
//! limit, and every `FORGET_MS` one of them is forgotten.
//!
//! Invariants: passwords of one address are looked at one after the other, a pause apart, however many
//! connections they come by; nobody waits longer than the limit, beyond which an attempt is refused without a
//! look; an address has no influence on another one; at most `ADDRESSES_MAX` are remembered. While nobody
//! sends wrong passwords, a right one costs one read of a counter.
//!
//! Why waiting and not locking out: who knows the password gets in, only later, though somebody else at the
//! same address (behind one router, or one balancer) tries others. Why a whole /64 of IPv6 is one address:
//! that is what one host is given.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ahash::HashMap;
use parking_lot::Mutex;

/// Wrong passwords that cost nothing.
const FREE: u32 = 3;

/// The first pause, in milliseconds. Each one behind it is twice as long.
const FIRST_PAUSE_MS: i64 = 100;

/// After this time one wrong password is forgotten.
const FORGET_MS: i64 = 10_000;

/// Wrong passwords that are remembered of an address; more make no difference.
const WRONG_MAX: u32 = 30;

/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 4096;

/// When a password may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once.
    Now,
    /// After this time. The turn is kept for whoever was told.
    In(Duration),
    /// Not at all: too many others from this address wait. They are done in so many seconds.
    Refused {
        /// Seconds, at least 1.
        retry_s: u64,
    },
}

/// What is remembered of an address.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    wrong: u32,
    /// When the last of them came, or the last one was forgotten, in Unix milliseconds.
    since_ms: i64,
    /// When the next password may be looked at, in Unix milliseconds.
    free_at_ms: i64,
}

impl Suspect {
    /// Forgets what is long ago.
    fn forget(&mut self, now_ms: i64) {
        let times = (now_ms - self.since_ms).max(0) / FORGET_MS;
        self.wrong = self.wrong.saturating_sub(u32::try_from(times).unwrap_or(u32::MAX));
        self.since_ms += times * FORGET_MS;
    }

    fn is_forgotten(&self, now_ms: i64) -> bool {
        self.wrong == 0 && self.free_at_ms <= now_ms
    }
}

/// The wrong passwords of all addresses.
#[derive(Debug)]
pub struct Attempts {
    /// The longest pause in milliseconds; 0 is none at all.
    most_ms: i64,
    suspects: Mutex<HashMap<IpAddr, Suspect>>,
    /// How many there are, for whoever only wants to know whether there is one.
    count: AtomicUsize,
}

impl Attempts {
    /// Nobody has tried yet. `most_ms` is the longest pause; 0 lets everybody try as often as they like.
    pub fn new(most_ms: u64) -> Attempts {
        let most_ms = i64::try_from(most_ms).unwrap_or(i64::MAX);
        Attempts { most_ms, suspects: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// When a password from an address may be looked at.
    pub fn turn(&self, from: IpAddr, now_ms: i64) -> Turn {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Turn::Now;
        }
        let mut suspects = self.suspects.lock();
        let from = network(from);
        let Some(suspect) = suspects.get_mut(&from) else { return Turn::Now };
        suspect.forget(now_ms);
        if suspect.is_forgotten(now_ms) {
            suspects.remove(&from);
            self.count.store(suspects.len(), Ordering::Relaxed);
            return Turn::Now;
        }
        let wait_ms = (suspect.free_at_ms - now_ms).max(0);
        if wait_ms > self.most_ms {
            let retry_s = wait_ms.unsigned_abs().div_ceil(1000).max(1);
            return Turn::Refused { retry_s };
        }
        suspect.free_at_ms = now_ms + wait_ms + self.pause_ms(suspect.wrong);
        match wait_ms {
            0 => Turn::Now,
            ms => Turn::In(Duration::from_millis(ms.unsigned_abs())),
        }
    }

    /// A password from an address was wrong.
    pub fn wrong(&self, from: IpAddr, now_ms: i64) {
        if self.most_ms == 0 {
            return;
        }
        let mut suspects = self.suspects.lock();
        let from = network(from);
        if !suspects.contains_key(&from) && suspects.len() >= ADDRESSES_MAX {
            make_room(&mut suspects, now_ms);
        }
        let new = Suspect { wrong: 0, since_ms: now_ms, free_at_ms: now_ms };
        let suspect = suspects.entry(from).or_insert(new);
        suspect.forget(now_ms);
        suspect.wrong = (suspect.wrong + 1).min(WRONG_MAX);
        suspect.since_ms = now_ms;
        let free_at_ms = now_ms + self.pause_ms(suspect.wrong);
        suspect.free_at_ms = suspect.free_at_ms.max(free_at_ms);
        self.count.store(suspects.len(), Ordering::Relaxed);
    }

    /// The pause behind so many wrong passwords, in milliseconds.
    fn pause_ms(&self, wrong: u32) -> i64 {
        match wrong.checked_sub(FREE + 1) {
            None => 0,
            Some(doublings) => FIRST_PAUSE_MS.saturating_mul(1 << doublings).min(self.most_ms),
        }
    }
}

/// Forgets those that are of no importance any more, and of the others the one that has tried least.
fn make_room(suspects: &mut HashMap<IpAddr, Suspect>, now_ms: i64) {
    suspects.retain(|_, suspect| {
        suspect.forget(now_ms);
        !suspect.is_forgotten(now_ms)
    });
    if suspects.len() < ADDRESSES_MAX {
        return;
    }
    let least = suspects.iter().min_by_key(|(_, suspect)| (suspect.wrong, suspect.since_ms));
    if let Some(least) = least.map(|(address, _)| *address) {
        suspects.remove(&least);
    }
}

/// The address as it is counted: an IPv6 host has a /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use kvcore::{Clock, Options, Store};

    use super::*;

    const MOST_MS: u64 = 5_000;

    fn host(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Sends wrong passwords, each as soon as it may, and answers how long each of them had to wait.
    fn waits(
        attempts: &Attempts,
        from: IpAddr,
        count: usize,
        advance: impl Fn(u64) -> i64,
    ) -> Vec<u64> {
        let mut waits = Vec::new();
        let mut now_ms = advance(0);
        for _ in 0..count {
            let wait_ms = match attempts.turn(from, now_ms) {
                Turn::Now => 0,
                Turn::In(time) => u64::try_from(time.as_millis()).unwrap(),
                Turn::Refused { .. } => panic!("one after the other is never refused"),
            };
            now_ms = advance(wait_ms);
            attempts.wrong(from, now_ms);
            waits.push(wait_ms);
        }
        waits
    }

    #[test]
    fn pauses_grow_to_a_limit_and_are_forgotten_by_the_clock_of_the_store() {
        let (clock, hand) = Clock::manual(1_000_000);
        let store = Store::with_clock(Options::new(), clock).unwrap();
        let advance = |ms| {
            hand.advance_ms(ms);
            store.now_ms()
        };
        let attempts = Attempts::new(MOST_MS);
        let waited = waits(&attempts, host(1), 12, advance);
        assert_eq!(waited, [0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        // Somebody else's address is not touched.
        assert_eq!(attempts.turn(host(2), store.now_ms()), Turn::Now);
        // One is forgotten every ten seconds, and in the end the address.
        hand.advance_ms(8 * 10_000);
        assert_eq!(waits(&attempts, host(1), 2, advance), [0, 200]);
        hand.advance_ms(300_000);
        assert_eq!(attempts.turn(host(1), store.now_ms()), Turn::Now);
        assert_eq!(attempts.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn many_connections_of_one_address_get_no_more_turns_than_one() {
        let attempts = Attempts::new(MOST_MS);
        (0..8).for_each(|_| attempts.wrong(host(1), 0));
        // 1600 ms lie between two turns.
        let at = |ms| Turn::In(Duration::from_millis(ms));
        let turns: Vec<Turn> = (0..5).map(|_| attempts.turn(host(1), 0)).collect();
        let refused = Turn::Refused { retry_s: 7 };
        assert_eq!(turns[..3], [at(1600), at(3200), at(4800)]);
        assert_eq!(turns[3..], [refused, refused]);
    }

    #[test]
    fn memory_is_bounded_and_keeps_who_tries_most() {
        let attempts = Attempts::new(MOST_MS);
        (0..10).for_each(|_| attempts.wrong(host(1), 0));
        for number in 0..5_000_u32 {
            attempts.wrong(IpAddr::from(number.to_be_bytes()), 1);
        }
        assert_eq!(attempts.suspects.lock().len(), ADDRESSES_MAX);
        assert!(matches!(attempts.turn(host(1), 2), Turn::In(_) | Turn::Refused { .. }));
    }

    #[test]
    fn a_host_is_one_address_however_it_writes_itself() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), host(1));
    }

    #[test]
    fn it_can_be_switched_off() {
        let attempts = Attempts::new(0);
        (0..100).for_each(|_| attempts.wrong(host(1), 0));
        assert_eq!(attempts.turn(host(1), 0), Turn::Now);
    }
}
