//! An entry on its way between a store and text: key, value and deadline, as JSON and back.
//!
//! Owns: the form of one line of JSON Lines. A key or a value that is UTF-8 is the member `key` or `value`;
//! any other is `key_base64` or `value_base64` (RFC 4648, with padding), so that every entry has one form,
//! nothing is lost, and what people typed stays readable. An entry without a deadline has no `expire_at_ms`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// A key, its value, and when it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Vec<u8>,
    /// The value; empty where only keys were asked for.
    pub value: Vec<u8>,
    /// Unix milliseconds; `None` if it never expires.
    pub expire_at_ms: Option<i64>,
}

impl Item {
    /// The entry as a JSON object.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        put_bytes(&mut object, "key", &self.key);
        put_bytes(&mut object, "value", &self.value);
        put_deadline(&mut object, self.expire_at_ms);
        Value::Object(object)
    }

    /// The entry of a JSON object.
    ///
    /// # Errors
    /// What is wrong with it, to follow the number of the line.
    pub fn from_json(line: &str) -> Result<Item, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Value::Object(object) = value else { return Err("it is no object".into()) };
        let known = ["key", "key_base64", "value", "value_base64", "expire_at_ms"];
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("an entry has no member '{name}': it has {}", known.join(", ")));
        }
        let expire_at_ms = match object.get("expire_at_ms") {
            None | Some(Value::Null) => None,
            Some(at) => Some(
                at.as_i64()
                    .filter(|at| *at >= 0)
                    .ok_or("expire_at_ms is not a Unix time in milliseconds")?,
            ),
        };
        let key = take_bytes(&object, "key")?;
        Ok(Item { key, value: take_bytes(&object, "value")?, expire_at_ms })
    }
}

/// Adds bytes to an object, under the name if they are UTF-8 and behind `_base64` if not.
pub fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.into(), text.into()),
        Err(_) => object.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

/// Adds a deadline to an object, if there is one.
pub fn put_deadline(object: &mut Map<String, Value>, expire_at_ms: Option<i64>) {
    if let Some(at) = expire_at_ms {
        object.insert("expire_at_ms".into(), at.into());
    }
}

fn take_bytes(object: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let coded = format!("{name}_base64");
    match (object.get(name), object.get(&coded)) {
        (Some(Value::String(text)), None) => Ok(text.clone().into_bytes()),
        (None, Some(Value::String(text))) => {
            STANDARD.decode(text).map_err(|error| format!("{coded} is no base64: {error}"))
        }
        (Some(_), Some(_)) => Err(format!("it has both {name} and {coded}")),
        (None, None) => Err(format!("it has neither {name} nor {coded}")),
        _ => Err(format!("{name} is no text")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_entry_comes_back(
            key in proptest::collection::vec(any::<u8>(), 0..20),
            value in proptest::collection::vec(any::<u8>(), 0..40),
            expire_at_ms in proptest::option::of(0..i64::MAX),
        ) {
            let item = Item { key, value, expire_at_ms };
            prop_assert_eq!(Item::from_json(&item.to_json().to_string()), Ok(item));
        }
    }

    #[test]
    fn text_stays_readable() {
        let item = Item { key: b"k".to_vec(), value: b"\xff".to_vec(), expire_at_ms: Some(7) };
        let expected = serde_json::json!({"key": "k", "value_base64": "/w==", "expire_at_ms": 7});
        assert_eq!(item.to_json(), expected);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for (line, fault) in [
            ("1", "no object"),
            ("{", "EOF"),
            (r#"{"value":"v"}"#, "neither key"),
            (r#"{"key":"k","key_base64":"aw==","value":""}"#, "both"),
            (r#"{"key":1,"value":""}"#, "no text"),
            (r#"{"key":"k","value_base64":"?"}"#, "base64"),
            (r#"{"key":"k","value":"","expire_at_ms":-1}"#, "Unix time"),
            (r#"{"key":"k","value":"","ttl":5}"#, "no member 'ttl'"),
        ] {
            let error = Item::from_json(line).unwrap_err();
            assert!(error.contains(fault), "{line}: {error}");
        }
    }
}
