//! HTTP/1.1 clients that cost as little as possible, since they share the processors with the programs they measure: one
//! write a request, and nothing is read of the answers but what is measured.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::poll::Poll;

/// Returns the whole request of a call.
pub(crate) fn request(method: &str, params: &[&str], keep_alive: bool) -> Vec<u8> {
    let mut body = format!("<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName><params>");
    for param in params {
        body.push_str("<param><value>");
        body.push_str(param);
        body.push_str("</value></param>");
    }
    body.push_str("</params></methodCall>");
    post(&body, keep_alive)
}

/// Returns a whole request that posts `body`.
pub(crate) fn post(body: &str, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n{connection}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns where the body of an answer begins and ends, or `None` while the head is incomplete.
pub(crate) fn body_of(answer: &[u8]) -> Outcome<Option<(usize, usize)>> {
    let Some(head) = answer.windows(4).take(1024).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let lines = std::str::from_utf8(&answer[..head])?;
    if lines.get(9..12) != Some("200") {
        return Err(format!("answered {lines:?}").into());
    }
    let length = lines.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = length.ok_or("an answer without a length")??;
    Ok(Some((head + 4, head + 4 + length)))
}

fn is_fault(body: &[u8]) -> bool {
    body.windows(7).take(128).any(|seven| seven == b"<fault>")
}

/// A connection that makes one call after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Makes one call and returns the body of its answer.
    pub(crate) fn call(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.stream.write_all(request)?;
        self.answer.clear();
        let mut chunk = [0; 16 << 10];
        loop {
            match self.stream.read(&mut chunk)? {
                0 => return Err("closed before the answer was complete".into()),
                count => self.answer.extend_from_slice(&chunk[..count]),
            }
            if let Some((start, end)) = body_of(&self.answer)?
                && self.answer.len() >= end
            {
                let body = &self.answer[start..end];
                if is_fault(body) {
                    return Err(String::from_utf8_lossy(body).into());
                }
                return Ok(body);
            }
        }
    }

    /// Makes one call of our server or one like it.
    pub(crate) fn make(&mut self, method: &str, params: &[&str]) -> Outcome<()> {
        self.call(&request(method, params, true)).map(drop)
    }

    /// Returns the value of one of the server's metrics.
    pub(crate) fn metric(&mut self, name: &str) -> Outcome<u64> {
        let text = self.call(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let text = std::str::from_utf8(text)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("no metric {name}"))?.parse()?)
    }
}

/// Returns the calls answered a second, with `connections` calls on their way at any time. `requests` are made in turn.
pub(crate) fn hammer(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    keep_alive: bool,
    time: Duration,
) -> Outcome<f64> {
    let mut turn = requests.iter().cycle();
    let mut next = move || turn.next().ok_or("no requests");
    let mut poll = Poll::new()?;
    let mut open = Vec::new();
    // One after the other, each with a call: a bare tiny_http forgets some of the connections that come at once.
    for number in 0..connections {
        let mut connection = Connection::open(address)?;
        if keep_alive {
            connection.call(next()?)?;
        } else {
            connection.stream.write_all(next()?)?;
        }
        poll.add(&connection.stream, number)?;
        open.push(connection);
    }
    if keep_alive {
        for connection in &mut open {
            connection.stream.write_all(next()?)?;
        }
    }
    for connection in &mut open {
        connection.answer.clear();
    }
    let started = Instant::now();
    let end = started + time;
    let mut chunk = vec![0; 16 << 10];
    let mut answered = 0_u64;
    while Instant::now() < end {
        let ready: Vec<usize> = poll.wait(end)?.collect();
        for number in ready {
            let connection = &mut open[number];
            match connection.stream.read(&mut chunk)? {
                0 => return Err("closed before the answer was complete".into()),
                count => connection.answer.extend_from_slice(&chunk[..count]),
            }
            let Some((start, stop)) = body_of(&connection.answer)? else { continue };
            if connection.answer.len() < stop {
                continue;
            }
            if is_fault(&connection.answer[start..stop]) {
                return Err(String::from_utf8_lossy(&connection.answer[start..stop]).into());
            }
            answered += 1;
            connection.answer.clear();
            if !keep_alive {
                connection.stream = TcpStream::connect(address)?;
                poll.add(&connection.stream, number)?;
            }
            connection.stream.write_all(next()?)?;
        }
    }
    Ok(answered as f64 / started.elapsed().as_secs_f64())
}
