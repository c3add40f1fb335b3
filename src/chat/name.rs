//! The names of users and rooms: which ones are allowed, and when two spellings are the same name.
//!
//! The rule is a subset of PRECIS (RFC 8264): `UsernameCaseMapped` of RFC 8265 for users, and for rooms the same with
//! the inner spaces of a `Nickname` (RFC 8266), both narrowed by the identifier profile of UTS 39.
//!
//! - **Characters**: letters, marks and digits that UTS 39 allows, alone or composed, and all Han; so `João`, `Ольга`,
//!   `李`. Nothing invisible, no controls, symbols, emoji, full-width or other compatibility forms (PRECIS maps
//!   full-width forms; here they are refused), and no scripts of limited or historic use. Punctuation is a list, see
//!   [`UserName`] and [`RoomName`], beside the few signs that belong to one script (the Hebrew geresh, the Tibetan tsek).
//! - **Marks** stand on letters, at most [`MAX_MARKS`] together and none twice in a row.
//! - **Scripts**: a word has letters of one script, or of Latin and Han with kana or hangul ("highly restrictive" in
//!   UTS 39, for each word). A name has digits of one script. Right-to-left letters have no others
//!   beside them, and such a name begins with a letter and does not end in punctuation (RFC 5893).
//! - **Sameness**: the comparison form, [`NameKey`], is decomposed and in small letters, as in RFC 8265. It also takes
//!   Cyrillic, Greek and Armenian letters for the Latin ones that they look like, and some kana for Han, so that nobody
//!   is `сосо` beside `coco`. What looks alike within one script (`l`, `I` and `1`; `rn` and `m`) stays different.
//! - **Display**: NFC, as the caller wrote it otherwise.
//!
//! Names that are not in NFC are composed, not refused. Python's `xmlrpc.client` and the others send what they are given, and
//! a name that is pasted from Finder or read from a directory of macOS is decomposed. Refusing these would save no table: the same
//! 825 pairs (5 KB) tell whether a text is in NFC, and the comparison of `ё` with `ë` takes letters apart in any case.
//!
//! The tables are our own: to a stripped static binary of 398 KB, `precis-profiles` adds 262 KB, `unicode-normalization`
//! 127 KB, `icu_normalizer` 74 KB, `unicode-script` with `unicode-security` 53 KB, and this module 41 KB.
//! `tests/name_table.rs` makes the table from the data of those crates and fails when it differs.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod error;
mod rule;
mod spelling;
mod table;

pub use error::{NameError, NameErrorKind};
pub use rule::MAX_MARKS;
use rule::{Rule, check};
use spelling::{composed, decomposed, key};

/// Longest name, in characters of its display form.
pub const MAX_CHARS: usize = 64;

/// Longest spelling of a name that is read at all, in bytes: enough for [`MAX_CHARS`] taken apart, each into three of three bytes as in Hangul.
pub const MAX_BYTES: usize = 9 * MAX_CHARS;

/// The form in which names are compared; the same for every spelling of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(Arc<str>);

impl NameKey {
    /// Returns the text of the form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name that its rule allows.
#[derive(Clone)]
struct Name {
    shown: Arc<str>,
    key: NameKey,
}

impl Name {
    fn parse(text: &str, rule: &Rule) -> Result<Self, NameErrorKind> {
        if text.is_empty() {
            return Err(NameErrorKind::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(NameErrorKind::TooLong);
        }
        let parts = decomposed(text);
        check(&parts, rule)?;
        // ASCII, which most names are, is composed already.
        let shown: Arc<str> = if text.is_ascii() { text.into() } else { composed(&parts).into() };
        if shown.chars().count() > MAX_CHARS {
            return Err(NameErrorKind::TooLong);
        }
        let key = key(&parts);
        let key = if *key == *shown { Arc::clone(&shown) } else { key.into() };
        Ok(Self { shown, key: NameKey(key) })
    }
}

macro_rules! name_type {
    ($(#[$docs:meta])* $name:ident is $rule:expr) => {
        $(#[$docs])*
        ///
        /// Equal to every other spelling of the same name. A clone copies no text.
        #[derive(Clone)]
        pub struct $name(Name);

        impl $name {
            const RULE: Rule = $rule;

            /// Reads a name as a peer or a person wrote it.
            ///
            /// # Errors
            ///
            /// If the rule refuses it; the text of the error says what would be right.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                match Name::parse(text, &Self::RULE) {
                    Ok(name) => Ok(Self(name)),
                    Err(kind) => Err(NameError { rule: &Self::RULE, kind }),
                }
            }

            /// Returns the name as it is shown: NFC, with the capitals that the caller wrote.
            pub fn as_str(&self) -> &str {
                &self.0.shown
            }

            /// Returns the form in which it is compared.
            pub fn key(&self) -> &NameKey {
                &self.0.key
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }

        impl Eq for $name {}

        /// Written as it is shown, and read by the same rule as a peer's text.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(<&str>::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }
    };
}

name_type! {
    /// The name of a user: 1 to [`MAX_CHARS`] letters, marks, digits and any of `- _ . ' ’ · + @`, the first one a
    /// letter or a digit.
    ///
    /// It has no spaces, though RFC 8265 lets several words make a user name: the original's and our client address a
    /// private message by one word, and `@Bob Smith hello` must not end up with Bob. It has no colon either, because
    /// HTTP Basic credentials end the user part there, and nothing that could pass for the frame of a line (`<bob>`).
    UserName is Rule { noun: "user name", punctuation: "-_.'’·+@", start: "", spaces: false }
}

name_type! {
    /// The name of a room: 1 to [`MAX_CHARS`] letters, marks, digits, single spaces between words, and any of
    /// `- _ . ' ’ · + @ # & ! ? , : / ( ) * = ~ % $`, the first one a letter, a digit or `#`.
    RoomName is Rule { noun: "room name", punctuation: "-_.'’·+@#&!?,:/()*=~%$", start: "#", spaces: true }
}
