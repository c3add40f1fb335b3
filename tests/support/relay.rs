//! Something between client and server that holds calls up, loses replies, or replies itself.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::ANY_PORT;

/// The fate of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on, and so is its reply, byte by byte.
    Pass,
    /// It is passed on after this time, whether anybody still waits for the reply or not.
    Hold(Duration),
    /// It is passed on, and its reply is lost.
    LoseReply,
    /// It is passed on, and this reply is given instead of the server's.
    Replace(&'static str),
    /// It is not passed on, and this is the reply.
    Refuse(&'static str),
    /// It is passed on, and the reply is given in one piece, once all of it is there.
    Buffer,
    /// It is passed on, and so is its reply until this text comes, which is cut off.
    CutBefore(&'static str),
}

/// A running relay, until the test ends.
pub struct Relay {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
    done: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// Relays to `server`. `decide` is given the procedure, or the path of a GET, and how many of the same came before.
    pub fn start(server: &str, decide: impl Fn(&str, usize) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let done = Arc::new(Mutex::new(Vec::new()));
        let (server, decide, seen) = (server.to_owned(), Arc::new(decide), Arc::clone(&requests));
        let finished = Arc::clone(&done);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, decide, seen) = (server.clone(), Arc::clone(&decide), Arc::clone(&seen));
                let finished = Arc::clone(&finished);
                thread::spawn(move || {
                    let Ok(request) = read_request(&client) else { return };
                    let name = name(&request);
                    let fate = {
                        let mut seen = seen.lock().unwrap();
                        let before = seen.iter().filter(|seen| **seen == name).count();
                        seen.push(name.clone());
                        decide(&name, before)
                    };
                    let _ = relay(client, &server, &request, fate);
                    finished.lock().unwrap().push(name);
                });
            }
        });
        Self { address, requests, done }
    }

    /// Returns its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the number of calls of `procedure` that are done with, whether anybody got the reply or not.
    pub fn done(&self, procedure: &str) -> usize {
        self.done.lock().unwrap().iter().filter(|done| **done == procedure).count()
    }

    /// Returns the number of calls of `procedure` that have come.
    pub fn count(&self, procedure: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|seen| **seen == procedure).count()
    }
}

/// Reads a request with its body, whose length must be announced.
fn read_request(client: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(client);
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let start = request.len();
        if reader.read_until(b'\n', &mut request)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&request[start..]).trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    reader.take(length).read_to_end(&mut request)?;
    Ok(request)
}

fn name(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let between = |start, end| text.split_once(start).and_then(|(_, rest): (&str, &str)| rest.split_once(end));
    let found = between("<methodName>", "</methodName>").or_else(|| between("GET ", " "));
    found.map(|(name, _)| name.split('?').next().unwrap_or_default().to_owned()).unwrap_or_default()
}

fn relay(mut client: TcpStream, server: &str, request: &[u8], fate: Fate) -> io::Result<()> {
    if let Fate::Refuse(reply) = fate {
        return client.write_all(reply.as_bytes());
    }
    if let Fate::Hold(time) = fate {
        thread::sleep(time);
    }
    let mut onward = TcpStream::connect(server)?;
    onward.write_all(request)?;
    let mut reply = Vec::new();
    match fate {
        Fate::Pass => {
            let mut closed = (client.try_clone()?, onward.try_clone()?);
            thread::spawn(move || {
                // The server sees when the client goes away.
                let _ = closed.0.read(&mut [0]);
                let _ = closed.1.shutdown(Shutdown::Both);
            });
            io::copy(&mut onward, &mut client)?;
        }
        Fate::LoseReply => drop(onward.read_to_end(&mut reply)?),
        Fate::Replace(other) => {
            onward.read_to_end(&mut reply)?;
            client.write_all(other.as_bytes())?;
        }
        Fate::Buffer | Fate::Hold(_) => {
            onward.read_to_end(&mut reply)?;
            client.write_all(&reply)?;
        }
        Fate::CutBefore(text) => {
            let mut part = [0; 4096];
            loop {
                let count = onward.read(&mut part)?;
                if count == 0 || String::from_utf8_lossy(&part[..count]).contains(text) {
                    break;
                }
                client.write_all(&part[..count])?;
            }
        }
        Fate::Refuse(_) => {}
    }
    client.shutdown(Shutdown::Both)
}
