//! Which changes of keys are published as messages.
//!
//! Owns: the classes of events of `notify-keyspace-events`, how they are written, and the channels that
//! an event is published to.

use super::Shared;
use super::pubsub::{Kind, PubSub};

/// A set of classes of events, and where they are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classes(pub u32);

impl Classes {
    /// Published to the channel of the key.
    pub const KEYSPACE: Classes = Classes(1);
    /// Published to the channel of the event.
    pub const KEYEVENT: Classes = Classes(1 << 1);
    /// Commands for any type: `del`, `expire`, `rename_from`.
    pub const GENERIC: Classes = Classes(1 << 2);
    /// Commands on strings.
    pub const STRING: Classes = Classes(1 << 3);
    /// A deadline came.
    pub const EXPIRED: Classes = Classes(1 << 8);
    /// Room was made.
    pub const EVICTED: Classes = Classes(1 << 9);
    /// A read found nothing.
    pub const KEY_MISS: Classes = Classes(1 << 11);
    /// A key came into being.
    pub const NEW: Classes = Classes(1 << 14);

    /// The letters, in the order in which they are written.
    const LETTERS: [(char, u32); 14] = [
        ('g', 1 << 2),
        ('$', 1 << 3),
        ('l', 1 << 4),
        ('s', 1 << 5),
        ('h', 1 << 6),
        ('z', 1 << 7),
        ('x', 1 << 8),
        ('e', 1 << 9),
        ('t', 1 << 10),
        ('d', 1 << 12),
        ('n', 1 << 14),
        ('K', 1),
        ('E', 1 << 1),
        ('m', 1 << 11),
    ];

    /// What the letter `A` stands for: everything but misses and new keys.
    const ALL: u32 = 0b1_0111_1111_1100;

    /// Reads letters. `None` if one of them stands for nothing.
    pub fn parse(text: &str) -> Option<Classes> {
        let mut bits = 0;
        for letter in text.chars() {
            bits |= match letter {
                'A' => Classes::ALL,
                _ => Classes::LETTERS.iter().find(|(known, _)| *known == letter)?.1,
            };
        }
        Some(Classes(bits))
    }

    /// Writes the letters.
    pub fn letters(self) -> String {
        let mut text = String::new();
        let mut left = self.0;
        if left & Classes::ALL == Classes::ALL {
            text.push('A');
            left &= !Classes::ALL;
        }
        text.extend(
            Classes::LETTERS.iter().filter(|(_, bit)| left & bit != 0).map(|(letter, _)| *letter),
        );
        text
    }

    /// Whether events of one of these classes are published anywhere.
    pub fn publishes(self, classes: Classes) -> bool {
        self.0 & classes.0 != 0 && self.0 & (Classes::KEYSPACE.0 | Classes::KEYEVENT.0) != 0
    }
}

/// Publishes an event, if its class is.
pub fn publish(shared: &Shared, class: Classes, event: &str, key: &[u8]) {
    let classes = shared.settings.notified();
    if !classes.publishes(class) {
        return;
    }
    if classes.0 & Classes::KEYSPACE.0 != 0 {
        let channel = [b"__keyspace@0__:", key].concat();
        PubSub::publish(shared, Kind::Channel, &channel, event.as_bytes());
    }
    if classes.0 & Classes::KEYEVENT.0 != 0 {
        let channel = [b"__keyevent@0__:", event.as_bytes()].concat();
        PubSub::publish(shared, Kind::Channel, &channel, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_written_in_one_order() {
        for (given, written) in [
            ("KA", "AK"),
            ("EA", "AE"),
            ("gKE", "gKE"),
            ("$lshzxeKE", "$lshzxeKE"),
            ("", ""),
            ("Em", "Em"),
            ("Kg$lshzxetd", "AK"),
            ("nE", "nE"),
        ] {
            assert_eq!(Classes::parse(given).map(Classes::letters).as_deref(), Some(written));
        }
        assert_eq!(Classes::parse("Kq"), None);
    }
}
