//! Events on their way to a screen, which may have been stopped.

use std::collections::VecDeque;

use crossbeam_channel::Sender;

use super::super::event::{Event, Message};

/// Events that are not shown yet, and their bytes, past which no more messages are fetched.
const MAX_EVENTS: usize = 10_000;
const MAX_BYTES: usize = 8 << 20;

/// Sends events, and counts those that are not shown yet.
#[derive(Debug)]
pub(super) struct Unshown {
    events: Sender<Event>,
    /// The sizes of the newest events, some of which may have left the channel since.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Unshown {
    pub(super) fn new(events: Sender<Event>) -> Self {
        Self { events, sizes: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn send(&mut self, event: Event) {
        let size = size(&event);
        self.forget_shown();
        // Without a receiver the program is about to end.
        if self.events.send(event).is_ok() {
            self.sizes.push_back(size);
            self.bytes += size;
        }
    }

    /// Returns whether no more messages should be fetched.
    pub(super) fn is_full(&mut self) -> bool {
        self.forget_shown();
        self.bytes > MAX_BYTES || self.sizes.len() > MAX_EVENTS
    }

    fn forget_shown(&mut self) {
        while self.sizes.len() > self.events.len() {
            self.bytes -= self.sizes.pop_front().unwrap_or_default();
        }
    }
}

/// Returns the approximate bytes of an event.
fn size(event: &Event) -> usize {
    let names = |names: &[String]| names.iter().map(|name| size_of::<String>() + name.len()).sum::<usize>();
    let message = |message: &Message| {
        let Message { id: _, origin, destination, content, timestamp, time, room_id, key } = message;
        let optional = [destination, time, room_id, key].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Message>() + origin.len() + content.len() + timestamp.len() + optional
    };
    let texts = match event {
        Event::Joined { users, messages, .. } => names(users) + messages.iter().map(message).sum::<usize>(),
        Event::Message(said) => message(said),
        Event::Presence { came, went } => names(came) + names(went),
        // Each of the others follows something that the user has done, or an outage, so that there are few.
        _ => 0,
    };
    size_of::<Event>() + texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_by_bytes_and_by_count_until_events_are_shown() {
        let (sender, shown) = crossbeam_channel::unbounded();
        let mut unshown = Unshown::new(sender);
        let large = || Event::Message(Message { content: "x".repeat(1 << 20), ..Message::default() });
        for _ in 0..8 {
            assert!(!unshown.is_full());
            unshown.send(large());
        }
        assert!(unshown.is_full());
        shown.recv().unwrap();
        assert!(!unshown.is_full());
        while shown.try_recv().is_ok() {}
        for _ in 0..=MAX_EVENTS {
            assert!(!unshown.is_full());
            unshown.send(Event::Missed { count: 1 });
        }
        assert!(unshown.is_full());
        while shown.try_recv().is_ok() {}
        assert!(!unshown.is_full() && unshown.bytes == 0);
    }
}
