//! A channel for one value: what another thread answers, once. A crossbeam channel of its own for every type of answer
//! would take 6 KB each; this one shares a channel of nothing, whose end says that the answer is there.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

/// Gives the answer. Dropped without one, it tells that none will come.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    slot: Arc<Mutex<Option<T>>>,
    _given: Sender<()>,
}

/// Waits for the answer.
pub(crate) struct Awaited<T> {
    slot: Arc<Mutex<Option<T>>>,
    given: Receiver<()>,
}

/// Both ends.
pub(crate) fn oneshot<T>() -> (Answer<T>, Awaited<T>) {
    let slot = Arc::default();
    let (_given, given) = bounded(0);
    (Answer { slot: Arc::clone(&slot), _given }, Awaited { slot, given })
}

impl<T> Answer<T> {
    pub(crate) fn give(self, value: T) {
        *self.slot.lock() = Some(value);
    }
}

impl<T> Awaited<T> {
    /// The answer; `None` when there is none and none will come.
    pub(crate) fn get(self) -> Option<T> {
        let _ = self.given.recv();
        self.slot.lock().take()
    }

    /// The answer, if it comes within `time`.
    pub(crate) fn within(self, time: Duration) -> Result<T, RecvTimeoutError> {
        let end = self.given.recv_timeout(time);
        self.slot.lock().take().ok_or(end.err().unwrap_or(RecvTimeoutError::Disconnected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_arrives_or_is_known_not_to_come() {
        let (answer, awaited) = oneshot();
        std::thread::spawn(move || answer.give(1));
        assert_eq!(awaited.get(), Some(1));
        let (answer, awaited) = oneshot::<u8>();
        drop(answer);
        assert_eq!(awaited.get(), None);
        let (answer, awaited) = oneshot::<u8>();
        assert_eq!(awaited.within(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        answer.give(1);
        let (answer, awaited) = oneshot::<u8>();
        drop(answer);
        assert_eq!(awaited.within(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    }
}
