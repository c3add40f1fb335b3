//! The client as a person meets it: the real program on a real pseudo-terminal, and what a terminal emulator shows of it.

// A failure here fails the test, as it should.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod leaving;
mod screen;
mod shown;
mod sizes;
mod typing;
