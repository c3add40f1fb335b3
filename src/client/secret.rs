//! Secrets that prove that a name belongs to the user. Either the user gives one, or a random one is kept for each server and
//! name, so that a user who returns after a crash gets the name back.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::private::{make_directory, private, state_directory};
use crate::endpoint::Endpoint;
use crate::program::Failure;
use crate::random;
use crate::secret;

/// Begins the names of directories for servers with an id. An address, whose `=` would be escaped, never begins like this.
const ID: &str = "id=";

/// The source of secrets. It has no `Debug`, so that no log shows a secret.
pub(crate) enum Secrets {
    /// The user's own, for all servers and names.
    Given(String),
    /// Random ones for each server and name, in files of this directory. Without a directory they last as long as the program.
    Kept(Option<PathBuf>),
}

impl Secrets {
    /// Returns the secret in `file`, or else in the variable `CHAT_SECRET`, or else kept ones.
    ///
    /// # Errors
    /// If the file cannot be read, or if it or the variable holds no valid secret.
    pub(crate) fn find(file: Option<&str>) -> Result<Self, Failure> {
        if let Some(path) = file {
            return secret::read_file(Path::new(path)).map(Self::Given);
        }
        if let Some(secret) = std::env::var("CHAT_SECRET").ok().filter(|secret| !secret.is_empty()) {
            secret::check(&secret).map_err(|what| Failure::Usage(format!("the secret in CHAT_SECRET {what}")))?;
            return Ok(Self::Given(secret));
        }
        Ok(Self::Kept(state_directory().map(|state| state.join("secrets"))))
    }

    /// Returns the secret of `user` at `server`. A server with an id is recognised by it under every address. While a kept
    /// secret is in use, no other client on this machine gets it: the server should refuse a second client of that name instead
    /// of giving it the messages of the first.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn open(&self, server: &Endpoint, server_id: Option<&str>, user: &str) -> Result<ActiveSecret, Failure> {
        let directory = match self {
            Self::Given(secret) => return Ok(ActiveSecret { secret: secret.clone(), file: None }),
            Self::Kept(directory) => directory,
        };
        let kept = directory.as_ref().and_then(|directory| {
            let pruned = SystemTime::now().checked_sub(UNUSED).map(|time| prune(directory, time));
            if let Some(Err(error)) = pruned {
                log::debug!("old secrets stay: {error}");
            }
            let server = server_id.map_or_else(|| file_name(&server.to_string()), |id| ID.to_owned() + &file_name(id));
            let opened = KeptFile::open(&directory.join(server).join(file_name(user)));
            opened.inspect_err(|error| log::info!("the secret is not kept: {error}")).ok()
        });
        let (file, known) = kept.map_or((None, None), |(file, secret)| (Some(file), secret));
        Ok(ActiveSecret { secret: known.map_or_else(random::hex::<16>, Ok)?, file })
    }
}

/// The time for which an unused secret of a server with an id is kept.
const UNUSED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Removes the secrets that were last used before `time`. Otherwise they would pile up, because a server without a memory has
/// another id after every start.
fn prune(directory: &Path, time: SystemTime) -> io::Result<()> {
    for server in fs::read_dir(directory)? {
        let server = server?;
        if !server.file_name().as_encoded_bytes().starts_with(ID.as_bytes()) {
            continue;
        }
        for secret in fs::read_dir(server.path())? {
            let secret = secret?;
            if secret.metadata()?.modified()? < time {
                fs::remove_file(secret.path())?;
            }
        }
        // This fails if there is still a secret in it.
        let _ = fs::remove_dir(server.path());
    }
    Ok(())
}

/// A secret that is in use.
pub(crate) struct ActiveSecret {
    secret: String,
    file: Option<KeptFile>,
}

impl ActiveSecret {
    /// Returns the secret itself.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Keeps it for the next time. Call when the server has accepted it.
    pub(crate) fn keep(&mut self) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write(&self.secret)
        {
            log::info!("the secret is not kept: {error}");
        }
    }

    /// Removes it from the disk. Call when the name is free again.
    pub(crate) fn forget(mut self) {
        if let Some(file) = &mut self.file {
            file.is_of_use = false;
        }
    }
}

