//! The common part of the terminal and the plain mode: the session, its events, and the renderer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{Local, NaiveDateTime};
use crossbeam_channel::Receiver;

use super::event::{Draft, Event};
use super::extras::{self, Extras};
use super::locale::Locale;
use super::render::{Rendered, Renderer, Style};
use super::session::{Session, SessionError};
use crate::program::{Failure, Options};

/// The time to send typed messages after a signal.
pub(super) const SIGNAL_TIMEOUT: Duration = Duration::from_millis(500);
/// The time for a second Ctrl-C, which ends the client.
pub(super) const SECOND_INTERRUPT: Duration = Duration::from_secs(2);

/// Returns the local time.
pub(super) fn now() -> NaiveDateTime {
    Local::now().naive_local()
}

/// The reason why there are no more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The user leaves, the terminal is gone, or the input has ended.
    User,
    Signal,
    /// The session has ended by itself.
    Session(SessionError),
}

/// The terminal, or standard input and output.
pub(super) trait Screen {
    /// Returns the common part.
    fn view(&mut self) -> &mut View;

    /// Reads the next line, or the answer to a question, and shows events meanwhile. `None` if there are no more lines, or the
    /// user does not answer.
    fn read(&mut self, question: Option<&str>) -> Option<String>;

    /// Writes lines.
    fn write(&mut self, lines: &[Rendered]);

    /// Shows an event.
    fn happened(&mut self, event: &Event);

    /// Puts `line` into the next prompt, if the prompt can hold text.
    fn give_back(&mut self, line: &str);

    /// Called after a message was sent.
    fn sent(&mut self, _draft: &Draft) {}

    /// Asks a question. `None` if the user does not answer.
    fn ask(&mut self, question: &str) -> Option<String> {
        self.read(Some(question))
    }

    /// Shows all events up to now.
    fn catch_up(&mut self) {
        while let Ok(event) = self.view().events.try_recv() {
            self.happened(&event);
        }
    }

    /// Returns the renderer, after showing all events up to now.
    fn renderer(&mut self) -> &mut Renderer {
        self.catch_up();
        &mut self.view().renderer
    }

    /// Sends a typed message.
    fn send(&mut self, text: &str, to: Option<&str>) {
        self.catch_up();
        let draft = self.view().session.send(text, to);
        self.sent(&draft);
    }
}

/// The common part of all screens.
pub(super) struct View {
    pub(super) session: Session,
    pub(super) events: Receiver<Event>,
    pub(super) renderer: Renderer,
    pub(super) locale: &'static Locale,
    /// If set, a person is there to answer questions.
    pub(super) is_interactive: bool,
    /// Messages that will not reach the server.
    pub(super) lost: usize,
    pub(super) end: Option<End>,
    extras: Extras,
    /// Set while the chat server runs in this process.
    is_host: Arc<AtomicBool>,
    /// The time of the last Ctrl-C.
    interrupted: Option<Instant>,
}

impl View {
    /// Starts a session at the server that the options name.
    pub(super) fn start(
        options: &Options,
        locale: &'static Locale,
        style: Style,
        extras: Extras,
        is_interactive: bool,
    ) -> Result<Self, Failure> {
        let is_host = Arc::default();
        let (session, events) = Session::start(super::setup(options, &is_host)?)?;
        let mut renderer = Renderer::new(locale, style, "", now());
        if is_interactive {
            renderer.unseen.positions = extras::load_positions();
            renderer.unseen.active(now());
        }
        Ok(Self {
            session,
            events,
            renderer,
            locale,
            is_interactive,
            lost: 0,
            end: None,
            extras,
            is_host,
            interrupted: None,
        })
    }

    /// Returns the lines about an event.
    pub(super) fn event(&mut self, event: &Event) -> Vec<Rendered> {
        match event {
            Event::Ended { error } => self.end = Some(End::Session(error.clone())),
            Event::Refused { .. } => self.lost += 1,
            _ => {}
        }
        self.extras.happened(event, &self.renderer);
        self.renderer.event(event, now())
    }

    /// Returns the failure of the program for this reason.
    pub(super) fn failed(&self, error: &SessionError) -> Failure {
        Failure::Failed(self.locale.explain(error))
    }

    /// Adds lines to the log. Returns a note to show if that fails.
    pub(super) fn log(&mut self, lines: &[Rendered]) -> Option<Rendered> {
        let note = self.extras.shown(lines, self.locale)?;
        Some(self.renderer.note(&note))
    }

    /// Returns the names of the others who would be cut off if this process ended, and whether they are several.
    pub(super) fn guests(&self) -> Option<(String, bool)> {
        self.renderer.audience().filter(|_| self.is_host.load(Ordering::Relaxed))
    }

    /// Returns the reply to Ctrl-C. `None` if it is the second one, which ends the client.
    pub(super) fn interrupt(&mut self) -> Option<Rendered> {
        if self.interrupted.is_some_and(|at| at.elapsed() < SECOND_INTERRUPT) {
            self.end = Some(End::User);
            return None;
        }
        self.interrupted = Some(Instant::now());
        let text = match self.guests() {
            Some((others, several)) => (self.locale.press_again_host)(&others, several),
            None => self.locale.press_again.to_owned(),
        };
        Some(self.renderer.note(&text))
    }
}
