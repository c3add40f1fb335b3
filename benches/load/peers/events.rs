//! Event streams of our server.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Caller, Finder, Peers, Sender, Taken, enter_hall, number};
use crate::Outcome;
use crate::audience::name;
use crate::http::Connection;
use crate::program::TIMEOUT;

pub(super) struct Events {
    pub(super) address: SocketAddr,
}

impl Peers for Events {
    fn enter(&self, count: usize) -> Outcome<()> {
        enter_hall(self.address, count)
    }

    fn open(&self, number: usize, _after: u64) -> Outcome<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        let name = name(number);
        let request = format!(
            "GET /events?username={name}&room=hall HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    fn settle(&self, count: usize) -> Outcome<()> {
        let mut probe = Connection::open(self.address)?;
        let started = Instant::now();
        while probe.metric("chat_streams")? < count as u64 {
            if started.elapsed() > TIMEOUT {
                return Err("not all receivers got a stream".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn read(&self, bytes: &[u8], arrived: &mut dyn FnMut(u64) -> Outcome<()>) -> Outcome<Taken> {
        if bytes.starts_with(b"HTTP/1.1 ") && !bytes.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into());
        }
        let mut ends = Finder::new(b"\n\n");
        let mut at = 0;
        // Only a message has an id. The blank line after the head ends with another line break and stays part of an event.
        while let Some(end) = ends.next(&bytes[at..]) {
            let event = &bytes[at..at + end];
            if let Some(line) = event.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"id: ")) {
                let digits = line.iter().position(|byte| *byte == b':').ok_or("an id without a colon")?;
                arrived(number(&line[digits + 1..]))?;
            }
            at += end;
        }
        Ok(Taken { bytes: at, is_last: false })
    }

    fn sender(&self) -> Outcome<Box<dyn Sender>> {
        Caller::open(self.address)
    }
}
