//! Whose name is allowed, and which names are the same.

use std::collections::HashMap;

use chat_rpc::chat::name::{MAX_BYTES, MAX_CHARS, MAX_MARKS, NameErrorKind, RoomName, UserName};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};

fn user(text: &str) -> Result<String, NameErrorKind> {
    UserName::parse(text).map(|name| name.as_str().to_owned()).map_err(|error| error.kind())
}

fn room(text: &str) -> Result<String, NameErrorKind> {
    RoomName::parse(text).map(|name| name.as_str().to_owned()).map_err(|error| error.kind())
}

fn same(one: &str, other: &str) -> bool {
    let (one, other) = (RoomName::parse(one), RoomName::parse(other));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    one == other
}

#[test]
fn names_of_peoples_languages_are_welcome() {
    for text in [
        "alice",
        "Bob",
        "user1",
        "42",
        "João",
        "Ольга",
        "李",
        "Łukasz",
        "Ştefan",
        "Ţară",
        "Nguyễn",
        "Lǚ",
        "Siân",
        "Ŵyn",
        "Þór",
        "O'Brien",
        "O’Brien",
        "al·lot",
        "jean-luc",
        "a.b_c",
        "a+b@host",
        "Ελένη",
        "Ἀχιλλεύς",
        "Հայկ",
        "გიორგი",
        "יעל",
        "צ׳רלי",
        "محمد",
        "سارا",
        "आदित्य",
        "ক্ষমা",
        "ਸਿੰਘ",
        "தமிழ்",
        "తెలుగు",
        "ಕನ್ನಡ",
        "മലയാളം",
        "සිංහල",
        "อำนาจ",
        "ຄຳ",
        "လျှော့",
        "ខ្មែរ",
        "བོད་ཡིག",
        "አበበ",
        "ひらがな",
        "カラオケ",
        "ジョン・スミス",
        "田中さん",
        "Bさん",
        "김철수",
        "金さん",
        "𠮷田",
        "Daniʼel",
        "Kaʻiulani",
    ] {
        assert_eq!(user(text), Ok(text.nfc().collect::<String>().replace("ํา", "ำ").replace("ໍາ", "ຳ")), "{text}");
        assert!(room(text).is_ok(), "{text}");
    }
    for text in ["Sala 1", "sala-1", "#general", "C++ (Linux)", "Q&A", "Чат Linux", "a / b", "Vendas: 50%", "גן ילדים"]
    {
        assert_eq!(room(text).as_deref(), Ok(text));
    }
}

