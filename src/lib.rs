//! A chat for local networks over plain XML-RPC.
//!
//! ```text
//! src/bin/*.rs   binder, server, client: read the command line, start, wait for the end
//! rpc            XML-RPC: values, documents, procedure tables, the HTTP server and the HTTP client
//! binder         the register: who offers which procedure, and for how long
//! discovery      finding a binder in the local network by multicast DNS
//! chat           users, rooms, messages, and their delivery
//! client         the terminal client
//! page           what browsers get: the chat, and the list of servers
//! program        what the programs share: options, log, signals, exit codes
//! endpoint       hosts and ports
//! network        addresses of this machine
//! random         random bytes and texts
//! sanitize       text from a peer, made harmless for terminals and logs
//! secret         secrets: read from files, kept as hashes, compared in constant time
//! stamp          time stamps as text
//! ```
//!
//! Arrows point down only: `client` starts `chat` and `binder` with `--local`, these know `rpc`, all know `program`.

pub mod binder;
pub mod chat;
pub mod client;
pub mod discovery;
pub mod endpoint;
pub mod network;
pub mod page;
pub mod program;
pub mod random;
pub mod rpc;
pub mod sanitize;
pub mod secret;
pub mod stamp;
