//! Typed messages on their way: in order, each once.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::api::MessageRate;
use super::super::event::{Draft, Message};
use super::pace::Pace;
use crate::chat::name::UserName;

/// The most confirmed messages whose echo is awaited. More than this are lost with a server's memory.
const MAX_ECHOES: usize = 1000;
/// Calls without a reply after which a message is given back, because the message itself seems to break the connection.
const MAX_TRIES: u8 = 3;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) draft: Draft,
    pub(super) room: String,
    /// The number of times that it was sent without a reply.
    tries: u8,
    /// If set, the server may have it: it was sent, and the reply was lost.
    in_doubt: bool,
}

impl Letter {
    pub(super) fn new(draft: Draft, room: String) -> Self {
        Self { draft, room, tries: 0, in_doubt: false }
    }

    fn is(&self, message: &Message) -> bool {
        self.draft.text == message.content
            && match (&self.draft.to, &message.destination) {
                (None, None) => true,
                (Some(recipient), Some(destination)) => is_same_name(recipient, destination),
                _ => false,
            }
    }
}

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

/// The way in which the session recognises its own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recognition {
    /// By their keys, which also make it safe to repeat a call.
    ByKey,
    /// By text and recipient, at a server that knows no keys. Before a message whose reply was lost is sent again, all messages
    /// have to be read.
    ByText,
}

/// Typed messages on their way.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: VecDeque<Letter>,
    recognition: Recognition,
    /// Begins the keys of this session; the number of the draft ends them.
    session: String,
    /// The confirmed messages that will come back with those of the room; only needed to recognise them by text.
    echoes: VecDeque<Letter>,
    pace: Pace,
    not_before: Option<Instant>,
}

impl Outbox {
    /// Returns an outbox whose keys begin with `session`, which no other session of this user has.
    pub(super) fn new(session: String) -> Self {
        Self {
            queue: VecDeque::new(),
            recognition: Recognition::ByText,
            session,
            echoes: VecDeque::new(),
            pace: Pace::default(),
            not_before: None,
        }
    }

    /// Adapts to the capabilities of the server.
    pub(super) fn adapt(&mut self, recognition: Recognition, rate: Option<MessageRate>, now: Instant) {
        self.recognition = recognition;
        self.pace.set(rate, now);
    }

    /// Returns the key of a letter, which is the same each time it is sent.
    pub(super) fn key(&self, letter: &Letter) -> String {
        format!("{}-{}", self.session, letter.draft.id)
    }

    pub(super) fn push(&mut self, letter: Letter) {
        self.queue.push_back(letter);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the next letter, if it may be sent now.
    pub(super) fn next(&self, now: Instant) -> Option<&Letter> {
        if self.not_before.is_some_and(|time| now < time) { None } else { self.queue.front() }
    }

    /// Returns when the next letter may be sent, if one has to wait.
    pub(super) fn due(&self) -> Option<Instant> {
        self.queue.front().and(self.not_before)
    }

    /// Sends nothing before `until`, because the server is busy.
    pub(super) fn pause(&mut self, until: Instant) {
        self.not_before = Some(until);
    }

    /// Removes the first letter, which the server has.
    pub(super) fn sent(&mut self, now: Instant) -> Option<Draft> {
        self.not_before = Some(self.pace.sent(now));
        let letter = self.queue.pop_front()?;
        let draft = letter.draft.clone();
        if self.recognition == Recognition::ByText {
            self.echoes.push_back(letter);
            if self.echoes.len() > MAX_ECHOES {
                self.echoes.pop_front();
            }
        }
        Some(draft)
    }

    /// Removes the first letter, which is to be given back.
    pub(super) fn give_back(&mut self) -> Option<Letter> {
        self.not_before = None;
        self.queue.pop_front()
    }

    /// Marks the first letter in doubt: its reply was lost. Returns it after too many tries.
    pub(super) fn mark_in_doubt(&mut self) -> Option<Letter> {
        let first = self.queue.front_mut()?;
        first.tries += 1;
        first.in_doubt = true;
        if first.tries >= MAX_TRIES { self.give_back() } else { None }
    }

    /// Call after reading all messages. A letter that is still in doubt did not arrive, or was lost unread, and is sent again.
    pub(super) fn clear_doubt(&mut self) {
        if let Some(first) = self.queue.front_mut() {
            first.in_doubt = false;
        }
    }

    /// Forgets the confirmed messages that would come back, because the server's memory is gone.
    pub(super) fn forget_echoes(&mut self) {
        self.echoes.clear();
    }

    /// Returns the meaning of a `message` of the user.
    pub(super) fn match_echo(&mut self, message: &Message) -> Echo {
        match self.recognition {
            Recognition::ByKey => self.match_key(message),
            Recognition::ByText => self.match_text(message),
        }
    }

    fn match_key(&mut self, message: &Message) -> Echo {
        let number = message.key.as_deref().and_then(|key| key.strip_prefix(&self.session)?.strip_prefix('-'));
        let Some(id) = number.and_then(|number| number.parse::<u64>().ok()) else { return Echo::Foreign };
        match self.queue.pop_front_if(|first| first.draft.id == id) {
            Some(first) => Echo::Confirms(first.draft),
            None => Echo::Known,
        }
    }

    fn match_text(&mut self, message: &Message) -> Echo {
        if let Some(index) = self.echoes.iter().position(|letter| letter.is(message)) {
            self.echoes.remove(index);
            return Echo::Known;
        }
        match self.queue.pop_front_if(|first| first.in_doubt && first.is(message)) {
            Some(first) => Echo::Confirms(first.draft),
            None => Echo::Foreign,
        }
    }

    /// Removes all letters.
    pub(super) fn take(&mut self) -> Vec<Letter> {
        self.queue.drain(..).collect()
    }
}

/// Returns whether two spellings are the same user's name.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    one == other || matches!((UserName::parse(one), UserName::parse(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outbox(texts: &[&str]) -> Outbox {
        let mut outbox = Outbox::new("s".into());
        for (id, text) in (0..).zip(texts) {
            outbox.push(letter(id, text, None));
        }
        outbox
    }

    fn letter(id: u64, text: &str, to: Option<&str>) -> Letter {
        Letter::new(Draft { id, text: text.into(), to: to.map(str::to_owned) }, "r".into())
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
        assert_eq!(outbox.next(Instant::now()).map(|letter| letter.draft.id), Some(1));
    }

    #[test]
    fn what_never_gets_an_answer_is_given_back() {
        let mut outbox = outbox(&["a", "b"]);
        assert_eq!((outbox.mark_in_doubt(), outbox.mark_in_doubt()), (None, None));
        assert_eq!(outbox.mark_in_doubt().map(|letter| letter.draft.text), Some("a".into()));
        assert_eq!(outbox.next(Instant::now()).map(|letter| letter.draft.id), Some(1));
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
        outbox.push(letter(1, "x", Some("Bob")));
        outbox.sent(Instant::now());
        assert_eq!(outbox.match_echo(&echo("x")), Echo::Foreign);
        assert_eq!(outbox.match_echo(&Message { destination: Some("bob".into()), ..echo("x") }), Echo::Known);
    }

    #[test]
    fn by_key_only_messages_of_this_session_are_known() {
        let mut outbox = outbox(&["a", "a"]);
        outbox.adapt(Recognition::ByKey, None, Instant::now());
        let keyed = |key: &str| Message { key: Some(key.into()), ..echo("a") };
        let key = outbox.next(Instant::now()).map(|letter| outbox.key(letter));
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
