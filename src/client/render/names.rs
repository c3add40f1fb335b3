//! Names in a line: of users and rooms.

use crate::client::locale::Locale;
use crate::sanitize::Sanitized;

/// The most names in a short list. Further ones are counted.
const MAX_NAMES: usize = 5;
/// The most characters of a name in a line. Our server allows no longer ones.
const MAX_NAME: usize = 64;

/// Returns a list of names.
pub(crate) fn list(names: &[String]) -> String {
    names.iter().map(|user| name(user)).collect::<Vec<_>>().join(", ")
}

/// Returns text from the network, sanitized.
pub(crate) fn sanitized(text: &str) -> String {
    Sanitized(text).to_string()
}

pub(super) fn name(user: &str) -> String {
    format!("{:.MAX_NAME$}", Sanitized(user))
}

/// Returns a short list of names.
pub(super) fn few(locale: &Locale, names: &[String]) -> String {
    match names.get(..MAX_NAMES) {
        // To count a single name takes as much space as the name itself.
        Some(first) if names.len() > MAX_NAMES + 1 => (locale.and_more)(&list(first), names.len() - MAX_NAMES),
        _ => list(names),
    }
}

/// Returns whether `text` contains the word `name`, whatever its capitals.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    if name.is_empty() {
        return false;
    }
    text.match_indices(&name).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}
