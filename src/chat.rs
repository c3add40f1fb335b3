//! The chat itself: pure state, no XML, no HTTP, no clock of its own.

pub mod name;
