//! What a command prints: text for people, or with `--json` one object a line for programs.
//!
//! Owns: [`Output`]. Invariants: standard output has the answer and nothing else; whatever is said about
//! the work goes to standard error. Text that was stored is printed as it is where a value is asked for,
//! and escaped in lists, so that no stored byte can imitate another line there.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::outcome::Result;

/// Where answers go.
pub struct Output<'a> {
    to: &'a mut dyn Write,
    json: bool,
}

impl<'a> Output<'a> {
    /// Answers as JSON, or as text.
    pub fn new(to: &'a mut dyn Write, json: bool) -> Output<'a> {
        Output { to, json }
    }

    /// Whether answers are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an answer: the text, or the object.
    ///
    /// # Errors
    /// Those of the output.
    pub fn answer(&mut self, text: impl AsRef<[u8]>, json: Value) -> Result<()> {
        if self.json {
            return self.object(&json);
        }
        self.to.write_all(text.as_ref())?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Prints one object and ends the line.
    ///
    /// # Errors
    /// Those of the output.
    pub fn object(&mut self, json: &Value) -> Result<()> {
        serde_json::to_writer(&mut *self.to, json).map_err(io::Error::from)?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// Those of the output.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.to.write_all(bytes)?)
    }

    /// Hands on what was printed.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.to.flush()?)
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Bytes for one line of text: control characters and what is not UTF-8 become escapes.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Lines of names and values, the values in one column; nested objects have their names before them.
pub fn table(object: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    flatten("", object, &mut lines);
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = lines.into_iter().map(|(name, value)| format!("{name:width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn flatten(before: &str, object: &Map<String, Value>, lines: &mut Vec<(String, String)>) {
    for (name, value) in object {
        let name = format!("{before}{name}");
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, lines),
            Value::String(text) => lines.push((name, shown(text.as_bytes()))),
            other => lines.push((name, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_bytes_cannot_end_a_line() {
        assert_eq!(shown(b"a\nb\x1b[0m\\\xff\xc3\xa9"), "a\\nb\\u{1b}[0m\\\\\\xff\u{e9}");
    }

    #[test]
    fn answers_are_text_or_json() {
        let mut text = Vec::new();
        Output::new(&mut text, false).answer("yes", json!({"yes": true})).unwrap();
        assert_eq!(text, b"yes\n");
        let mut text = Vec::new();
        Output::new(&mut text, true).answer("yes", json!({"yes": true})).unwrap();
        assert_eq!(text, b"{\"yes\":true}\n");
    }

    #[test]
    fn a_table_lines_its_values_up() {
        let object = json!({"a": 1, "long": {"b": "x\ny"}});
        assert_eq!(table(object.as_object().unwrap()), "a       1\nlong.b  x\\ny");
    }
}
