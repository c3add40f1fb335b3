//! How much of everything: each limit an option of the server with a default that fits a device with 64 MB of memory.

use std::time::Duration;

use super::wire::largest_message;
use crate::program::{Failure, Flag, Options};

/// The limits of a chat server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Rooms.
    pub rooms: usize,
    /// Registered users.
    pub users: usize,
    /// Users in one room.
    pub room_users: usize,
    /// Messages kept in one room.
    pub history_messages: usize,
    /// Bytes of messages kept in one room, as they go over the wire.
    pub history_bytes: usize,
    /// Bytes of messages kept in all rooms; the oldest of the largest history go first.
    pub memory: usize,
    /// Messages a second of one user; 0 is no limit.
    pub message_rate: u32,
    /// Messages that one user may send at once before the rate counts.
    pub message_burst: u32,
    /// Registrations a minute from one address; 0 is no limit.
    pub registration_rate: u32,
    /// New rooms a minute from one address; 0 is no limit.
    pub room_rate: u32,
    /// Waits at a time from one address; 0 is no limit.
    pub waits_per_address: usize,
    /// Streams of events at a time from one address, on IPv6 from one network of 64 bits; 0 is no limit.
    pub streams_per_address: usize,
    /// A room that is empty is removed when nobody has had to do with it for this long.
    pub room_idle: Duration,
    /// A user is unregistered who has made no call for this long.
    pub user_idle: Duration,
    /// How long the history of a room is kept that has left the list. Nothing is kept where there is no log.
    pub keep_history: Duration,
}

/// The options, in the order of the fields.
pub(super) const FLAGS: &[Flag] = &[
    Flag::value("max-message-bytes", "BYTES", Some("4096"), "The longest message."),
    Flag::value("max-rooms", "N", Some("1000"), "Rooms at a time."),
    Flag::value("max-users", "N", Some("10000"), "Registered users at a time."),
    Flag::value("max-room-users", "N", Some("5000"), "Users in one room."),
    Flag::value("history-messages", "N", Some("500"), "Messages kept in one room."),
    Flag::value("history-bytes", "BYTES", Some("1048576"), "Bytes of messages kept in one room."),
    Flag::value(
        "memory-limit",
        "BYTES",
        Some("16777216"),
        "Bytes of messages kept in all rooms; the largest history pays first.",
    ),
    Flag::value("message-rate", "N", Some("20"), "Messages a second of one user; 0 for no limit."),
    Flag::value("message-burst", "N", Some("50"), "Messages that a user may send at once before the rate counts."),
    Flag::value("registration-rate", "N", Some("120"), "Registrations a minute from one address; 0 for no limit."),
    Flag::value("room-rate", "N", Some("60"), "New rooms a minute from one address; 0 for no limit."),
    Flag::value("waits-per-address", "N", Some("256"), "Waiting calls at a time from one address; 0 for no limit."),
    Flag::value(
        "streams-per-address",
        "N",
        Some("256"),
        "Streams of events at a time from one address, or one IPv6 network (/64); 0 for no limit.",
    ),
    Flag::value("room-idle", "SECONDS", Some("300"), "An empty room is removed after this time without interaction."),
    Flag::value("user-idle", "SECONDS", Some("900"), "A user is unregistered after this time without a call."),
];

impl Limits {
    /// Reads the limits from a command line.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is not a number, and for limits that contradict each other.
    pub fn from_options(options: &Options) -> Result<Self, Failure> {
        let seconds = |name| options.get(name).map(Duration::from_secs);
        let limits = Self {
            message_bytes: options.get("max-message-bytes")?,
            rooms: options.get("max-rooms")?,
            users: options.get("max-users")?,
            room_users: options.get("max-room-users")?,
            history_messages: options.get("history-messages")?,
            history_bytes: options.get("history-bytes")?,
            memory: options.get("memory-limit")?,
            message_rate: options.get("message-rate")?,
            message_burst: options.get("message-burst")?,
            registration_rate: options.get("registration-rate")?,
            room_rate: options.get("room-rate")?,
            waits_per_address: options.get("waits-per-address")?,
            streams_per_address: options.get("streams-per-address")?,
            room_idle: seconds("room-idle")?,
            user_idle: seconds("user-idle")?,
            keep_history: Duration::ZERO,
        };
        limits.check()?;
        Ok(limits)
    }

    /// Checks that no limit contradicts another one: what is accepted must be kept for those who wait for it.
    fn check(&self) -> Result<(), Failure> {
        let least = largest_message(self.message_bytes);
        for (option, value) in [("history-bytes", self.history_bytes), ("memory-limit", self.memory)] {
            if value < least {
                return Err(Failure::Usage(format!(
                    "--{option} {value} must be at least {least}, or a message of --max-message-bytes {} cannot be kept",
                    self.message_bytes
                )));
            }
        }
        if self.history_messages == 0 {
            return Err(Failure::Usage("--history-messages must be at least 1".into()));
        }
        Ok(())
    }

    /// The limits as `system.getCapabilities` publishes them.
    #[must_use]
    pub fn published(&self) -> Vec<(&'static str, i64)> {
        let int = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let seconds = |time: Duration| time.as_secs().cast_signed();
        vec![
            ("max_message_bytes", int(self.message_bytes)),
            ("max_rooms", int(self.rooms)),
            ("max_users", int(self.users)),
            ("max_room_users", int(self.room_users)),
            ("history_messages", int(self.history_messages)),
            ("history_bytes", int(self.history_bytes)),
            ("memory_limit", int(self.memory)),
            ("message_rate", self.message_rate.into()),
            ("message_burst", self.message_burst.into()),
            ("registration_rate", self.registration_rate.into()),
            ("room_rate", self.room_rate.into()),
            ("waits_per_address", int(self.waits_per_address)),
            ("streams_per_address", int(self.streams_per_address)),
            ("room_idle", seconds(self.room_idle)),
            ("user_idle", seconds(self.user_idle)),
        ]
    }
}

impl Default for Limits {
    /// What the options say by default.
    fn default() -> Self {
        Self {
            message_bytes: 4096,
            rooms: 1000,
            users: 10_000,
            room_users: 5000,
            history_messages: 500,
            history_bytes: 1 << 20,
            memory: 16 << 20,
            message_rate: 20,
            message_burst: 50,
            registration_rate: 120,
            room_rate: 60,
            waits_per_address: 256,
            streams_per_address: 256,
            room_idle: Duration::from_secs(300),
            user_idle: Duration::from_secs(900),
            keep_history: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{HelpWords, Program};

    #[test]
    fn the_defaults_are_those_of_the_options() {
        let program = Program {
            name: "t",
            about: "",
            arguments: "",
            flags: &[FLAGS],
            commands: &[],
            examples: &[],
            words: |_| &HelpWords::ENGLISH,
        };
        let options = Options::parse(&program, []).unwrap();
        assert_eq!(Limits::from_options(&options).unwrap(), Limits::default());
        assert_eq!(Limits::default().published().len(), FLAGS.len());
    }
}
