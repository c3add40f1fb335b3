//! Secrets: read from a file, kept as hashes, compared in constant time. No text of this module shows one.
//!
//! There are two kinds of hash. A [`Digest`] is fast and means nothing outside of this process, so it may be made at every
//! call. A [`Verifier`] is slow and stays the same, so it may stand in a file.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::program::Failure;
use crate::random;

/// The longest secret, in bytes.
pub const MAX_BYTES: usize = 1024;

/// Reads the secret that is alone in the file at `path`: one line, 1 to [`MAX_BYTES`] bytes of UTF-8, the line break at its
/// end not included.
///
/// # Errors
/// If the file cannot be read, every user of the machine may read it, or it does not hold such a line.
pub fn read_file(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let cannot = |error| Failure::while_doing(format_args!("cannot read the secret file {shown}"), error);
    let wrong = |what: &str| Failure::Failed(format!("the secret file {shown} {what}"));
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    // A group may have been given it on purpose; a pipe has no permissions that mean anything.
    if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
        return Err(wrong("is accessible to every user; run chmod 600 on it"));
    }
    let mut bytes = Vec::new();
    // With its line break it can be two bytes longer, and a third one shows that it is too long.
    file.take(MAX_BYTES as u64 + 3).read_to_end(&mut bytes).map_err(cannot)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    check(secret).map_err(|what| wrong(&format!("holds a secret that {what}")))?;
    Ok(secret.to_owned())
}

/// Checks that `secret` can be sent as HTTP Basic credentials (RFC 7617).
///
/// # Errors
/// If it is empty, too long, or has control characters; the text ends a sentence about the secret.
pub fn check(secret: &str) -> Result<(), String> {
    if secret.is_empty() {
        return Err("is empty".into());
    }
    if secret.len() > MAX_BYTES {
        return Err(format!("is longer than {MAX_BYTES} bytes"));
    }
    if secret.chars().any(char::is_control) {
        return Err("has control characters or more than one line".into());
    }
    Ok(())
}

/// The key of digests: another one in every process, so that a hash means nothing elsewhere.
#[derive(Debug)]
pub struct DigestKey(Hidden);

impl DigestKey {
    /// Returns a random key.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn random() -> Result<Self, Failure> {
        Ok(Self(Hidden(random::bytes()?)))
    }

    /// Returns the hash of `secret` with this key.
    #[must_use]
    pub fn digest(&self, secret: &str) -> Digest {
        // HMAC takes keys of every length, so this cannot fail; a digest of nothing would match no other one anyway.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0.0) else { return Digest(Hidden([0; 32])) };
        mac.update(secret.as_bytes());
        Digest(Hidden(mac.finalize().into_bytes().into()))
    }
}

/// The keyed hash of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(Hidden);

/// The salt of verifiers: another one in every chat, so that nothing worked out for one helps with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salt {
    bytes: [u8; 16],
    rounds: u32,
}

impl Salt {
    /// Rounds of PBKDF2 for verifiers that are written to a file. About 50 ms on a Raspberry Pi of the first kind, the slowest
    /// target, and 2 ms on a server.
    const ROUNDS_ON_DISK: u32 = 5_000;

    /// Returns a random salt. If the verifiers will be written to a file (`on_disk`), secrets are slow to guess from them.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn random(on_disk: bool) -> Result<Self, Failure> {
        Ok(Self { bytes: random::bytes()?, rounds: if on_disk { Self::ROUNDS_ON_DISK } else { 1 } })
    }

    /// Returns the verifier of `secret` for `owner`: PBKDF2 with HMAC-SHA-256 (RFC 8018). Takes its time on purpose.
    #[must_use]
    pub fn verifier(&self, owner: &str, secret: &str) -> Verifier {
        let salt = [&self.bytes, owner.as_bytes()].concat();
        Verifier(Hidden(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(secret.as_bytes(), &salt, self.rounds)))
    }
}

/// The hash by which a secret is checked for as long as its chat is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier(Hidden);

/// Bytes that are never shown. Comparing them takes the same time wherever they differ.
#[derive(Clone, Serialize, Deserialize)]
struct Hidden([u8; 32]);

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Hidden {}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("hidden")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A file with `content` and `mode`, named after the test so that tests do not meet.
    fn file(name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = std::env::temp_dir().join(format!("chat-rpc-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn read(name: &str, content: &[u8], mode: u32) -> Result<String, String> {
        let path = file(name, content, mode);
        let outcome = read_file(&path).map_err(|failure| failure.to_string());
        fs::remove_file(path).unwrap();
        outcome
    }

    #[test]
    fn a_secret_is_one_line_without_its_break() {
        let longest = "x".repeat(MAX_BYTES);
        let with_break = format!("{longest}\r\n");
        for (content, secret) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" a b: ç \n", " a b: ç "),
            (&longest, &longest),
            (&with_break, &longest),
        ] {
            assert_eq!(read("line", content.as_bytes(), 0o600).as_deref(), Ok(secret), "{content:?}");
        }
        let too_long = "x".repeat(MAX_BYTES + 1);
        for content in ["", "\n", "\r\n", "hunter2\n\n", "hun\nter2", "hunter\x002", &too_long]
            .map(str::as_bytes)
            .iter()
            .chain([&&b"hunter2\xff"[..]])
        {
            let error = read("line-bad", content, 0o600).unwrap_err();
            assert!(!error.contains("hun") && !error.contains("ter2") && !error.contains("xxx"), "{error}");
        }
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_refused() {
        for mode in [0o600, 0o400, 0o640] {
            assert!(read("closed", b"s3cret", mode).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o602, 0o666] {
            assert!(read("open", b"s3cret", mode).unwrap_err().contains("chmod 600"), "{mode:o}");
        }
        assert!(read_file(Path::new("/nonexistent/secret")).is_err());
    }

    #[test]
    fn verifiers_are_alike_only_for_the_same_secret_owner_and_salt() {
        let (salt, other) = (Salt::random(true).unwrap(), Salt::random(true).unwrap());
        assert_eq!(salt.verifier("ana", "a"), salt.verifier("ana", "a"));
        assert_ne!(salt.verifier("ana", "a"), salt.verifier("bob", "a"));
        assert_ne!(salt.verifier("ana", "a"), salt.verifier("ana", "b"));
        assert_ne!(salt.verifier("ana", "a"), other.verifier("ana", "a"));
    }

    #[test]
    fn hashes_are_alike_only_for_the_same_secret_and_key() {
        let (key, other) = (DigestKey::random().unwrap(), DigestKey::random().unwrap());
        assert_eq!(key.digest("a"), key.digest("a"));
        assert_ne!(key.digest("a"), key.digest("b"));
        assert_ne!(key.digest("a"), key.digest(""));
        assert_ne!(key.digest("a"), other.digest("a"));
    }
}
