//! The layout of lines, on a screen and without one.

use unicode_width::UnicodeWidthStr as _;

use super::style::{Size, Style};
use super::wrap::wrap;
use crate::sanitize::Sanitized;

/// The most lines of one message. Further line breaks are shown as signs.
const MAX_LINES: usize = 100;
/// The indent of further lines without a screen.
const PLAIN_INDENT: &str = "      ";

/// The beginning of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    /// With its colours.
    text: String,
    width: usize,
}

impl Head {
    /// Returns a head without colours.
    pub(super) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), width: text.width() }
    }

    /// Adds `text` in the rendition `sgr`.
    pub(super) fn with(mut self, style: Style, sgr: &str, text: &str) -> Self {
        self.text.push_str(&style.paint(sgr, text));
        self.width += text.width();
        self
    }
}

/// A line before it is laid out.
#[derive(Debug, Clone, Default)]
pub(super) struct ScreenLine {
    pub(super) head: Head,
    /// It is sanitized, except for its line breaks.
    pub(super) text: String,
    /// The rendition of the text.
    pub(super) sgr: &'static str,
    /// If set, the head is a column of its own, and further lines are indented by up to half of the screen instead of a quarter.
    pub(super) is_entry: bool,
}

/// Whole lines, and the rows that they take on the screen.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) rows: usize,
}

impl Lines {
    fn push(&mut self, line: &str, rows: usize) {
        self.text.push_str(line);
        self.text.push('\n');
        self.rows += rows;
    }
}

/// Lays out a line. On a screen, further lines begin below the text, unless the head is too wide for that.
pub(super) fn layout(style: Style, size: Option<Size>, line: &ScreenLine) -> Lines {
    let ScreenLine { head, text, sgr, is_entry } = line;
    let mut lines = Lines::default();
    let Some(size) = size.filter(|_| !style.plain) else {
        for (index, line) in text.split('\n').enumerate() {
            let start = if index == 0 { &head.text } else { PLAIN_INDENT };
            lines.push(&format!("{start}{}", style.paint(sgr, line)), 1);
        }
        return lines;
    };
    // The last column stays free, because terminals differ in their handling of it.
    let columns = size.columns.saturating_sub(1).max(8);
    let width = head.width;
    let indent = width.min(columns / if *is_entry { 2 } else { 4 });
    for (index, paragraph) in text.split('\n').enumerate() {
        let rows = wrap(paragraph, columns, if index == 0 { width } else { indent }, indent);
        for (at, row) in rows.into_iter().enumerate() {
            let text = style.paint(sgr, row.text);
            let (line, width) = match (index + at, row.is_flush) {
                (0, _) if row.text.is_empty() => (head.text.trim_end().to_owned(), width),
                (0, _) => (format!("{}{text}", head.text), width + row.text.width()),
                (_, true) => (text, row.text.width()),
                (_, false) if row.text.is_empty() => (text, 0),
                (_, false) => (format!("{:indent$}{text}", ""), indent + row.text.width()),
            };
            lines.push(&line, width.div_ceil(size.columns.max(1)).max(1));
        }
    }
    lines
}

/// Returns a sanitized message with its line breaks, but with at most [`MAX_LINES`] lines, none of them empty at the ends, and
/// no two empty ones in a row.
pub(super) fn readable(message: &str) -> String {
    let message = message.replace("\r\n", "\n");
    let message = message.trim_matches('\n');
    let mut text = String::new();
    let mut count = 1;
    let mut empty = 0;
    let mut rest = message;
    while let Some((line, after)) = rest.split_once('\n').filter(|_| count < MAX_LINES) {
        empty = if line.trim().is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            text.push_str(&Sanitized(line.trim_end()).to_string());
            text.push('\n');
            count += 1;
        }
        rest = after;
    }
    text.push_str(&Sanitized(rest).to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_are_kept_within_bounds() {
        for (message, wanted) in [
            ("one", "one"),
            ("one\ntwo", "one\ntwo"),
            ("one\r\ntwo\n\n\n\nthree\n\n", "one\ntwo\n\nthree"),
            ("one\rtwo\x1b[2J\n\u{202e}", "one␍two␛[2J\n\\u{202e}"),
            ("\n\n", ""),
        ] {
            assert_eq!(readable(message), wanted, "{message:?}");
        }
        let many = readable(&"x\n".repeat(1000));
        assert_eq!(many.lines().count(), MAX_LINES);
        assert!(many.ends_with("x␊x"), "{many}");
    }

    #[test]
    fn rows_are_those_of_the_screen() {
        let size = Size { columns: 20, rows: 24 };
        let lay = |text: &str| {
            let lines = layout(
                Style::default(),
                Some(size),
                &ScreenLine { head: Head::plain("14:03 <bob> "), text: text.into(), ..ScreenLine::default() },
            );
            (lines.text, lines.rows)
        };
        assert_eq!(lay("one\ntwo"), ("14:03 <bob> one\n    two\n".into(), 2));
        assert_eq!(lay("one\n\ntwo"), ("14:03 <bob> one\n\n    two\n".into(), 3));
        let url = format!("https://example.org/{}", "x".repeat(30));
        assert_eq!(lay(&url), (format!("14:03 <bob>\n{url}\n"), 4));
        assert_eq!(lay(&format!("see {url} now")), (format!("14:03 <bob> see\n{url}\n    now\n"), 5));
    }
}
