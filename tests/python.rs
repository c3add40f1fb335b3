//! Python's standard XML-RPC library is a peer of ours: its client of our servers, and its server of our client side.

mod support;

use support::{ANY_PORT, BINDER, Program, SERVER, python};

const EVERY_PROCEDURE: &str = include_str!("python/every_procedure.py");

#[test]
fn python_calls_every_procedure_of_the_binder() {
    let binder = Program::serve(BINDER, &["--listen", ANY_PORT]);
    python(EVERY_PROCEDURE, &["binder", binder.address()]);
}

#[test]
fn python_calls_every_procedure_of_the_chat_server() {
    let server = Program::serve(SERVER, &["--listen", ANY_PORT, "--no-binder"]);
    python(EVERY_PROCEDURE, &["server", server.address()]);
}
