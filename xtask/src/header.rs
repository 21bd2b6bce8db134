//! `include/kv.h`: written from `kvffi/kv.h.in`, where each line `@noun.rs` stands for what the
//! pinned cbindgen makes of that file of `kvffi/src`.
//!
//! cbindgen puts all types of a crate before all functions; one run per file keeps a noun together
//! instead. What it writes is then tidied: comments of one line take one line, constants and fields
//! become tables, and every struct that has a `struct_size` gets its initialiser, so that none can
//! be forgotten or be stale.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// The longest line of the header.
const LINE_MAX: usize = 100;

/// Writes the header, or with `check` refuses one that is not what would be written.
pub fn run(check: bool) -> Result<()> {
    let workspace = Workspace::find()?;
    let fresh = generate(&workspace.root().join("kvffi"))?;
    let path = workspace.root().join("include").join("kv.h");
    let present = fs::read_to_string(&path).unwrap_or_default();
    if present == fresh {
        println!("include/kv.h is fresh");
        return Ok(());
    }
    ensure!(!check, "include/kv.h is stale: run `cargo xtask header` and commit it");
    fs::write(&path, fresh).with_context(|| format!("cannot write {}", path.display()))?;
    println!("include/kv.h written");
    Ok(())
}

fn generate(kvffi: &Path) -> Result<String> {
    let template = kvffi.join("kv.h.in");
    let template = fs::read_to_string(&template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    let mut header = String::new();
    for line in template.lines() {
        match line.strip_prefix('@') {
            Some(file) => header.push_str(&tidy(&bindings(kvffi, file)?)),
            None => header.push_str(line),
        }
        header.push('\n');
    }
    Ok(header)
}

/// What cbindgen makes of one file.
fn bindings(kvffi: &Path, file: &str) -> Result<String> {
    let config = kvffi.join("cbindgen.toml");
    let config = cbindgen::Config::from_file(&config)
        .map_err(|error| anyhow::anyhow!("{}: {error}", config.display()))?;
    let source = kvffi.join("src").join(file);
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(&source)
        .generate()
        .with_context(|| format!("cbindgen cannot read {}", source.display()))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).context("cbindgen wrote something that is not UTF-8")
}

/// cbindgen separates items by one blank line, and has none inside an item.
fn tidy(bindings: &str) -> String {
    let mut tidied = String::new();
    let mut constants = Vec::new();
    for item in bindings.trim().split("\n\n") {
        if let Some(row) = constant_row(item) {
            constants.push(row);
            continue;
        }
        if !constants.is_empty() {
            write_paragraph(&mut tidied, &table(&std::mem::take(&mut constants)));
        }
        match struct_name(item) {
            Some(name) => write_struct(&mut tidied, name, item),
            None => write_paragraph(&mut tidied, &shorten(&wrap(item))),
        }
    }
    if !constants.is_empty() {
        write_paragraph(&mut tidied, &table(&constants));
    }
    tidied.trim_end().to_owned()
}

fn write_paragraph(text: &mut String, paragraph: &str) {
    text.push_str(paragraph.trim_end());
    text.push_str("\n\n");
}

/// A prototype without the word `struct`, which the types do not need, on one line or, filled, on
/// as few as it takes. Anything else stays as it is.
fn wrap(item: &str) -> String {
    let (comment, prototype) = item.rsplit_once('\n').unwrap_or(("", item));
    let Some((head, arguments)) = prototype.split_once('(') else {
        return item.to_owned();
    };
    let head = head.replace("struct ", "");
    let indent = head.len() + 1;
    let mut text = format!("{comment}\n{head}(");
    let mut column = indent;
    for argument in arguments.replace("struct ", "").split_inclusive(", ") {
        if column + argument.trim_end().len() > LINE_MAX {
            text.truncate(text.trim_end().len());
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        }
        text.push_str(argument);
        column += argument.len();
    }
    text.trim_start().to_owned()
}

/// A constant that a comment of one line explains: its declaration and the comment.
fn constant_row(item: &str) -> Option<(String, String)> {
    let lines: Vec<&str> = item.lines().collect();
    let ["/**", comment, " */", definition] = lines[..] else {
        return None;
    };
    let (name, value) = definition.strip_prefix("#define ")?.split_once(' ')?;
    let value = if value.starts_with('-') { format!("({value})") } else { value.to_owned() };
    let name_width = 18;
    let comment = comment.trim_start_matches(" * ").to_owned();
    Some((format!("#define {name:<name_width$} {value}"), comment))
}

/// Rows with their comments in a column of their own.
fn table(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (left, comment) in rows {
        let _ = writeln!(text, "{left:<width$}  /**< {comment} */");
    }
    text
}

