//! As much of IRC (RFC 2812) as it takes to join a channel and to talk there.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Peers, Sender, Taken, number};
use crate::Outcome;
use crate::audience::{TEXT, name};

const SPEECH: &[u8] = b" PRIVMSG #hall :";

pub(super) struct Irc {
    pub(super) address: SocketAddr,
}

impl Peers for Irc {
    fn enter(&self, _count: usize) -> Outcome<()> {
        Ok(())
    }

    fn open(&self, number: usize, _after: u64) -> Outcome<TcpStream> {
        join(self.address, &name(number))
    }

    fn read(&self, bytes: &[u8], arrived: &mut dyn FnMut(u64) -> Outcome<()>) -> Outcome<Taken> {
        let mut used = 0;
        while let Some(end) = bytes[used..].iter().position(|byte| *byte == b'\n') {
            let line = &bytes[used..used + end];
            if let Some(speech) = line.windows(SPEECH.len()).position(|window| window == SPEECH) {
                arrived(number(&line[speech + SPEECH.len()..]))?;
            }
            used += end + 1;
        }
        Ok(Taken { bytes: used, is_last: false })
    }

    fn sender(&self) -> Outcome<Box<dyn Sender>> {
        // A name of its own for each round: the one before may not be gone yet.
        use std::sync::atomic::{AtomicU32, Ordering};
        static ROUND: AtomicU32 = AtomicU32::new(0);
        let round = ROUND.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Speaker(join(self.address, &format!("sender-{round}"))?)))
    }
}

struct Speaker(TcpStream);

impl Sender for Speaker {
    fn send(&mut self, number: u64) -> Outcome<bool> {
        self.0.write_all(format!("PRIVMSG #hall :{number} {TEXT}\r\n").as_bytes())?;
        Ok(false)
    }
}

/// Connects, registers, and joins the channel; returns when the list of its members is complete.
fn join(address: SocketAddr, nick: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(format!("NICK {nick}\r\nUSER bench 0 * :bench\r\n").as_bytes())?;
    let mut lines = Vec::new();
    wait_for(&mut stream, &mut lines, " 001 ")?;
    stream.write_all(b"JOIN #hall\r\n")?;
    wait_for(&mut stream, &mut lines, " 366 ")?;
    Ok(stream)
}

/// Reads lines until one contains `mark`.
fn wait_for(stream: &mut TcpStream, seen: &mut Vec<u8>, mark: &str) -> Outcome<()> {
    let mut chunk = [0; 16 << 10];
    loop {
        if let Some(place) = seen.windows(mark.len()).position(|window| window == mark.as_bytes())
            && let Some(end) = seen[place..].iter().position(|byte| *byte == b'\n')
        {
            seen.drain(..=place + end);
            return Ok(());
        }
        match stream.read(&mut chunk)? {
            0 => return Err(format!("closed before {mark}: {}", String::from_utf8_lossy(seen)).into()),
            count => seen.extend_from_slice(&chunk[..count]),
        }
    }
}
