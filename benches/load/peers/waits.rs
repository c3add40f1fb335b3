//! Long polls of our server: a new connection for each `wait_messages`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Caller, Finder, Peers, Sender, Taken, enter_hall, number};
use crate::Outcome;
use crate::audience::name;
use crate::http::{Connection, body_of, post};
use crate::program::TIMEOUT;

pub(super) struct Waits {
    pub(super) address: SocketAddr,
}

impl Peers for Waits {
    fn enter(&self, count: usize) -> Outcome<()> {
        enter_hall(self.address, count)
    }

    fn open(&self, number: usize, after: u64) -> Outcome<TcpStream> {
        let name = name(number);
        let body = format!(
            "<?xml version=\"1.0\"?><methodCall><methodName>wait_messages</methodName><params>\
             <param><value>{name}</value></param><param><value>hall</value></param>\
             <param><value><int>{after}</int></value></param><param><value><int>60</int></value></param>\
             </params></methodCall>"
        );
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&post(&body, false))?;
        Ok(stream)
    }

    fn settle(&self, count: usize) -> Outcome<()> {
        let mut probe = Connection::open(self.address)?;
        let started = Instant::now();
        while probe.metric("chat_waiting")? < count as u64 {
            if started.elapsed() > TIMEOUT {
                return Err("not all receivers could wait".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn read(&self, bytes: &[u8], arrived: &mut dyn FnMut(u64) -> Outcome<()>) -> Outcome<Taken> {
        let Some((start, end)) = body_of(bytes)?.filter(|(_, end)| bytes.len() >= *end) else {
            return Ok(Taken { bytes: 0, is_last: false });
        };
        let mut ids = Finder::new(b"<name>id</name><value><int>");
        let mut at = start;
        while let Some(mark) = ids.next(&bytes[at..end]) {
            at += mark;
            arrived(number(&bytes[at..]))?;
        }
        Ok(Taken { bytes: bytes.len(), is_last: true })
    }

    fn sender(&self) -> Outcome<Box<dyn Sender>> {
        Caller::open(self.address)
    }
}
