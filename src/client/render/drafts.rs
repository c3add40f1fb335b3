//! Messages typed here whose fate the server has not told yet.

use crate::client::event::DraftId;

/// A message that was typed here.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) to: Option<String>,
}

/// The open drafts: few, and so a list.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    open: Vec<(DraftId, Typed)>,
    last: DraftId,
}

impl Drafts {
    /// Adds a draft and returns its number.
    pub(super) fn add(&mut self, text: &str, to: Option<&str>) -> DraftId {
        self.last += 1;
        self.open.push((self.last, Typed { text: text.to_owned(), to: to.map(str::to_owned) }));
        self.last
    }

    /// Returns a draft that is open.
    pub(super) fn get(&self, draft: DraftId) -> Option<&Typed> {
        self.open.iter().find(|(open, _)| *open == draft).map(|(_, typed)| typed)
    }

    /// Closes a draft and returns it.
    pub(super) fn take(&mut self, draft: DraftId) -> Option<Typed> {
        let index = self.open.iter().position(|(open, _)| *open == draft)?;
        Some(self.open.swap_remove(index).1)
    }
}

impl Typed {
    /// Returns the line that the user would type for it.
    pub(super) fn line(&self) -> String {
        match &self.to {
            Some(to) => format!("@{to} {}", self.text),
            None if self.text.starts_with('/') => format!("/{}", self.text),
            None => self.text.clone(),
        }
    }
}
