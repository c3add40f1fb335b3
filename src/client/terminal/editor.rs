//! The line that is being typed.

use super::history::History;
use super::keys::Key;
use crate::client::cluster::clusters;

/// The states of a line that Ctrl-_ can return to, and the longest line that they are kept of, in bytes.
const MAX_UNDO: usize = 100;
const MAX_UNDO_LINE: usize = 16 * 1024;

/// The effect of a key beyond the line itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing more.
    Edited,
    /// The line is complete.
    Enter,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D in an empty line.
    EndOfInput,
    /// Tab.
    Complete,
    /// Ctrl-L.
    ClearScreen,
    /// Ctrl-Z.
    Suspend,
}

/// A line, its cursor, and the lines before it.
#[derive(Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// The place of the next character: a byte index at the edge of a cluster.
    cursor: usize,
    /// The text that was cut last, for Ctrl-Y.
    cut: String,
    pub(super) history: History,
    /// The line of the history that is shown, if one is, and the line that was typed before.
    recalled: Option<(usize, String)>,
    /// The line and its cursor before each change, for Ctrl-_.
    before: Vec<(String, usize)>,
    /// If set, the last key added to a word, which is undone as a whole.
    is_in_word: bool,
}

impl Editor {
    /// Returns an editor whose Up brings back lines of `history`.
    pub(super) fn new(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// Returns the text before the cursor, and after it.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.cursor).unwrap_or((&self.text, ""))
    }

    /// Returns whether there is nothing in the line.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the line; the cursor goes to its end.
    pub(super) fn set(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.cursor = self.text.len();
    }

