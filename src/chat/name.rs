//! What a user or a room may be called, and when two names are the same name.
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
//! Names that are not in NFC are composed, not refused. Python's `xmlrpc.client` and the others send what they are given. Keyboards
//! give NFC on macOS and Linux; but macOS takes file names apart, so that a name pasted from Finder or read from a directory is
//! decomposed, and the Vietnamese keyboard of Windows puts tones behind composed letters (`ê` and U+0301 for `ế`). Refusing these would
//! save no table: whether a text is in NFC is known only from the same 825 pairs (5 KB), because 46 marks compose with some letters and
//! stay on others (`ẹ́` of Yoruba), and the comparison of `ё` with `ë` takes letters apart in any case. It would save `composed`, 40 lines.
//!
//! Why tables of our own: to a stripped static binary of 398 KB, `precis-profiles` adds 262 KB, `unicode-normalization`
//! 127 KB, `icu_normalizer` 74 KB and 34 crates, `unicode-script` with `unicode-security` 53 KB. This module adds
//! 41 KB, 16 of them the case tables of std, which other code may have brought in already. `tests/name_table.rs` makes
//! the table from the data of those crates and fails when it differs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod table;

use table::{APART, COMPOSED, Kind, LISTED, Script};

/// Longest name, in characters of its display form.
pub const MAX_CHARS: usize = 64;

/// Longest spelling of a name that is read at all, in bytes: enough for [`MAX_CHARS`] taken apart, each into three of three bytes as in Hangul.
pub const MAX_BYTES: usize = 9 * MAX_CHARS;

/// Most marks on one letter. UTS 39 says 4 that take no room; Burmese words have 5 with those that do.
pub const MAX_MARKS: usize = 5;

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

macro_rules! name_type {
    ($(#[$docs:meta])* $name:ident is $rule:expr) => {
        $(#[$docs])*
        ///
        /// Equal, and equally hashed, to every other spelling of the same name. A clone copies no text.
        #[derive(Clone)]
        pub struct $name(Name);

        impl $name {
            const RULE: Rule = $rule;

            /// Reads a name as a peer or a person wrote it.
            ///
            /// # Errors
            ///
            /// When the rule refuses it; the text of the error says what would be right.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                match Name::parse(text, &Self::RULE) {
                    Ok(name) => Ok(Self(name)),
                    Err(kind) => Err(NameError { rule: &Self::RULE, kind }),
                }
            }

            /// The name as it is shown: NFC, with the capitals that the caller wrote.
            pub fn as_str(&self) -> &str {
                &self.0.shown
            }

            /// The form in which it is compared.
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

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.key().hash(state);
            }
        }

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

/// Why a name is not allowed; made to be read by a peer as the text of a fault. It repeats nothing of the name but the
/// number of one code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError {
    rule: &'static Rule,
    kind: NameErrorKind,
}

impl NameError {
    /// Which part of the rule refused the name.
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

/// In what the rules for users and for rooms differ.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    noun: &'static str,
    punctuation: &'static str,
    /// Punctuation that may come first.
    start: &'static str,
    spaces: bool,
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

/// A character of a decomposed name, with its row of the table if it has one.
#[derive(Clone, Copy)]
struct Part {
    c: char,
    row: Option<&'static (u32, u32, Script, Kind)>,
}

impl Part {
    fn new(c: char) -> Self {
        let code = u32::from(c);
        let at = LISTED.partition_point(|&(_, last, ..)| last < code);
        Self { c, row: LISTED.get(at).filter(|&&(first, ..)| first <= code) }
    }

    fn kind(self) -> Option<Kind> {
        self.row.map(|&(_, _, _, kind)| kind)
    }

    fn is_mark(self) -> bool {
        matches!(self.kind(), Some(Kind::Mark(_)))
    }

    /// Canonical combining class.
    fn class(self) -> u8 {
        match self.kind() {
            Some(Kind::Mark(class)) => class,
            _ => 0,
        }
    }

