//! The client as a person meets it: the real program on a real pseudo-terminal, and what a terminal emulator shows of it.

// What fails here fails a test, and that is how it says so.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod leaving;
mod screen;
mod shown;
mod sizes;
mod typing;
