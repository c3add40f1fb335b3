//! A chat over plain XML-RPC.

pub mod rpc;
