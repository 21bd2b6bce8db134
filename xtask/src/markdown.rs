//! Reading and rewriting `README.md` by its markers, which are HTML comments alone on a line.
//!
//! Two kinds: a pair `<!-- name:begin -->` … `<!-- name:end -->` encloses generated text; a single
//! `<!-- quickstart: c -->` or `<!-- output: c -->` names the fenced code block that comes next.

use anyhow::{Context, Result, bail, ensure};

/// A fenced code block that a marker names.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The word before the colon: `quickstart` or `output`.
    pub kind: String,
    /// What follows the colon: the language and perhaps a file name.
    pub label: String,
    /// The lines between the fences.
    pub text: String,
    /// The line of the marker, from 1, for messages.
    pub line: usize,
}

/// All blocks whose marker is one of `kinds`, in the order of the text.
pub fn marked_blocks(text: &str, kinds: &[&str]) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some((kind, label)) = marker(line).filter(|(kind, _)| kinds.contains(kind)) else {
            continue;
        };
        let place = || format!("line {}: <!-- {kind}: {label} -->", index + 1);
        let fence = loop {
            let (_, next) =
                lines.next().with_context(|| format!("{} has no code block after it", place()))?;
            if marker(next).is_some() || next.starts_with('#') {
                bail!("{} has no code block before the next marker or heading", place());
            }
            let fence: String = next.chars().take_while(|&c| c == '`').collect();
            if fence.len() >= 3 {
                break fence;
            }
        };
        let mut block = String::new();
        loop {
            let (_, next) =
                lines.next().with_context(|| format!("{}: its code block never ends", place()))?;
            if next.trim_end() == fence {
                break;
            }
            block.push_str(next);
            block.push('\n');
        }
        blocks.push(Block {
            kind: kind.to_owned(),
            label: label.to_owned(),
            text: block,
            line: index + 1,
        });
    }
    Ok(blocks)
}

/// `text` with everything between the markers `name:begin` and `name:end` replaced.
pub fn replace_between(text: &str, name: &str, content: &str) -> Result<String> {
    let begin = format!("<!-- {name}:begin -->");
    let end = format!("<!-- {name}:end -->");
    let (before, rest) =
        text.split_once(&begin).with_context(|| format!("the marker {begin} is missing"))?;
    let (_, after) =
        rest.split_once(&end).with_context(|| format!("the marker {end} is missing"))?;
    ensure!(!after.contains(&begin), "the marker {begin} is there twice");
    Ok(format!("{before}{begin}\n{content}{end}{after}"))
}

fn marker(line: &str) -> Option<(&str, &str)> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    let (kind, label) = inner.split_once(':')?;
    Some((kind.trim(), label.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_block_after_each_marker() {
        let text = "# T\n<!-- quickstart: c -->\n\n```c\nint x;\n\n```\n\nprints\n\
                    <!-- output: c -->\n```text\n1\n```\n```sh\nignored\n```\n";
        let blocks = marked_blocks(text, &["quickstart", "output"]).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].label, "c");
        assert_eq!(blocks[0].text, "int x;\n\n");
        assert_eq!((blocks[1].kind.as_str(), blocks[1].text.as_str()), ("output", "1\n"));
    }

    #[test]
    fn a_marker_without_a_block_is_an_error() {
        let text = "<!-- quickstart: c -->\n# Next\n```c\n```\n";
        let error = marked_blocks(text, &["quickstart"]).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        assert!(marked_blocks("<!-- quickstart: c -->\n```c\n", &["quickstart"]).is_err());
    }

    #[test]
    fn replaces_only_what_is_between() {
        let text = "a\n<!-- t:begin -->\nold\n<!-- t:end -->\nb\n";
        let new = replace_between(text, "t", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- t:begin -->\nnew\n<!-- t:end -->\nb\n");
        assert_eq!(replace_between(&new, "t", "new\n").unwrap(), new);
        assert!(replace_between("a", "t", "").is_err());
    }
}
