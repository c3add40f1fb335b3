//! Typed messages on their way: in order, each once.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::api::MessageRate;
use super::super::event::{Draft, Message, is_same_name};
use super::pace::Pace;

/// The most confirmed messages whose echo is awaited. More than this are lost with a server's memory.
const MAX_ECHOES: usize = 1000;
/// Calls without a reply after which a message is given back, because the message itself seems to break the connection.
const MAX_TRIES: u8 = 3;

/// The meaning of a message of the user that comes back from the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// It is known to have arrived.
    Known,
    /// It confirms this draft, whose reply was lost.
    Confirms(Draft),
    /// Another program of this user has sent it.
    Foreign,
}

/// Typed messages on their way to the room that the user is in.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Draft>,
    /// The number of times that the first message was sent without a reply.
    tries: u8,
    /// If set, the server may have the first message: it was sent, and the reply was lost.
    is_in_doubt: bool,
    /// If set, the server knows the messages of this session by their keys, and it is safe to repeat a call. Otherwise they are
    /// recognised by text and recipient, and before one whose reply was lost is sent again, all messages have to be read.
    takes_keys: bool,
    /// Begins the keys of this session; the number of the draft ends them.
    session: String,
    /// The confirmed messages that will come back with those of the room; only needed to recognise them by text.
    echoes: VecDeque<Draft>,
    pace: Pace,
    not_before: Option<Instant>,
}

impl Outbox {
    /// Returns an outbox whose keys begin with `session`, which no other session of this user has.
    pub(super) fn new(session: String) -> Self {
        Self { session, ..Self::default() }
    }

    /// Adapts to the capabilities of the server.
    pub(super) fn adapt(&mut self, takes_keys: bool, rate: Option<MessageRate>, now: Instant) {
        self.takes_keys = takes_keys;
        self.pace.set(rate, now);
    }

    /// Returns the key of a draft, which is the same each time it is sent.
    pub(super) fn key(&self, draft: &Draft) -> String {
        format!("{}-{}", self.session, draft.id)
    }

