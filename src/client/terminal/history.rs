//! The file of typed lines, which Up brings back.

use super::editor::MAX_HISTORY;
use crate::client::private::StateFile;

/// The file of typed lines.
#[derive(Debug)]
pub(super) struct History(StateFile);

impl History {
    /// Finds the file and reads its lines, the newest last.
    pub(super) fn load() -> (Self, Vec<String>) {
        let file = StateFile::find("history");
        let lines: Vec<_> = file.read().lines().map(unescaped).collect();
        let kept = lines.get(lines.len().saturating_sub(MAX_HISTORY)..).unwrap_or_default().to_vec();
        // Twice as many are left in the file, so that it is not rewritten at each start.
        if lines.len() > 2 * MAX_HISTORY {
            file.replace(&kept.iter().map(|line| escaped(line)).collect::<String>());
        }
        (Self(file), kept)
    }

    /// Adds a line at once, because a signal may end the program.
    pub(super) fn add(&self, line: &str) {
        self.0.append(&escaped(line));
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
}
