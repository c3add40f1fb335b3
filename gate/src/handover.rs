//! The parts of a whole request that the HTTP server gets: the head on the lane, without all that is the gate's own business,
//! and the body apart from it. So a head ends at its empty line, whoever reads it, and nothing of a peer's can follow it.

/// The name of the header line that carries the number of the connection.
pub const NUMBER: &str = "Gate-Number";

/// Header lines that are not passed on: the connection, its framing, and what only the gate may say.
const OWN: [&str; 5] = ["Connection", "Content-Length", "Expect", "Transfer-Encoding", NUMBER];

/// Appends `head`, which the gate's framing has accepted, to `out`: one of HTTP/1.1, with the number of its connection.
pub fn write_head(head: &[u8], number: u64, out: &mut Vec<u8>) {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    // Only the last digit of the version can differ.
    out.extend_from_slice(first.strip_suffix(b"0\r\n").or(first.strip_suffix(b"1\r\n")).unwrap_or_default());
    out.extend_from_slice(format!("1\r\n{NUMBER}: {number}\r\n").as_bytes());
    for line in lines {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        if !OWN.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name)) {
            out.extend_from_slice(line);
        }
    }
}

/// Removes the lines between the chunks of a whole body that the gate's framing has accepted.
pub fn join_chunks(body: &mut Vec<u8>) {
    let (mut at, mut joined) = (0, 0);
    while let Some(line) = body[at..].iter().position(|&byte| byte == b'\n') {
        let size = chunk_size(&body[at..]) as usize;
        if size == 0 {
            break;
        }
        let start = at + line + 1;
        body.copy_within(start..start + size, joined);
        joined += size;
        at = start + size + 2;
    }
    body.truncate(joined);
}

/// Returns the number at the start of a chunk's line.
pub(crate) fn chunk_size(line: &[u8]) -> u64 {
    let digits = line.iter().map_while(|&byte| char::from(byte).to_digit(16));
    digits.fold(0, |sum, digit| sum << 4 | u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_passed_on_without_what_concerns_the_connection() {
        let mut out = Vec::new();
        let head =
            "POST / HTTP/1.0\r\nHost: a\r\nconnection: close\r\nContent-Length: 5\r\ngate-number: 7\r\nX: y\r\n\r\n";
        write_head(head.as_bytes(), 42, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "POST / HTTP/1.1\r\nGate-Number: 42\r\nHost: a\r\nX: y\r\n\r\n");
    }

    #[test]
    fn chunks_are_joined() {
        for (chunks, joined) in [
            ("0\r\n\r\n", ""),
            ("5 ;a=b\r\nhello\r\n00\r\n\r\n", "hello"),
            ("2\r\n\r\n\r\nA\r\n0123456789\r\n1;x\r\n!\r\n0\r\n\r\n", "\r\n0123456789!"),
        ] {
            let mut body = chunks.as_bytes().to_vec();
            join_chunks(&mut body);
            assert_eq!(String::from_utf8_lossy(&body), joined, "{chunks:?}");
        }
    }
}
