//! The proof that a caller may act as a user: the credentials of the call, compared with those of the registration.

use super::name::{NameKey, UserName};
use super::refusal::Refusal;
use crate::rpc::Credentials;
use crate::secret::{Digest, DigestKey};

/// The credentials of a call, as far as they count.
#[derive(Debug)]
pub struct Proof {
    /// The user part of the credentials, where it is a name, and the digest of the secret.
    shown: Option<(Option<NameKey>, Digest)>,
}

impl Proof {
    /// Returns what `credentials` show.
    #[must_use]
    pub fn new(credentials: Option<&Credentials>, key: &DigestKey) -> Self {
        let shown = credentials.map(|credentials| {
            let user = UserName::parse(&credentials.user).ok().map(|name| name.key().clone());
            (user, key.digest(&credentials.secret))
        });
        Self { shown }
    }

    /// No credentials.
    #[must_use]
    pub fn none() -> Self {
        Self { shown: None }
    }

    /// Returns the digest of the secret that is shown for `name`.
    pub(super) fn for_name(&self, name: &NameKey) -> Option<&Digest> {
        self.shown.as_ref().filter(|(user, _)| user.as_ref() == Some(name)).map(|(_, digest)| digest)
    }

    /// Checks whether they are fit for a registration of `name`. Returns the digest of the secret, `None` for an open
    /// registration. Without credentials it is refused where they are `required`.
    pub(super) fn for_registration(&self, name: &UserName, required: bool) -> Result<Option<&Digest>, Refusal> {
        match &self.shown {
            None if !required => Ok(None),
            None => Err(Refusal::NotAuthorised(
                "this server wants credentials (HTTP Basic, the user part equal to the user name)",
            )),
            Some((Some(user), digest)) if user == name.key() => Ok(Some(digest)),
            Some(_) => Err(Refusal::NotAuthorised("the user part of the credentials must be the name to register")),
        }
    }
}
