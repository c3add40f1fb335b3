//! Errors of names, in words for the peer that sent one.

use std::fmt;

use super::rule::{MAX_MARKS, Rule};
use super::{MAX_BYTES, MAX_CHARS};

/// A name is not allowed. The text is made to be read by a peer in a fault, and repeats nothing of the name but the
/// number of one code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError {
    pub(super) rule: &'static Rule,
    pub(super) kind: NameErrorKind,
}

impl NameError {
    /// Returns the part of the rule that refused the name.
    pub fn kind(&self) -> NameErrorKind {
        self.kind
    }
}

/// The parts of the rule, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameErrorKind {
    /// There is nothing.
    Empty,
    /// Over [`MAX_CHARS`] or [`MAX_BYTES`].
    TooLong,
    /// A character that such a name does not have.
    Character(char),
    /// A space where none may be.
    Space,
    /// The wrong first character, or none but punctuation.
    Start,
    /// A mark that is not on a letter, the same mark twice, or over [`MAX_MARKS`].
    Marks,
    /// Letters of scripts that do not go together in a word.
    Scripts,
    /// Digits of several scripts.
    Digits,
    /// Right-to-left letters beside others, or at the wrong ends.
    Direction,
}

impl std::error::Error for NameError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { noun, punctuation, start, spaces } = self.rule;
        match self.kind {
            NameErrorKind::Empty => write!(f, "a {noun} must have at least 1 character"),
            NameErrorKind::TooLong => {
                write!(f, "a {noun} must have at most {MAX_CHARS} characters and {MAX_BYTES} bytes")
            }
            NameErrorKind::Character(c) => {
                write!(
                    f,
                    "a {noun} cannot contain U+{:04X}; letters, digits and {punctuation} are allowed",
                    u32::from(c)
                )
            }
            NameErrorKind::Space if *spaces => {
                write!(f, "a {noun} can have single spaces between words only")
            }
            NameErrorKind::Space => write!(f, "a {noun} cannot have spaces; - and _ join words"),
            NameErrorKind::Start if start.is_empty() => {
                write!(f, "a {noun} must begin with a letter or a digit")
            }
            NameErrorKind::Start => {
                write!(f, "a {noun} must begin with a letter, a digit or {start}, and have a letter or a digit")
            }
            NameErrorKind::Marks => {
                write!(
                    f,
                    "a {noun} can have accents and other marks on letters only, at most {MAX_MARKS} together, none twice"
                )
            }
            NameErrorKind::Scripts => write!(f, "a {noun} cannot mix scripts in a word, such as Cyrillic with Latin"),
            NameErrorKind::Digits => write!(f, "a {noun} can have digits of one script only"),
            NameErrorKind::Direction => write!(
                f,
                "a {noun} written from right to left must have letters of that direction only, begin with one, and not end in punctuation"
            ),
        }
    }
}
