//! The directory of a log: its lock, and the files in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::program::Failure;

/// A directory that is this process's alone for as long as this value lasts.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Opens the directory at `path`, which is made if need be, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Failure::Failed(format!("--data {shown}: this is a file; name a directory")));
        }
        let cannot = |what: &str, error| Failure::while_doing(format_args!("--data {shown}: cannot {what}"), error);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| cannot("make the directory", error))?;
        let lock = options().create(true).truncate(false).open(path.join("lock"));
        let lock = lock.map_err(|error| cannot("write there", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&lock).take(20).read_to_string(&mut holder);
                let holder = holder.trim().parse::<u32>();
                let holder = holder.map_or_else(|_| "another process".into(), |id| format!("process {id}"));
                let told = format!("--data {shown}: {holder} uses it; stop that one or name another directory");
                return Err(Failure::Failed(told));
            }
            Err(TryLockError::Error(error)) => return Err(cannot("lock it", error)),
        }
        // For a process that comes second. Where there is no room for it, they are told less.
        let _ =
            lock.set_len(0).and_then(|()| (&lock).rewind()).and_then(|()| writeln!(&lock, "{}", std::process::id()));
        let directory = Self { path: path.to_owned(), _lock: lock };
        // Left from a process that was killed.
        let _ = fs::remove_file(directory.new_log());
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    fn new_log(&self) -> PathBuf {
        self.path.join("log.new")
    }

    /// Opens the log; `None` if there is none yet.
    pub(super) fn open_log(&self) -> io::Result<Option<File>> {
        match options().open(self.log()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an empty file beside the log.
    pub(super) fn create_new(&self) -> io::Result<File> {
        options().create(true).truncate(true).open(self.new_log())
    }

    /// Puts the new file in the place of the log. [`Directory::flush`] makes that last.
    pub(super) fn put_in_place(&self) -> io::Result<()> {
        fs::rename(self.new_log(), self.log())
    }

    /// Removes the new file.
    pub(super) fn drop_new(&self) {
        let _ = fs::remove_file(self.new_log());
    }

    /// Flushes the names of the files to the device.
    pub(super) fn flush(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Keeps the log as it is under another name, in the place of an earlier damaged one. Returns the name.
    pub(super) fn keep_damaged(&self) -> io::Result<PathBuf> {
        let kept = self.path.join("log.damaged");
        let _ = fs::remove_file(&kept);
        // Not every file system knows links.
        fs::hard_link(self.log(), &kept).or_else(|_| fs::copy(self.log(), &kept).map(drop))?;
        Ok(kept)
    }
}

/// Returns the options for a file that only this user may read.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
