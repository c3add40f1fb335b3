//! Files that nobody but the user may read: the state of the client, and its log.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::program::user_directory;

/// Returns options to open such a file, which is made if need be.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// Makes a directory for such files, unless there is one.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Returns the directory for the state of the client; `None` for a user without one.
pub(super) fn state_directory() -> Option<PathBuf> {
    user_directory("XDG_STATE_HOME", ".local/state")
}

/// A file of the client's state. Without a directory for it, it is empty and stays so.
#[derive(Debug, Default)]
pub(super) struct StateFile {
    path: Option<PathBuf>,
}

impl StateFile {
    pub(super) fn find(name: &str) -> Self {
        let directory = state_directory().filter(|directory| make_directory(directory).is_ok());
        Self { path: directory.map(|directory| directory.join(name)) }
    }

    pub(super) fn read(&self) -> String {
        self.path.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }

    pub(super) fn append(&self, text: &str) {
        self.write(private().append(true), text);
    }

    pub(super) fn replace(&self, text: &str) {
        self.write(private().write(true).truncate(true), text);
    }

    fn write(&self, options: &OpenOptions, text: &str) {
        let Some(path) = &self.path else { return };
        if let Err(error) = options.open(path).and_then(|mut file| file.write_all(text.as_bytes())) {
            log::info!("cannot write {}: {error}", path.display());
        }
    }
}
