//! Who may act as whom: what a caller has to show, held against what the user registered with.

use super::name::{NameKey, UserName};
use super::refusal::Refusal;
use crate::rpc::Credentials;
use crate::secret::{Digest, Key};

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
