//! Writes replies of the Redis protocol, in its second and third version.
//!
//! Owns: the bytes of replies. What is answered is decided by the commands; the version decides only how a
//! null, a map, a push, a double and the like are written. Everything is appended to one buffer, which
//! the connection writes out for a whole pipeline at once.

use std::cell::Cell;

/// The version of the protocol that a client chose with `HELLO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2.
    #[default]
    Two,
    /// RESP3.
    Three,
}

/// Bytes of memory that a thread keeps for the next replies at most.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    /// The memory of the replies of this thread that were sent last. So a connection that waits holds none, and
    /// the next one writes where the cache is warm.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Up to this many bytes a buffer of a client doubles when it grows.
const DOUBLED_BYTES: usize = 64 << 10;

/// Makes room in a buffer of a client. A large one grows by a quarter, so that the step from what a client takes to
/// what it takes next is small beside what all of them may take.
pub fn make_room(buffer: &mut Vec<u8>, bytes: usize) {
    if buffer.capacity() - buffer.len() < bytes {
        let len = buffer.len();
        buffer.reserve_exact(bytes.max(if len < DOUBLED_BYTES { len } else { len / 4 }));
    }
}

/// A buffer of replies for one client.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    protocol: Protocol,
}

impl Replies {
    /// An empty buffer.
    pub fn new(protocol: Protocol) -> Replies {
        Replies { bytes: Vec::new(), protocol }
    }

    /// How the replies that follow are written.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// How replies are written.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// What is written and not yet sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes written and not yet sent.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes back what was written behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Gets ready for replies, of about so many bytes at most: with the memory of those that were sent before, if
    /// there is none.
    pub fn begin(&mut self, bytes: usize) {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.take();
        } else if !self.bytes.is_empty() {
            make_room(&mut self.bytes, bytes);
        }
    }

    /// Takes back everything that was written, and leaves the memory to the next replies of this thread. That of
    /// large replies goes.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if (1..=KEPT_BYTES).contains(&bytes.capacity()) {
            bytes.clear();
            SPARE.set(bytes);
        }
    }

    /// Bytes of memory that it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets the first `len` bytes, which were sent.
    pub fn consume(&mut self, len: usize) {
        self.bytes.drain(..len);
    }

    /// A status: `+OK`.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    /// An error, which begins with its code: `ERR syntax error`. Line ends in it become blanks.
    pub fn error(&mut self, text: &str) {
        self.bytes.push(b'-');
        self.bytes.extend(text.bytes().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }));
        self.end();
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A bulk string.
    pub fn bulk(&mut self, data: &[u8]) {
        make_room(&mut self.bytes, data.len() + 16);
        self.count(b'$', data.len());
        self.bytes.extend_from_slice(data);
        self.end();
    }

    /// A bulk string, or null.
    pub fn bulk_or_null(&mut self, data: Option<&[u8]>) {
        match data {
            Some(data) => self.bulk(data),
            None => self.null(),
        }
    }

    /// Null in the place of a bulk string.
    pub fn null(&mut self) {
        match self.protocol {
            Protocol::Two => self.bytes.extend_from_slice(b"$-1\r\n"),
            Protocol::Three => self.bytes.extend_from_slice(b"_\r\n"),
        }
    }

    /// Null in the place of an array.
    pub fn null_array(&mut self) {
        match self.protocol {
            Protocol::Two => self.bytes.extend_from_slice(b"*-1\r\n"),
            Protocol::Three => self.bytes.extend_from_slice(b"_\r\n"),
        }
    }

    /// The head of an array of so many replies, which follow.
    pub fn array(&mut self, len: usize) {
        self.count(b'*', len);
    }

    /// The head of a map of so many pairs, which follow: in RESP2 an array of keys and values.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Two => self.count(b'*', pairs * 2),
            Protocol::Three => self.count(b'%', pairs),
        }
    }

    /// The head of a set: in RESP2 an array.
    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Two => self.count(b'*', len),
            Protocol::Three => self.count(b'~', len),
        }
    }

    /// The head of what a client did not ask for: in RESP2 an array.
    pub fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Two => self.count(b'*', len),
            Protocol::Three => self.count(b'>', len),
        }
    }

    /// A truth: in RESP2 1 or 0.
    pub fn boolean(&mut self, value: bool) {
        match (self.protocol, value) {
            (Protocol::Two, _) => self.integer(i64::from(value)),
            (Protocol::Three, true) => self.bytes.extend_from_slice(b"#t\r\n"),
            (Protocol::Three, false) => self.bytes.extend_from_slice(b"#f\r\n"),
        }
    }

    /// A floating-point number: in RESP2 a bulk string.
    pub fn double(&mut self, value: f64) {
        let text = value.to_string();
        match self.protocol {
            Protocol::Two => self.bulk(text.as_bytes()),
            Protocol::Three => self.line(b',', text.as_bytes()),
        }
    }

    /// Text to be read by people, of a format such as `txt`: in RESP2 a bulk string.
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        match self.protocol {
            Protocol::Two => self.bulk(text),
            Protocol::Three => {
                self.count(b'=', text.len() + 4);
                self.bytes.extend_from_slice(&format);
                self.bytes.push(b':');
                self.bytes.extend_from_slice(text);
                self.end();
            }
        }
    }

    /// Replies that are written already.
    pub fn raw(&mut self, bytes: &[u8]) {
        make_room(&mut self.bytes, bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.end();
    }

    fn count(&mut self, kind: u8, count: usize) {
        // A length is at most isize::MAX.
        self.header(kind, i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn header(&mut self, kind: u8, value: i64) {
        let mut text = itoa::Buffer::new();
        self.line(kind, text.format(value).as_bytes());
    }

    fn end(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Replies)) -> String {
        let mut replies = Replies::new(protocol);
        write(&mut replies);
        String::from_utf8(replies.bytes).unwrap()
    }

    #[test]
    fn the_versions_differ_in_what_the_second_has_not() {
        let write = |replies: &mut Replies| {
            replies.null();
            replies.null_array();
            replies.map(1);
            replies.set(2);
            replies.push(3);
            replies.boolean(true);
            replies.double(1.5);
            replies.verbatim(*b"txt", b"hi");
        };
        let two = "$-1\r\n*-1\r\n*2\r\n*2\r\n*3\r\n:1\r\n$3\r\n1.5\r\n$2\r\nhi\r\n";
        let three = "_\r\n_\r\n%1\r\n~2\r\n>3\r\n#t\r\n,1.5\r\n=6\r\ntxt:hi\r\n";
        assert_eq!(written(Protocol::Two, write), two);
        assert_eq!(written(Protocol::Three, write), three);
    }

    #[test]
    fn an_error_is_one_line() {
        let text = written(Protocol::Two, |replies| replies.error("ERR a\r\nb"));
        assert_eq!(text, "-ERR a  b\r\n");
    }

    #[test]
    fn integers_and_strings() {
        let text = written(Protocol::Three, |replies| {
            replies.ok();
            replies.simple("PONG");
            replies.integer(i64::MIN);
            replies.bulk(b"");
            replies.bulk_or_null(Some(b"x"));
            replies.array(0);
        });
        assert_eq!(text, "+OK\r\n+PONG\r\n:-9223372036854775808\r\n$0\r\n\r\n$1\r\nx\r\n*0\r\n");
    }
}
