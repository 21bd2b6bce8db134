//! Reads requests of the Redis protocol from a stream that may be cut at any byte.
//!
//! Owns: framing. A request is either an array of bulk strings, as clients send it, or a line of words, as
//! people type it into telnet. What a request means is not known here.
//!
//! Invariants: no byte of the stream is looked at twice, however it is cut, so that the time is linear;
//! nothing is reserved by a length that the stream only promises; after an error the stream cannot be
//! read on, because nobody knows where the next request begins.
//!
//! The limits and texts are those of Valkey 7.2 (`networking.c`), which clients and its tests rely on.

use std::fmt;
use std::ops::Range;

use super::words;
use crate::number;

/// Longest line: of an inline request, or of a count or length.
const LINE_MAX: usize = 64 << 10;
/// Bytes of memory that are kept between requests at most.
const KEPT_BYTES: usize = 1 << 10;
/// Most arguments of a request.
const ARGS_MAX: i64 = i32::MAX as i64;
/// Most arguments, and bytes of one, before a client has said who it is.
const ARGS_MAX_BEFORE_AUTH: i64 = 10;
const BULK_MAX_BEFORE_AUTH: i64 = 16 << 10;

/// Why a stream cannot be read on. Its text goes to the client, and the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// A line of words did not end within 64 KiB.
    InlineTooLong,
    /// A quote in a line of words was not closed.
    UnbalancedQuotes,
    /// A count of arguments did not end within 64 KiB.
    CountTooLong,
    /// A count of arguments is no number, or too large.
    InvalidCount,
    /// Too many arguments before `AUTH`.
    UnauthenticatedCount,
    /// The length of an argument did not end within 64 KiB.
    LengthTooLong,
    /// An argument does not begin with `$`.
    ExpectedBulk(u8),
    /// The length of an argument is no number, or over the limit.
    InvalidLength,
    /// Too long an argument before `AUTH`.
    UnauthenticatedLength,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            ProtocolError::InlineTooLong => f.write_str("too big inline request"),
            ProtocolError::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            ProtocolError::CountTooLong => f.write_str("too big mbulk count string"),
            ProtocolError::InvalidCount => f.write_str("invalid multibulk length"),
            ProtocolError::UnauthenticatedCount => f.write_str("unauthenticated multibulk length"),
            ProtocolError::LengthTooLong => f.write_str("too big bulk count string"),
            // An error is one line, whatever byte came.
            ProtocolError::ExpectedBulk(b'\r' | b'\n') => f.write_str("expected '$', got ' '"),
            ProtocolError::ExpectedBulk(byte) => {
                write!(f, "expected '$', got '{}'", char::from(*byte))
            }
            ProtocolError::InvalidLength => f.write_str("invalid bulk length"),
            ProtocolError::UnauthenticatedLength => f.write_str("unauthenticated bulk length"),
        }
    }
}

/// What a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest argument in bytes.
    pub bulk_bytes_max: u64,
    /// Whether the client has said who it is, or need not.
    pub authenticated: bool,
}

/// A request: its arguments, the first of which names the command. They lie in the buffer that was
/// read, or, for a line of words, in the reader.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    bytes: &'a [u8],
    args: &'a [Range<usize>],
}

impl<'a> Request<'a> {
    /// A request whose arguments lie in `bytes`, as [`Request::to_owned`] made it.
    pub fn new(bytes: &'a [u8], args: &'a [Range<usize>]) -> Request<'a> {
        Request { bytes, args }
    }

    /// Copies the arguments, to be kept: the bytes, and where each argument lies in them.
    pub fn to_owned(&self) -> (Vec<u8>, Vec<Range<usize>>) {
        let mut bytes = Vec::with_capacity(self.args.iter().map(Range::len).sum());
        let ranges = self.args().map(|arg| {
            let start = bytes.len();
            bytes.extend_from_slice(arg);
            start..bytes.len()
        });
        let ranges = ranges.collect();
        (bytes, ranges)
    }

    /// Whether there is no argument.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// How many arguments; at least one.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// The argument at a position, the command's name at 0. Empty beyond the end.
    pub fn arg(&self, position: usize) -> &'a [u8] {
        self.args.get(position).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// All arguments, the command's name first.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.args.iter().map(move |range| &bytes[range.clone()])
    }
}

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To the first line of a request.
    Start,
    /// To the length of an argument; so many are still to come.
    Length { left: i64 },
    /// To an argument of so many bytes; so many arguments are still to come, this one counted.
    Data { left: i64, bytes: usize },
}

