//! Reads case files: lines into words, words into bytes, names and plain text.
//!
//! Owns: the grammar of `tests/conformance/README.md`, and nothing of what the words mean.

use std::collections::HashMap;
use std::path::Path;

/// The features a case may need.
const FEATURES: &[&str] = &[
    "set_many",
    "batch",
    "scan",
    "keys",
    "location",
    "directory",
    "get_into",
    "del_if",
    "last_fault",
    "raw_ttl",
    "wide_ttl",
    "far_deadline",
    "watch",
    "versions",
    "order",
    "moment",
    "history",
    "files",
    "engine",
    "servers",
];

/// One word of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    Bytes(Vec<u8>),
    Named(String, Box<Word>),
    Plain(String),
}

/// One line that does something.
#[derive(Debug)]
pub struct Line {
    pub number: usize,
    pub words: Vec<Word>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    pub file: String,
    pub name: String,
    /// The features that it needs.
    pub needs: Vec<String>,
    pub lines: Vec<Line>,
}

impl Case {
    /// Whether it needs a feature.
    pub fn needs(&self, feature: &str) -> bool {
        self.needs.iter().any(|needed| needed == feature)
    }
}

/// The cases of all files, for a crate that lies beside `tests`.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "kvt"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read(&path).unwrap();
        cases.extend(parse(&name, &text).unwrap_or_else(|error| panic!("{error}")));
    }
    cases
}

/// All cases of one file, or `file:line: what is wrong`.
pub fn parse(file: &str, text: &[u8]) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let number = index + 1;
        parse_line(file, line, number, &mut cases)
            .map_err(|error| format!("{file}:{number}: {error}"))?;
    }
    Ok(cases)
}

fn parse_line(file: &str, line: &[u8], number: usize, cases: &mut Vec<Case>) -> Result<(), String> {
    let words = words(line)?;
    match &words[..] {
        [Word::Plain(first), Word::Plain(name)] if first == "case" => {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if !name.bytes().all(fits) {
                return Err(format!("'{name}' is no name for a case: use a-z, 0-9 and -"));
            }
            let (file, name) = (file.into(), name.clone());
            cases.push(Case { file, name, needs: Vec::new(), lines: Vec::new() });
            return Ok(());
        }
        [Word::Plain(first), ..] if first == "case" => return Err("a case has one name".into()),
        _ => {}
    }
    let case = cases.last_mut().ok_or("there is no case yet")?;
    if words[0] != Word::Plain("needs".into()) {
        case.lines.push(Line { number, words });
        return Ok(());
    }
    if !case.lines.is_empty() {
        return Err("'needs' stands directly after 'case'".into());
    }
    for word in &words[1..] {
        let Word::Plain(feature) = word else { return Err("a feature is plain text".into()) };
        if !FEATURES.contains(&feature.as_str()) {
            return Err(format!("there is no feature '{feature}'"));
        }
        case.needs.push(feature.clone());
    }
    Ok(())
}

/// The words of a line: split at spaces outside of quotes.
fn words(line: &[u8]) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < line.len() {
        if line[at] == b' ' {
            at += 1;
            continue;
        }
        let start = at;
        let mut quoted = false;
        while at < line.len() && (quoted || line[at] != b' ') {
            match line[at] {
                b'"' => quoted = !quoted,
                b'\\' if quoted => at += 1,
                _ => {}
            }
            at += 1;
        }
        if quoted {
            return Err("a quote is not closed".into());
        }
        words.push(word(&line[start..at])?);
    }
    Ok(words)
}

fn word(raw: &[u8]) -> Result<Word, String> {
    if raw.starts_with(b"\"") {
        return bytes(raw).map(Word::Bytes);
    }
    if let Some(at) = raw.iter().position(|&byte| byte == b'=') {
        let name = plain(&raw[..at])?;
        let value = match &raw[at + 1..] {
            quoted if quoted.starts_with(b"\"") => Word::Bytes(bytes(quoted)?),
            text => Word::Plain(plain(text)?),
        };
        return Ok(Word::Named(name, Box::new(value)));
    }
    plain(raw).map(Word::Plain)
}

fn plain(raw: &[u8]) -> Result<String, String> {
    String::from_utf8(raw.to_vec()).map_err(|_| "plain text that is not UTF-8".into())
}

/// `"…"`, `"…"*N`, and these joined by `+`.
fn bytes(raw: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        if raw.get(at) != Some(&b'"') {
            return Err("bytes are in quotes".into());
        }
        let (piece, end) = quoted(raw, at + 1)?;
        at = end;
        let mut times = 1;
        if raw.get(at) == Some(&b'*') {
            let digits = raw[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let text = plain(&raw[at + 1..at + 1 + digits])?;
            times = text.parse().map_err(|_| "a number of times stands behind *".to_string())?;
            at += 1 + digits;
        }
        for _ in 0..times {
            out.extend_from_slice(&piece);
        }
        match raw.get(at) {
            None => return Ok(out),
            Some(b'+') => at += 1,
            Some(_) => return Err("only * and + may stand behind a quote".into()),
        }
    }
}

