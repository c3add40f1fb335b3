//! The look of lines, without a terminal.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::client::event::Draft;
use crate::client::locale::{ENGLISH, LANGUAGES};
use crate::rpc::Fault;
use crate::stamp::Stamp;

const SCREEN: Size = Size { columns: 80, rows: 24 };

fn now() -> NaiveDateTime {
    at("2025-11-23 14:03:11")
}

fn at(text: &str) -> NaiveDateTime {
    Stamp::parse(text).unwrap().0
}

fn renderer(style: Style, size: Option<Size>) -> Renderer {
    let mut renderer = Renderer::new(&ENGLISH, style, "ana", now());
    renderer.resize(size);
    renderer.event(&Event::Joined { room: "lobby".into(), users: Vec::new(), messages: Vec::new() }, now());
    renderer
}

fn on_screen() -> Renderer {
    renderer(Style::default(), Some(SCREEN))
}

fn message(origin: &str, to: Option<&str>, content: &str) -> Event {
    Event::Message(Message {
        id: Some(1),
        origin: origin.into(),
        destination: to.map(str::to_owned),
        content: content.into(),
        timestamp: "2025-11-23 14:03:11.123".into(),
        ..Message::default()
    })
}

fn text(shown: &[Rendered]) -> String {
    shown.iter().map(|shown| shown.text.as_str()).collect()
}

fn draft(id: u64, text: &str, to: Option<&str>) -> Draft {
    Draft { id, text: text.into(), to: to.map(str::to_owned) }
}

fn presence(came: &[&str], went: &[&str]) -> Event {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Event::Presence { came: names(came), went: names(went) }
}

#[test]
fn messages_say_who_when_and_to_whom() {
    let mut renderer = on_screen();
    for (event, line) in [
        (message("bob", None, "hello"), "14:03 <bob> hello\n"),
        (message("bob", Some("ana"), "psst"), "14:03 [bob → ana] psst\n"),
        (message("bob", None, "Ana, look"), "14:03!<bob> Ana, look\n"),
        (message("bob", None, "banana"), "14:03 <bob> banana\n"),
        (message("ana", None, "I am ana"), "14:03 <ana> I am ana\n"),
    ] {
        assert_eq!(text(&renderer.event(&event, now())), line);
    }
    assert_eq!(renderer.last_private.as_deref(), Some("bob"));
}

#[test]
fn plain_lines_say_it_in_words() {
    let mut renderer = renderer(Style { plain: true, ..Style::default() }, Some(Size { columns: 20, rows: 24 }));
    for (event, line) in [
        (
            message("bob", None, "hello, this is a line that is not wrapped"),
            "14:03 bob: hello, this is a line that is not wrapped\n",
        ),
        (message("bob", Some("ana"), "psst"), "14:03 bob (private): psst\n"),
        (message("ana", Some("bob"), "psst"), "14:03 ana (private to bob): psst\n"),
    ] {
        assert_eq!(text(&renderer.event(&event, now())), line);
    }
    assert_eq!(text(&renderer.event(&Event::Confirmed(draft(1, "hello", None)), now())), "14:03 sent\n");
    renderer.event(&Event::Lost, now());
    let retry = Event::Retrying { pause: Duration::from_secs(2) };
    assert_eq!(text(&renderer.event(&retry, now())), "14:03 Trying again in 2 s\n");
    assert_eq!(text(&renderer.event(&retry, now())), "");
}

#[test]
fn messages_are_json_for_programs() {
    let mut renderer = renderer(Style { plain: true, json: true, ..Style::default() }, None);
    let shown = renderer.event(&message("bob", None, "a \"quote\"\u{1b}"), now());
    assert_eq!(
        text(&shown),
        concat!(
            r#"{"room":"lobby","room_id":null,"id":1,"origin":"bob","destination":null,"#,
            r#""content":"a \"quote\"\u001b","time":null,"timestamp":"2025-11-23 14:03:11.123"}"#,
            "\n"
        )
    );
    assert!(shown.iter().all(|shown| shown.is_message));
}

#[test]
fn nothing_from_the_network_reaches_the_terminal_raw() {
    let evil = "\x1b[2J\u{9b}\u{202e}\r\n\x07";
    let fault = Fault::new(99, evil);
    for style in [Style::default(), Style { plain: true, ..Style::default() }, Style { json: true, ..Style::default() }]
    {
        let mut renderer = renderer(style, None);
        let mut all = Vec::new();
        for event in [
            message(evil, Some(evil), evil),
            message(evil, None, evil),
            Event::Joined { room: evil.into(), users: vec![evil.into()], messages: Vec::new() },
            presence(&[evil], &["bob"]),
            Event::Refused { draft: draft(1, evil, Some(evil)), fault: fault.clone() },
            Event::Forgotten { room: evil.into() },
            Event::Left { room: evil.into() },
        ] {
            all.extend(renderer.event(&event, now()));
        }
        let all = text(&all) + &renderer.prompt().0;
        let bad = all.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bad, None, "{all:?}");
    }
}