/// Reads requests one after the other.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// Arguments read of the request at hand.
    args: Vec<Range<usize>>,
    /// Bytes of the request at hand that were taken in.
    taken: usize,
    /// Bytes behind `taken` in which there is no end of line.
    searched: usize,
    /// The words of a line.
    words: Vec<u8>,
    inline: bool,
}

/// What reading gave.
#[derive(Debug)]
pub enum Read<'a> {
    /// A request, of so many bytes of the stream.
    Request(Request<'a>, usize),
    /// Nothing to answer: an empty line or an empty array, of so many bytes.
    Nothing(usize),
    /// The stream goes on: read more behind what is there. At least so many bytes are still to come.
    More(usize),
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the beginning of a request.
    pub fn new() -> Reader {
        Reader {
            state: State::Start,
            args: Vec::new(),
            taken: 0,
            searched: 0,
            words: Vec::new(),
            inline: false,
        }
    }

    /// Whether the next byte begins a request.
    pub fn is_at_start(&self) -> bool {
        self.state == State::Start && self.taken == 0 && self.searched == 0
    }

    /// Bytes of memory that it holds.
    pub fn capacity(&self) -> usize {
        self.args.capacity() * size_of::<Range<usize>>() + self.words.capacity()
    }

    /// Gives back the memory of a large request that was served.
    pub fn give_back(&mut self) {
        if self.is_at_start() && self.capacity() > KEPT_BYTES {
            self.args = Vec::new();
            self.words = Vec::new();
        }
    }

    /// Reads on in `buffer`, which begins with the first byte of the request at hand and may have grown
    /// since the last call. After a request, or nothing, the caller drops the bytes that it had.
    ///
    /// # Errors
    /// The stream is not of this protocol; it cannot be read on.
    pub fn read<'a>(
        &'a mut self,
        buffer: &'a [u8],
        limits: Limits,
    ) -> Result<Read<'a>, ProtocolError> {
        if self.state == State::Start && self.taken == 0 && self.searched == 0 {
            self.args.clear();
        }
        loop {
            match self.state {
                State::Start => {
                    let Some(&first) = buffer.first() else { return Ok(Read::More(1)) };
                    if first != b'*' {
                        return self.read_line_of_words(buffer);
                    }
                    let Some(line) = self.line(buffer, ProtocolError::CountTooLong)? else {
                        return Ok(Read::More(1));
                    };
                    let count = count_of(&buffer[line], limits)?;
                    if count <= 0 {
                        return Ok(Read::Nothing(self.finish()));
                    }
                    self.state = State::Length { left: count };
                }
                State::Length { left } => {
                    let Some(line) = self.line(buffer, ProtocolError::LengthTooLong)? else {
                        return Ok(Read::More(1));
                    };
                    let bytes = length_of(&buffer[line], limits)?;
                    self.state = State::Data { left, bytes };
                }
                State::Data { left, bytes } => {
                    let end = self.taken + bytes + 2;
                    if buffer.len() < end {
                        return Ok(Read::More(end - buffer.len()));
                    }
                    self.args.push(self.taken..self.taken + bytes);
                    self.taken = end;
                    if left == 1 {
                        self.inline = false;
                        let taken = self.finish();
                        return Ok(Read::Request(
                            Request { bytes: buffer, args: &self.args },
                            taken,
                        ));
                    }
                    self.state = State::Length { left: left - 1 };
                }
            }
        }
    }

    /// The next line, without its end, if it is there whole. Lines of counts end with `\r` and one more.
    fn line(
        &mut self,
        buffer: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<Range<usize>>, ProtocolError> {
        let from = self.taken + self.searched;
        let Some(at) = memchr::memchr(b'\r', &buffer[from..]) else {
            self.searched = buffer.len() - self.taken;
            return if self.searched > LINE_MAX { Err(too_long) } else { Ok(None) };
        };
        let end = from + at;
        // However the stream was cut: a line that comes whole may be no longer.
        if end - self.taken > LINE_MAX {
            return Err(too_long);
        }
        if end + 2 > buffer.len() {
            // The second byte of the end is not there yet.
            self.searched = end - self.taken;
            return Ok(None);
        }
        let line = self.taken..end;
        self.taken = end + 2;
        self.searched = 0;
        Ok(Some(line))
    }

    fn read_line_of_words<'a>(&'a mut self, buffer: &'a [u8]) -> Result<Read<'a>, ProtocolError> {
        let Some(at) = memchr::memchr(b'\n', &buffer[self.searched..]) else {
            self.searched = buffer.len();
            if self.searched > LINE_MAX {
                return Err(ProtocolError::InlineTooLong);
            }
            return Ok(Read::More(1));
        };
        let end = self.searched + at;
        if end > LINE_MAX {
            return Err(ProtocolError::InlineTooLong);
        }
        let line = &buffer[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.words.clear();
        self.args.clear();
        words::split(line, &mut self.words, &mut self.args)
            .map_err(|words::Unbalanced| ProtocolError::UnbalancedQuotes)?;
        self.taken = end + 1;
        let taken = self.finish();
        if self.args.is_empty() {
            return Ok(Read::Nothing(taken));
        }
        Ok(Read::Request(Request { bytes: &self.words, args: &self.args }, taken))
    }

    /// Gets ready for the next request. Returns the bytes of this one.
    fn finish(&mut self) -> usize {
        let taken = self.taken;
        self.state = State::Start;
        self.taken = 0;
        self.searched = 0;
        taken
    }
}

/// The number behind the `*` of a line.
fn count_of(line: &[u8], limits: Limits) -> Result<i64, ProtocolError> {
    let count = number::integer(&line[1..]).ok_or(ProtocolError::InvalidCount)?;
    if count > ARGS_MAX {
        return Err(ProtocolError::InvalidCount);
    }
    if count > ARGS_MAX_BEFORE_AUTH && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedCount);
    }
    Ok(count)
}

