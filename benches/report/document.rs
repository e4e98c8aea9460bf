//! Puts tables between their marks.

use std::io::{Error, ErrorKind};

const END: &str = "<!-- end -->";

/// The text with each of these tables in its place. Everything else stays.
pub(crate) fn fill(text: &str, tables: &[(&str, String)]) -> std::io::Result<String> {
    let broken = |what: String| Error::new(ErrorKind::InvalidData, what);
    let mut text = text.to_owned();
    for (name, table) in tables {
        let mark = format!("<!-- table {name} -->\n");
        let start = text.find(&mark).ok_or_else(|| broken(format!("no mark {mark:?}")))?;
        let start = start + mark.len();
        let length = text[start..].find(END).ok_or_else(|| broken(format!("{name} has no end")))?;
        text.replace_range(start..start + length, &format!("\n{}\n\n", table.trim_end()));
    }
    Ok(text)
}
