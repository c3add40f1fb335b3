//! HTTP Basic credentials (RFC 7617), the kind that every XML-RPC library can send.

use std::fmt;

use base64ct::{Base64, Encoding as _};

use super::read::base64;

/// A user name and its secret. Neither `Debug` nor anything else prints the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name of the user.
    pub user: String,
    /// The secret that proves it.
    pub secret: String,
}

impl Credentials {
    /// Reads the value of an `Authorization` header; `None` for other schemes, for one that is not well-formed, and for an empty
    /// secret, which proves nothing.
    #[must_use]
    pub fn from_basic(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let encoded = encoded.trim();
        // Here the end has to be padded.
        if !encoded.len().is_multiple_of(4) {
            return None;
        }
        let decoded = String::from_utf8(base64(encoded)?).ok()?;
        let (user, secret) = decoded.split_once(':')?;
        (!secret.is_empty()).then(|| Self { user: user.to_owned(), secret: secret.to_owned() })
    }

    /// Returns the value of an `Authorization` header. `user` must not contain a colon.
    #[must_use]
    pub fn to_basic(&self) -> String {
        format!("Basic {}", Base64::encode_string(format!("{}:{}", self.user, self.secret).as_bytes()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_survive_the_header_and_show_no_secret() {
        let credentials = Credentials { user: "joão".into(), secret: "a:b c".into() };
        assert_eq!(Credentials::from_basic(&credentials.to_basic()), Some(credentials.clone()));
        assert!(!format!("{credentials:?}").contains("a:b"));
    }

    #[test]
    fn what_is_not_basic_is_no_credentials() {
        for header in
            ["", "Basic", "Basic %%%", "Bearer abc", "Basic YWxpY2U=", "Basic /w==", "Basic YTpiYw", "Basic YTo="]
        {
            assert_eq!(Credentials::from_basic(header), None, "{header}");
        }
    }
}
