//! The characters of a text as a terminal shows them.

use unicode_width::UnicodeWidthStr as _;

/// Returns the characters of `text`, each with what belongs on it: marks, and what is joined by U+200D.
pub(super) fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        chars.next()?;
        let mut joined = false;
        let end = chars.find_map(|(at, c)| {
            let belongs =
                joined || c == '\u{200d}' || matches!(c, '\u{1f3fb}'..='\u{1f3ff}') || c.to_string().width() == 0;
            joined = c == '\u{200d}';
            (!belongs).then_some(at)
        });
        let (cluster, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(cluster)
    })
}
