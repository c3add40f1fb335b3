//! The file that keeps typed lines for Up.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use crate::client::secret::state_directory;

/// The most lines that are kept.
const MAX_LINES: usize = 1000;

/// The file, in a directory for this user alone.
#[derive(Debug)]
pub(super) struct History {
    path: Option<PathBuf>,
}

impl History {
    /// Finds the file and reads its lines, the newest last. Without a place for it, there are none.
    pub(super) fn load() -> (Self, Vec<String>) {
        let directory = state_directory()
            .filter(|directory| DirBuilder::new().recursive(true).mode(0o700).create(directory).is_ok());
        let path = directory.map(|directory| directory.join("history"));
        let text = path.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(unescaped).collect();
        let history = Self { path };
        let kept = lines.get(lines.len().saturating_sub(MAX_LINES)..).unwrap_or_default().to_vec();
        // Twice as many, so that it is not written anew at each start.
        if lines.len() > 2 * MAX_LINES {
            history.warn(history.write(true, &kept));
        }
        (history, kept)
    }

    /// Adds a line, at once, because a signal may end the program.
    pub(super) fn add(&self, line: &str) {
        self.warn(self.write(false, &[line.to_owned()]));
    }

    fn write(&self, anew: bool, lines: &[String]) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut file =
            OpenOptions::new().create(true).append(!anew).write(true).truncate(anew).mode(0o600).open(path)?;
        let text: String = lines.iter().map(|line| escaped(line) + "\n").collect();
        file.write_all(text.as_bytes())
    }

    fn warn(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            log::info!("the typed lines are not kept: {error}");
        }
    }
}

/// Writes a line, which may have been pasted with line breaks, as one.
fn escaped(line: &str) -> String {
    line.replace('\\', "\\\\").replace('\n', "\\n")
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
            assert_eq!(unescaped(&escaped(line)), line);
            assert!(!escaped(line).contains('\n'));
        }
    }
}
