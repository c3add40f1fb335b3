//! Who may act as whom: the server keeps a keyed hash of each secret, made with a random key of this process, and compares
//! in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::name::{NameKey, UserName};
use super::refusal::Refusal;
use crate::rpc::Credentials;

/// The key of the hashes: another one in every process, so that a hash means nothing elsewhere.
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

impl Key {
    /// A random key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn digest(&self, secret: &str) -> Digest {
        // HMAC takes keys of every length, so this cannot fail; a digest of nothing would match no other one anyway.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Digest([0; 32]) };
        mac.update(secret.as_bytes());
        Digest(mac.finalize().into_bytes().into())
    }
}

/// The keyed hash of a secret. Comparing two takes the same time wherever they differ.
#[derive(Clone)]
pub struct Digest([u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digest")
    }
}

/// What a caller has to show.
#[derive(Debug)]
pub struct Proof {
    shown: Option<(Option<NameKey>, Digest)>,
    open_allowed: bool,
}

impl Proof {
    /// What `credentials` show. `open_allowed`: users may be registered without any.
    #[must_use]
    pub fn new(credentials: Option<&Credentials>, key: &Key, open_allowed: bool) -> Self {
        let shown = credentials.map(|credentials| {
            let user = UserName::parse(&credentials.user).ok().map(|name| name.key().clone());
            (user, key.digest(&credentials.secret))
        });
        Self { shown, open_allowed }
    }

    /// No credentials, where none are needed.
    #[must_use]
    pub fn none() -> Self {
        Self { shown: None, open_allowed: true }
    }

    /// Whether they allow to act as `name`, who registered with `secret`. Anybody may act as an open user.
    pub(super) fn check(&self, secret: Option<&Digest>, name: &UserName) -> Result<(), Refusal> {
        let Some(secret) = secret else { return Ok(()) };
        match &self.shown {
            Some((Some(user), digest)) if digest == secret && user == name.key() => Ok(()),
            _ => Err(Refusal::NotAuthorised("this user is acted for with the credentials of the registration only")),
        }
    }

    /// What to keep of them when `name` is registered; `None` for an open registration.
    pub(super) fn for_registration(&self, name: &UserName) -> Result<Option<Digest>, Refusal> {
        match &self.shown {
            None if self.open_allowed => Ok(None),
            None => Err(Refusal::NotAuthorised(
                "this server wants credentials (HTTP Basic, the user part equal to the user name)",
            )),
            Some((Some(user), digest)) if user == name.key() => Ok(Some(digest.clone())),
            Some(_) => Err(Refusal::NotAuthorised("the user part of the credentials is not the name to register")),
        }
    }
}
