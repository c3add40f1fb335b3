//! Text from a peer does nothing but be read.

use chat_rpc::sanitize::{MAX_MARKS, Sanitized};
use proptest::prelude::*;
use unicode_normalization::char::is_combining_mark;

#[path = "corpus/terminal.rs"]
mod terminal;

fn shown(text: &str) -> String {
    Sanitized(text).to_string()
}

/// Written down apart from the implementation, which decides by other tables: everything that a terminal obeys, that
/// breaks a line, or that takes no room and is not a mark.
fn is_forbidden(c: char) -> bool {
    matches!(u32::from(c),
        0..=0x1f | 0x7f..=0x9f | 0xad | 0x34f | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x115f | 0x1160 | 0x17b4 | 0x17b5
        | 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xe000..=0xf8ff
        | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xfffe | 0xffff
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0x1fffe | 0x1ffff | 0xe0000..)
}

#[test]
fn every_attack_of_the_corpus_is_shown() {
    for (what, text, expected) in terminal::ATTACKS {
        assert_eq!(&shown(text), expected, "{what}");
        assert!(!shown(text).chars().any(is_forbidden), "{what}");
    }
}

#[test]
fn no_character_of_unicode_gets_through_unless_it_can_be_seen() {
    for c in '\0'..=char::MAX {
        let alone = shown(c.encode_utf8(&mut [0; 4]));
        assert!(!alone.chars().any(is_forbidden), "U+{:04X}", u32::from(c));
        let after = shown(&format!("x{c}"));
        assert!(!after.chars().any(is_forbidden), "U+{:04X}", u32::from(c));
    }
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in [
        "",
        "Olá, João! 50 % — “ok” C:\\temp",
        "Ольга, добрый день",
        "李さん、カラオケ　行く？",
        "שלום, مرحبا",
        "नमस्ते ไม่เป็นไร",
        "e\u{301}",
        "non\u{a0}break \u{202f}narrow",
        "😀 👍🏽 🇵🇹 ❤️ 👩‍🚀 🏳️‍🌈 👨‍👩‍👧",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn marks_pass_up_to_the_limit_and_are_spelled_past_it() {
    let marks = |count| format!("a{}", "\u{301}".repeat(count));
    assert_eq!(shown(&marks(MAX_MARKS)), marks(MAX_MARKS));
    assert_eq!(shown(&marks(MAX_MARKS + 1)), marks(MAX_MARKS) + r"\u{301}");
    assert_eq!(shown(&marks(MAX_MARKS + 2)), marks(MAX_MARKS) + r"\u{301}\u{301}");
}

#[test]
fn a_precision_bounds_the_characters_and_cuts_no_escape() {
    for (most, expected) in [(0, ""), (1, "…"), (2, "a…"), (7, "a…"), (8, r"a\u{9b}b")] {
        assert_eq!(format!("{:.most$}", Sanitized("a\u{9b}b")), expected, "{most}");
    }
    assert_eq!(format!("{:.3}", Sanitized("abc")), "abc");
    assert_eq!(format!("{:.3}", Sanitized("abcd")), "ab…");
}

/// Any text, with more of what matters than chance would bring.
fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(terminal::ATTACKS).prop_map(|(_, text, _)| text.to_owned());
    let emoji = prop::sample::select(vec!["👩", "❤", "\u{fe0f}", "\u{200d}", "\u{301}", "a"]);
    let piece =
        prop_oneof![hostile, any::<String>(), emoji.prop_map(str::to_owned), any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_forbidden_is_in_the_output_whatever_the_input(text in text(), most in 0usize..200) {
        for shown in [shown(&text), format!("{:.most$}", Sanitized(&text))] {
            let all: Vec<char> = shown.chars().collect();
            for (at, &c) in all.iter().enumerate() {
                let joined = at > 0 && matches!(all[at - 1], '\u{fe0f}' | '❤' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
                let joins = at + 1 == all.len() || all[at + 1] == '…' || !all[at + 1].is_ascii();
                let emoji = c == '\u{fe0f}' && at > 0 && !all[at - 1].is_alphanumeric() || c == '\u{200d}' && joined && joins;
                prop_assert!(emoji || !is_forbidden(c), "U+{:04X} in {shown:?}", u32::from(c));
            }
            let towers = all.windows(MAX_MARKS + 1).filter(|run| run.iter().all(|&c| is_combining_mark(c) && c.escape_debug().len() > 1));
            prop_assert_eq!(towers.count(), 0);
        }
    }

    #[test]
    fn the_output_is_bounded(text in text(), most in 0usize..200) {
        prop_assert!(shown(&text).len() <= 4 * text.len());
        let short = format!("{:.most$}", Sanitized(&text));
        prop_assert!(short.chars().count() <= most);
        match short.strip_suffix('…') {
            Some(front) if short != shown(&text) => prop_assert!(shown(&text).starts_with(front)),
            _ => prop_assert!(most == 0 || short == shown(&text)),
        }
    }

    #[test]
    fn what_is_harmless_stays_as_it_is(text in text()) {
        let once = shown(&text);
        prop_assert_eq!(shown(&once), once);
    }
}