#[test]
fn each_part_of_the_rule_refuses() {
    for (text, refusal) in [
        ("", NameErrorKind::Empty),
        ("a\0", NameErrorKind::Character('\0')),
        ("a\n", NameErrorKind::Character('\n')),
        ("a\x1b[2J", NameErrorKind::Character('\x1b')),
        ("a\u{9b}", NameErrorKind::Character('\u{9b}')),
        ("a\u{200b}b", NameErrorKind::Character('\u{200b}')),
        ("a\u{200d}b", NameErrorKind::Character('\u{200d}')),
        ("a\u{ad}b", NameErrorKind::Character('\u{ad}')),
        ("\u{feff}a", NameErrorKind::Character('\u{feff}')),
        ("a\u{202e}b", NameErrorKind::Character('\u{202e}')),
        ("a\u{2066}b", NameErrorKind::Character('\u{2066}')),
        ("a\u{fe0f}", NameErrorKind::Character('\u{fe0f}')),
        ("a\u{e0061}", NameErrorKind::Character('\u{e0061}')),
        ("a\u{e0100}", NameErrorKind::Character('\u{e0100}')),
        ("a\u{3164}", NameErrorKind::Character('\u{3164}')),
        ("a\u{115f}", NameErrorKind::Character('\u{115f}')),
        ("a\u{a0}b", NameErrorKind::Character('\u{a0}')),
        ("a\u{3000}b", NameErrorKind::Character('\u{3000}')),
        ("a\u{2028}b", NameErrorKind::Character('\u{2028}')),
        ("a\u{e000}", NameErrorKind::Character('\u{e000}')),
        ("a\u{ffff}", NameErrorKind::Character('\u{ffff}')),
        ("\u{fffd}", NameErrorKind::Character('\u{fffd}')),
        ("😀", NameErrorKind::Character('😀')),
        ("ａｌｉｃｅ", NameErrorKind::Character('ａ')),
        ("𝐚lice", NameErrorKind::Character('𝐚')),
        ("ﬁn", NameErrorKind::Character('ﬁ')),
        ("a<b", NameErrorKind::Character('<')),
        ("a\"b", NameErrorKind::Character('"')),
        ("a\\b", NameErrorKind::Character('\\')),
        ("\u{1100}", NameErrorKind::Character('\u{1100}')),
        ("\u{301}a", NameErrorKind::Marks),
        ("1\u{301}", NameErrorKind::Marks),
        ("a.\u{301}", NameErrorKind::Marks),
        ("a\u{301}\u{301}", NameErrorKind::Marks),
        ("-a", NameErrorKind::Start),
        ("@a", NameErrorKind::Start),
        (".", NameErrorKind::Start),
        ("pаypal", NameErrorKind::Scripts),
        ("Αlice", NameErrorKind::Scripts),
        ("alicе", NameErrorKind::Scripts),
        ("Οльга", NameErrorKind::Scripts),
        ("ひ김", NameErrorKind::Scripts),
        ("aא", NameErrorKind::Scripts),
        ("12\u{663}", NameErrorKind::Digits),
        ("ا\u{663}\u{6f3}", NameErrorKind::Digits),
        ("1א", NameErrorKind::Direction),
        ("א-", NameErrorKind::Direction),
    ] {
        assert_eq!(user(text), Err(refusal), "{text:?}");
        assert_eq!(room(text), Err(refusal), "{text:?}");
    }
}

#[test]
fn a_user_name_has_no_spaces_and_nothing_that_frames_a_line() {
    assert_eq!(user("Bob Smith"), Err(NameErrorKind::Space));
    assert_eq!(user(" bob"), Err(NameErrorKind::Space));
    for c in "#&!?,:/()*=~%$<>[]{}|^`;".chars() {
        assert_eq!(user(&format!("a{c}")), Err(NameErrorKind::Character(c)));
    }
}

#[test]
fn a_room_name_has_single_spaces_between_words() {
    assert_eq!(room("a b c").as_deref(), Ok("a b c"));
    for text in [" ", " a", "a ", "a  b"] {
        assert_eq!(room(text), Err(NameErrorKind::Space), "{text:?}");
    }
    for text in ["#", "##", "(a)", "/a", "# -"] {
        assert_eq!(room(text), Err(NameErrorKind::Start), "{text:?}");
    }
    assert_eq!(room("Sala שלום"), Err(NameErrorKind::Direction));
    assert_eq!(room("#שלום"), Err(NameErrorKind::Direction));
    assert_eq!(room("Чат pаypal"), Err(NameErrorKind::Scripts));
}

#[test]
fn the_length_is_tried_at_the_limit_and_past_it() {
    for letter in ["a", "é", "e\u{301}", "ế", "e\u{302}\u{301}", "李", "𠮷", "한", "\u{1112}\u{1161}\u{11ab}"] {
        let name = |count| letter.repeat(count);
        assert!(user(&name(MAX_CHARS)).is_ok(), "{letter}");
        assert_eq!(user(&name(MAX_CHARS + 1)), Err(NameErrorKind::TooLong), "{letter}");
        assert_eq!(room(&name(MAX_CHARS + 1)), Err(NameErrorKind::TooLong), "{letter}");
    }
    // At the limit of bytes it is still read, and refused for what it is.
    assert_eq!(user(&"\0".repeat(MAX_BYTES)), Err(NameErrorKind::Character('\0')));
    assert_eq!(user(&"\0".repeat(MAX_BYTES + 1)), Err(NameErrorKind::TooLong));
}

