//! A handler that panics, in a server of the library's own making.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::sync::{Arc, Mutex, PoisonError};

use chat_rpc::program::log_panics;
use chat_rpc::rpc::{Caller, Deferred, Dispatcher, Fault, HttpConfig, HttpServer, listen, procedures};
use support::http::Connection;

/// Keeps what is logged.
struct Log(Mutex<Vec<String>>);

impl Log {
    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.lines().push(record.args().to_string());
    }
    fn flush(&self) {}
}

static LOG: Log = Log(Mutex::new(Vec::new()));

#[derive(Default)]
struct Clumsy {
    count: parking_lot::Mutex<i64>,
}

impl Clumsy {
    fn fall(&self, _: &Caller) -> Result<i64, Fault> {
        let mut count = self.count.lock();
        *count += 1;
        panic!("stumbled over call {count}")
    }

    fn fall_later(&self, _: &Caller, _deferred: Deferred) {
        panic!("stumbled before the answer")
    }

    fn count(&self, _: &Caller) -> Result<i64, Fault> {
        Ok(*self.count.lock())
    }
}

procedures! { PROCEDURES for Clumsy {
    /// Panics with a lock held.
    "fall" = fall() -> i64;
    /// Panics with an answer owed.
    "fall_later" = later fall_later() -> i64;
    /// Returns how often it fell.
    "count" = count() -> i64;
} }

#[test]
fn a_handler_that_panics_answers_32603_and_everything_else_goes_on() {
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    log_panics();
    let config = HttpConfig::new(([127, 0, 0, 1], 0).into());
    let mut dispatcher = Dispatcher::new();
    dispatcher.add_procedures(PROCEDURES, &Arc::new(Clumsy::default()));
    let server = HttpServer::start(listen(&config).unwrap(), config, Arc::new(dispatcher)).unwrap();
    let mut connection = Connection::open(&server.address().to_string());
    for round in 1..=20 {
        let fault = connection.call("fall", &[]).unwrap_err();
        assert_eq!(fault.code, Fault::INTERNAL);
        assert!(!fault.message.contains("stumbled"), "the text gives nothing away: {}", fault.message);
        assert_eq!(connection.call("fall_later", &[]).unwrap_err().code, Fault::INTERNAL);
        assert_eq!(connection.call("count", &[]).unwrap(), round.into(), "the lock is free");
    }
    let lines = LOG.lines();
    let cause = lines.iter().find(|line| line.contains("stumbled over call 1")).expect("the cause is in the log");
    assert!(cause.contains("tests/panic.rs") && cause.contains("thread worker-"), "{cause}");
    assert!(cause.lines().count() > 5, "with a backtrace: {cause}");
}
