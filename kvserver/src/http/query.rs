//! The query of a URL, whose names are known and whose values are any bytes.
//!
//! Owns: [`Query`]. A name that is not known, or comes twice, is refused: a typing error in `ttl` must not
//! make a key that stays for ever. Why not serde: keys and prefixes need not be text, and `%FF` has to
//! arrive as that byte.

use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// The parameters that have not been taken yet.
#[derive(Debug)]
pub struct Query(Vec<(String, Vec<u8>)>);

/// The bytes of a part of a URL.
pub fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

impl Query {
    /// Reads a query, of which `known` are all names.
    ///
    /// # Errors
    /// For another name, and for one that comes twice.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Query, Problem> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let spaced = |text: &str| decode(&text.replace('+', " "));
            let name = String::from_utf8_lossy(&spaced(name)).into_owned();
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::invalid(format!(
                    "the parameter '{name}' is not known here: this path takes {known}"
                )));
            }
            if found.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid(format!(
                    "the parameter '{name}' comes twice: give it once"
                )));
            }
            found.push((name, spaced(value)));
        }
        Ok(Query(found))
    }

    /// The bytes of a parameter.
    pub fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A parameter as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let text = self.bytes(name).map(String::from_utf8).transpose();
        text.map_err(|_| Problem::invalid(format!("the parameter '{name}' is not UTF-8")))
    }

    /// A parameter as a number of this range.
    ///
    /// # Errors
    /// If it is none, or outside.
    pub fn number(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
        match number.flatten() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::invalid(format!(
                "the parameter '{name}' is '{text}', and has to be a whole number from {least} to {most}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bytes_and_names_are_known() {
        let mut query =
            Query::parse(Some("prefix=a%2Fb+%FF&limit=5&"), &["prefix", "limit"]).unwrap();
        assert_eq!(query.bytes("prefix").as_deref(), Some(&b"a/b \xff"[..]));
        assert_eq!(query.number("limit", 1, 10).unwrap(), Some(5));
        assert_eq!(query.bytes("limit"), None);
        for wrong in ["ttls=5s", "limit=1&limit=2", "x"] {
            assert!(Query::parse(Some(wrong), &["ttl", "limit"]).is_err(), "{wrong}");
        }
        for wrong in ["limit=", "limit=0", "limit=11", "limit=+1", "limit=1.0", "limit=-1"] {
            let mut query = Query::parse(Some(wrong), &["limit"]).unwrap();
            assert!(query.number("limit", 1, 10).is_err(), "{wrong}");
        }
    }
}
