//! The plain mode, in which nothing is ever redrawn. Unless standard input is a terminal, standard output carries messages
//! only, and everything else goes to standard error.

use std::io::{IsTerminal as _, Write as _};

use crossbeam_channel::{Receiver, bounded, select};
use nix::sys::signal::Signal;

use super::conversation;
use super::event::Event;
use super::extras::Extras;
use super::locale::Locale;
use super::render::{Rendered, Renderer, Style};
use super::threads::{InputLine, read_lines, start, stop_signals, without_line_break};
use super::view::{End, Screen, View, now};
use crate::program::{self, Failure, Options};

/// Runs the client until the end of input, `exit`, or a signal.
///
/// # Errors
/// [`Failure::Failed`] if the server cannot be reached, or something could not be sent.
pub(super) fn run(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let is_terminal = std::io::stdin().is_terminal();
    let signals = stop_signals(is_terminal)?;
    let view = View::start(options, locale, style, Extras::open(options)?, is_terminal)?;
    let lines = start("input", bounded(0), |lines| read_lines(&lines, usize::MAX))?;
    conversation::run(&mut Console { view, lines, signals, is_prompted: false }, options)
}

struct Console {
    view: View,
    lines: Receiver<InputLine>,
    signals: Receiver<Signal>,
    /// If set, the cursor is behind a prompt.
    is_prompted: bool,
}

impl Screen for Console {
    fn view(&mut self) -> &mut View {
        &mut self.view
    }

    fn read(&mut self, question: Option<&str>) -> Option<String> {
        let prompt = |renderer: &Renderer| question.map_or_else(|| renderer.prompt().0, str::to_owned);
        self.prompt(prompt);
        while self.view.end.is_none() {
            select! {
                recv(self.view.events) -> event => {
                    self.happened(&event.unwrap_or(Event::ENDED));
                    if !self.is_prompted {
                        self.prompt(prompt);
                    }
                }
                recv(self.lines) -> line => {
                    self.is_prompted = false;
                    self.view.renderer.unseen.active(now());
                    let Ok(Ok(line)) = line else {
                        self.view.end = Some(End::User);
                        return None;
                    };
                    return Some(String::from_utf8_lossy(without_line_break(&line)).into_owned());
                }
                recv(self.signals) -> signal => {
                    if !self.view.is_interactive || signal != Ok(Signal::SIGINT) {
                        self.view.end = Some(End::Signal);
                    } else if question.is_some() {
                        return None;
                    } else if let Some(line) = self.view.interrupt() {
                        self.write(&[line]);
                        self.prompt(prompt);
                    }
                }
            }
        }
        None
    }

    fn happened(&mut self, event: &Event) {
        let lines = self.view.event(event);
        self.write(&lines);
    }

    /// Writes lines. If nobody reads the output any more, the client goes on.
    fn write(&mut self, lines: &[Rendered]) {
        let failed = self.view.log(lines);
        for Rendered { text, is_message, .. } in lines.iter().chain(&failed) {
            // On a terminal the prompt is in this line, perhaps with typed text.
            let start = if std::mem::take(&mut self.is_prompted) { "\n" } else { "" };
            let text = format!("{start}{text}");
            let _ = if *is_message || self.view.is_interactive {
                program::print(&text).is_ok()
            } else {
                std::io::stderr().lock().write_all(text.as_bytes()).is_ok()
            };
        }
    }

    /// A plain prompt cannot hold the line, which a person still has on the screen.
    fn give_back(&mut self, line: &str) {
        if !self.view.is_interactive {
            self.view.lost += 1;
            let shown = self.view.renderer.unsent(line);
            self.write(&[shown]);
        }
    }
}

impl Console {
    fn prompt(&mut self, prompt: impl FnOnce(&Renderer) -> String) {
        if self.view.is_interactive {
            self.is_prompted = program::print(&prompt(&self.view.renderer)).is_ok();
        }
    }
}