/// The number behind the `$` of a line.
fn length_of(line: &[u8], limits: Limits) -> Result<usize, ProtocolError> {
    match line.first() {
        Some(b'$') => {}
        Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
        None => return Err(ProtocolError::ExpectedBulk(b'\r')),
    }
    let bytes = number::integer(&line[1..]).ok_or(ProtocolError::InvalidLength)?;
    match u64::try_from(bytes) {
        Ok(length) if length <= limits.bulk_bytes_max => {
            if bytes > BULK_MAX_BEFORE_AUTH && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedLength);
            }
            usize::try_from(length).map_err(|_| ProtocolError::InvalidLength)
        }
        _ => Err(ProtocolError::InvalidLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bulk_bytes_max: 512 << 20, authenticated: true };

    /// Feeds `stream` in pieces of `step` bytes and gives all requests, or the error behind them.
    fn feed(
        stream: &[u8],
        step: usize,
        limits: Limits,
    ) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let (mut reader, mut buffer, mut requests) = (Reader::new(), Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                let taken = match reader.read(&buffer, limits) {
                    Ok(Read::Request(request, taken)) => {
                        requests.push(request.args().map(<[u8]>::to_vec).collect());
                        taken
                    }
                    Ok(Read::Nothing(taken)) => taken,
                    Ok(Read::More(_)) => break,
                    Err(error) => return (requests, Some(error)),
                };
                buffer.drain(..taken);
            }
        }
        (requests, None)
    }

    fn all_ways(stream: &[u8]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let whole = feed(stream, stream.len().max(1), LIMITS);
        for step in 1..stream.len().min(40) {
            assert_eq!(feed(stream, step, LIMITS), whole, "in pieces of {step} bytes");
        }
        whole
    }

    fn words(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn arrays_and_lines_follow_each_other_however_the_stream_is_cut() {
        let stream = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n*0\r\n*-1\r\nset a \"x y\"\n*1\r\n$0\r\n\r\n";
        let (requests, error) = all_ways(stream);
        assert_eq!(error, None);
        let expected =
            [words(&["GET", "k"]), words(&["PING"]), words(&["set", "a", "x y"]), words(&[""])];
        assert_eq!(requests, expected);
    }

    #[test]
    fn arguments_may_hold_any_bytes() {
        let (requests, error) = all_ways(b"*2\r\n$4\r\n\r\n$1\r\n$2\r\n\0\xff\r\n");
        assert_eq!((requests.len(), error), (1, None));
        assert_eq!(requests[0], [b"\r\n$1".to_vec(), b"\0\xff".to_vec()]);
    }

    #[test]
    fn what_came_before_an_error_is_there() {
        let cases: [(&[u8], &str); 12] = [
            (b"*x\r\n", "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*2147483648\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\nGET\r\n", "expected '$', got 'G'"),
            (b"*1\r\n\r\n", "expected '$', got ' '"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "invalid bulk length"),
            (b"*3\r\n$3\r\nSET\r\n$blabla\r\n", "invalid bulk length"),
            (b"set \"a\n", "unbalanced quotes in request"),
            (b"set 'a'b\n", "unbalanced quotes in request"),
        ];
        for (bad, message) in cases {
            let stream = [b"PING\r\n", bad].concat();
            let (requests, error) = all_ways(&stream);
            assert_eq!(requests, [words(&["PING"])]);
            assert_eq!(error.map(|e| e.to_string()), Some(format!("Protocol error: {message}")));
        }
    }

    #[test]
    fn lines_without_an_end_within_64_kib_are_refused() {
        for (start, message) in [
            (&b"x"[..], "too big inline request"),
            (b"*1", "too big mbulk count string"),
            (b"*1\r\n$1", "too big bulk count string"),
        ] {
            let mut stream = start.to_vec();
            stream.resize(LINE_MAX + 1024, b'1');
            // Nor are those with one that comes later than that.
            let whole = [&stream, &b"\r\nPING\r\n"[..]].concat();
            for stream in [stream, whole] {
                for step in [1000, stream.len()] {
                    let (requests, error) = feed(&stream, step, LIMITS);
                    assert!(requests.is_empty());
                    let text = format!("Protocol error: {message}");
                    assert_eq!(error.map(|e| e.to_string()), Some(text));
                }
            }
        }
    }

    #[test]
    fn before_auth_requests_are_small() {
        let limits = Limits { authenticated: false, ..LIMITS };
        let (_, error) = feed(b"*11\r\n", 5, limits);
        assert_eq!(error, Some(ProtocolError::UnauthenticatedCount));
        let (_, error) = feed(b"*1\r\n$16385\r\n", 5, limits);
        assert_eq!(error, Some(ProtocolError::UnauthenticatedLength));
        let (requests, error) = feed(b"*1\r\n$4\r\nPING\r\n", 5, limits);
        assert_eq!((requests.len(), error), (1, None));
    }

    #[test]
    fn a_count_reserves_nothing() {
        let mut reader = Reader::new();
        assert!(matches!(reader.read(b"*1000000000\r\n", LIMITS), Ok(Read::More(_))));
        assert!(reader.args.capacity() < 1024);
    }

    #[test]
    fn says_how_much_of_an_argument_is_still_to_come() {
        let mut reader = Reader::new();
        match reader.read(b"*1\r\n$1000\r\nabc", LIMITS) {
            Ok(Read::More(bytes)) => assert_eq!(bytes, 1000 + 2 - 3),
            other => panic!("{other:?}"),
        }
    }
}
