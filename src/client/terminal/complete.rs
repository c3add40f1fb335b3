//! Tab: completes the word before the cursor, or lists the ways to do so.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::Terminal;
use crate::client::line::{Known, complete, takes_room};
use crate::client::render::sanitized;
use crate::client::view::Screen as _;
use crate::program;

/// How long completing a room may take.
const ROOMS_TIMEOUT: Duration = Duration::from_millis(500);

impl Terminal {
    /// Completes the word before the cursor, as far as there is one way.
    pub(super) fn complete(&mut self) {
        let (typed, _) = self.editor.parts();
        let typed = typed.to_owned();
        let in_room = self.view.renderer.room().is_some();
        let rooms = if takes_room(&typed, in_room) { self.rooms() } else { Vec::new() };
        let (start, found) =
            complete(&typed, &Known { rooms, users: self.view.renderer.others(), in_room, locale: self.view.locale });
        let common = common_beginning(&found);
        if found.len() == 1 || common.len() > typed.len() - start {
            self.editor.replace_before(start, &common);
            self.repaint();
        } else if !found.is_empty() {
            let names: Vec<_> = found.iter().map(|name| name.trim_end().to_owned()).collect();
            let line = self.view.renderer.note(&sanitized(&names.join("  ")));
            self.write(&[line]);
        }
    }

    /// Returns the rooms, unless the server takes its time.
    fn rooms(&self) -> Vec<String> {
        let (answer, rooms) = bounded(1);
        let session = Arc::clone(&self.view.session);
        let ask = move || {
            let _ = answer.try_send(session.rooms().unwrap_or_default());
        };
        if program::spawn("rooms", ask).is_err() {
            return Vec::new();
        }
        rooms.recv_timeout(ROOMS_TIMEOUT).unwrap_or_default()
    }
}

/// Returns what all texts begin with.
fn common_beginning(texts: &[String]) -> String {
    let Some((first, others)) = texts.split_first() else { return String::new() };
    let is_common = |end: usize| others.iter().all(|other| other.get(..end) == first.get(..end));
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| is_common(*end)).last().unwrap_or(0);
    first.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_have_a_common_beginning() {
        let common = |texts: &[&str]| common_beginning(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(common(&["help ", "history "]), "h");
        assert_eq!(common(&["one"]), "one");
        assert_eq!(common(&["João", "Joãozinho"]), "João");
        assert_eq!(common(&["ã", "â"]), "");
        assert_eq!(common(&[]), "");
    }
}
