//! Text of the results: tables in Markdown, and numbers as people read them.

/// A table in Markdown: the first column to the left, the others to the right.
pub fn table<R: AsRef<[String]>>(header: &[&str], rows: &[R]) -> String {
    let mut text = format!("| {} |\n| --- |", header.join(" | "));
    text.push_str(&" ---: |".repeat(header.len() - 1));
    text.push('\n');
    for row in rows {
        text.push_str(&format!("| {} |\n", row.as_ref().join(" | ")));
    }
    text
}

/// A count with commas between the thousands.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_commas() {
        assert_eq!([count(7), count(1000), count(1_234_567)], ["7", "1,000", "1,234,567"]);
    }

    #[test]
    fn tables_are_markdown() {
        let text = table(&["a", "b"], &[["1".to_owned(), "2".to_owned()]]);
        assert_eq!(text, "| a | b |\n| --- | ---: |\n| 1 | 2 |\n");
    }
}