/// A comment of one line takes one line.
fn shorten(item: &str) -> String {
    let lines: Vec<&str> = item.lines().collect();
    match lines[..] {
        ["/**", comment, " */", ref rest @ ..] => {
            let comment = comment.trim_start_matches(" * ");
            format!("/** {comment} */\n{}", rest.join("\n"))
        }
        _ => item.to_owned(),
    }
}

/// The name of the struct that this item lays out, if it does.
fn struct_name(item: &str) -> Option<&str> {
    let opening = item.lines().find(|line| line.starts_with("typedef struct"))?;
    opening.strip_prefix("typedef struct ")?.strip_suffix(" {")
}

/// A struct as a table of its fields, and its initialiser.
fn write_struct(text: &mut String, name: &str, item: &str) {
    let (comment, body) = item.split_once("typedef struct").unwrap_or(("", item));
    let mut rows = Vec::new();
    let mut said = String::new();
    for line in body.lines().skip(1).map(str::trim) {
        if let Some(words) = line.strip_prefix("* ") {
            said = words.to_owned();
        } else if line.ends_with(';') && !line.starts_with('}') {
            rows.push((format!("  {line}"), std::mem::take(&mut said)));
        }
    }
    let fields = table(&rows);
    let comment = shorten(comment);
    write_paragraph(text, &format!("{comment}typedef struct {name} {{\n{fields}}} {name};"));

    let fields: Vec<(&str, &str)> =
        rows.iter().filter_map(|(row, _)| Some((field_name(row)?, default(row)))).collect();
    if fields.first().is_some_and(|(field, _)| *field == "struct_size") {
        write_paragraph(text, &initialiser(name, &fields));
    }
}

fn field_name(row: &str) -> Option<&str> {
    row.trim_end_matches(';').rsplit([' ', '*']).next()
}

/// The default of a field: zero, or an empty slice.
fn default(row: &str) -> &'static str {
    if row.trim_start().starts_with("kv_slice_t ") { "{0, 0}" } else { "0" }
}

/// Every default is zero, and every field is named, in words that C99 and C++11 both take.
fn initialiser(name: &str, fields: &[(&str, &str)]) -> String {
    let macro_name = name.trim_end_matches("_t").to_uppercase();
    let mut text = format!("/** A {name} with every field at its default. */\n");
    let _ = writeln!(text, "#define {macro_name}_INIT {{ \\");
    for (n, (field, default)) in fields.iter().enumerate() {
        let value = if n == 0 { format!("sizeof({name})") } else { (*default).to_owned() };
        let comma = if n + 1 == fields.len() { "" } else { "," };
        let _ = writeln!(text, "  /* {field} */ {value}{comma} \\");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_become_a_table() {
        let bindings =
            "/**\n * good\n */\n#define KV_OK 0\n\n/**\n * bad\n */\n#define KV_ERR_BAD -1";
        assert_eq!(
            tidy(bindings),
            "#define KV_OK              0     /**< good */\n\
             #define KV_ERR_BAD         (-1)  /**< bad */"
        );
    }

    #[test]
    fn functions_lose_the_word_struct() {
        let bindings = "/**\n * Counts.\n */\nint kv_len(struct kv_store_t *store);";
        assert_eq!(tidy(bindings), "/** Counts. */\nint kv_len(kv_store_t *store);");
        let opaque = "typedef struct kv_store_t kv_store_t;";
        assert_eq!(tidy(opaque), opaque);
    }

    #[test]
    fn long_prototypes_are_filled() {
        let argument = "const struct kv_slice_t *argument_with_a_name, ".repeat(3);
        let wrapped = wrap(&format!("/** Does. */\nint kv_do({argument}size_t len);"));
        let expected = "/** Does. */\n\
            int kv_do(const kv_slice_t *argument_with_a_name, const kv_slice_t *argument_with_a_name,\n\
            \u{20}         const kv_slice_t *argument_with_a_name, size_t len);";
        assert_eq!(wrapped, expected);
    }

    #[test]
    fn structs_get_an_initialiser() {
        let bindings = "typedef struct kv_a_t {\n  /**\n   * size\n   */\n  size_t struct_size;\n  \
                        /**\n   * data\n   */\n  const void *data;\n  \
                        kv_slice_t key;\n} kv_a_t;";
        let tidied = tidy(bindings);
        assert!(tidied.contains("  size_t struct_size;  /**< size */\n"), "{tidied}");
        assert!(tidied.contains("#define KV_A_INIT {"), "{tidied}");
        assert!(tidied.contains("/* struct_size */ sizeof(kv_a_t), \\"), "{tidied}");
        assert!(tidied.contains("/* data */ 0, \\"), "{tidied}");
        assert!(tidied.contains("/* key */ {0, 0} \\"), "{tidied}");
    }
}
