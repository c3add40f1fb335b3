//! The ways out, and what they leave behind.

use std::time::{Duration, Instant};

use chat_rpc::rpc::Client;

use crate::screen::{CTRL_C, CTRL_D, Chat, ENTER, Screen};
use crate::support::lan::Lan;
use crate::support::{CLIENT, TIMEOUT, eventually};

#[test]
fn ctrl_c_drops_the_line_and_leaves_when_it_is_pressed_twice() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["never mind"]);
    ana.wait_for_prompt("ana@lobby> never mind");
    ana.keys(&[CTRL_C]);
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[CTRL_C]);
    ana.wait_for("Press Ctrl-C again within 2 seconds to leave.");
    // Later than that it is the first one again.
    std::thread::sleep(Duration::from_millis(2100));
    ana.keys(&[CTRL_C]);
    ana.wait("the hint again", |seen| seen.count("Press Ctrl-C again") == 2);
    ana.keys(&[CTRL_C]);
    assert!(ana.wait_exit().success());
    assert!(ana.is_restored());
    let outside = Client::new(chat.server.address());
    outside.call("register_user", &["ana".into()]).expect("the name is free");
}

#[test]
fn a_question_is_ended_by_ctrl_c_and_ctrl_d_and_the_client_is_not() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    for keys in [CTRL_C, CTRL_D] {
        ana.line("send");
        ana.wait_for_prompt("Message:");
        ana.keys(&["half", keys]);
        // In a line that has been begun, Ctrl-D deletes a character, as in every editor.
        if keys == CTRL_D {
            ana.keys(&["\x15", CTRL_D]);
        }
        ana.wait_for_prompt("ana@lobby>");
        ana.paste("1st\n2nd\n3rd\n4th");
        ana.keys(&[ENTER]);
        ana.wait_for_prompt("Send these 4 lines? [y/N]");
        ana.keys(&[keys]);
        ana.wait_for_prompt("ana@lobby>");
    }
    assert_eq!(ana.look(|seen| seen.count("Not sent.")), 2);
    ana.line("still here");
    ana.wait_for("✓<ana> still here");
    assert_eq!(ana.look(|seen| seen.count("✓")), 1);
}

#[test]
fn plain_lines_end_questions_and_the_client_likewise() {
    let chat = Chat::new();
    let mut ana = chat.client_with("ana", &["--plain"], &[], (80, 24));
    ana.wait_for_prompt("ana@lobby>");
    ana.line("send");
    ana.wait_for_prompt("Message:");
    ana.keys(&[CTRL_C]);
    ana.wait("the prompt", |seen| seen.last().ends_with("ana@lobby>"));
    ana.keys(&[CTRL_C]);
    ana.wait_for("Press Ctrl-C again within 2 seconds to leave.");
    ana.keys(&[CTRL_C]);
    assert!(ana.wait_exit().success());
}

#[test]
fn ctrl_c_twice_leaves_a_server_that_does_not_reply() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    chat.server.signal("STOP");
    ana.line("/list");
    ana.wait_for("ana@lobby> /list");
    let started = Instant::now();
    eventually("the client ends", TIMEOUT, || {
        ana.keys(&[CTRL_C]);
        std::thread::sleep(Duration::from_millis(50));
        ana.child.try_wait().unwrap().is_some()
    });
    assert!(ana.wait_exit().success());
    assert!(ana.is_restored());
    assert!(started.elapsed() < Duration::from_secs(9), "a call takes ten: {:?}", started.elapsed());
    chat.server.signal("CONT");
}

#[test]
fn ctrl_d_and_exit_leave() {
    let chat = Chat::new();
    for (user, keys) in [("ana", CTRL_D), ("bob", "exit\r"), ("eva", "/q\r")] {
        let mut client = chat.client(user);
        client.wait_for_prompt(&format!("{user}@lobby>"));
        client.keys(&[keys]);
        assert!(client.wait_exit().success());
        assert!(client.is_restored());
        let outside = Client::new(chat.server.address());
        outside.call("register_user", &[user.into()]).expect("the name is free");
    }
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["half a li"]);
    ana.wait_for_prompt("ana@lobby> half a li");
    assert!(!ana.is_restored(), "the editor reads keys");
    let status = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {}", ana.child.id())]).status();
    assert!(status.unwrap().success());
    assert!(ana.wait_exit().success());
    assert!(ana.is_restored());
    ana.wait("its former modes", |seen| !seen.emulator.screen().bracketed_paste());
    let outside = Client::new(chat.server.address());
    outside.call("register_user", &["ana".into()]).expect("the name is free");
}

#[test]
fn the_host_of_a_chat_is_told_whom_ctrl_c_would_cut_off() {
    let Some(lan) = Lan::of(2) else { return };
    let home = lan.home(1);
    let variables = [("HOME", home.to_str().unwrap())];
    let words = ["--local", "--share", "--user", "ana", "--room", "lobby"];
    let shell = lan.shell(1);
    let words = [&shell.each_ref().map(String::as_str), CLIENT, &words].concat();
    let mut ana = Screen::start(&words, &variables, (100, 24));
    ana.wait_for_prompt("ana@lobby>");
    let state = format!("XDG_STATE_HOME={}", lan.home(2).display());
    let guest = lan.start(2, &[&["env", &state], CLIENT].concat(), &["--user", "bob", "--room", "lobby", "--plain"]);
    ana.wait_for("bob joined");
    ana.keys(&[CTRL_C]);
    ana.wait_for("bob would be cut off");
    ana.keys(&[CTRL_C]);
    assert!(ana.wait_exit().success());
    guest.stderr.wait_for_line("Connection lost", TIMEOUT);
}
