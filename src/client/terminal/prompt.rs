//! The prompt on the screen: painted, erased, and found again after the terminal got another size.
//!
//! The prompt and the line after it are written as one text that the terminal itself wraps. What becomes of it when the
//! terminal gets wider or narrower is the terminal's affair: many wrap it anew (VTE, kitty, tmux), others cut it off or leave
//! it as it was (xterm). A terminal may also have another size some time before it says so (tmux waits 250 ms). So before rows
//! above the cursor are erased or the cursor goes up, the terminal is asked where the cursor is and how wide it is itself.
//! Whatever remains uncertain is left alone: better two prompts on the screen than one message less. What is typed at the end of
//! the line erases nothing, and moves the cursor only relative to where it is.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use crate::client::cluster::clusters;
use crate::client::render::Size;
use crate::sanitize::Sanitized;

/// The state of a terminal at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The column of the cursor, from 0.
    pub(super) column: usize,
    /// The width.
    pub(super) columns: usize,
}

/// A prompt that is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Painted {
    /// The size of the screen.
    size: Size,
    /// The widths of the clusters before the cursor, those of the prompt first.
    before: Vec<usize>,
    /// The prompt with its colours, and the text before the cursor, if that is the whole line.
    whole: Option<(String, String)>,
    /// The widths before the place for the cursor, if that is in a row further up.
    further_up: Option<Vec<usize>>,
    /// If set, the terminal had this size when it was painted.
    is_certain: bool,
}

/// The prompt on the screen, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    painted: Option<Painted>,
    /// If set, the terminal wraps lines anew when it gets another width; `None` until it has shown its kind.
    reflows: Option<bool>,
}

impl Prompt {
    /// Returns whether there is one on a screen of another size.
    pub(super) fn is_outdated(&self, size: Size) -> bool {
        self.painted.as_ref().is_some_and(|painted| painted.size != size)
    }

    /// Returns whether there are rows of the prompt above the cursor.
    pub(super) fn is_below_others(&self) -> bool {
        self.place().is_some_and(|(row, _)| row > 0)
    }

    /// Returns whether the cursor is where it was painted, on a screen as wide as it was then.
    pub(super) fn is_as_painted(&self, seen: Seen) -> bool {
        let columns = self.painted.as_ref().map(|painted| painted.size.columns);
        columns == Some(seen.columns) && self.place().is_some_and(|(_, column)| column == seen.column)
    }

    /// Returns the row and column of the cursor, from where the prompt begins.
    fn place(&self) -> Option<(usize, usize)> {
        self.painted.as_ref().map(|painted| row_and_column(&painted.before, painted.size.columns))
    }

    /// Returns the output that takes the cursor to its place in a line of several rows that was just painted. If `seen`, which
    /// is what the terminal says, shows another size than was thought, the cursor stays at the end of the line.
    pub(super) fn settle(&mut self, seen: Option<Seen>) -> String {
        let is_certain = seen.is_some_and(|seen| self.is_as_painted(seen));
        let from = self.place();
        let (Some(painted), Some((last_row, _))) = (&mut self.painted, from) else { return String::new() };
        painted.is_certain = is_certain;
        if !is_certain && seen.is_some() {
            return String::new();
        }
        let Some(to_cursor) = painted.further_up.take() else { return String::new() };
        let (row, column) = row_and_column(&to_cursor, painted.size.columns);
        painted.before = to_cursor;
        format!("\x1b[{}A\r{}", last_row.saturating_sub(row), right(column))
    }

    /// Returns the output that erases the prompt, on a screen of the size that it was painted for.
    pub(super) fn erase(&mut self) -> String {
        let (row, _) = self.place().unwrap_or_default();
        self.painted.take().map_or_else(String::new, |_| erase(row))
    }

    /// Returns the output that erases the prompt after the screen got another width, as far as it certainly is the prompt.
    /// `column` is that of the cursor, as the terminal says; `None` if it does not say.
    pub(super) fn erase_resized(&mut self, columns: usize, column: Option<usize>) -> String {
        let Some(Painted { size: old, before, is_certain, .. }) = self.painted.take() else { return String::new() };
        let last = columns.saturating_sub(1);
        // If the rows stay as they were painted, the cursor is at most in the last column.
        let (kept_row, kept_column) = row_and_column(&before, old.columns);
        let kept = (kept_row, kept_column.min(last));
        // If they are wrapped anew, the cursor may also stay at the end of a full row.
        let wrapped = row_and_column(&before, columns);
        let stayed = if wrapped.1 == 0 && wrapped.0 > 0 { (wrapped.0 - 1, last) } else { wrapped };
        let is = |place: (usize, usize)| column == Some(place.1);
        let wrapped_row = if is(wrapped) { wrapped.0 } else { stayed.0 };
        let (is_kept, is_wrapped) = (is(kept), is(wrapped) || is(stayed));
        // Where the two differ, the terminal shows which kind it is.
        if is_certain && is_kept != is_wrapped {
            self.reflows = if self.reflows == Some(is_kept) { None } else { Some(is_wrapped) };
        }
        let row = match (is_kept, is_wrapped, self.reflows) {
            (true, false, _) => kept.0,
            (true, true, Some(false)) => kept.0,
            (false, true, None | Some(true)) | (true, true, Some(true)) => wrapped_row,
            (true | false, true, _) => kept.0.min(wrapped_row),
            // The terminal does not say, or the cursor is somewhere else altogether.
            (false, false, _) => column.map_or(kept.0.min(stayed.0), |_| 0),
        };
        erase(row)
    }