    pub(super) fn push(&mut self, draft: Draft) {
        self.queue.push_back(draft);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the next draft, if it may be sent now.
    pub(super) fn next(&self, now: Instant) -> Option<&Draft> {
        if self.not_before.is_some_and(|time| now < time) { None } else { self.queue.front() }
    }

    /// Returns when the next draft may be sent, if one has to wait.
    pub(super) fn due(&self) -> Option<Instant> {
        self.queue.front().and(self.not_before)
    }

    /// Sends nothing before `until`, because the server is busy.
    pub(super) fn pause(&mut self, until: Instant) {
        self.not_before = Some(until);
    }

    /// Removes the first draft, which the server has.
    pub(super) fn sent(&mut self, now: Instant) -> Option<Draft> {
        self.not_before = Some(self.pace.sent(now));
        let draft = self.pop_if(|_| true)?;
        if !self.takes_keys {
            self.echoes.push_back(draft.clone());
            if self.echoes.len() > MAX_ECHOES {
                self.echoes.pop_front();
            }
        }
        Some(draft)
    }

    /// Removes the first draft, which is to be given back.
    pub(super) fn give_back(&mut self) -> Option<Draft> {
        self.not_before = None;
        self.pop_if(|_| true)
    }

    fn pop_if(&mut self, is_wanted: impl FnOnce(&Draft) -> bool) -> Option<Draft> {
        let first = self.queue.pop_front_if(|first| is_wanted(first))?;
        self.tries = 0;
        self.is_in_doubt = false;
        Some(first)
    }

    /// Marks the first draft in doubt: its reply was lost. Returns it after too many tries.
    pub(super) fn mark_in_doubt(&mut self) -> Option<Draft> {
        self.tries += 1;
        self.is_in_doubt = true;
        if self.tries >= MAX_TRIES { self.give_back() } else { None }
    }

    /// Call after reading all messages. A draft that is still in doubt did not arrive, or was lost unread, and is sent again.
    pub(super) fn clear_doubt(&mut self) {
        self.is_in_doubt = false;
    }

    /// Forgets the confirmed messages that would come back, because the server's memory is gone.
    pub(super) fn forget_echoes(&mut self) {
        self.echoes.clear();
    }

    /// Returns the meaning of a `message` of the user.
    pub(super) fn match_echo(&mut self, message: &Message) -> Echo {
        if self.takes_keys { self.match_key(message) } else { self.match_text(message) }
    }

    fn match_key(&mut self, message: &Message) -> Echo {
        let number = message.key.as_deref().and_then(|key| key.strip_prefix(&self.session)?.strip_prefix('-'));
        let Some(id) = number.and_then(|number| number.parse::<u64>().ok()) else { return Echo::Foreign };
        self.pop_if(|first| first.id == id).map_or(Echo::Known, Echo::Confirms)
    }

    fn match_text(&mut self, message: &Message) -> Echo {
        if let Some(index) = self.echoes.iter().position(|draft| is_echo(draft, message)) {
            self.echoes.remove(index);
            return Echo::Known;
        }
        let is_in_doubt = self.is_in_doubt;
        self.pop_if(|first| is_in_doubt && is_echo(first, message)).map_or(Echo::Foreign, Echo::Confirms)
    }

    /// Removes all drafts.
    pub(super) fn take(&mut self) -> Vec<Draft> {
        self.queue.drain(..).collect()
    }
}

/// Returns whether `message` has the text and the recipient of `draft`.
fn is_echo(draft: &Draft, message: &Message) -> bool {
    draft.text == message.content
        && match (&draft.to, &message.destination) {
            (None, None) => true,
            (Some(recipient), Some(destination)) => is_same_name(recipient, destination),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outbox(texts: &[&str]) -> Outbox {
        let mut outbox = Outbox::new("s".into());
        for (id, text) in (0..).zip(texts) {
            outbox.push(draft(id, text, None));
        }
        outbox
    }

    fn draft(id: u64, text: &str, to: Option<&str>) -> Draft {
        Draft { id, text: text.into(), to: to.map(str::to_owned) }
    }

    fn confirms(outcome: &Echo, id: u64) -> bool {
        matches!(outcome, Echo::Confirms(draft) if draft.id == id)
    }

    fn echo(text: &str) -> Message {
        Message {
            origin: "me".into(),
            content: text.into(),
            timestamp: "2024-01-01 00:00:00".into(),
            ..Message::default()
        }
    }

    #[test]
    fn a_confirmed_message_comes_back_once() {
        let mut outbox = outbox(&["a"]);
        assert_eq!(outbox.sent(Instant::now()).map(|draft| draft.id), Some(0));
        assert_eq!(outbox.match_echo(&echo("a")), Echo::Known);
        assert_eq!(outbox.match_echo(&echo("a")), Echo::Foreign);
    }

    #[test]
    fn what_is_in_doubt_is_sent_again_unless_it_was_heard() {
        let mut outbox = outbox(&["a", "b"]);
        assert_eq!(outbox.mark_in_doubt(), None);
        assert_eq!(outbox.match_echo(&echo("b")), Echo::Foreign, "it has not been sent yet");
        assert!(confirms(&outbox.match_echo(&echo("a")), 0));
        assert_eq!(outbox.mark_in_doubt(), None);
        outbox.clear_doubt();
        assert_eq!(outbox.match_echo(&echo("b")), Echo::Foreign);
        assert_eq!(outbox.next(Instant::now()).map(|draft| draft.id), Some(1));
    }

    #[test]
    fn what_never_gets_an_answer_is_given_back() {
        let mut outbox = outbox(&["a", "b"]);
        assert_eq!((outbox.mark_in_doubt(), outbox.mark_in_doubt()), (None, None));
        assert_eq!(outbox.mark_in_doubt().map(|draft| draft.text), Some("a".into()));
        assert_eq!(outbox.next(Instant::now()).map(|draft| draft.id), Some(1));
    }

    #[test]
    fn a_server_in_need_of_rest_gets_it() {
        let (mut outbox, now) = (outbox(&["a"]), Instant::now());
        outbox.pause(now + Duration::from_secs(1));
        assert_eq!((outbox.next(now), outbox.due()), (None, Some(now + Duration::from_secs(1))));
        assert!(outbox.next(now + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn recipients_are_compared_as_names() {
        let mut outbox = Outbox::new("s".into());
        outbox.push(draft(1, "x", Some("Bob")));
        outbox.sent(Instant::now());
        assert_eq!(outbox.match_echo(&echo("x")), Echo::Foreign);
        assert_eq!(outbox.match_echo(&Message { destination: Some("bob".into()), ..echo("x") }), Echo::Known);
    }

    #[test]
    fn by_key_only_messages_of_this_session_are_known() {
        let mut outbox = outbox(&["a", "a"]);
        outbox.adapt(true, None, Instant::now());
        let keyed = |key: &str| Message { key: Some(key.into()), ..echo("a") };
        let key = outbox.next(Instant::now()).map(|draft| outbox.key(draft));
        assert_eq!(key.as_deref(), Some("s-0"));
        for foreign in [echo("a"), keyed("other-0"), keyed("s0"), keyed("s-x"), keyed("")] {
            assert_eq!(outbox.match_echo(&foreign), Echo::Foreign, "{foreign:?}");
        }
        outbox.mark_in_doubt();
        assert!(confirms(&outbox.match_echo(&keyed("s-0")), 0), "it arrived though its reply was lost");
        assert_eq!(outbox.sent(Instant::now()).map(|draft| draft.id), Some(1));
        assert_eq!((outbox.match_echo(&keyed("s-1")), outbox.match_echo(&keyed("s-1"))), (Echo::Known, Echo::Known));
    }
}
