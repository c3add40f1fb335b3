//! The modes of the terminal, and its size.

use std::io::Write as _;

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use super::keys::{PASTE_OFF, PASTE_ON};
use crate::client::render::Size;

/// The modes of the terminal before the client, which it gets back at the end. Meanwhile all keys are read as they are, even
/// Ctrl-C.
#[derive(Debug, Clone)]
pub(super) struct Modes(Termios);

impl Modes {
    /// Reads the modes and sets those of an editor.
    pub(super) fn set() -> rustix::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let modes = Self(before);
        modes.set_again()?;
        Ok(modes)
    }

    /// Sets the modes of an editor, after [`Modes::restore`].
    pub(super) fn set_again(&self) -> rustix::io::Result<()> {
        let mut modes = self.0.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG);
        modes.input_modes.remove(InputModes::ICRNL | InputModes::IXON);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(std::io::stdin(), OptionalActions::Drain, &modes)?;
        write(PASTE_ON);
        Ok(())
    }

    /// Gives the terminal its modes back.
    pub(super) fn restore(&self) {
        write(PASTE_OFF);
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Returns the size of the terminal now.
pub(super) fn size() -> Size {
    let size = tcgetwinsize(std::io::stdout()).ok();
    // A terminal that does not know its size reports 0.
    let or = |figure: Option<u16>, default| figure.filter(|figure| *figure > 0).map_or(default, usize::from);
    Size { columns: or(size.map(|size| size.ws_col), 80), rows: or(size.map(|size| size.ws_row), 24) }
}

/// Writes to the terminal at once. Errors are ignored, because then the terminal is gone.
pub(super) fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
