//! Python's standard XML-RPC library is a peer of ours: its client of our servers, and its server of our client side.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Fault, Value};
use support::tools::needs;
use support::{Process, TIMEOUT, binder, python, server};

const EVERY_PROCEDURE: &str = include_str!("python/every_procedure.py");
const PYTHON_SERVER: &[&str] = &["python3", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/server.py")];
const NO_ARGUMENTS: &[&str] = &[];

#[test]
fn python_calls_every_procedure_of_the_binder() {
    needs!("python3");
    let binder = binder(&[]);
    python(EVERY_PROCEDURE, &["binder", binder.address()]);
}

#[test]
fn python_calls_every_procedure_of_the_chat_server() {
    needs!("python3");
    let server = server(&[]);
    python(EVERY_PROCEDURE, &["server", server.address()]);
}

#[test]
fn our_client_side_reads_every_type_that_python_writes() {
    needs!("python3");
    let server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    let answer = Client::new(server.address()).call("types", &[]).unwrap();
    let member = |name| answer.member(name).unwrap();
    assert_eq!(*member("int"), Value::Int(-42));
    assert_eq!(*member("long"), Value::Int(i64::from(i32::MAX)));
    assert_eq!(*member("true"), Value::Boolean(true));
    assert_eq!(*member("string"), Value::from("ação <&> 日本 😀"));
    assert_eq!(*member("empty"), Value::from(""));
    assert_eq!(*member("double"), Value::Double(-0.5));
    assert!(matches!(member("date"), Value::DateTime(date) if date.to_string() == "20240229T23:59:58"));
    assert_eq!(*member("bytes"), Value::Base64((0..=255).collect()));
    let array = vec![Value::Int(1), "two".into(), Value::Array(vec![]), Value::Struct(vec![])];
    assert_eq!(*member("array"), Value::Array(array));
    assert_eq!(*member("nil"), Value::Nil);
}

#[test]
fn python_gives_back_every_type_that_our_client_side_writes() {
    needs!("python3");
    let server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    let client = Client::new(server.address());
    let types = client.call("types", &[]).unwrap();
    let texts = ["", " spaces  kept ", "line\nfeed\ttab", "<a>&amp;]]>", "\u{85}\u{2028}\u{fffd}"];
    let numbers = [0, -1, i64::from(i32::MIN), i64::from(i32::MAX)];
    let values = texts.map(Value::from).into_iter().chain(numbers.map(Value::from)).chain([types]);
    for value in values {
        assert_eq!(client.call("echo", std::slice::from_ref(&value)).unwrap(), value);
    }
}

#[test]
fn python_reads_our_integers_past_32_bits() {
    needs!("python3");
    let server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    // Python reads them, but refuses to write them back: that is a fault on its side, and reaches us as one.
    let answer = Client::new(server.address()).call("echo", &[(1_i64 << 40).into()]);
    let Err(CallError::Fault(fault)) = answer else { panic!("{answer:?}") };
    assert!(fault.message.contains("int exceeds XML-RPC limits"), "{fault}");
}

#[test]
fn faults_of_a_python_server_arrive_with_code_and_text() {
    needs!("python3");
    let server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    let client = Client::new(server.address());
    let answer = client.call("refuse", &[(-7).into(), "não".into()]);
    assert!(matches!(&answer, Err(CallError::Fault(fault)) if *fault == Fault::new(-7, "não")), "{answer:?}");
    let answer = client.call("no_such_procedure", &[]);
    assert!(matches!(&answer, Err(CallError::Fault(fault)) if fault.code == 1), "{answer:?}");
}

#[test]
fn an_answer_of_a_megabyte_is_read() {
    needs!("python3");
    let server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    let answer = Client::new(server.address()).call("much", &[(1 << 20).into()]).unwrap();
    assert_eq!(answer.as_str().map(str::len), Some(1 << 20));
}

#[test]
fn a_server_that_never_answers_is_given_up_when_the_time_is_over() {
    needs!("python3");
    let server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    let start = Instant::now();
    let answer = Client::new(server.address()).with_timeout(Duration::from_millis(300)).call("never", &[]);
    assert!(matches!(&answer, Err(error @ CallError::NoAnswer(_)) if !error.is_safe_to_repeat()), "{answer:?}");
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < TIMEOUT, "{:?}", start.elapsed());
}

#[test]
fn a_server_that_is_gone_was_certainly_not_reached() {
    needs!("python3");
    let mut server = Process::serve(PYTHON_SERVER, NO_ARGUMENTS);
    server.kill();
    let answer = Client::new(server.address()).call("echo", &["anybody?".into()]);
    assert!(matches!(&answer, Err(error @ CallError::NotReached(_)) if error.is_safe_to_repeat()), "{answer:?}");
}