    fn scripts(self) -> Scripts {
        self.row.map_or(0, |&(_, _, script, _)| set(&[script]))
    }
}

/// A set of scripts, a bit for each of the 30 there are. [`Script::Any`] goes with all and so counts for none.
type Scripts = u32;

const fn set(scripts: &[Script]) -> Scripts {
    let mut set = 0;
    let mut at = 0;
    while at < scripts.len() {
        if !matches!(scripts[at], Script::Any) {
            set |= 1 << scripts[at] as u32;
        }
        at += 1;
    }
    set
}

/// What a word may mix: Japanese and Korean, each with Latin.
const MIXTURES: [Scripts; 2] = [
    set(&[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana]),
    set(&[Script::Latin, Script::Han, Script::Hangul]),
];

const RIGHT_TO_LEFT: Scripts = set(&[Script::Arabic, Script::Hebrew, Script::Thaana]);

/// Tries every part of the rule on a decomposed name.
fn check(parts: &[Part], rule: &Rule) -> Result<(), NameErrorKind> {
    characters(parts, rule)?;
    marks(parts)?;
    let mut all = 0;
    for word in parts.split(|part| part.c == ' ') {
        let scripts = word.iter().fold(0, |scripts, part| scripts | part.scripts());
        if scripts.count_ones() > 1 && MIXTURES.iter().all(|mixture| scripts & !mixture != 0) {
            return Err(NameErrorKind::Scripts);
        }
        all |= scripts;
    }
    // A row of digits is the ten of one script.
    let mut digits = parts.iter().filter(|part| part.kind() == Some(Kind::Digit)).map(|part| part.row);
    if let Some(first) = digits.next()
        && digits.any(|row| row != first)
    {
        return Err(NameErrorKind::Digits);
    }
    if all & RIGHT_TO_LEFT != 0 {
        let begins = parts.first().is_some_and(|part| part.kind() == Some(Kind::Letter));
        let ends = parts.last().is_some_and(|part| !matches!(part.kind(), None | Some(Kind::Inner)));
        if all & !RIGHT_TO_LEFT != 0 || !begins || !ends {
            return Err(NameErrorKind::Direction);
        }
    }
    Ok(())
}

/// Which characters, and which of them first.
fn characters(parts: &[Part], rule: &Rule) -> Result<(), NameErrorKind> {
    let mut before = ' ';
    for part in parts {
        if part.c == ' ' {
            if !rule.spaces || before == ' ' {
                return Err(NameErrorKind::Space);
            }
        } else if part.row.is_none() && !rule.punctuation.contains(part.c) {
            return Err(NameErrorKind::Character(part.c));
        }
        before = part.c;
    }
    if before == ' ' {
        return Err(NameErrorKind::Space);
    }
    let core = |part: &Part| matches!(part.kind(), Some(Kind::Letter | Kind::Digit));
    let starts = parts.first().is_some_and(|first| core(first) || first.is_mark() || rule.start.contains(first.c));
    if !starts || !parts.iter().any(|part| core(part) || part.is_mark()) {
        return Err(NameErrorKind::Start);
    }
    Ok(())
}

/// Where marks stand, and how many.
fn marks(parts: &[Part]) -> Result<(), NameErrorKind> {
    let mut before: Option<&Part> = None;
    let mut count = 0;
    for part in parts {
        count = if part.is_mark() { count + 1 } else { 0 };
        let stands = before.is_some_and(|on| on.kind() == Some(Kind::Letter) || on.is_mark() && on.c != part.c);
        if count > MAX_MARKS || count > 0 && !stands {
            return Err(NameErrorKind::Marks);
        }
        before = Some(part);
    }
    Ok(())
}

/// Canonical decomposition in canonical order; only Hangul is composed already, because no mark goes with a syllable.
fn decomposed(text: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(text.len());
    for c in text.chars() {
        decompose(c, &mut parts);
    }
    parts
}

fn decompose(c: char, parts: &mut Vec<Part>) {
    let row = |table: &[(u16, [u16; 2])]| {
        let code = u16::try_from(u32::from(c)).ok().filter(|_| !c.is_ascii())?;
        let at = table.binary_search_by_key(&code, |&(code, _)| code).ok()?;
        table.get(at).map(|&(_, pair)| pair)
    };
    if let Some(pair) = row(&COMPOSED).or_else(|| row(&APART)) {
        for code in pair.into_iter().filter(|&code| code != 0) {
            // The table has no surrogates; the replacement character would be refused.
            decompose(char::from_u32(code.into()).unwrap_or(char::REPLACEMENT_CHARACTER), parts);
        }
    } else if let Some(last) = parts.last_mut()
        && let Some(syllable) = hangul(last.c, c)
    {
        *last = Part::new(syllable);
    } else {
        let part = Part::new(c);
        let class = part.class();
        // Canonical order: a mark goes before marks of a higher class, never before a letter.
        let behind = parts.iter().rposition(|before| class == 0 || before.class() <= class);
        parts.insert(behind.map_or(0, |at| at + 1), part);
    }
}

/// The syllable of two jamo, or of a syllable and its final jamo (Unicode, section 3.12).
fn hangul(first: char, second: char) -> Option<char> {
    const SYLLABLES: u32 = 0xac00;
    const VOWELS: u32 = 21;
    const FINALS: u32 = 28;
    let (one, two) = (u32::from(first), u32::from(second));
    match (first, second) {
        ('\u{1100}'..='\u{1112}', '\u{1161}'..='\u{1175}') => {
            char::from_u32(SYLLABLES + ((one - 0x1100) * VOWELS + two - 0x1161) * FINALS)
        }
        ('\u{ac00}'..='\u{d7a3}', '\u{11a8}'..='\u{11c2}') if (one - SYLLABLES).is_multiple_of(FINALS) => {
            char::from_u32(one + two - 0x11a7)
        }
        _ => None,
    }
}

/// Canonical composition of canonically ordered parts.
fn composed(parts: &[Part]) -> String {
    let mut out: Vec<Part> = Vec::with_capacity(parts.len());
    let mut starter = None;
    let mut class = 0;
    for &part in parts {
        // What stands between the two has a lower class than this one, or they would not meet.
        let meets = |at: usize| at + 1 == out.len() || class != 0 && class < part.class();
        if let Some(at) = starter.filter(|&at| meets(at))
            && let Some(on) = out.get_mut(at)
            && let Some(c) = compose(*on, part)
        {
            *on = Part::new(c);
            continue;
        }
        class = part.class();
        if class == 0 {
            starter = Some(out.len());
        }
        out.push(part);
    }
    out.iter().map(|part| part.c).collect()
}

fn compose(first: Part, second: Part) -> Option<char> {
    // Two letters never compose; the Thai and Lao AM is a mark and a letter.
    if !first.is_mark() && !second.is_mark() {
        return None;
    }
    let pair = [u16::try_from(u32::from(first.c)).ok()?, u16::try_from(u32::from(second.c)).ok()?];
    let &(code, _) = COMPOSED.iter().find(|&&(_, found)| found == pair)?;
    char::from_u32(code.into())
}

/// Letters of other scripts, in small letters, and what they are taken for: those that UTS 39 takes for an ASCII letter,
/// and a few more. Where a capital and its small letter look like different ones, the small one counts (`Ν` is `v`).
const LOOKALIKES: [(&str, &str); 6] = [
    ("авгеікмнорстухшьѕјүһҽӏәӕ", "abreikmhopctyxwbsjyheləæ"),
    ("αβγεζηικμνορσςτυχ", "abyezhikmvopootux"),
    ("ագզհյոռստցւքօ", "wqqhjnnusgifo"),
    ("へーエカタトニノハロ", "ヘ一工力夕卜二丿八口"),
    ("ıɩ", "ii"),
    ("’ʼʻ", "'''"),
];

/// The comparison form of a decomposed name.
fn key(parts: &[Part]) -> String {
    let mut key = String::with_capacity(parts.len());
    for c in parts.iter().flat_map(|part| part.c.to_lowercase()) {
        // The dot of `İ` is the dot that `i` has.
        if c != '\u{307}' || !key.ends_with(['i', 'j']) {
            key.push(taken_for(c));
        }
    }
    key
}

fn taken_for(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let found = LOOKALIKES.iter().find_map(|(these, those)| {
        let at = these.chars().position(|this| this == c)?;
        those.chars().nth(at)
    });
    found.unwrap_or(c)
}