/// A file with a secret, locked. The lock ends with the process, however that ends.
struct KeptFile {
    file: File,
    path: PathBuf,
    /// If set, it holds a secret that a server knows. Otherwise it will be removed.
    is_of_use: bool,
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if !self.is_of_use {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl KeptFile {
    /// Opens the file, which is made if need be, and reads the secret in it.
    fn open(path: &Path) -> io::Result<(Self, Option<String>)> {
        if let Some(directory) = path.parent() {
            make_directory(directory)?;
        }
        let file = private().read(true).write(true).truncate(false).open(path)?;
        file.try_lock()?;
        let mut text = String::new();
        (&file).take(secret::MAX_BYTES as u64).read_to_string(&mut text)?;
        let secret = Some(text.trim_end()).filter(|secret| secret::check(secret).is_ok()).map(str::to_owned);
        Ok((Self { file, path: path.to_owned(), is_of_use: secret.is_some() }, secret))
    }

    fn write(&mut self, secret: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{secret}")?;
        self.is_of_use = true;
        Ok(())
    }
}

/// Returns a name for a file, whatever `text` is: letters, digits and hyphens stay, the rest becomes `%` and a number.
/// Overlong names are cut; two collide only if their first 66 bytes agree.
fn file_name(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name.truncate(200);
    name
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A directory of one test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(test: &str) -> Self {
            Self(std::env::temp_dir().join(format!("chat-rpc-{}-{test}", std::process::id())))
        }

        fn secrets(&self) -> Secrets {
            Secrets::Kept(Some(self.0.clone()))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn server(port: u16) -> Endpoint {
        Endpoint::new("::1", port.into()).unwrap()
    }

    #[test]
    fn a_secret_that_a_server_knows_is_kept_for_that_server_and_name() {
        let directory = Directory::new("kept");
        let secrets = directory.secrets();
        let mut key = secrets.open(&server(1), None, "ana/../bob").unwrap();
        let secret = key.secret().to_owned();
        assert!(secret::check(&secret).is_ok());
        key.keep();
        let path = key.file.as_ref().unwrap().path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(path.starts_with(&directory.0) && path.components().count() == directory.0.components().count() + 2);
        drop(key);
        assert_eq!(secrets.open(&server(1), None, "ana/../bob").unwrap().secret(), secret);
        assert_ne!(secrets.open(&server(2), None, "ana/../bob").unwrap().secret(), secret);
        assert_ne!(secrets.open(&server(1), None, "bob").unwrap().secret(), secret);
    }

    #[test]
    fn a_secret_belongs_to_a_server_and_not_to_its_address() {
        let directory = Directory::new("identity");
        let secrets = directory.secrets();
        let mut key = secrets.open(&server(1), Some("one"), "ana").unwrap();
        key.keep();
        let secret = key.secret().to_owned();
        drop(key);
        assert_eq!(secrets.open(&server(2), Some("one"), "ana").unwrap().secret(), secret);
        for (port, id) in [(1, Some("two")), (1, None), (2, None), (1, Some("id=one")), (1, Some("[::1]:1"))] {
            assert_ne!(secrets.open(&server(port), id, "ana").unwrap().secret(), secret, "{port} {id:?}");
        }
    }

    #[test]
    fn a_secret_in_use_is_not_shared() {
        let directory = Directory::new("in-use");
        let mut key = directory.secrets().open(&server(1), None, "ana").unwrap();
        key.keep();
        let other = directory.secrets().open(&server(1), None, "ana").unwrap();
        assert!(other.file.is_none() && other.secret() != key.secret());
    }

    #[test]
    fn a_secret_that_no_server_knows_leaves_nothing_behind() {
        let directory = Directory::new("left");
        drop(directory.secrets().open(&server(1), None, "refused").unwrap());
        let mut key = directory.secrets().open(&server(1), None, "unregistered").unwrap();
        key.keep();
        key.forget();
        let mut left = fs::read_dir(directory.0.join(file_name("[::1]:1"))).unwrap();
        assert!(left.next().is_none());
    }

    #[test]
    fn a_secret_that_was_not_used_for_long_is_removed() {
        let directory = Directory::new("old");
        let secrets = directory.secrets();
        for id in ["old", "new"] {
            secrets.open(&server(1), Some(id), "ana").unwrap().keep();
        }
        let path = |id: &str| directory.0.join(format!("id={id}")).join("ana");
        let long_ago = SystemTime::now() - UNUSED - Duration::from_secs(60);
        File::options().write(true).open(path("old")).unwrap().set_modified(long_ago).unwrap();
        secrets.open(&server(1), Some("other"), "ana").unwrap().keep();
        assert!(!path("old").parent().unwrap().exists() && path("new").exists() && path("other").exists());
    }
}
