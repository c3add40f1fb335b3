//! Channels for values of any type. A crossbeam channel of its own for every type would take 6 KB each in a program; these
//! share its channel of nothing, which counts the values in a queue beside it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvError, RecvTimeoutError, TryRecvError, TrySendError};
use parking_lot::Mutex;

/// The end where values go in. Without one left, the other end tells that no more will come.
pub struct Sender<T> {
    queue: Arc<Mutex<VecDeque<T>>>,
    count: crossbeam_channel::Sender<()>,
}

/// The end where values come out, in their order.
pub struct Receiver<T> {
    queue: Arc<Mutex<VecDeque<T>>>,
    count: crossbeam_channel::Receiver<()>,
}

/// There is nobody to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected;

/// Both ends of a channel that takes as much as is sent.
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    over(crossbeam_channel::unbounded())
}

/// Both ends of a channel whose sender waits once `most` values have not been received; with 0, until its own one is.
#[must_use]
pub fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    over(crossbeam_channel::bounded(most))
}

/// An end where nothing will ever come out, nor an end.
#[must_use]
pub fn never<T>() -> Receiver<T> {
    Receiver { queue: Arc::default(), count: crossbeam_channel::never() }
}

fn over<T>(ends: (crossbeam_channel::Sender<()>, crossbeam_channel::Receiver<()>)) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::default();
    (Sender { queue: Arc::clone(&queue), count: ends.0 }, Receiver { queue, count: ends.1 })
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), count: self.count.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").field("len", &self.len()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("len", &self.count.len()).finish()
    }
}

impl<T> Sender<T> {
    /// Sends.
    ///
    /// # Errors
    /// [`Disconnected`] when the receiver is gone; then the value is too.
    pub fn send(&self, value: T) -> Result<(), Disconnected> {
        // First the value: once it is counted, it is there.
        self.queue.lock().push_back(value);
        self.count.send(()).map_err(|_| {
            self.queue.lock().clear();
            Disconnected
        })
    }

    /// Sends, unless that would have to wait.
    ///
    /// # Errors
    /// When it would, or when the receiver is gone; then the value is too.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<()>> {
        let mut queue = self.queue.lock();
        self.count.try_send(())?;
        queue.push_back(value);
        Ok(())
    }

    /// How many values have not been received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.len()
    }

    /// Whether all values have been received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count.is_empty()
    }
}

impl<T> Receiver<T> {
    /// For crossbeam's `select!`, which hands over what [`Receiver::take`] wants.
    #[must_use]
    pub fn count(&self) -> &crossbeam_channel::Receiver<()> {
        &self.count
    }

    /// The value that was counted.
    ///
    /// # Errors
    /// The one that is given.
    pub fn take<E: From<RecvError>>(&self, counted: Result<(), E>) -> Result<T, E> {
        counted?;
        self.queue.lock().pop_front().ok_or_else(|| RecvError.into())
    }

    /// The next value, waiting for it.
    ///
    /// # Errors
    /// When there is none and none will come.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.take(self.count.recv())
    }

    /// The next value, if there is one.
    ///
    /// # Errors
    /// When there is none now.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.take(self.count.try_recv())
    }

    /// The next value, if it comes within `time`.
    ///
    /// # Errors
    /// When it does not, or none will come.
    pub fn recv_timeout(&self, time: Duration) -> Result<T, RecvTimeoutError> {
        self.take(self.count.recv_timeout(time))
    }

    /// The next value, if it comes until `deadline`.
    ///
    /// # Errors
    /// When it does not, or none will come.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.take(self.count.recv_deadline(deadline))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn values_arrive_in_order_and_then_the_end() {
        let (sender, receiver) = unbounded();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let others = sender.clone();
        others.send(1).unwrap();
        thread::spawn(move || sender.send(2));
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        others.send(3).unwrap();
        assert_eq!((others.len(), others.is_empty()), (1, false));
        drop(others);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(3));
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
        assert_eq!(receiver.recv(), Err(RecvError));
    }

    #[test]
    fn a_sender_waits_where_the_channel_is_bounded() {
        let (sender, receiver) = bounded(0);
        let sent = thread::spawn(move || (sender.send(1), sender.send(2)));
        assert_eq!(receiver.recv(), Ok(1));
        drop(receiver);
        assert_eq!(sent.join().unwrap(), (Ok(()), Err(Disconnected)));
    }

    #[test]
    fn who_does_not_wait_is_told() {
        let (sender, receiver) = bounded(1);
        assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Err(TrySendError::Full(()))));
        assert_eq!((receiver.recv(), receiver.try_recv()), (Ok(1), Err(TryRecvError::Empty)));
        drop(receiver);
        assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(())));
    }

    #[test]
    fn what_nobody_receives_is_dropped() {
        let (sender, receiver) = unbounded();
        let value = Arc::new(());
        drop(receiver);
        assert_eq!(sender.send(Arc::clone(&value)), Err(Disconnected));
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
