//! The typed lines that Up brings back, and their file.

use crate::client::private::StateFile;

/// The most lines that are kept.
const MAX_LINES: usize = 1000;

/// The typed lines, the newest last.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) lines: Vec<String>,
    file: StateFile,
}

impl History {
    /// Finds the file and reads its lines.
    pub(super) fn load() -> Self {
        let file = StateFile::find("history");
        let mut lines: Vec<_> = file.read().lines().map(unescaped).collect();
        let count = lines.len();
        lines.drain(..count.saturating_sub(MAX_LINES));
        // Twice as many are left in the file, so that it is not rewritten at each start.
        if count > 2 * MAX_LINES {
            file.replace(&lines.iter().map(|line| escaped(line)).collect::<String>());
        }
        Self { lines, file }
    }

    /// Adds a line, also to the file at once, because a signal may end the program. Lines that begin with a space are not kept,
    /// nor the same one twice in a row.
    pub(super) fn add(&mut self, line: &str) {
        if line.trim().is_empty() || line.starts_with(' ') || self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.lines.remove(0);
        }
        self.lines.push(line.to_owned());
        self.file.append(&escaped(line));
    }
}

/// Returns a text, which may have been pasted with line breaks, as one line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n") + "\n"
}

fn unescaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => text.extend(chars.next().map(|c| if c == 'n' { '\n' } else { c })),
            (c, false) => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        for line in ["hello", "one\ntwo", r"C:\new", "\\", "\\\n\\n"] {
            let escaped = escaped(line);
            assert_eq!(escaped.lines().map(unescaped).collect::<Vec<_>>(), [line]);
        }
    }

    #[test]
    fn each_line_is_kept_once_in_a_row() {
        let mut history = History::default();
        ["first", "first", " hidden", "  ", "second", "first"].iter().for_each(|line| history.add(line));
        assert_eq!(history.lines, ["first", "second", "first"]);
    }
}
