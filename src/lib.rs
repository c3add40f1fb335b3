//! A chat over plain XML-RPC.

pub mod chat;
pub mod text;
