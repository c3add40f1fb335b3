//! The spellings of a name: taken apart, composed for display (NFC), and reduced to the form in which names are compared.

use super::table::{APART, COMPOSED, Kind, LISTED, Script};

/// A character of a decomposed name, with its row of the table if it has one.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) c: char,
    pub(super) row: Option<&'static (u32, u32, Script, Kind)>,
}

impl Part {
    fn new(c: char) -> Self {
        let code = u32::from(c);
        let at = LISTED.partition_point(|&(_, last, ..)| last < code);
        Self { c, row: LISTED.get(at).filter(|&&(first, ..)| first <= code) }
    }

    pub(super) fn kind(self) -> Option<Kind> {
        self.row.map(|&(_, _, _, kind)| kind)
    }

    pub(super) fn is_mark(self) -> bool {
        matches!(self.kind(), Some(Kind::Mark(_)))
    }

    /// Returns the canonical combining class.
    fn class(self) -> u8 {
        match self.kind() {
            Some(Kind::Mark(class)) => class,
            _ => 0,
        }
    }

    /// Returns the script that the character counts for.
    pub(super) fn script(self) -> Option<Script> {
        self.row.map(|&(_, _, script, _)| script)
    }
}

/// Returns the canonical decomposition in canonical order; only Hangul is composed already, because no mark goes with a syllable.
pub(super) fn decomposed(text: &str) -> Vec<Part> {
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

/// Returns the syllable of two jamo, or of a syllable and its final jamo (Unicode, section 3.12).
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

/// Returns the canonical composition of canonically ordered parts.
pub(super) fn composed(parts: &[Part]) -> String {
    let mut out: Vec<Part> = Vec::with_capacity(parts.len());
    let mut starter = None;
    let mut class = 0;
    for &part in parts {
        // A mark between the two has a lower class than this one, or they would not meet.
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

/// Returns the comparison form of a decomposed name.
pub(super) fn key(parts: &[Part]) -> String {
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