#[test]
fn a_day_has_a_line_of_its_own() {
    let mut renderer = on_screen();
    let old = |timestamp: &str| Message {
        origin: "bob".into(),
        content: "x".into(),
        timestamp: timestamp.into(),
        ..Message::default()
    };
    let shown =
        renderer.messages(&[old("2025-11-22 23:59:59"), old("2025-11-22 23:59:59"), old("2025-11-23 00:00:01")]);
    assert_eq!(
        text(&shown),
        "── Saturday, 22 November 2025 ──\n23:59 <bob> x\n23:59 <bob> x\n── Sunday, 23 November 2025 ──\n00:00 <bob> x\n"
    );
    let shown = renderer.event(&presence(&["bob"], &[]), at("2025-11-24 00:00:00"));
    assert_eq!(text(&shown), "── Monday, 24 November 2025 ──\n00:00 bob joined\n");
}

#[test]
fn what_is_typed_is_marked_when_the_server_has_it() {
    let mut renderer = on_screen();
    let mut confirm = |draft| text(&renderer.event(&Event::Confirmed(draft), now()));
    assert_eq!(confirm(draft(1, "hello", None)), "14:03✓<ana> hello\n");
    assert_eq!(confirm(draft(2, "again", Some("bob"))), "14:03✓[ana → bob] again\n");
}

#[test]
fn what_is_late_takes_its_place_only_if_nothing_came_between() {
    let mut renderer = on_screen();
    let [one, two, three] = [(1, "one"), (2, "two"), (3, "three")].map(|(id, text)| draft(id, text, None));
    assert_eq!(text(&renderer.pending(&one, now())), "14:03…<ana> one\n");
    assert_eq!(text(&renderer.event(&Event::Confirmed(one), now())), "\x1b[1A\r\x1b[J14:03✓<ana> one\n");
    renderer.pending(&two, now());
    renderer.event(&message("bob", None, "hello"), now());
    assert_eq!(text(&renderer.event(&Event::Confirmed(two), now())), "14:03✓<ana> two\n");
    renderer.pending(&three, now());
    renderer.scrolled();
    assert_eq!(text(&renderer.event(&Event::Confirmed(three), now())), "14:03✓<ana> three\n");
}

#[test]
fn a_refusal_says_why() {
    let mut renderer = on_screen();
    let fault = Fault::new(Fault::NO_SUCH_RECIPIENT, "x");
    let refused = Event::Refused { draft: draft(1, "hi", Some("bob")), fault };
    let shown = text(&renderer.event(&refused, now()));
    assert_eq!(shown, "14:03✗[ana → bob] hi\n      this user is not in the room\n");
}

#[test]
fn an_outage_is_one_line() {
    let mut renderer = on_screen();
    let lost = text(&renderer.event(&Event::Lost, now()));
    assert_eq!(lost, "14:03 Connection lost\n");
    let retry = |seconds| Event::Retrying { pause: Duration::from_secs(seconds) };
    let shown = text(&renderer.event(&retry(2), now()));
    assert_eq!(shown, "\x1b[1A\r\x1b[J14:03 Connection lost · trying again in 2 s\n");
    let shown = text(&renderer.event(&retry(4), now()));
    assert_eq!(shown, "\x1b[1A\r\x1b[J14:03 Connection lost · trying again in 4 s\n");
    let back = at("2025-11-23 14:05:00");
    let shown = text(&renderer.event(&Event::Back { caught_up: 12 }, back));
    assert!(shown.ends_with("Connection lost · reconnected at 14:05, 12 messages received meanwhile\n"), "{shown:?}");
    let shown = text(&renderer.event(&Event::Forgotten { room: "lobby".into() }, back));
    assert!(shown.starts_with("\x1b[2A\r\x1b[J") || shown.starts_with("\x1b[1A\r\x1b[J"), "{shown:?}");
    assert!(shown.contains("lost · the server has lost the messages of lobby"), "{shown:?}");
    assert!(shown.contains("reconnected"), "{shown:?}");
    // Without an outage before it, it stands alone.
    renderer.event(&message("bob", None, "hello"), back);
    let shown = text(&renderer.event(&Event::Forgotten { room: "lobby".into() }, back));
    assert!(shown.starts_with("14:05 The server has lost the messages of lobby"), "{shown:?}");
}

