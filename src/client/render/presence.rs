//! The others in the room, and who of them came and left lately.

use super::names::few;
use crate::client::locale::Locale;

/// The other members of the room, and the changes that the current line is about.
#[derive(Debug, Default)]
pub(crate) struct PresenceLine {
    pub(crate) others: Vec<String>,
    came: Vec<String>,
    went: Vec<String>,
}

impl PresenceLine {
    /// Begins a new line.
    pub(super) fn begin_line(&mut self) {
        self.came.clear();
        self.went.clear();
    }

    /// Records arrivals and departures.
    pub(super) fn change(&mut self, came: &[String], went: &[String]) {
        let nobody = &mut Vec::new();
        gather(came, &mut self.others, nobody);
        gather(went, nobody, &mut self.others);
        gather(came, &mut self.came, &mut self.went);
        gather(went, &mut self.went, &mut self.came);
    }

    /// Returns the current line; empty if the changes cancel each other out.
    pub(super) fn told(&self, locale: &Locale) -> String {
        let told = [(&self.came, locale.came), (&self.went, locale.went)];
        let told = told.into_iter().filter(|(names, _)| !names.is_empty());
        told.map(|(names, tell)| tell(&few(locale, names), names.len() > 1)).collect::<Vec<_>>().join(" · ")
    }
}

/// Adds `names` to one list and takes them out of the other.
fn gather(names: &[String], to: &mut Vec<String>, from: &mut Vec<String>) {
    from.retain(|name| !names.contains(name));
    to.retain(|name| !names.contains(name));
    to.extend_from_slice(names);
}
