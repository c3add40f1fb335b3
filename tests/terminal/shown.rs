//! Events on the screen.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::screen::{CTRL_D, Chat, Seen, said};
use crate::support::{TIMEOUT, eventually};

#[test]
fn it_speaks_portuguese() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &[], &[("LANG", "pt_BR.UTF-8")], (80, 24));
    ana.wait_for("Boas-vindas, ana.");
    let bob = chat.client_with("bob", &["--lang", "en"], &[("LANG", "pt_BR.UTF-8")], (80, 24));
    bob.wait_for("Welcome, bob.");
    ana.wait_for("bob entrou");
    ana.line("/jion lobby");
    ana.wait_for("Não existe o comando jion. Você quis dizer join?");
    ana.line("/users nowhere");
    ana.wait_for("Erro: não existe essa sala");
    ana.line("@eva olá");
    ana.wait_for("✗[ana → eva] olá");
    ana.wait_for("esse usuário não está na sala");
    ana.wait_for_prompt("ana@lobby> @eva olá");
}

#[test]
fn comings_and_goings_share_a_line() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    let _bob = chat.client("bob");
    ana.wait_for("bob joined");
    let eva = chat.client("eva");
    ana.wait("both", |seen| seen.count("bob, eva joined") == 1 && seen.count("joined") == 1);
    eva.keys(&[CTRL_D]);
    ana.wait("all of it", |seen| seen.count("bob joined · eva left") == 1 && seen.count("joined") == 1);
}

#[test]
fn users_have_one_colour_on_every_screen() {
    let chat = Chat::new();
    let (ana, eva) = (chat.client("ana"), chat.client("eva"));
    chat.say("bob", &["hello"]);
    for screen in [&ana, &eva] {
        screen.wait_for("<bob> hello");
    }
    let color = ana.look(|seen| seen.color("bob> hello"));
    assert_ne!(color, vt100::Color::Default);
    assert_eq!(eva.look(|seen| seen.color("bob> hello")), color);
}

#[test]
fn colours_are_as_wanted() {
    let chat = Chat::new();
    for (user, arguments, variables, has_color) in [
        ("a1", &[][..], &[][..], true),
        ("a2", &[], &[("NO_COLOR", "1")], false),
        ("a3", &["--color", "never"], &[], false),
        ("a4", &["--color", "always"], &[("NO_COLOR", "1")], true),
    ] {
        let screen = chat.client_with(user, arguments, variables, (80, 24));
        screen.wait_for_prompt(&format!("{user}@lobby>"));
        screen.line("hello");
        screen.wait_for(&format!("✓<{user}> hello"));
        let color = screen.look(|seen| seen.color(&format!("{user}> hello")));
        assert_eq!(color != vt100::Color::Default, has_color, "{arguments:?} {variables:?}");
    }
}

#[test]
fn plain_lines_have_no_escape_sequences() {
    let chat = Chat::new();
    for (user, arguments, variables) in
        [("ana", &["--plain"][..], &[][..]), ("bob", &[], &[("TERM", "dumb")]), ("eva", &[], &[("TERM", "")])]
    {
        let mut screen = chat.client_with(user, arguments, variables, (80, 24));
        screen.wait_for_prompt(&format!("{user}@lobby>"));
        let text = format!("good morning from {user}");
        screen.line(&text);
        screen.wait("a word, not the line again", |seen| seen.rows().iter().any(|row| said(row) == " sent"));
        assert_eq!(screen.look(|seen| seen.count(&text)), 1, "as it was typed");
        chat.say("joe", &[&format!("hello {user}"), "hello all"]);
        screen.wait_for(&format!("joe (mentions you): hello {user}"));
        screen.wait_for("joe: hello all");
        screen.line("exit");
        assert!(screen.wait_exit().success());
        assert!(screen.look(|seen| !seen.bytes.contains(&0x1b)), "{arguments:?} {variables:?}");
    }
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["typing"]);
    chat.say("bob", &["a\u{9b}2Jb", "c\u{202e}d", "line\nbreak\ttab"]);
    ana.wait_for("break␉tab");
    ana.wait_for(r"a\u{9b}2Jb");
    ana.wait_for(r"c\u{202e}d");
    ana.wait_for_prompt("ana@lobby> typing");
}

#[test]
fn a_line_divides_what_was_seen_from_what_is_new() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    chat.say("bob", &["seen"]);
    ana.wait_for("<bob> seen");
    ana.line("leave");
    ana.wait_for_prompt("ana>");
    chat.say("bob", &["new one", "new two"]);
    ana.line("join lobby");
    ana.wait_for("<bob> new two");
    let divided = |seen: &Seen, before: &str, after: &str| {
        let rows = seen.rows();
        let line = rows.iter().rposition(|row| row.starts_with("── new since ")).unwrap();
        assert!(rows[line - 1].ends_with(before) && rows[line + 1].ends_with(after), "{rows:#?}");
        assert!(!rows[line + 1..].iter().any(|row| row.contains("──")), "{rows:#?}");
    };
    ana.look(|seen| divided(seen, "<bob> seen", "<bob> new one"));
    // The next client knows too.
    ana.line("exit");
    assert!(ana.wait_exit().success());
    chat.say("bob", &["the next day"]);
    let ana = chat.client("ana");
    ana.wait_for("<bob> the next day");
    ana.look(|seen| divided(seen, "<bob> new two", "<bob> the next day"));
    // Nothing is new to somebody who is here for the first time, nor one's own messages.
    let eva = chat.client("eva");
    eva.line("mine");
    eva.wait_for("✓<eva> mine");
    eva.line("leave");
    eva.wait_for_prompt("eva>");
    eva.line("join lobby");
    eva.wait("one's own message again", |seen| seen.count("<eva> mine") == 2);
    eva.look(|seen| assert_eq!(seen.count("──"), 0));
}