#[test]
fn comings_and_goings_are_one_line() {
    let mut renderer = on_screen();
    assert_eq!(text(&renderer.event(&presence(&["bob"], &[]), now())), "14:03 bob joined\n");
    assert_eq!(text(&renderer.event(&presence(&["eva"], &[]), now())), "\x1b[1A\r\x1b[J14:03 bob, eva joined\n");
    let shown = text(&renderer.event(&presence(&[], &["bob"]), now()));
    assert_eq!(shown, "\x1b[1A\r\x1b[J14:03 eva joined · bob left\n");
    renderer.event(&message("eva", None, "hello"), now());
    let many = ["a", "b", "c", "d", "e", "f", "g"];
    let shown = text(&renderer.event(&presence(&many, &[]), now()));
    assert_eq!(shown, "14:03 a, b, c, d, e and 2 more joined\n");
    renderer.locale = LANGUAGES[1];
    renderer.event(&message("eva", None, "hello"), now());
    let shown = text(&renderer.event(&presence(&["bob", "eva"], &["ana"]), now()));
    assert_eq!(shown, "14:03 bob, eva entraram · ana saiu\n");
}

#[test]
fn narrow_screens_get_whole_words() {
    let mut renderer = renderer(Style { color: true, ..Style::default() }, Some(Size { columns: 20, rows: 24 }));
    let shown = text(&renderer.event(&message("bob", None, "the quick brown fox"), now()));
    let plain: String = shown.split('\x1b').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect();
    assert_eq!(plain, "14:03 <bob> the\n    quick brown fox\n");
    assert!(plain.lines().all(|line| line.width() < 20));
    assert!(renderer.prompt().0.width() <= 10, "{:?}", renderer.prompt());
}

#[test]
fn the_ignored_are_not_shown() {
    let mut renderer = on_screen();
    assert!(renderer.ignore("Bob"));
    assert_eq!(renderer.event(&message("bob", None, "hello"), now()), []);
    assert!(!renderer.ignore("bob"));
    assert_eq!(text(&renderer.event(&message("bob", None, "hello"), now())), "14:03 <bob> hello\n");
}

#[test]
fn the_bell_rings_for_calls_and_private_messages_only() {
    let mut renderer = renderer(Style { bell: true, ..Style::default() }, Some(SCREEN));
    for (event, rings) in [
        (message("bob", None, "hello"), false),
        (message("bob", None, "hello ana"), true),
        (message("bob", Some("ana"), "psst"), true),
        (message("ana", Some("bob"), "psst"), false),
    ] {
        assert_eq!(text(&renderer.event(&event, now())).contains('\x07'), rings, "{event:?}");
    }
}

#[test]
fn messages_after_a_while_without_a_key_are_below_a_line() {
    let mut renderer = on_screen();
    renderer.unseen.active(now());
    let after = |minutes: i64| now() + chrono::TimeDelta::minutes(minutes);
    let say = |renderer: &mut Renderer, at| text(&renderer.event(&message("bob", None, "hello"), at));
    assert_eq!(say(&mut renderer, after(4)), "14:03 <bob> hello\n");
    assert_eq!(say(&mut renderer, after(5)), "── new since 14:03 ──\n14:03 <bob> hello\n");
    assert_eq!(say(&mut renderer, after(50)), "14:03 <bob> hello\n", "once until there is a key again");
    renderer.unseen.active(after(51));
    assert_eq!(say(&mut renderer, after(52)), "14:03 <bob> hello\n");
    assert_eq!(say(&mut renderer, after(60)), "── new since 14:54 ──\n14:03 <bob> hello\n");
}

#[test]
fn what_somebody_does_is_a_sentence() {
    let mut renderer = on_screen();
    assert_eq!(text(&renderer.event(&message("bob", None, "/me waves"), now())), "14:03 * bob waves\n");
    assert_eq!(
        text(&renderer.event(&message("bob", Some("ana"), "/me waves"), now())),
        "14:03 [bob → ana] * bob waves\n"
    );
    assert_eq!(text(&renderer.event(&message("bob", None, "/me"), now())), "14:03 <bob> /me\n");
    let mut plain = self::renderer(Style { plain: true, ..Style::default() }, None);
    assert_eq!(
        text(&plain.event(&message("bob", None, "/me waves at ana"), now())),
        "14:03 * bob (mentions you) waves at ana\n"
    );
}
