//! The stand-in for the original project works with itself, so that what fails beside it is ours.

mod support;

use support::tools::needs;
use support::{
    ANY_PORT, ORIGINAL_BINDER, ORIGINAL_CLIENT, ORIGINAL_SERVER, Process, TIMEOUT, original_client, python, send_lines,
    wait_for_the_next_second,
};

/// Its stamps have whole seconds: a message in the second of the one seen last is lost on it.
#[test]
fn two_clients_talk_to_all_and_in_private() {
    needs!("python3");
    let binder = Process::serve(ORIGINAL_BINDER, &["--listen", ANY_PORT]);
    let _server = Process::serve(ORIGINAL_SERVER, &["--listen", ANY_PORT, "--binder", binder.address()]);
    let mut alice = original_client(&binder, "alice");
    let mut bob = original_client(&binder, "bob");
    let mut carol = original_client(&binder, "carol");

    send_lines(&mut alice, &["create", "lobby"]);
    alice.stdout.wait_for_line("Room lobby created", TIMEOUT);
    for client in [&mut alice, &mut bob, &mut carol] {
        send_lines(client, &["join", "lobby"]);
        client.stdout.wait_for_line("Joined lobby", TIMEOUT);
    }
    wait_for_the_next_second();

    send_lines(&mut alice, &["send", "hello all", ""]);
    bob.stdout.wait_for_line("] alice: hello all", TIMEOUT);
    carol.stdout.wait_for_line("] alice: hello all", TIMEOUT);
    wait_for_the_next_second();
    send_lines(&mut bob, &["send", "just for you", "alice"]);
    alice.stdout.wait_for_line("] bob (private): just for you", TIMEOUT);
    wait_for_the_next_second();
    send_lines(&mut bob, &["send", "good bye", ""]);
    carol.stdout.wait_for_line("] bob: good bye", TIMEOUT);
    assert!(!carol.stdout.lines().iter().any(|line| line.contains("just for you")));

    alice.end_input();
    assert!(alice.wait_exit(TIMEOUT).success());
    send_lines(&mut bob, &["users", "lobby", "exit"]);
    bob.stdout.wait_for_line("Users: bob, carol", TIMEOUT);
    assert!(bob.wait_exit(TIMEOUT).success());
}

#[test]
fn a_client_without_a_server_says_that_nobody_offers_the_procedure() {
    needs!("python3");
    let binder = Process::serve(ORIGINAL_BINDER, &["--listen", ANY_PORT]);
    let mut client = Process::start(ORIGINAL_CLIENT, &["--binder", binder.address()]);
    client.send_line("alice");
    client.stdout.wait_for_line("nobody offers the procedure register_user", TIMEOUT);
    client.end_input();
    assert!(client.wait_exit(TIMEOUT).success());
}

#[test]
fn its_server_answers_refusals_as_plain_strings() {
    needs!("python3");
    let binder = Process::serve(ORIGINAL_BINDER, &["--listen", ANY_PORT]);
    let server = Process::serve(ORIGINAL_SERVER, &["--listen", ANY_PORT, "--binder", binder.address()]);
    let script = r#"
import sys, xmlrpc.client
server = xmlrpc.client.ServerProxy("http://" + sys.argv[1], allow_none=True)
server.register_user("alice")
for answer in [server.register_user("alice"), server.join_room("alice", "nowhere"), server.list_users("nowhere")]:
    assert isinstance(answer, str) and answer.startswith("Error"), answer
server.create_room("lobby")
joined = server.join_room("alice", "lobby")
assert joined == {"users": ["alice"], "messages": []}, joined
for _ in range(2):
    server.send_message("alice", "lobby", "hello")
messages = server.receive_messages("alice", "lobby")
assert [set(m) for m in messages] == [{"type", "origin", "destination", "content", "timestamp"}] * 2, messages
assert server.receive_new_messages("alice", "lobby", messages[-1]["timestamp"]) == []
"#;
    python(script, &[server.address()]);
}
