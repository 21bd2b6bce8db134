//! The operations `write` and `scan`.

use kvcore::{
    Batch, BatchOutcome, Condition, Entry, Error, Expiry, Order, ScanOptions, SetOptions, Status,
    Store, TTL_KEEP, TTL_NONE,
};

use crate::case::{Arguments, Word, shown};
use crate::run::{Answer, Outcome, answered};

/// What a number stands for.
type Number<'a> = dyn Fn(&Word) -> Result<i64, String> + 'a;

/// Makes a batch of the changes that the words list, and writes it.
pub fn write(store: &Store, words: &[Word], number: &Number<'_>) -> Outcome {
    let mut batch = Batch::new();
    let mut rest = words;
    while let Some((Word::Plain(change), after)) = rest.split_first() {
        let operands = after.iter().take_while(|word| matches!(word, Word::Bytes(_))).count();
        let end = after.iter().position(is_change).unwrap_or(after.len());
        let (words, next) = after.split_at(end);
        let options = &words[operands..];
        match (change.as_str(), &words[..operands]) {
            ("set", [Word::Bytes(key), Word::Bytes(value)]) => {
                match set_options(options, number)? {
                    Ok(options) => drop(batch.set_with(key, value, &options)),
                    Err(error) => return Ok(Answer::failed(&error)),
                }
            }
            ("del", [Word::Bytes(key)]) if options.is_empty() => drop(batch.del(key)),
            ("expire", [Word::Bytes(key)]) if options.len() == 1 => {
                batch.expire(key, number(&options[0])?);
            }
            _ => return Err(format!("write does not take these words behind {change}")),
        }
        rest = next;
    }
    if let Some(word) = rest.first() {
        return Err(format!("{} is no change", shown(word)));
    }
    answered(store.write(&batch).map(|outcome| {
        match outcome {
            BatchOutcome::Applied { applied, missing } => Answer::of(Status::Ok)
                .number("applied", applied as i64)
                .number("missing", missing as i64),
            BatchOutcome::Conflict { index } => {
                Answer::of(Status::Conflict).number("failed", index as i64)
            }
        }
    }))
}

fn is_change(word: &Word) -> bool {
    matches!(word, Word::Plain(text) if ["set", "del", "expire"].contains(&text.as_str()))
}

/// The options of a set in a batch: an error of the engine, or one of the line.
fn set_options(words: &[Word], number: &Number<'_>) -> Result<Result<SetOptions, Error>, String> {
    let mut options = SetOptions::default();
    for word in words {
        let Word::Named(name, value) = word else {
            return Err(format!("{} is no option of a set", shown(word)));
        };
        match (name.as_str(), &**value) {
            ("ttl", word) => {
                let ttl_ms = match word {
                    Word::Plain(text) if text == "default" => 0,
                    Word::Plain(text) if text == "none" => TTL_NONE,
                    Word::Plain(text) if text == "keep" => TTL_KEEP,
                    word => number(word)?,
                };
                match Expiry::from_ttl_ms(ttl_ms) {
                    Ok(expiry) => options.expiry = expiry,
                    Err(error) => return Ok(Err(error)),
                }
            }
            ("at", word) => options.expiry = Expiry::AtMs(number(word)?),
            ("if", Word::Plain(text)) if text == "absent" => options.condition = Condition::Absent,
            ("if", Word::Plain(text)) if text == "present" => {
                options.condition = Condition::Present;
            }
            ("if_version", word) => {
                options.condition = Condition::Version(number(word)? as u64);
            }
            _ => return Err(format!("there is no argument '{name}' here")),
        }
    }
    Ok(Ok(options))
}

/// Scans, and lists keys and values. In no order they are listed by their keys.
pub fn scan(store: &Store, arguments: &Arguments<'_>, number: &Number<'_>) -> Outcome {
    let mut options = ScanOptions::new();
    for (name, word) in &arguments.named {
        match (*name, word) {
            ("prefix", Word::Bytes(bytes)) => options = options.prefix(bytes),
            ("start", Word::Bytes(bytes)) => options = options.start(bytes),
            ("end", Word::Bytes(bytes)) => options = options.end(bytes),
            ("limit", word) => options = options.limit(number(word)? as u64),
            ("order", Word::Plain(text)) if text == "asc" => options = options.order(Order::Asc),
            ("order", Word::Plain(text)) if text == "desc" => options = options.order(Order::Desc),
            ("keys_only", word) if number(word)? == 1 => options = options.keys_only(),
            ("point_in_time", word) if number(word)? == 1 => options = options.point_in_time(),
            _ => return Err(format!("there is no argument '{name}' here")),
        }
    }
    let in_no_order = options.order == Order::None;
    answered(store.scan(&options).and_then(|scan| {
        let mut entries = scan.collect::<Result<Vec<Entry>, Error>>()?;
        if in_no_order {
            entries.sort_by(|a, b| a.key().cmp(b.key()));
        }
        let mut answer = Answer::of(Status::Ok).number("count", entries.len() as i64);
        for entry in entries {
            answer = answer.with_bytes(entry.key());
            if !options.keys_only {
                answer = answer.with_bytes(entry.value());
            }
        }
        Ok(answer)
    }))
}