    /// Takes the line, which is empty afterwards.
    pub(super) fn take(&mut self) -> String {
        self.recalled = None;
        self.before.clear();
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Replaces the text from byte `start` to the cursor.
    pub(super) fn replace_before(&mut self, start: usize, with: &str) {
        self.keep_before(self.text.clone(), self.cursor);
        self.text.replace_range(start..self.cursor, with);
        self.cursor = start + with.len();
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: Key) -> Action {
        if key == Key::Char('\x1f') {
            self.undo();
            return Action::Edited;
        }
        let (text, cursor) = (self.text.clone(), self.cursor);
        let is_in_word = matches!(key, Key::Char(c) if !c.is_control() && !c.is_whitespace());
        let action = self.apply(key);
        if self.text != text && !(self.is_in_word && is_in_word) {
            self.keep_before(text, cursor);
        }
        self.is_in_word = is_in_word;
        action
    }

    fn keep_before(&mut self, text: String, cursor: usize) {
        if text.len() > MAX_UNDO_LINE {
            self.before.clear();
            return;
        }
        if self.before.len() >= MAX_UNDO {
            self.before.remove(0);
        }
        self.before.push((text, cursor));
    }

    fn undo(&mut self) {
        self.is_in_word = false;
        if let Some((text, cursor)) = self.before.pop() {
            (self.text, self.cursor) = (text, cursor);
        }
    }

    fn apply(&mut self, key: Key) -> Action {
        match key {
            Key::Char('\r' | '\n') => return Action::Enter,
            Key::Char('\t') => return Action::Complete,
            Key::Char('\x03') => return Action::Interrupt,
            Key::Char('\x04') if self.is_empty() => return Action::EndOfInput,
            Key::Char('\x0c') => return Action::ClearScreen,
            Key::Char('\x1a') => return Action::Suspend,
            Key::Char('\x04') | Key::Delete => self.remove_to(self.next()),
            Key::Char('\x08' | '\x7f') => self.remove_to(self.previous()),
            Key::Char('\x01') | Key::Home => self.cursor = 0,
            Key::Char('\x05') | Key::End => self.cursor = self.text.len(),
            Key::Char('\x02') | Key::Left => self.cursor = self.previous(),
            Key::Char('\x06') | Key::Right => self.cursor = self.next(),
            Key::Alt('b') | Key::WordLeft => self.cursor = self.word_left(),
            Key::Alt('f') | Key::WordRight => self.cursor = self.word_right(),
            Key::Char('\x0b') => self.cut_to(self.text.len()),
            Key::Char('\x15') => self.cut_to(0),
            Key::Char('\x17') | Key::Alt('\x7f' | '\x08') => self.cut_to(self.word_left()),
            Key::Alt('d') => self.cut_to(self.word_right()),
            Key::Char('\x19') => self.insert(&self.cut.clone()),
            Key::Char('\x10') | Key::Up => self.recall(true),
            Key::Char('\x0e') | Key::Down => self.recall(false),
            Key::Char('\x12') => self.find_older(),
            Key::Char(c) if !c.is_control() => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Paste(text) => self.insert(&text),
            Key::Char(_) | Key::Alt(_) | Key::CursorColumn(_) => {}
        }
        Action::Edited
    }

    fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    fn previous(&self) -> usize {
        let (before, _) = self.parts();
        before.len() - clusters(before).last().map_or(0, str::len)
    }

    fn next(&self) -> usize {
        let (before, after) = self.parts();
        before.len() + clusters(after).next().map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let (before, _) = self.parts();
        let word = before.trim_end_matches(|c: char| !c.is_alphanumeric());
        word.trim_end_matches(char::is_alphanumeric).len()
    }

    fn word_right(&self) -> usize {
        let (_, after) = self.parts();
        let word = after.trim_start_matches(|c: char| !c.is_alphanumeric());
        self.text.len() - word.trim_start_matches(char::is_alphanumeric).len()
    }

    /// Removes the text between the cursor and byte `index`, and returns it.
    fn remove(&mut self, index: usize) -> String {
        let (start, end) = (self.cursor.min(index), self.cursor.max(index));
        self.cursor = start;
        self.text.drain(start..end).collect()
    }

    fn remove_to(&mut self, index: usize) {
        self.remove(index);
    }

    fn cut_to(&mut self, index: usize) {
        let cut = self.remove(index);
        if !cut.is_empty() {
            self.cut = cut;
        }
    }

    /// Shows the line before or after the one that is shown. After the last one, shows the text that was typed.
    fn recall(&mut self, older: bool) {
        let at = self.recalled.as_ref().map_or(self.history.lines.len(), |(index, _)| *index);
        let wanted = if older { at.checked_sub(1) } else { Some(at + 1) };
        self.show(wanted);
    }

    /// Shows the newest line that contains the typed text and is older than the one that is shown.
    fn find_older(&mut self) {
        let typed = self.recalled.as_ref().map_or(&self.text, |(_, typed)| typed);
        let at = self.recalled.as_ref().map_or(self.history.lines.len(), |(index, _)| *index);
        let found = self.history.lines.get(..at).and_then(|older| older.iter().rposition(|line| line.contains(typed)));
        self.show(found);
    }

    fn show(&mut self, wanted: Option<usize>) {
        let Some(index) = wanted else { return };
        match self.history.lines.get(index).cloned() {
            Some(line) => {
                let typed = self.recalled.take().map_or_else(|| self.text.clone(), |(_, typed)| typed);
                self.recalled = Some((index, typed));
                self.set(&line);
            }
            None => {
                if let Some((_, typed)) = self.recalled.take() {
                    self.set(&typed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str) -> Editor {
        let mut editor = Editor::new(History::default());
        ["first", "second"].iter().for_each(|line| editor.history.add(line));
        press(&mut editor, keys);
        editor
    }

    /// Presses keys: `<` and `>` for Left and Right, `^` and `v` for Up and Down.
    fn press(editor: &mut Editor, keys: &str) {
        for c in keys.chars() {
            editor.press(match c {
                '<' => Key::Left,
                '>' => Key::Right,
                '^' => Key::Up,
                'v' => Key::Down,
                c => Key::Char(c),
            });
        }
    }

    #[test]
    fn keys_edit_the_line_as_in_a_shell() {
        for (keys, before, after) in [
            ("abc", "abc", ""),
            ("abc<<x", "ax", "bc"),
            ("abc\x01x", "x", "abc"),
            ("abc\x01\x05x", "abcx", ""),
            ("abc<\x7f", "a", "c"),
            ("abc<\x04", "ab", ""),
            ("one two\x17", "one ", ""),
            ("one two\x01\x0b\x19\x19", "one twoone two", ""),
            ("one two\x15x", "x", ""),
            ("👩‍🚀e\u{301}\x7f", "👩‍🚀", ""),
            ("👩‍🚀e\u{301}<<x", "x", "👩‍🚀e\u{301}"),
            ("x^", "second", ""),
            ("x^^^", "first", ""),
            ("x^^v", "second", ""),
            ("x^^vv", "x", ""),
            ("x^^vvv", "x", ""),
            ("fir\x12", "first", ""),
            ("s\x12\x12", "first", ""),
            ("zzz\x12", "zzz", ""),
            ("one two\x1f", "one ", ""),
            ("one two\x1f\x1f\x1f", "", ""),
            ("one two\x1f\x1f\x1f\x1f", "", ""),
            ("one two<\x15\x1f", "one tw", "o"),
            ("one\x7f\x1f", "one", ""),
            ("one<x\x1f", "on", "e"),
            ("x^\x1f", "x", ""),
            ("one\x1ftwo\x1f", "", ""),
        ] {
            assert_eq!(typed(keys).parts(), (before, after), "{keys:?}");
        }
        let mut editor = typed("one, two-three");
        editor.press(Key::WordLeft);
        editor.press(Key::WordLeft);
        assert_eq!(editor.parts(), ("one, ", "two-three"));
        editor.press(Key::WordRight);
        assert_eq!(editor.parts(), ("one, two", "-three"));
    }

    #[test]
    fn some_keys_are_for_the_screen() {
        let mut editor = typed("");
        for (key, action) in [
            ('\r', Action::Enter),
            ('\x03', Action::Interrupt),
            ('\x04', Action::EndOfInput),
            ('\t', Action::Complete),
            ('a', Action::Edited),
            ('\x04', Action::Edited),
            ('\x1b', Action::Edited),
        ] {
            assert_eq!(editor.press(Key::Char(key)), action, "{key:?}");
        }
        assert_eq!(editor.take(), "a");
        assert!(editor.is_empty());
    }

    #[test]
    fn the_kept_changes_of_a_line_are_bounded() {
        let mut editor = typed(&"a ".repeat(MAX_UNDO));
        assert_eq!(editor.before.len(), MAX_UNDO);
        press(&mut editor, &"\x1f".repeat(MAX_UNDO));
        assert_eq!(editor.parts().0, "a ".repeat(MAX_UNDO / 2));
        editor.press(Key::Paste("x".repeat(MAX_UNDO_LINE)));
        press(&mut editor, " y\x1f\x1f");
        assert_eq!(editor.parts().0.len(), MAX_UNDO_LINE + MAX_UNDO + 2);
        editor.take();
        press(&mut editor, "\x1f");
        assert!(editor.is_empty(), "another line");
    }

    proptest::proptest! {
        #[test]
        fn the_cursor_never_leaves_the_line(keys in proptest::collection::vec(0_u8..13, 0..60)) {
            let mut editor = typed("");
            for key in keys {
                editor.press(match key {
                    0 => Key::Left, 1 => Key::Right, 2 => Key::WordLeft, 3 => Key::WordRight, 4 => Key::Delete,
                    5 => Key::Char('\x7f'), 6 => Key::Up, 7 => Key::Char('\x17'), 8 => Key::Char('\x19'),
                    12 => Key::Char('\x1f'),
                    9 => Key::Char('漢'), 10 => Key::Char('\u{301}'), _ => Key::Char(' '),
                });
                let (before, after) = editor.parts();
                proptest::prop_assert_eq!(format!("{before}{after}"), editor.text.clone());
            }
        }
    }
}
