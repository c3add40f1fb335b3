//! Lines while they are typed, and what they do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::screen::{CTRL_C, CTRL_D, Chat, ENTER, LEFT, Seen, TAB, UP, said};
use crate::support::{Process, SERVER};

#[test]
fn messages_appear_above_the_line_that_is_typed() {
    let chat = Chat::new();
    let (ana, bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for("ana@lobby>");
    ana.keys(&["half a li"]);
    ana.wait_for_prompt("ana@lobby> half a li");
    bob.line("hello ana");
    bob.wait_for("✓<bob> hello ana");
    ana.wait_for("!<bob> hello ana");
    ana.wait_for_prompt("ana@lobby> half a li");
    ana.keys(&["e", LEFT, "n", ENTER]);
    ana.wait_for("✓<ana> half a line");
    bob.wait_for(" <ana> half a line");
    ana.wait_for_prompt("ana@lobby>");
    // The typed line has become the message.
    assert_eq!(ana.look(|seen| seen.count("half a line")), 1);

    bob.line("@ana just for you");
    ana.wait_for(" [bob → ana] just for you");
    ana.line("/reply thank you");
    ana.wait_for("✓[ana → bob] thank you");
    bob.wait_for(" [ana → bob] thank you");
    assert_eq!(ana.look(|seen| seen.count("thank you")), 1);
}

#[test]
fn a_busy_room_does_not_damage_the_line() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    let texts: Vec<String> = (0..40).map(|number| format!("message number {number}.")).collect();
    let said_by_bob: Vec<&str> = texts.iter().map(String::as_str).collect();
    let typed = "the quick brown fox jumps over the lazy dog while everybody else talks and talks";
    std::thread::scope(|scope| {
        scope.spawn(|| chat.say("bob", &said_by_bob));
        for (at, letter) in typed.char_indices() {
            ana.keys(&[&letter.to_string()]);
            if at % 4 == 0 {
                std::thread::yield_now();
            }
        }
    });
    ana.wait_for("message number 39.");
    ana.wait("the whole line", |seen| seen.text().contains("everybody else") && seen.last().ends_with("talks"));
    let rows = ana.look(Seen::rows);
    let messages: Vec<_> = rows.iter().filter(|row| row.contains("message number")).cloned().collect();
    let last: Vec<_> = texts.iter().skip(texts.len() - messages.len()).map(|text| format!(" <bob> {text}")).collect();
    assert!(messages.len() > 15, "{rows:#?}");
    assert_eq!(messages.iter().map(|row| said(row).to_owned()).collect::<Vec<_>>(), last);
    assert_eq!(ana.look(|seen| seen.count("ana@lobby>")), 1, "{rows:#?}");
    ana.keys(&[ENTER]);
    ana.wait_for("✓<ana> the quick brown fox");
    ana.wait_for_prompt("ana@lobby>");
}

#[test]
fn more_than_three_pasted_lines_are_sent_only_when_asked() {
    let chat = Chat::new();
    let (ana, bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for_prompt("ana@lobby>");
    ana.paste("one\nexit\nthree");
    ana.keys(&[ENTER]);
    bob.wait_for("<ana> three");
    // A line that is pasted with others is no command.
    bob.wait_for("<ana> exit");
    ana.wait_for_prompt("ana@lobby>");
    ana.paste("1st\n2nd\n3rd\n4th");
    ana.keys(&[ENTER]);
    ana.wait_for_prompt("Send these 4 lines? [y/N]");
    ana.line("n");
    ana.wait_for("Not sent.");
    ana.wait_for_prompt("ana@lobby>");
    ana.paste("5th\n6th\n7th\n8th");
    ana.keys(&[ENTER]);
    ana.wait_for_prompt("Send these 4 lines? [y/N]");
    ana.line("y");
    bob.wait_for("<ana> 8th");
    assert_eq!(bob.look(|seen| seen.count("1st")), 0);
    ana.wait_for_prompt("ana@lobby>");
    assert_eq!(ana.look(|seen| seen.count("✓<ana> 8th")), 1);
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    // A terminal without bracketed paste sends the lines like keys.
    ana.keys(&["one\rtwo\rthree\rfour"]);
    ana.wait_for("✓<ana> three");
    ana.wait_for_prompt("ana@lobby> four");
}

#[test]
fn tab_completes_commands_rooms_and_users() {
    let chat = Chat::new();
    let (ana, _bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for("bob joined");
    for (typed, completed) in [
        ("/whoa", "/whoami"),
        ("/join lo", "/join lobby"),
        ("join lo", "join lobby"),
        ("@b", "@bob"),
        ("bo", "bob:"),
        ("/msg b", "/msg bob"),
        ("hello b", "hello bob"),
    ] {
        ana.keys(&[typed, TAB]);
        ana.wait_for_prompt(&format!("ana@lobby> {completed}"));
        ana.keys(&[CTRL_C]);
        ana.wait_for_prompt("ana@lobby>");
    }
    // Several are listed, and messages still come.
    ana.keys(&["/h", TAB]);
    ana.wait_for("/help");
    ana.wait_for("/history");
    ana.wait_for_prompt("ana@lobby> /h");
    chat.say("eva", &["hello"]);
    ana.wait_for(" <eva> hello");
    ana.wait_for_prompt("ana@lobby> /h");
}

#[test]
fn up_brings_lines_back_even_the_next_time() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("first");
    ana.wait_for("✓<ana> first");
    ana.line(" kept out by its space");
    ana.wait_for("kept out");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[UP]);
    ana.wait_for_prompt("ana@lobby> first");
    ana.keys(&[CTRL_C]);
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[CTRL_D]);
    assert!(ana.wait_exit().success());
    let file = chat.home.0.join(".local/state/chat-rpc/history");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("kept out"));
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[UP]);
    ana.wait_for_prompt("ana@lobby> first");
}

