//! The terminal client: [`event`] is what happens in a chat, the session makes it happen, and a screen shows it.
//!
//! ```text
//! standard input -> command -> session -> api -> the server
//!                                 |
//! screen <- Event <- channel <----+
//! ```

pub mod event;
