//! A chat over plain XML-RPC.

pub mod binder;
pub mod chat;
pub mod program;
pub mod rpc;
pub mod text;