    /// Returns the output that adds the text typed since at the end of a painted line, if nothing else has changed.
    pub(super) fn extend(&mut self, colored: &str, (before, after): (&str, &str), size: Size) -> Option<String> {
        let painted = self.painted.as_mut().filter(|painted| painted.size == size && after.is_empty())?;
        let (prompt, text) = painted.whole.as_ref()?;
        let typed = before.strip_prefix(text.as_str()).filter(|typed| prompt == colored && !typed.is_empty())?;
        let typed = visible(typed);
        let mut widths = painted.before.clone();
        widths.extend(typed.iter().map(|(_, width)| *width));
        // A mark changes the character before it, and a long line is not shown whole.
        let most = size.columns * size.rows.saturating_sub(1).max(1);
        let is_apart = visible(before).len() == visible(text).len() + typed.len();
        if !is_apart || widths.iter().sum::<usize>() + 2 > most {
            return None;
        }
        let (_, column) = row_and_column(&widths, size.columns);
        let mut shown: String = typed.into_iter().map(|(text, _)| text).collect();
        // This is relative to the cursor, and so is right on a screen of another size too.
        if column + 1 < size.columns {
            shown.push_str(" \x08");
        }
        painted.before = widths;
        painted.is_certain = false;
        painted.whole = Some((colored.to_owned(), before.to_owned()));
        Some(shown)
    }

    /// Returns the output that paints a prompt, given with and without its colours, and the line with the cursor between its
    /// two parts. As much of the line is shown as fits on the screen.
    pub(super) fn paint(&mut self, colored: &str, plain: &str, (before, after): (&str, &str), size: Size) -> String {
        let columns = size.columns.max(2);
        let prompt: Vec<usize> = clusters(plain).map(|cluster| cluster.width()).collect();
        let most = (columns * size.rows.saturating_sub(1).max(1)).saturating_sub(prompt.iter().sum::<usize>() + 2);
        let line = before;
        let (before, after) = (visible(before), visible(after));
        let is_whole = after.is_empty();
        // The end of what is before the cursor, and then the beginning of what is after it.
        let mut room = most;
        let mut fits = |(_, width): &&(String, usize)| room.checked_sub(*width).map(|rest| room = rest).is_some();
        let shown_before = before.iter().rev().take_while(&mut fits).count();
        let shown_after = after.iter().take_while(&mut fits).count();
        let is_whole = is_whole && shown_before == before.len();
        let before = before.get(before.len() - shown_before..).unwrap_or_default();
        let after = after.get(..shown_after).unwrap_or_default();

        let mut text = colored.to_owned();
        text.extend(before.iter().chain(after).map(|(text, _)| text.as_str()));
        let to_cursor: Vec<_> = prompt.into_iter().chain(before.iter().map(|(_, width)| *width)).collect();
        let to_end: Vec<_> = to_cursor.iter().copied().chain(after.iter().map(|(_, width)| *width)).collect();
        let (row, column) = row_and_column(&to_cursor, columns);
        let (last_row, last_column) = row_and_column(&to_end, columns);
        // So that the cursor never stands behind the last column, where terminals differ.
        if last_column + 1 < columns {
            text.push_str(" \x08");
        }
        let is_there = row == last_row;
        if is_there && last_column > column {
            let _ = write!(text, "\x1b[{}D", last_column - column);
        }
        let whole = is_whole.then(|| (colored.to_owned(), line.to_owned()));
        let (before, further_up) = if is_there { (to_cursor, None) } else { (to_end, Some(to_cursor)) };
        self.painted = Some(Painted { size, before, whole, further_up, is_certain: false });
        text
    }
}

/// Returns the output that moves the cursor to the right.
pub(super) fn right(columns: usize) -> String {
    if columns > 0 { format!("\x1b[{columns}C") } else { String::new() }
}

/// Returns the output that erases from `rows` rows above the cursor to the end of the screen.
fn erase(rows: usize) -> String {
    if rows > 0 { format!("\x1b[{rows}A\r\x1b[J") } else { "\r\x1b[J".to_owned() }
}

/// Returns the visible form of each cluster of a text, and its width. A line break is one sign.
fn visible(text: &str) -> Vec<(String, usize)> {
    let shown = clusters(text).map(|cluster| if cluster == "\n" { "⏎".into() } else { Sanitized(cluster).to_string() });
    shown.map(|shown| (shown.clone(), shown.width())).collect()
}

/// Returns the row and column, from 0, of the next cluster after clusters of these widths, as a terminal wraps them.
fn row_and_column(widths: &[usize], columns: usize) -> (usize, usize) {
    let columns = columns.max(1);
    let (mut row, mut column) = (0, 0);
    for width in widths {
        if column + width > columns {
            (row, column) = (row + 1, 0);
        }
        column += width;
    }
    if column >= columns { (row + 1, 0) } else { (row, column) }
}

#[cfg(test)]
mod tests;
