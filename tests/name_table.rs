//! Holds the table of names against the Unicode data that it is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_script::{Script, UnicodeScript};
use unicode_security::GeneralSecurityProfile;

const TABLE: &str = "src/chat/name/table.rs";

/// `NAME_TABLE=write cargo test --test name_table` writes the file anew, for a newer Unicode.
#[test]
fn the_table_is_that_of_unicode() {
    let expected = table();
    if std::env::var("NAME_TABLE").is_ok_and(|value| value == "write") {
        std::fs::write(TABLE, &expected).unwrap();
    }
    let found = std::fs::read_to_string(TABLE).unwrap();
    assert!(found == expected, "{TABLE} is not what the Unicode data gives");
}

/// Canonical decomposition in full.
fn parts(c: char) -> Vec<char> {
    std::iter::once(c).nfd().collect()
}

fn hangul(c: char) -> bool {
    ('\u{ac00}'..='\u{d7a3}').contains(&c)
}

/// Script and kind of `c` if a name may have it and nothing is left to decompose.
fn listed(c: char) -> Option<(Script, String)> {
    if c.is_ascii_punctuation() || (parts(c) != [c] && !hangul(c)) {
        return None;
    }
    // A part of an allowed character comes with it: the voicing marks of kana are listed only for that.
    static PARTS: LazyLock<BTreeSet<char>> = LazyLock::new(|| {
        let whole = ('\0'..=char::MAX).filter(|&c| c.identifier_allowed() && !hangul(c));
        whole.flat_map(parts).collect()
    });
    let han = c.script() == Script::Han && c.is_alphabetic() && c.nfkd().eq([c]);
    if !(c.identifier_allowed() || PARTS.contains(&c) || han) {
        return None;
    }
    let kind = if is_combining_mark(c) {
        format!("Mark({})", canonical_combining_class(c))
    } else if c.is_numeric() && c.script() != Script::Han {
        "Digit".to_owned()
    } else if c.is_alphanumeric() {
        "Letter".to_owned()
    } else {
        "Inner".to_owned()
    };
    let script = match c.script() {
        Script::Common | Script::Inherited => {
            let extension = c.script_extension();
            // What Arabic, Japanese or Greek has and Latin has not counts as theirs, though Unicode calls it common.
            [Script::Arabic, Script::Katakana, Script::Han, Script::Greek]
                .into_iter()
                .find(|&script| {
                    !c.is_ascii()
                        && extension.contains_script(script)
                        && !extension.contains_script(Script::Latin)
                        && !extension.is_common()
                        && !extension.is_inherited()
                })
                .unwrap_or(Script::Common)
        }
        script => script,
    };
    // Marks of punctuation that any script could use are in the rule, not in the table.
    (kind != "Inner" || script != Script::Common).then_some((script, kind))
}

/// One step of decomposition, `None` for what needs another number of steps than this table has.
fn pair(c: char) -> Option<(u32, u32)> {
    // Thai and Lao write AM as one letter; Unicode splits it in the compatibility forms only.
    match c {
        '\u{e33}' => return Some((0xe4d, 0xe32)),
        '\u{eb3}' => return Some((0xecd, 0xeb2)),
        _ => {}
    }
    let all = parts(c);
    let (&last, front) = all.split_last()?;
    // The blocks of compatibility characters from U+F900 on are refused as a whole.
    if hangul(c) || c >= '\u{f900}' || all == [c] || !all.iter().all(|&part| listed(part).is_some() || part == '·') {
        return None;
    }
    if front.is_empty() {
        return Some((last as u32, 0));
    }
    let mut first = front.iter().copied().nfc();
    match (first.next(), first.next()) {
        (Some(first), None) => Some((first as u32, last as u32)),
        _ => None,
    }
}

fn table() -> String {
    let pairs: BTreeMap<char, (u32, u32)> = ('\0'..=char::MAX).filter_map(|c| Some((c, pair(c)?))).collect();
    let mut rows: Vec<(u32, u32, String, String)> = Vec::new();
    let mut open = false;
    for c in '\0'..=char::MAX {
        let Some((script, kind)) = listed(c) else {
            // What is decomposed first never meets the table, so a range may run across it.
            open &= pairs.contains_key(&c);
            continue;
        };
        let script = if script == Script::Common { "Any".to_owned() } else { format!("{script:?}") };
        match rows.last_mut() {
            // Ten digits are a row, because a row tells which digits belong together.
            Some(row) if open && row.2 == script && row.3 == kind && !(kind == "Digit" && c as u32 - row.0 > 9) => {
                row.1 = c as u32;
            }
            _ => rows.push((c as u32, c as u32, script, kind)),
        }
        open = true;
    }
    let scripts: BTreeSet<&str> = rows.iter().map(|row| row.2.as_str()).collect();
    let (both, apart): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|&(c, _)| c.nfc().eq([c]));

    let mut text = String::from(
        "//! The data of Unicode on the characters of names. Made by `NAME_TABLE=write cargo test --test name_table`, which says how.\n\n",
    );
    text.push_str(
        "/// Scripts that Unicode recommends for identifiers (UAX 31, table 5). `Any` goes with all of them.\n",
    );
    text.push_str("#[derive(Clone, Copy, PartialEq, Eq)]\n#[rustfmt::skip]\npub(super) enum Script {");
    for (at, script) in scripts.iter().enumerate() {
        let _ = write!(text, "{}{script},", if at % 10 == 0 { "\n    " } else { " " });
    }
    text.push_str("\n}\n\n/// `Inner` is punctuation inside words; `Mark` has its canonical combining class.\n");
    text.push_str("#[derive(Clone, Copy, PartialEq, Eq)]\npub(super) enum Kind {\n    Letter,\n    Digit,\n    Mark(u8),\n    Inner,\n}\n\n");
    text.push_str("use Kind::{Digit, Inner, Letter, Mark};\nuse Script::*;\n\n");
    text.push_str("/// First and last code point of each range, in order.\n#[rustfmt::skip]\n");
    let _ = write!(text, "pub(super) static LISTED: [(u32, u32, Script, Kind); {}] = [", rows.len());
    for (at, (first, last, script, kind)) in rows.iter().enumerate() {
        let _ = write!(text, "{}({first:#x}, {last:#x}, {script}, {kind}),", if at % 3 == 0 { "\n    " } else { " " });
    }
    text.push_str("\n];\n");
    for (name, docs, rows) in [
        ("COMPOSED", "A character and the two that compose it, in order.", both),
        (
            "APART",
            "Characters that are only taken apart, never composed (0: one other character stands for it), in order.",
            apart,
        ),
    ] {
        let _ = write!(
            text,
            "\n/// {docs}\n#[rustfmt::skip]\npub(super) static {name}: [(u16, [u16; 2]); {}] = [",
            rows.len()
        );
        for (at, (c, (first, second))) in rows.iter().enumerate() {
            let _ = write!(
                text,
                "{}({:#x}, [{first:#x}, {second:#x}]),",
                if at % 4 == 0 { "\n    " } else { " " },
                *c as u32
            );
        }
        text.push_str("\n];\n");
    }
    text
}
