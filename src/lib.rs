//! A chat over plain XML-RPC.
