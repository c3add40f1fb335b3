//! The idempotency keys that a user has used lately.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use super::super::entry::IdempotencyKey;

/// Messages of a user within which a key is known again.
const RECENT_MESSAGES: u64 = 256;

/// The keys of a user's last messages. Of a key eight bytes of its SHA-256 are kept: two keys of one user that share them
/// are not found by accident, and by intent they harm only the user who looked for them.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Recent {
    /// Messages sent.
    sent: u64,
    /// The count of a message and the digest of its key, oldest first.
    keys: VecDeque<(u64, u64)>,
}

fn digest(key: &IdempotencyKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(key.as_str()).into();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl Recent {
    pub(super) fn restored(sent: u64, keys: Vec<(u64, u64)>) -> Self {
        Self { sent, keys: keys.into() }
    }

    /// Returns the count of messages and the keys, if there is anything to remember.
    pub(super) fn parts(&self) -> Option<(u64, Vec<(u64, u64)>)> {
        (self.sent > 0).then(|| (self.sent, self.keys.iter().copied().collect()))
    }

    /// Notes that a message was sent.
    pub(super) fn note(&mut self, key: Option<&IdempotencyKey>) {
        self.sent += 1;
        if let Some(key) = key {
            self.keys.push_back((self.sent, digest(key)));
        }
        while self.keys.front().is_some_and(|(count, _)| count + RECENT_MESSAGES <= self.sent) {
            self.keys.pop_front();
        }
    }

    pub(super) fn has(&self, key: &IdempotencyKey) -> bool {
        let digest = digest(key);
        self.keys.iter().any(|(_, used)| *used == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> IdempotencyKey {
        IdempotencyKey::parse(number.to_string()).unwrap().unwrap()
    }

    #[test]
    fn a_key_is_known_for_as_many_messages_as_promised() {
        let mut recent = Recent::default();
        recent.note(Some(&key(0)));
        for number in 1..RECENT_MESSAGES {
            // Those without a key count too.
            recent.note((number % 2 == 0).then(|| key(number)).as_ref());
            assert!(recent.has(&key(0)), "after {number} more");
        }
        recent.note(None);
        assert!(!recent.has(&key(0)) && recent.has(&key(2)) && !recent.has(&key(1)));
        assert!(recent.keys.len() <= RECENT_MESSAGES as usize);
    }
}
