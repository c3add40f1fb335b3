//! The limits, each an option of the server with a default that fits a device with 64 MB of memory.

use std::time::Duration;

use super::entry::IdempotencyKey;
use super::streams::MAX_USER_STREAMS;
use super::wire::largest_message;
use crate::program::{Failure, Flag, Options};

/// The option of [`Limits::keep_history`], which is for servers with a log.
pub(super) const KEEP_HISTORY: &str = "keep-history";
/// Its unit: seconds of a day.
pub(super) const DAY: u64 = 86_400;
/// The option of [`Limits::require_auth`].
pub(super) const REQUIRE_AUTH: &str = "require-auth";

/// The types of a limit: a number, or a time in whole seconds.
trait Quantity: Copy {
    fn from_number(number: u64) -> Self;
    fn number(self) -> i64;
}

impl Quantity for usize {
    fn from_number(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
    fn number(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl Quantity for u32 {
    fn from_number(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
    fn number(self) -> i64 {
        self.into()
    }
}

impl Quantity for Duration {
    fn from_number(number: u64) -> Self {
        Self::from_secs(number)
    }
    fn number(self) -> i64 {
        i64::try_from(self.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The owner of a limit.
#[cfg(feature = "share")]
#[derive(PartialEq)]
enum Scope {
    /// The chat's: it decides what becomes of an entry, or when something is idle, so all servers of a chat have the same.
    Chat,
    /// Each server's own.
    Server,
}

/// Makes all there is of a limit from its one row: the field, the option, its owner, its default and bounds, and what
/// `system.getCapabilities` publishes, which is named like the option with underscores.
macro_rules! limits {
    ($($scope:ident $field:ident: $type:ty, $option:literal $unit:literal, $default:literal in $least:literal..=$most:literal, $help:literal;)+) => {
        /// The limits of a chat server.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $help] pub $field: $type,)+
            /// The time for which the history of a room is kept that has left the list. Nothing is kept without a log.
            pub keep_history: Duration,
            /// Whether users must register with credentials.
            pub require_auth: bool,
        }

        /// The options, in the order of the fields.
        pub(super) const FLAGS: &[Flag] =
            &[$(Flag::value($option, $unit, Some(stringify!($default)), $help)),+];

        impl Limits {
            /// Reads the limits from a command line.
            ///
            /// # Errors
            /// [`Failure::Usage`] for what is no number or out of its bounds, and for limits that contradict each other.
            pub fn from_options(options: &Options) -> Result<Self, Failure> {
                let limits = Self {
                    $($field: Quantity::from_number(options.number($option, $least..=$most)?),)+
                    require_auth: options.has(REQUIRE_AUTH),
                    ..Self::default()
                };
                limits.check()?;
                Ok(limits)
            }

            /// Returns the limits that all servers of a chat must have alike, under the names of their options.
            #[cfg(feature = "share")]
            pub(super) fn agreed(&self) -> Vec<(&'static str, u64)> {
                let rows = [$((Scope::$scope, $option, self.$field.number().cast_unsigned())),+];
                let rows = rows.into_iter().filter(|(scope, ..)| *scope == Scope::Chat);
                let rows = rows.map(|(_, option, number)| (option, number));
                let days = (KEEP_HISTORY, self.keep_history.as_secs() / DAY);
                rows.chain([days, (REQUIRE_AUTH, u64::from(self.require_auth))]).collect()
            }

            /// Sets the limit of this option.
            #[cfg(feature = "share")]
            pub(super) fn set(&mut self, option: &str, number: u64) {
                match option {
                    $($option => self.$field = Quantity::from_number(number),)+
                    KEEP_HISTORY => self.keep_history = Duration::from_secs(number * DAY),
                    REQUIRE_AUTH => self.require_auth = number > 0,
                    _ => {}
                }
            }

            /// Returns the limits as `system.getCapabilities` publishes them, with those that are no options.
            #[must_use]
            pub fn published(&self) -> Vec<(String, i64)> {
                let constants = [("streams_per_user", MAX_USER_STREAMS), ("max_key_bytes", IdempotencyKey::MAX_BYTES)];
                let constants = constants.map(|(name, value)| (name.to_owned(), value.number()));
                [$(($option.replace('-', "_"), self.$field.number())),+].into_iter().chain(constants).collect()
            }
        }

        impl Default for Limits {
            /// Returns the defaults of the options.
            fn default() -> Self {
                Self {
                    $($field: Quantity::from_number($default),)+
                    keep_history: Duration::ZERO,
                    require_auth: false,
                }
            }
        }
    };
}

limits! {
    Chat message_bytes: usize, "max-message-bytes" "BYTES", 4096 in 1..=1048576, "The longest message.";
    Chat rooms: usize, "max-rooms" "N", 1000 in 1..=1000000, "Rooms at a time.";
    Chat users: usize, "max-users" "N", 10000 in 1..=1000000, "Registered users at a time.";
    Chat room_users: usize, "max-room-users" "N", 5000 in 1..=1000000, "Users in one room.";
    Chat history_messages: usize, "history-messages" "N", 500 in 1..=100000000, "Messages kept in one room.";
    Chat history_bytes: usize, "history-bytes" "BYTES", 1048576 in 1..=1099511627776, "Bytes of messages kept in one room.";
    Chat memory: usize, "memory-limit" "BYTES", 16777216 in 1..=1099511627776,
        "Bytes of messages kept in all rooms; the largest history pays first.";
    Server message_rate: u32, "message-rate" "N", 20 in 0..=1000000, "Messages a second of one user; 0 for no limit.";
    Server message_burst: u32, "message-burst" "N", 50 in 0..=1000000,
        "Messages that a user may send at once before the rate counts.";
    Server registration_rate: u32, "registration-rate" "N", 120 in 0..=1000000,
        "Registrations a minute from one address; 0 for no limit.";
    Server room_rate: u32, "room-rate" "N", 60 in 0..=1000000, "New rooms a minute from one address; 0 for no limit.";
    Server waits_per_address: usize, "waits-per-address" "N", 256 in 0..=1000000,
        "Waiting calls at a time from one address; 0 for no limit.";
    Server streams_per_address: usize, "streams-per-address" "N", 256 in 0..=1000000,
        "Streams of events at a time from one address, or one IPv6 network (/64); 0 for no limit.";
    Chat room_idle: Duration, "room-idle" "SECONDS", 300 in 0..=31536000,
        "An empty room is removed after this time without interaction; 0 for never.";
    Chat user_idle: Duration, "user-idle" "SECONDS", 900 in 0..=31536000,
        "A user is unregistered after this time without a call; 0 for never.";
}

impl Limits {
    /// Returns the shortest time after which something idle is removed.
    pub(super) fn shortest_idle(&self) -> Duration {
        let times = [self.room_idle, self.user_idle].into_iter().filter(|time| !time.is_zero());
        times.min().unwrap_or(Duration::MAX)
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
        Ok(())
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
            alternatives: &[],
            of_features: &[],
            examples: &[],
            words: |_| &HelpWords::ENGLISH,
        };
        let options = Options::parse(&program, []).unwrap();
        assert_eq!(Limits::from_options(&options).unwrap(), Limits::default());
    }

    #[test]
    fn an_idle_time_of_zero_is_none_to_look_by() {
        let limits = |room: u64, user: u64| Limits {
            room_idle: Duration::from_secs(room),
            user_idle: Duration::from_secs(user),
            ..Limits::default()
        };
        assert_eq!(limits(3, 2).shortest_idle(), Duration::from_secs(2));
        assert_eq!(limits(3, 0).shortest_idle(), Duration::from_secs(3));
        assert_eq!(limits(0, 0).shortest_idle(), Duration::MAX);
    }

    #[cfg(feature = "share")]
    #[test]
    fn what_servers_have_agreed_on_makes_the_same_limits() {
        let chats = Limits {
            rooms: 7,
            user_idle: Duration::from_secs(5),
            keep_history: Duration::from_secs(2 * DAY),
            require_auth: true,
            message_rate: 1,
            ..Limits::default()
        };
        let mut own = Limits::default();
        for (option, number) in chats.agreed() {
            own.set(option, number);
        }
        assert_eq!(own, Limits { message_rate: own.message_rate, ..chats });
        assert_ne!(own.message_rate, 1, "rates are each server's own");
    }
}
