//! Records: the form of entries in a file, and the search for them in one that is damaged.
//!
//! A record is a mark, the length of its payload (two bytes), a CRC-32 of all that follows it (four bytes), its position
//! (eight bytes), and the payload; numbers are little-endian. The mark is two bytes that no UTF-8 text contains, so no message
//! can pass for a record. Positions count up by one; a vital record stands twice, with the same position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Bytes of the longest payload. The shorter it is, the less there is to try where a record is damaged.
pub(super) const MAX_PAYLOAD: usize = 8192;

/// The CRC-32 of gzip and Ethernet.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

const MARK: [u8; 2] = [0xFF, 0xFE];
const HEADER: usize = MARK.len() + 2 + 4 + 8;
/// Bytes that are read at a time.
pub(super) const PIECE: usize = 64 << 10;

/// Appends a record to `out`.
pub(super) fn write(out: &mut Vec<u8>, position: u64, payload: &[u8]) {
    // Longer payloads are refused before; see `Store::append`.
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_le_bytes();
    let position = position.to_le_bytes();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(length, position, payload).to_le_bytes());
    out.extend_from_slice(&position);
    out.extend_from_slice(payload);
}

fn checksum(length: [u8; 2], position: [u8; 8], payload: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&length);
    digest.update(&position);
    digest.update(payload);
    digest.finalize()
}

/// Returns the position and the length of the payload, if `bytes` begin with a whole and sound record.
fn parse(bytes: &[u8]) -> Option<(u64, usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let [m0, m1, l0, l1, c0, c1, c2, c3, position @ ..] = *header;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if [m0, m1] != MARK || length > MAX_PAYLOAD {
        return None;
    }
    let payload = rest.get(..length)?;
    let sound = checksum([l0, l1], position, payload) == u32::from_le_bytes([c0, c1, c2, c3]);
    sound.then(|| (u64::from_le_bytes(position), length))
}

/// The findings in a file beside its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The position of the last sound record, if there is one.
    pub(super) last: Option<u64>,
    /// The end of that record.
    pub(super) end: u64,
    /// Bytes between records that are none.
    pub(super) damaged: u64,
    /// Positions that no sound record has.
    pub(super) missing: u64,
    /// Whether something other than zeros follows the last record.
    pub(super) has_tail: bool,
}

/// Reads the records of a file in their order, each position once.
pub(super) struct RecordReader<'a> {
    file: &'a File,
    buffer: Vec<u8>,
    /// The place in the file at which the buffer begins.
    offset: u64,
    /// The place in the buffer from which to read on.
    at: usize,
    is_at_end: bool,
    /// Bytes since the last record that are none.
    skipped: u64,
    /// Complete once [`RecordReader::next`] has returned `None`.
    pub(super) findings: Findings,
}

impl<'a> RecordReader<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, buffer: Vec::new(), offset: 0, at: 0, is_at_end: false, skipped: 0, findings: Findings::default() }
    }

    /// Returns the next record's payload; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.fill()?;
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            let Some((position, length)) = parse(rest) else {
                self.skip();
                continue;
            };
            let payload = self.at + HEADER..self.at + HEADER + length;
            self.at = payload.end;
            self.findings.damaged += std::mem::take(&mut self.skipped);
            self.findings.has_tail = false;
            self.findings.end = self.offset + self.at as u64;
            let expected = self.findings.last.map_or(0, |last| last + 1);
            // The second copy of a vital record, or one that was left from before.
            if position < expected {
                continue;
            }
            self.findings.missing += position.saturating_sub(expected);
            self.findings.last = Some(position);
            return Ok(self.buffer.get(payload));
        }
    }

    /// Skips what is not a record, up to where the next one may begin.
    fn skip(&mut self) {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        // The mark may be cut in two by the end of the buffer, which always has room for a whole record.
        let next = rest.iter().skip(1).position(|&byte| byte == MARK[0]).map_or(rest.len(), |index| index + 1);
        let skipped = rest.get(..next).unwrap_or_default();
        self.findings.has_tail |= skipped.iter().any(|&byte| byte != 0);
        self.skipped += next as u64;
        self.at += next;
    }

    /// Sees to it that a whole record fits what is left in the buffer, unless the file ends before.
    fn fill(&mut self) -> io::Result<()> {
        while !self.is_at_end && self.buffer.len() - self.at < HEADER + MAX_PAYLOAD {
            self.buffer.drain(..self.at);
            self.offset += self.at as u64;
            self.at = 0;
            let filled = self.buffer.len();
            self.buffer.resize(filled + PIECE, 0);
            let read =
                self.file.read_at(self.buffer.get_mut(filled..).unwrap_or_default(), self.offset + filled as u64)?;
            self.buffer.truncate(filled + read);
            self.is_at_end = read == 0;
        }
        Ok(())
    }
}
