//! Lines no wider than a screen.

use unicode_width::UnicodeWidthStr as _;

use crate::client::cluster::clusters;

/// A row of a wrapped text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) text: &'a str,
    /// If set, it begins in the first column, and may be wider than the screen.
    pub(super) is_flush: bool,
}

/// Splits `text`, which has no control characters, into rows of at most `columns`. The first row has `first` columns less, the
/// others `indent`. Breaks at spaces, and within a word only if the word alone is too wide. A link is never broken. If it is
/// too wide, it gets rows of its own, so that a terminal can still open it.
pub(super) fn wrap(text: &str, columns: usize, first: usize, indent: usize) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let full = columns.saturating_sub(indent);
    let mut room = columns.saturating_sub(first);
    // If the head leaves no room for a word, the first row is empty.
    let (mut start, mut end, mut width) = (0, 0, 0);
    let mut at = 0;
    for piece in text.split_inclusive(' ') {
        let word = piece.trim_end_matches(' ');
        let word_width = word.width();
        if word_width > full && width + word_width > room && is_link(word) {
            if end > start || rows.is_empty() {
                rows.push(row(text, start, end));
            }
            rows.push(Row { text: word, is_flush: true });
            at += piece.len();
            (start, end, width, room) = (at, at, 0, full);
            continue;
        }
        if width + word_width > room && (end > start || rows.is_empty()) && (end > start || word_width <= full) {
            rows.push(row(text, start, end));
            (start, width, room) = (at, 0, full);
        }
        let mut word_at = at;
        for cluster in clusters(word) {
            let cluster_width = cluster.width();
            if width + cluster_width > room && word_at > start {
                rows.push(row(text, start, word_at));
                (start, width, room) = (word_at, 0, full);
            }
            width += cluster_width;
            word_at += cluster.len();
        }
        at += piece.len();
        end = at;
        width += piece.len() - word.len();
    }
    if start < text.len() || rows.is_empty() {
        rows.push(row(text, start, text.len()));
    }
    rows
}

fn row(text: &str, start: usize, end: usize) -> Row<'_> {
    Row { text: text.get(start..end).unwrap_or_default().trim_end_matches(' '), is_flush: false }
}

/// Returns whether terminals can open a word.
fn is_link(word: &str) -> bool {
    word.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words() {
        for (text, lines) in [
            ("", &[""][..]),
            ("one", &["one"]),
            ("one two three", &["one", "two three"]),
            ("one two three four", &["one", "two three", "four"]),
            ("one  two", &["one", "two"]),
            ("abcdefghijklmnopqrstuvwxyz", &["abcde", "fghijklmn", "opqrstuvw", "xyz"]),
            ("a abcdefghijklmnopqrstuvwxyz", &["a", "abcdefghi", "jklmnopqr", "stuvwxyz"]),
            ("abcdef", &["", "abcdef"]),
            ("漢字漢字漢字", &["漢字", "漢字漢字"]),
            ("👩‍🚀👩‍🚀👩‍🚀", &["", "👩‍🚀👩‍🚀👩‍🚀"]),
            ("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", &["e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}"]),
        ] {
            let rows: Vec<_> = wrap(text, 10, 5, 1).into_iter().map(|row| row.text).collect();
            assert_eq!(rows, lines, "{text:?}");
        }
    }

    #[test]
    fn links_are_never_broken() {
        let link = "https://example.org/a/long/way";
        for columns in 8..60 {
            for text in [link.to_owned(), format!("{link} x"), format!("see {link}, and {link}.")] {
                let rows = wrap(&text, columns, 12, 3);
                let whole = rows.iter().filter(|row| row.text.contains(link)).count();
                assert!(
                    whole >= 1 && rows.iter().all(|row| !row.text.contains("://") || row.text.contains(link)),
                    "{rows:?}"
                );
                assert!(rows.iter().all(|row| row.is_flush || row.text.width() <= columns), "{rows:?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "[a-z漢é ]{0,60}", columns in 8_usize..40, first in 0_usize..50) {
            let lines: Vec<_> = wrap(&text, columns, first, 2).into_iter().map(|row| row.text).collect();
            let words = |text: &str| text.split(' ').collect::<String>();
            proptest::prop_assert_eq!(lines.iter().map(|line| words(line)).collect::<String>(), words(&text));
            for (at, line) in lines.iter().enumerate() {
                let room = if at == 0 { columns.saturating_sub(first) } else { columns - 2 };
                proptest::prop_assert!(line.width() <= room.max(if at == 0 { 0 } else { 2 }) || line.chars().count() == 1, "{:?} in {}", line, room);
            }
        }
    }
}
