//! One line about an outage, from the loss of the connection to its return.

use chrono::NaiveDateTime;

use super::names::sanitized;
use super::{Renderer, Topic, time};
use crate::client::event::Event;

/// The parts of that line, as far as they have happened.
#[derive(Debug, Default)]
pub(super) struct OutageLine {
    lost: Option<String>,
    retrying: Option<String>,
    forgotten: Option<String>,
    back: Option<String>,
}

impl OutageLine {
    /// Returns the line so far. After the return the last attempt is left out.
    fn told(&self) -> String {
        let end = self.back.as_deref().or(self.retrying.as_deref());
        [self.lost.as_deref(), self.forgotten.as_deref(), end].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

impl Renderer {
    /// Shows an event of an outage: in a plain line of its own, or by a new line about the whole outage.
    pub(super) fn outage(&mut self, event: &Event, now: NaiveDateTime) {
        let locale = self.locale;
        let (part, news) = match event {
            Event::Lost => {
                self.outage = OutageLine::default();
                (&mut self.outage.lost, locale.lost.to_owned())
            }
            Event::Retrying { pause } => {
                (&mut self.outage.retrying, (locale.retrying)(pause.as_secs_f64().round().max(1.0) as u64))
            }
            Event::Forgotten { room } => {
                if self.outage.back.is_some() && !self.is_last(Topic::Outage) {
                    // This begins a new line.
                    self.outage = OutageLine::default();
                }
                (&mut self.outage.forgotten, (locale.forgotten)(&sanitized(room)))
            }
            Event::Back { caught_up } => (&mut self.outage.back, (locale.back)(&time(now), *caught_up)),
            _ => return,
        };
        let is_repeated = part.replace(news.clone()).is_some();
        let told = if self.style.plain { news } else { self.outage.told() };
        // A plain line for each attempt would only disturb.
        if !(self.style.plain && is_repeated && matches!(event, Event::Retrying { .. })) {
            self.dim_line(&capitalized(&told), Topic::Outage, now);
        }
    }
}

/// Returns a text with a capital, to begin a line.
fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
