//! As much of MQTT 3.1.1 as it takes to publish and to subscribe without acknowledgements.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Peers, Sender, Taken};
use crate::Outcome;
use crate::audience::{TEXT, name};

const TOPIC: &str = "hall";

pub(super) struct Mqtt {
    pub(super) address: SocketAddr,
}

impl Peers for Mqtt {
    fn enter(&self, _count: usize) -> Outcome<()> {
        Ok(())
    }

    fn open(&self, number: usize, _after: u64) -> Outcome<TcpStream> {
        let mut stream = connect(self.address, &name(number))?;
        stream.write_all(&packet(0x82, &[&[0, 1], &text(TOPIC)?, &[0]])?)?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        if answer == [0x90, 3, 0, 1, 0] { Ok(stream) } else { Err(format!("SUBSCRIBE was answered {answer:?}").into()) }
    }

    fn read(&self, bytes: &[u8], arrived: &mut dyn FnMut(u64) -> Outcome<()>) -> Outcome<Taken> {
        const BEFORE_NUMBER: usize = 2 + TOPIC.len();
        let mut used = 0;
        while let [kind, length, rest @ ..] = &bytes[used..]
            && rest.len() >= usize::from(*length)
        {
            if *kind != 0x30 || *length > 127 {
                return Err(format!("a packet of kind {kind:#x} and length {length}").into());
            }
            let number = rest.get(BEFORE_NUMBER..BEFORE_NUMBER + 8).ok_or("a publication without a number")?;
            arrived(u64::from_be_bytes(number.try_into()?))?;
            used += 2 + usize::from(*length);
        }
        Ok(Taken { bytes: used, is_last: false })
    }

    fn sender(&self) -> Outcome<Box<dyn Sender>> {
        Ok(Box::new(Publisher(connect(self.address, "sender")?)))
    }
}

struct Publisher(TcpStream);

impl Sender for Publisher {
    fn send(&mut self, number: u64) -> Outcome<bool> {
        self.0.write_all(&packet(0x30, &[&text(TOPIC)?, &number.to_be_bytes(), TEXT.as_bytes()])?)?;
        Ok(false)
    }
}

/// Returns a packet of less than 128 bytes.
fn packet(kind: u8, parts: &[&[u8]]) -> Outcome<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut packet = vec![kind, u8::try_from(length)?];
    packet.extend(parts.concat());
    Ok(packet)
}

fn text(text: &str) -> Outcome<Vec<u8>> {
    let mut bytes = u16::try_from(text.len())?.to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}

/// Connects with a new session and no keep-alive time.
fn connect(address: SocketAddr, client: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(&packet(0x10, &[&text("MQTT")?, &[4, 2, 0, 0], &text(client)?])?)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer == [0x20, 2, 0, 0] { Ok(stream) } else { Err(format!("CONNECT was answered {answer:?}").into()) }
}
