//! Calls that wait for messages.

use std::time::Instant;

use super::super::identity::Proof;
use super::super::refusal::Refusal;
use super::super::waits::{Delivery, Ticket, Wait};
use super::{Core, Now, WaitCall};

impl<T: Ticket> Core<T> {
    /// Waits for messages past `call.after`. Returns the replies due now: to this call if it need not wait, and to the user's
    /// earlier wait, which it ends.
    ///
    /// # Errors
    /// If the user is not there, `proof` is not theirs, or too many calls wait from one address. The ticket comes back with
    /// the refusal.
    pub fn wait(
        &mut self,
        call: WaitCall<'_>,
        ticket: T,
        proof: &Proof,
        now: Now,
    ) -> Result<Vec<Delivery<T>>, (Refusal, T)> {
        let (reader, room) = match self.member(call.name, call.room, proof, now) {
            Ok((reader, room)) => (reader, room.id),
            Err(refusal) => return Err((refusal, ticket)),
        };
        let wait = Wait { room, reader, after: call.after, time: call.time, address: call.address, ticket };
        self.waits.wait(&self.state, wait, now.monotonic)
    }

    /// Ends the wait that came on `connection`, because another request waits for its reply.
    pub fn end_wait_on(&mut self, connection: T::Connection) -> Option<Delivery<T>> {
        self.waits.end_on(&self.state, connection)
    }

    /// Ends all waits, and every later one as soon as it begins.
    pub fn end_all_waits(&mut self) -> Vec<Delivery<T>> {
        self.waits.end_all(&self.state)
    }

    /// Returns the replies due, and when to ask again if nothing happens first.
    pub fn due(&mut self, now: Instant) -> (Vec<Delivery<T>>, Option<Instant>) {
        let (deliveries, ended, next) = self.waits.due(&self.state, now);
        for person in ended {
            // A user who waited was there until now.
            if let Some(presence) = self.presence.get_mut(&person) {
                presence.last_call = now;
            }
        }
        (deliveries, next)
    }
}