#[test]
fn marks_are_tried_at_the_limit_and_past_it() {
    let marks = ["\u{327}", "\u{323}", "\u{302}", "\u{304}", "\u{306}", "\u{307}"];
    let name = |count: usize| format!("q{}", marks[..count].concat());
    assert!(user(&name(MAX_MARKS)).is_ok());
    assert_eq!(user(&name(MAX_MARKS + 1)), Err(NameErrorKind::Marks));
}

#[test]
fn other_spellings_are_the_same_name() {
    for (one, other) in [
        ("João", "Joa\u{303}o"),
        ("João", "JOÃO"),
        ("ấ", "â\u{301}"),
        ("ạ\u{302}", "a\u{302}\u{323}"),
        ("Å", "\u{212b}"),
        ("ά", "\u{1f71}"),
        ("क़", "\u{958}"),
        ("한", "\u{1112}\u{1161}\u{11ab}"),
        ("น้ำ", "น\u{e49}\u{e4d}\u{e32}"),
        ("が", "か\u{3099}"),
        ("Ольга", "ОЛЬГА"),
        ("ΣΑΣ", "σας"),
        ("ΣΑΣ", "σασ"),
        ("İstanbul", "istanbul"),
        ("Işıl", "ışıl"),
        ("J\u{30c}", "\u{1f0}"),
        ("O’Brien", "O'Brien"),
        ("сосо", "coco"),
        ("МАМА", "mama"),
        ("ΑΒΒΑ", "abba"),
        ("\u{4d9}\u{441}", "\u{259}c"),
        ("\u{4d5}\u{441}", "\u{e6}c"),
        ("ニ", "二"),
    ] {
        assert!(same(one, other), "{one} {other}");
    }
    for (one, other) in [
        ("a", "á"),
        ("Żaba", "Zaba"),
        ("Ian", "Lan"),
        ("bob", "bob1"),
        ("Straße", "Strasse"),
        ("o", "0"),
        ("Анна", "Anna"),
    ] {
        assert!(!same(one, other), "{one} {other}");
    }
}

#[test]
fn a_map_finds_a_name_by_any_spelling_and_shows_the_first() {
    let mut users = HashMap::new();
    users.insert(UserName::parse("João").unwrap().key().clone(), "here");
    assert_eq!(users.get(UserName::parse("JOA\u{303}O").unwrap().key()), Some(&"here"));
    assert_eq!(UserName::parse("JOA\u{303}O").unwrap().as_str(), "JOÃO");
}

