//! The client with TLS, towards the proxy of `packaging/nginx`; and what a client without TLS says.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what fails here fails a test, and what is left out says so"
)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "tls")]
mod behind_the_proxy;

#[cfg(not(feature = "tls"))]
use support::TIMEOUT;
use support::home::Home;
use support::{CLIENT, Process};

/// Starts a client in a home of its own.
fn client(home: &Home, arguments: &[&str]) -> Process {
    let state = format!("XDG_STATE_HOME={}", home.0.display());
    let line = [&["env", "-u", "CHAT_SECRET", "-u", "SSL_CERT_FILE", "LC_ALL=C", &state], CLIENT].concat();
    Process::start(&line, arguments)
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_client_without_tls_says_so_and_names_the_tunnel() {
    let home = Home::new();
    for option in ["--server", "--binder"] {
        let mut client = client(&home, &[option, "https://chat.example", "--user", "ana"]);
        assert_eq!(client.wait_exit(TIMEOUT).code(), Some(2));
        let said = client.stderr.lines();
        let [line] = &said[..] else { panic!("{said:?}") };
        assert!(line.contains("built without TLS") && line.contains("connect=chat.example:443"), "{line}");
        assert!(line.contains("checkHost=chat.example | stunnel -fd 0"), "{line}");
    }
}
