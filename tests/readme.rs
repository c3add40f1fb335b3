//! The Python of the README runs as it stands.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use support::{ANY_PORT, BINDER, PATIENCE, Program, SERVER, eventually, python};

#[test]
fn the_python_of_the_readme_runs() {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```python\n").skip(1).map(|block| block.split("```").next().unwrap());
    let script = blocks.collect::<Vec<_>>().join("\n");
    assert!(script.contains("lookup_procedure"));
    let binder = Program::serve(BINDER, &["--listen", ANY_PORT]);
    let _server = Program::serve(SERVER, &["--listen", ANY_PORT, "--binder", binder.address()]);
    let client = chat_rpc::rpc::Client::new(binder.address());
    let offered = || client.call("lookup_procedure", &["send_message".into()]).unwrap();
    eventually("the server has registered", PATIENCE, || offered() != chat_rpc::rpc::Value::Nil);
    let printed = python(&script.replace("127.0.0.1:5000", binder.address()), &[] as &[&str]);
    assert!(printed.contains("bob broadcast hello all") && printed.contains("bob unicast only you"), "{printed}");
}
