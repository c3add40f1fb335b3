//! Lines no wider than a screen.

use unicode_width::UnicodeWidthStr as _;

/// Splits `text`, which has no control characters, into lines of at most `columns`. The first one has `first` columns less,
/// the others `indent`. Breaks at spaces, and within a word only where the word alone is too wide.
pub(super) fn wrap(text: &str, columns: usize, first: usize, indent: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut room = columns.saturating_sub(first);
    // A head that leaves no room for a word stands alone.
    let (mut start, mut end, mut width) = (0, 0, 0);
    let mut at = 0;
    for piece in text.split_inclusive(' ') {
        let word = piece.trim_end_matches(' ');
        let word_width = word.width();
        if width + word_width > room && (end > start || lines.is_empty()) {
            let rest = columns.saturating_sub(indent);
            if end > start || word_width <= rest {
                lines.push(text.get(start..end).unwrap_or_default().trim_end_matches(' '));
                (start, width, room) = (at, 0, rest);
            }
        }
        let mut word_at = at;
        for cluster in clusters(word) {
            let cluster_width = cluster.width();
            if width + cluster_width > room && word_at > start {
                lines.push(text.get(start..word_at).unwrap_or_default());
                (start, width, room) = (word_at, 0, columns.saturating_sub(indent));
            }
            width += cluster_width;
            word_at += cluster.len();
        }
        at += piece.len();
        end = at;
        width += piece.len() - word.len();
    }
    lines.push(text.get(start..).unwrap_or_default().trim_end_matches(' '));
    lines
}

/// The characters of a text with what belongs on them: marks, and what is joined by U+200D.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
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
            assert_eq!(wrap(text, 10, 5, 1), lines, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "[a-z漢é ]{0,60}", columns in 8_usize..40, first in 0_usize..50) {
            let lines = wrap(&text, columns, first, 2);
            let words = |text: &str| text.split(' ').collect::<String>();
            proptest::prop_assert_eq!(lines.iter().map(|line| words(line)).collect::<String>(), words(&text));
            for (at, line) in lines.iter().enumerate() {
                let room = if at == 0 { columns.saturating_sub(first) } else { columns - 2 };
                proptest::prop_assert!(line.width() <= room.max(if at == 0 { 0 } else { 2 }) || line.chars().count() == 1, "{:?} in {}", line, room);
            }
        }
    }
}
