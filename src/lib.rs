//! A chat over plain XML-RPC.

pub mod binder;
pub mod program;
pub mod rpc;
