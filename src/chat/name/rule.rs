//! The rule: which characters a name may have, where its marks stand, and which scripts go together.

use super::error::NameErrorKind;
use super::spelling::Part;
use super::table::{Kind, Script};

/// Most marks on one letter. UTS 39 says 4 that take no room; Burmese words have 5 with those that do.
pub const MAX_MARKS: usize = 5;

/// The differences between the rules for users and for rooms.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) noun: &'static str,
    pub(super) punctuation: &'static str,
    /// Punctuation that may come first.
    pub(super) start: &'static str,
    pub(super) spaces: bool,
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

/// The scripts that a word may mix: Japanese and Korean, each with Latin.
const MIXTURES: [Scripts; 2] = [
    set(&[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana]),
    set(&[Script::Latin, Script::Han, Script::Hangul]),
];

const RIGHT_TO_LEFT: Scripts = set(&[Script::Arabic, Script::Hebrew, Script::Thaana]);

/// Checks a decomposed name by every part of the rule.
pub(super) fn check(parts: &[Part], rule: &Rule) -> Result<(), NameErrorKind> {
    characters(parts, rule)?;
    marks(parts)?;
    let mut all = 0;
    for word in parts.split(|part| part.c == ' ') {
        let scripts = word.iter().fold(0, |scripts, part| scripts | part.script().map_or(0, |script| set(&[script])));
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

/// Checks the characters, and the first one of them.
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

/// Checks the places and the number of marks.
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