#[test]
fn what_is_refused_is_in_the_prompt_again() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("@bob are you there");
    ana.wait_for("✗[ana → bob] are you there");
    ana.wait_for("this user is not in the room");
    ana.wait_for_prompt("ana@lobby> @bob are you there");
    chat.say("bob", &["hi"]);
    ana.wait_for(" <bob> hi");
    ana.keys(&[ENTER]);
    ana.wait_for("✓[ana → bob] are you there");
    ana.wait_for_prompt("ana@lobby>");
}

#[test]
fn an_outage_is_one_line_and_what_is_typed_is_sent_after_it() {
    let mut chat = Chat::new();
    let (ana, bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for("bob joined");
    let address = chat.server.address().to_owned();
    chat.server.kill();
    bob.wait_for("trying again in");
    ana.wait_for("trying again in");
    ana.line("typed meanwhile");
    ana.wait_for("…<ana> typed meanwhile");
    chat.server = Process::serve(SERVER, &["--no-binder", "--listen", &address]);
    bob.wait_for(" <ana> typed meanwhile");
    ana.wait_for("✓<ana> typed meanwhile");
    bob.wait_for("reconnected at");
    let rows = bob.look(Seen::rows);
    assert_eq!(rows.iter().filter(|row| row.contains("Connection lost")).count(), 1, "{rows:#?}");
    assert_eq!(bob.look(|seen| seen.count("trying again")), 0, "{rows:#?}");
    // The client that came back first was told that the room was gone.
    let told: usize =
        [&ana, &bob].map(|screen| screen.look(|seen| seen.count("lost the messages of lobby"))).iter().sum();
    assert!(told >= 1, "{rows:#?}");
    bob.wait_for_prompt("bob@lobby>");
}

#[test]
fn the_prompts_of_the_original_work() {
    let chat = Chat::new();
    let ana = chat.start(&[], &[], (80, 24));
    ana.wait_for_prompt("User name:");
    ana.line("no such name");
    ana.wait_for("a user name cannot have spaces");
    ana.wait_for_prompt("User name:");
    ana.line("ana");
    ana.wait_for_prompt("ana>");
    for (question, answer) in
        [("create", "Room name:"), ("lobby", "ana>"), ("join", "Room name:"), ("lobby", "ana@lobby>")]
    {
        ana.line(question);
        ana.wait_for_prompt(answer);
    }
    ana.line("send");
    ana.wait_for_prompt("Message:");
    ana.line("hello");
    ana.wait_for_prompt("Recipient (empty for all):");
    ana.line("");
    ana.wait_for("✓<ana> hello");
    ana.line("help send");
    ana.wait_for("/send TEXT: send a message to all");
    ana.wait_for("Example: /send @bob just for you");
    ana.line("leave");
    ana.wait_for_prompt("ana>");
    ana.line("hello");
    ana.wait_for("You are in no room yet.");
    // It stays in the prompt, to be sent from a room.
    ana.wait_for_prompt("ana> hello");
}

#[test]
fn portuguese_commands_work_in_every_language() {
    let chat = Chat::new();
    let mut ana = chat.start(&["--user", "ana", "--lang", "en"], &[], (80, 24));
    ana.wait_for_prompt("ana>");
    ana.line("entrar lobby");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("/eu canto");
    ana.wait_for("✓* ana canto");
    ana.line("/procurar CANTO");
    ana.wait_for("1 message contains \"CANTO\":");
    ana.line("ajuda");
    ana.wait_for("leave the chat");
    ana.line("sair");
    ana.wait_for_prompt("ana>");
    ana.line("sair");
    assert!(ana.wait_exit().success());
}

#[test]
fn join_makes_the_room_and_create_offers_to_join() {
    let chat = Chat::new();
    let ana = chat.start(&["--user", "ana"], &[], (80, 24));
    ana.wait_for_prompt("ana>");
    ana.line("join lobby");
    ana.wait_for("There was no room lobby yet: it has been created.");
    ana.wait_for("Joined lobby. Nobody else is here yet.");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("create attic");
    ana.wait_for("Room attic created. Press Enter to join it");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[ENTER]);
    ana.wait_for_prompt("ana@attic>");
    ana.line("create cellar");
    ana.wait_for("Room cellar created.");
    ana.line("hello");
    ana.wait_for("✓<ana> hello");
    ana.keys(&[ENTER]);
    ana.line("whoami");
    ana.wait_for("✓<ana> whoami");
    ana.line("/whoami");
    ana.wait_for("You are ana, in attic.");
}

#[test]
fn several_words_after_create_are_asked_about() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    for (answer, outcome) in [("y", "Room my room created."), ("n", "✓<ana> create my room")] {
        ana.line("create my room");
        ana.wait("the question", |seen| seen.last().ends_with("[y/n]"));
        ana.line(answer);
        ana.wait_for(outcome);
        ana.wait_for_prompt("ana@lobby>");
    }
    ana.line("create my room");
    ana.wait("the question", |seen| seen.last().ends_with("[y/n]"));
    ana.keys(&[CTRL_C]);
    ana.wait_for_prompt("ana@lobby> create my room");
    ana.keys(&[CTRL_C]);
    ana.line("join us at noon");
    ana.wait_for("✓<ana> join us at noon");
    ana.line("join my room");
    ana.wait_for_prompt("ana@my room>");
}