#[test]
fn letters_that_unicode_calls_confusable_with_ascii_are_taken_for_it() {
    let skeleton = |c: char| unicode_security::skeleton(c.encode_utf8(&mut [0; 4])).collect::<String>();
    let ascii: Vec<String> = ('a'..='z').chain('A'..='Z').map(skeleton).collect();
    let mut count = 0;
    for c in '\u{80}'..='\u{5ff}' {
        let Ok(name) = UserName::parse(c.encode_utf8(&mut [0; 4])) else {
            continue;
        };
        if matches!(c.script(), Script::Greek | Script::Cyrillic | Script::Armenian) && ascii.contains(&skeleton(c)) {
            count += 1;
            let taken = ('a'..='z').any(|letter| UserName::parse(&letter.to_string()).unwrap() == name);
            assert!(taken, "{c} U+{:04X}", u32::from(c));
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn errors_say_what_would_be_right_and_repeat_nothing_hostile() {
    for text in ["", "a\x1b", "a\u{202e}", "a b", "-", "1\u{301}", "pаypal", "12\u{663}", "1א", &"a".repeat(65)] {
        let told = UserName::parse(text).unwrap_err().to_string();
        assert!(told.starts_with("a user name ") && told.len() < 200, "{told}");
        assert!(told.chars().all(|c| c.is_ascii_graphic() || " ’·".contains(c)), "{told:?}");
    }
    assert_eq!(
        UserName::parse("a\u{202e}").unwrap_err().to_string(),
        "a user name cannot contain U+202E; letters, digits and -_.'’·+@ are allowed"
    );
    assert_eq!(
        RoomName::parse(&"a".repeat(65)).unwrap_err().to_string(),
        "a room name must have at most 64 characters and 576 bytes"
    );
}

#[test]
fn display_form_is_that_of_unicode_and_every_case_is_the_same_name() {
    for c in '\0'..=char::MAX {
        let text = c.to_string();
        let Ok(name) = UserName::parse(&text) else {
            continue;
        };
        if !matches!(c, 'ำ' | 'ຳ') {
            assert_eq!(name.as_str(), text.nfc().collect::<String>(), "U+{:04X}", u32::from(c));
        }
        let decomposed: String = text.nfd().collect();
        assert_eq!(UserName::parse(&decomposed), Ok(name.clone()), "U+{:04X}", u32::from(c));
        // One letter to one letter: `ß` has two capitals, and `SS` is another name.
        let mut upper = c.to_uppercase();
        if let (Some(upper), None) = (upper.next(), upper.next())
            && let Ok(upper) = UserName::parse(&upper.to_string())
        {
            assert_eq!(upper, name, "U+{:04X}", u32::from(c));
        }
    }
}

/// Text that is near a name: listed letters with marks and punctuation, and anything at all.
fn near() -> impl Strategy<Value = String> {
    let known =
        "aZéıİσςßдЙёაאבمहिंकाต้ำ한ガが李é1٣۳·'’-_ .@#\u{300}\u{302}\u{323}\u{327}\u{31b}\u{200d}\u{1112}\u{1161}\u{11ab}";
    let known = prop::sample::select(known.chars().collect::<Vec<_>>());
    prop::collection::vec(prop_oneof![8 => known, 1 => any::<char>()], 0..70)
        .prop_map(|chars| chars.into_iter().collect())
}

/// Base letters with marks only, most of which are names.
fn marked() -> impl Strategy<Value = String> {
    let letters = prop::sample::select("aeiouycgdnswzAEIOUNüâơưäå".chars().collect::<Vec<_>>());
    let marks = prop::sample::select("\u{300}\u{301}\u{302}\u{303}\u{304}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}\u{30c}\u{31b}\u{323}\u{326}\u{327}\u{328}\u{331}".chars().collect::<Vec<_>>());
    let piece = (letters, prop::collection::vec(marks, 0..4));
    prop::collection::vec(piece, 1..8).prop_map(|pieces| {
        pieces.into_iter().flat_map(|(letter, marks)| std::iter::once(letter).chain(marks)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics_and_what_is_shown_reads_the_same_again(text in prop_oneof![near(), any::<String>()]) {
        if let Ok(name) = RoomName::parse(&text) {
            let again = RoomName::parse(name.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), name.as_str());
            prop_assert_eq!(&again, &name);
            prop_assert!(name.as_str().chars().count() <= MAX_CHARS);
        }
        if let Ok(name) = UserName::parse(&text) {
            let room = RoomName::parse(&text).unwrap();
            prop_assert_eq!(room.key(), name.key());
        }
    }

    #[test]
    fn composed_and_decomposed_are_one_name_and_shown_composed(text in marked()) {
        let composed: String = text.nfc().collect();
        let decomposed: String = text.nfd().collect();
        let name = UserName::parse(&text);
        prop_assert_eq!(&UserName::parse(&composed), &name);
        prop_assert_eq!(&UserName::parse(&decomposed), &name);
        if let Ok(name) = name {
            prop_assert_eq!(name.as_str(), composed);
        }
    }
}

#[test]
fn what_keyboards_and_file_names_give_is_composed() {
    for (given, shown) in [
        // Pasted from Finder, or a name of macOS's directories.
        ("Joa\u{303}o", "João"),
        ("\u{1112}\u{1161}\u{11ab}", "한"),
        // The Vietnamese keyboard of Windows.
        ("Tu\u{e2}\u{301}n", "Tuấn"),
        // Yoruba has letters that no single character is.
        ("Ad\u{e9}y\u{1eb9}\u{301}mi", "Adéyẹ\u{301}mi"),
    ] {
        let name = UserName::parse(given).unwrap();
        assert_eq!(name.as_str(), shown);
        assert_eq!(name, UserName::parse(shown).unwrap());
    }
}