#[test]
fn what_is_shown_is_logged_with_dates() {
    let chat = Chat::new();
    let log = chat.home.0.join("log");
    let path = log.to_str().unwrap();
    for round in ["1st", "2nd"] {
        let mut ana = chat.client_with("ana", &["--log", path], &[], (30, 24));
        ana.wait_for_prompt("ana@lobby>");
        chat.say("bob", &[&format!("a message that a narrow screen wraps\nin the {round} round")]);
        ana.wait_for(&format!("in the {round} round"));
        ana.line(&format!("{round} answer"));
        ana.wait_for(&format!("✓<ana> {round} answer"));
        ana.line("/history");
        ana.line("/help");
        ana.wait_for("begins with a");
        ana.line("exit");
        assert!(ana.wait_exit().success());
    }
    let text = fs::read_to_string(&log).unwrap();
    let is_message = |line: &&str| line.contains("bob:") || line.contains("ana:") || line.contains("round");
    let without_date = text.lines().map(|line| if line.starts_with("  ") { line } else { &line[20..] });
    let messages: Vec<_> = without_date.filter(is_message).collect();
    let bob = "bob: a message that a narrow screen wraps";
    let wanted = [bob, "      in the 1st round", "ana: 1st answer", bob, "      in the 2nd round", "ana: 2nd answer"];
    assert_eq!(messages, wanted, "{text}");
    assert!(text.lines().all(|line| line.starts_with("20") || line.starts_with("      ")), "{text}");
    assert!(!text.contains('\x1b') && text.contains("Joined lobby."), "{text}");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_command_hears_of_mentions_one_at_a_time() {
    let chat = Chat::new();
    let (script, heard, go) = (chat.home.0.join("script"), chat.home.0.join("heard"), chat.home.0.join("go"));
    let text = format!(
        "#!/bin/sh\necho \"$1|$CHAT_FROM|$CHAT_ROOM|$CHAT_TEXT|$CHAT_PRIVATE|$CHAT_SECRET\" >>{}\n\
         while [ ! -e {} ]; do sleep 0.02; done\n",
        heard.display(),
        go.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let command = format!("{} $HOME;echo", script.display());
    let ana = chat.client_with("ana", &["--on-mention", &command], &[("CHAT_SECRET", "sesame")], (80, 24));
    ana.wait_for_prompt("ana@lobby>");
    let lines = || fs::read_to_string(&heard).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    chat.say("bob", &["nothing", "hello ana; `id` $(id)", "ana, ana"]);
    ana.wait_for("ana, ana");
    let first = "$HOME;echo|bob|lobby|hello ana; `id` $(id)||";
    eventually("the command has run", TIMEOUT, || lines() == [first]);
    fs::write(&go, "").unwrap();
    // Until it has ended, another mention is none of its business.
    eventually("it runs again", TIMEOUT, || {
        chat.say("bob", &["ana?"]);
        lines().len() >= 2
    });
    assert_eq!(lines()[1], "$HOME;echo|bob|lobby|ana?||");
}

#[test]
fn messages_have_their_lines_and_links_are_whole() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &[], &[], (40, 24));
    ana.wait_for_prompt("ana@lobby>");
    let link = "https://example.org/a/path/that/is/longer/than/the/screen/is/wide";
    chat.say("bob", &["one\n  two\nthree", &format!("look: {link}"), "/me waves"]);
    ana.wait_for(" * bob waves");
    let rows = ana.look(Seen::rows);
    let first = rows.iter().position(|row| row.contains("<bob> one")).unwrap();
    assert_eq!(rows[first + 1..first + 3], ["           two", "         three"], "{rows:#?}");
    // As the terminal itself wraps it, it can be opened.
    let at = rows.iter().position(|row| row.contains("look:")).unwrap();
    assert_eq!(rows[at + 1..at + 3], [&link[..40], &link[40..]], "{rows:#?}");
}

#[test]
fn the_bell_rings_when_it_is_asked_to() {
    let chat = Chat::new();
    let (ana, eva) = (chat.client_with("ana", &["--bell"], &[], (80, 24)), chat.client("eva"));
    chat.say("bob", &["hello ana and eva"]);
    for (screen, rings) in [(&ana, true), (&eva, false)] {
        screen.wait_for("!<bob> hello ana and eva");
        assert_eq!(screen.look(|seen| seen.bytes.contains(&0x07)), rings);
    }
}