/// What is between the quotes from `at` on, and where the text goes on behind them.
fn quoted(raw: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), String> {
    let mut out = Vec::new();
    loop {
        match raw.get(at) {
            None => return Err("a quote is not closed".into()),
            Some(b'"') => return Ok((out, at + 1)),
            Some(b'\\') => {
                let (byte, len) = escape(&raw[at + 1..])?;
                out.push(byte);
                at += 1 + len;
            }
            Some(&byte) => {
                out.push(byte);
                at += 1;
            }
        }
    }
}

fn escape(raw: &[u8]) -> Result<(u8, usize), String> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    match raw {
        [byte @ (b'\\' | b'"'), ..] => Ok((*byte, 1)),
        [b'x', high, low, ..] => match (digit(high), digit(low)) {
            (Some(high), Some(low)) => Ok((high << 4 | low, 3)),
            _ => Err("two hexadecimal digits stand behind \\x".into()),
        },
        _ => Err("the escapes are \\\\, \\\" and \\xHH".into()),
    }
}

/// The words before the arrow, apart.
pub struct Arguments<'a> {
    /// All of them, in their order.
    pub all: &'a [Word],
    plain: Vec<&'a Word>,
    pub named: Vec<(&'a str, &'a Word)>,
}

impl<'a> Arguments<'a> {
    pub fn new(words: &'a [Word]) -> Self {
        let mut arguments = Arguments { all: words, plain: Vec::new(), named: Vec::new() };
        for word in words {
            match word {
                Word::Named(name, value) => arguments.named.push((name, value)),
                _ => arguments.plain.push(word),
            }
        }
        arguments
    }

    pub fn word(&self, index: usize) -> Result<&'a Word, String> {
        self.plain.get(index).copied().ok_or(format!("argument {} is missing", index + 1))
    }

    pub fn bytes(&self, index: usize) -> Result<&'a [u8], String> {
        match self.word(index)? {
            Word::Bytes(bytes) => Ok(bytes),
            word => Err(format!("{} are no bytes: write quotes", shown(word))),
        }
    }

    pub fn all_bytes(&self) -> Result<Vec<&'a [u8]>, String> {
        (0..self.plain.len()).map(|index| self.bytes(index)).collect()
    }

    pub fn named(&self, name: &str) -> Option<&'a Word> {
        self.named.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub fn only_named(&self, known: &[&str]) -> Result<(), String> {
        match self.named.iter().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => Err(format!("there is no argument '{name}' here")),
            None => Ok(()),
        }
    }
}

/// The text of an option's value.
pub fn option_text(word: &Word) -> Result<String, String> {
    match word {
        Word::Plain(text) => Ok(text.clone()),
        Word::Bytes(bytes) => {
            String::from_utf8(bytes.clone()).map_err(|_| "an option is UTF-8".to_string())
        }
        Word::Named(..) => Err("an option has one value".into()),
    }
}

/// `INT`, `never`, `now` or `$name`, the last two with an optional `+INT` or `-INT`.
pub fn number(
    text: &str,
    variables: &HashMap<String, i64>,
    now_ms: impl FnOnce() -> i64,
) -> Result<i64, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let (base, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], text[at..].parse().map_err(|_| format!("'{text}'"))?),
        None => (text, 0i64),
    };
    let base = match base {
        "never" => i64::MAX,
        "now" => now_ms(),
        _ => *variables.get(base).ok_or(format!("there is no number '{base}'"))?,
    };
    base.checked_add(offset).ok_or(format!("'{text}' overflows"))
}

/// Whether a result is as a case says: `INT`, `>INT`, `<INT` or `INT..INT`.
pub fn holds(
    got: i64,
    text: &str,
    number: impl Fn(&str) -> Result<i64, String>,
) -> Result<bool, String> {
    Ok(if let Some(bound) = text.strip_prefix('>') {
        got > number(bound)?
    } else if let Some(bound) = text.strip_prefix('<') {
        got < number(bound)?
    } else if let Some((low, high)) = text.split_once("..") {
        (number(low)?..=number(high)?).contains(&got)
    } else {
        got == number(text)?
    })
}

/// A word for a message.
pub fn shown(word: &Word) -> String {
    match word {
        Word::Bytes(bytes) => shown_bytes(bytes),
        Word::Named(name, value) => format!("{name}={}", shown(value)),
        Word::Plain(text) => text.clone(),
    }
}

/// Bytes for a message: escaped, and cut when they are long.
pub fn shown_bytes(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let head = bytes[..bytes.len().min(MOST)].escape_ascii();
    let more =
        if bytes.len() > MOST { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{head}{more}\"")
}
