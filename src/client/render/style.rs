//! The look of lines: colours, and the size of the screen.

// Select Graphic Rendition (ECMA-48).
pub(super) const BOLD: &str = "1";
pub(super) const DIM: &str = "2";
pub(super) const RED: &str = "31";
pub(super) const GREEN: &str = "32";
pub(super) const MENTIONED: &str = "1;33";
pub(super) const PRIVATE: &str = "35";
/// The colours of users: readable on black and on white, and none of them the colour of an error.
const COLORS: [&str; 10] = ["32", "33", "34", "35", "36", "92", "93", "94", "95", "96"];

/// The style of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// If set, lines have colours.
    pub(crate) color: bool,
    /// If set, lines have words instead of signs, and nothing is redrawn.
    pub(crate) plain: bool,
    /// If set, messages are JSON objects and everything else is plain lines.
    pub(crate) json: bool,
    /// If set, private messages and mentions ring the bell.
    pub(crate) bell: bool,
    /// If set, there are also lines for the log.
    pub(crate) log: bool,
}

impl Style {
    /// Returns `text` in the rendition `sgr`, if there are colours.
    pub(super) fn paint(self, sgr: &str, text: &str) -> String {
        if self.color && !sgr.is_empty() && !text.is_empty() {
            format!("\x1b[{sgr}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Returns the colour of a user, which is the same in every client: FNV-1a of the name in small letters.
pub(super) fn color(user: &str) -> &'static str {
    let hash = user
        .to_lowercase()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    COLORS.get(hash as usize % COLORS.len()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_colour() {
        assert_eq!(color("João"), color("joão"));
        let some: std::collections::HashSet<_> = ["ana", "bob", "carla", "dan", "eva"].map(color).into();
        assert!(some.len() > 2);
    }
}
