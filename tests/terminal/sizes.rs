//! Screens of every size, which may change at any time.

use crate::screen::{BACKSPACE, Chat, ENTER, Seen, said};
use crate::support::tools::needs;
use crate::support::{CLIENT, TIMEOUT, eventually};

#[test]
fn another_size_keeps_the_line_whole() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["a line that needs two rows on a narrow screen"]);
    ana.wait_for_prompt("ana@lobby> a line that needs two rows on a narrow screen");
    ana.resize(40, 24);
    chat.say("bob", &["one", "two words and some more, so that this is wrapped"]);
    ana.wait_for("narrow screen");
    ana.wait_for("<bob> two words and some more,");
    let rows = ana.look(Seen::rows);
    assert!(rows.iter().all(|row| row.chars().count() <= 40), "{rows:#?}");
    ana.resize(80, 24);
    chat.say("bob", &["three"]);
    ana.wait_for("<bob> three");
    ana.keys(&[ENTER]);
    ana.wait_for("✓<ana> a line that needs two rows on a narrow screen");
    ana.wait_for_prompt("ana@lobby>");
}

/// Widths that a line of 120 characters takes one row to seven rows in, in small steps and in jumps.
const WIDTHS: [u16; 16] = [79, 78, 66, 60, 40, 39, 21, 20, 22, 45, 100, 101, 200, 33, 150, 80];

/// On a terminal that cuts lines off: the emulator does, as xterm does. How widths follow each other in other terminals, all
/// 32,761 pairs of them are tried beside the code.
#[test]
fn no_resize_erases_a_message() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    chat.say("bob", &["m1", "m2", "m3"]);
    ana.wait_for("<bob> m3");
    ana.keys(&[&"x".repeat(117), "END"]);
    ana.wait("the line", |seen| seen.last().ends_with("END"));
    for columns in WIDTHS {
        ana.resize(columns, 24);
        ana.wait("the line", |seen| seen.last().ends_with("END"));
        ana.keys(&["!", BACKSPACE]);
        let rows = ana.look(Seen::rows);
        let messages: Vec<_> = rows.iter().filter(|row| row.contains("<bob> m")).map(|row| said(row)).collect();
        assert_eq!(messages, [" <bob> m1", " <bob> m2", " <bob> m3"], "{columns}: {rows:#?}");
    }
    ana.keys(&[ENTER]);
    ana.wait_for("✓<ana> xxx");
}

/// On a terminal that wraps lines anew.
#[test]
fn in_tmux_no_resize_erases_a_message() {
    needs!("tmux");
    let chat = Chat::new();
    let socket = chat.home.0.join("tmux");
    let tmux = |arguments: &[&str]| {
        let mut command = std::process::Command::new("tmux");
        command.arg("-S").arg(&socket).arg("-f").arg("/dev/null").args(arguments).env_remove("TMUX");
        command.env("HOME", &chat.home.0).env("LANG", "C.UTF-8");
        command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let client = format!("{} --server {} --user ana --room lobby", CLIENT[0], chat.server.address());
    tmux(&["new-session", "-d", "-s", "test", "-x", "80", "-y", "24", &client]).unwrap();
    let screen = || tmux(&["capture-pane", "-p", "-t", "test", "-S", "-100"]).unwrap();
    let shows = |text: &str| eventually(text, TIMEOUT, || screen().replace('\n', "").contains(text));
    shows("ana@lobby>");
    chat.say("bob", &["m1", "m2", "m3"]);
    shows("<bob> m3");
    tmux(&["send-keys", "-t", "test", "-l", &format!("{}END", "x".repeat(117))]).unwrap();
    shows("xEND");
    for columns in WIDTHS {
        tmux(&["resize-window", "-t", "test", "-x", &columns.to_string(), "-y", "24"]).unwrap();
        let mut text = String::new();
        // Where sizes follow each other faster than the client hears of them, a copy of the prompt may stay.
        eventually("the line", TIMEOUT, || {
            text = screen();
            text.replace('\n', "").trim_end().ends_with("END")
        });
        assert_eq!(text.matches("<bob> m").count(), 3, "{columns}:\n{text}");
    }
    tmux(&["send-keys", "-t", "test", "Enter"]).unwrap();
    shows("✓<ana> xxx");
    let text = screen();
    assert_eq!(text.matches("<bob> m").count(), 3, "{text}");
    let _ = tmux(&["kill-server"]);
}

#[test]
fn twenty_columns_are_enough() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &[], &[], (20, 24));
    chat.say("bob", &["the quick brown fox jumps", "Donaudampfschifffahrt", "漢字漢字漢字漢字漢字"]);
    ana.wait_for("漢字");
    let text = ana.look(Seen::text);
    for row in
        ["<bob> the", "    quick brown fox", "    jumps", "<bob> Donauda", "    mpfschifffahrt", "    字漢字漢字漢字"]
    {
        assert!(text.contains(row), "{row:?} in\n{text}");
    }
    ana.wait_for_prompt("ana@lob…>");
    ana.line("hello all");
    ana.wait_for("✓<ana> hello");
    ana.wait_for("    all");
}

#[test]
fn questions_are_broken_between_words() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &["--lang", "pt"], &[], (20, 24));
    ana.line("criar sala de estar");
    ana.wait_for("Criar uma sala\nchamada \"sala de\nestar\"? Com n, a\nlinha é enviada\ncomo mensagem.\n[s/n]");
    ana.line("s");
    ana.wait_for("A sala sala de\nestar foi criada.");
}

#[test]
fn help_fits_24_rows() {
    let chat = Chat::new();
    for language in ["en", "pt"] {
        let ana = chat.start(&["--user", "ana", "--lang", language], &[], (80, 24));
        ana.wait_for_prompt("ana>");
        ana.line("/ajuda");
        ana.wait_for("//T");
        ana.wait_for_prompt("ana>");
        let rows = ana.look(Seen::rows);
        assert!(rows.iter().any(|row| row.contains("/ajuda")) && rows.len() <= 24, "{rows:#?}");
    }
}
