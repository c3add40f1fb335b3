//! The events of a feed, for as long as one of its streams has not got them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Audience;

/// The most bytes that are joined to one write.
const MAX_JOINED: usize = 64 << 10;

/// An event in the log of a feed.
pub(super) struct LoggedEvent {
    pub(super) event: Arc<[u8]>,
    pub(super) to: Audience,
    /// If it ends the streams that get it.
    pub(super) is_last: bool,
}

/// Entries, numbered without gaps.
#[derive(Default)]
pub(super) struct EventLog {
    entries: VecDeque<LoggedEvent>,
    /// The number of the first of them.
    start: u64,
    pub(super) bytes: usize,
}

/// The text of the entries from one position to another, for all readers whom none of them mentions.
pub(super) struct JoinedEvents {
    text: Arc<[u8]>,
    from: u64,
    to: u64,
    is_last: bool,
}

impl EventLog {
    pub(super) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    pub(super) fn index(&self, position: u64) -> usize {
        // Fits, because it is at most the number of entries.
        position.saturating_sub(self.start).min(self.entries.len() as u64) as usize
    }

    pub(super) fn get(&self, position: u64) -> Option<&LoggedEvent> {
        self.entries.get(self.index(position))
    }

    pub(super) fn push(&mut self, entry: LoggedEvent) {
        self.bytes += entry.event.len();
        self.entries.push_back(entry);
    }

    /// Drops what is before `position`.
    pub(super) fn trim(&mut self, position: u64) {
        while self.start < position
            && let Some(entry) = self.entries.pop_front()
        {
            self.start += 1;
            self.bytes -= entry.event.len();
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
    }

    /// Returns the text of the entries from `position` on that `reader` may see, up to [`MAX_JOINED`] bytes or the last entry
    /// of the reader; the position after them; and whether that entry is among them.
    pub(super) fn text(&self, position: u64, reader: u64, cache: &mut Option<JoinedEvents>) -> (Arc<[u8]>, u64, bool) {
        let mentions =
            |to| self.entries.range(self.index(position)..self.index(to)).any(|entry| entry.to.mentions(reader));
        if let Some(JoinedEvents { text, from, to, is_last }) = cache
            && *from == position
            && !mentions(*to)
        {
            return (Arc::clone(text), *to, *is_last);
        }
        let (mut to, mut bytes, mut is_last) = (position, 0, false);
        let mut events = Vec::new();
        for entry in self.entries.range(self.index(position)..) {
            to += 1;
            if entry.to.includes(reader) {
                events.push(&entry.event);
                bytes += entry.event.len();
                is_last = entry.is_last;
            }
            if is_last || bytes >= MAX_JOINED {
                break;
            }
        }
        let text = match events[..] {
            [] => Arc::default(),
            [only] => Arc::clone(only),
            _ => {
                let mut joined = Vec::with_capacity(bytes);
                events.iter().for_each(|event| joined.extend_from_slice(event));
                joined.into()
            }
        };
        if !mentions(to) {
            *cache = Some(JoinedEvents { text: Arc::clone(&text), from: position, to, is_last });
        }
        (text, to, is_last)
    }

    /// Returns the place of a reader after `sent` bytes of the text from `position` on: the entry of which the next byte is, and
    /// the bytes of it that are out.
    pub(super) fn place(&self, mut position: u64, reader: u64, mut sent: usize) -> (u64, usize) {
        for entry in self.entries.range(self.index(position)..) {
            if entry.to.includes(reader) {
                if sent < entry.event.len() {
                    return (position, sent);
                }
                sent -= entry.event.len();
            }
            position += 1;
        }
        (position, 0)
    }
}
