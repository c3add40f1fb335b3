//! The options for a chat on several servers.

use std::fmt;

use log::warn;

use crate::endpoint::Endpoint;
use crate::program::{Failure, Flag, Options};
use crate::rpc::percent_decode;
use crate::secret;

/// The environment variable that may hold the password.
const PASSWORD_VARIABLE: &str = "CHAT_SHARE_PASSWORD";
const WANTED: &str = "must be redis://[USER:PASSWORD@]HOST:PORT/CHAT";
const WRONG_CODING: &str = "has a user or a password that is not percent-encoded UTF-8";
/// The longest name of a chat.
const MAX_NAME: usize = 64;

/// The options.
pub(in super::super) const FLAGS: &[Flag] = &[
    Flag::value(
        "share",
        "URL",
        None,
        "Serve one chat together with other servers, through the Valkey or Redis at redis://[USER:PASSWORD@]HOST:PORT/CHAT. \
         The password is better given by --share-secret-file or in CHAT_SHARE_PASSWORD: every user sees a command line.",
    ),
    Flag::value("share-secret-file", "FILE", None, "Holds the password of that Valkey or Redis."),
    Flag::value(
        "share-entries",
        "N",
        Some("20000"),
        "A snapshot takes the place of the stream there when it has more records than this.",
    ),
];

/// The chat, and the place of its stream.
#[derive(Clone)]
pub struct ShareConfig {
    /// The Valkey or Redis.
    pub engine: Endpoint,
    /// The user there; `None` for its default.
    pub user: Option<String>,
    /// The password, if it wants one.
    pub password: Option<String>,
    /// The name of the chat, of which its keys there are made: 1 to 64 of `a-z A-Z 0-9 . _ -`.
    pub chat: String,
    /// The records in the stream past which a snapshot takes their place. Default 20,000.
    pub most_records: u64,
}

impl fmt::Debug for ShareConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ShareConfig({self})")
    }
}

/// Without user and password.
impl fmt::Display for ShareConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "redis://{}/{}", self.engine, self.chat)
    }
}

impl ShareConfig {
    /// Reads [`FLAGS`] from a command line, and the password from the file or the environment. `None` without `--share`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is no such URL, [`Failure::Failed`] for a file that cannot be read.
    pub(in super::super) fn from_options(options: &Options) -> Result<Option<Self>, Failure> {
        let Some(url) = options.text("share") else {
            let stray = FLAGS.iter().find(|flag| options.has(flag.long));
            return stray.map_or(Ok(None), |flag| Err(Failure::Usage(format!("--{} needs --share URL", flag.long))));
        };
        if options.has("data") {
            return Err(Failure::Usage("--data and --share cannot be combined: the stream is the log".into()));
        }
        let mut config = Self::parse(url).map_err(|what| Failure::Usage(format!("--share {what}")))?;
        if config.password.is_some() {
            warn!("the password in --share is visible to every user of this machine; --share-secret-file hides it");
        }
        if let Some(path) = options.text("share-secret-file") {
            config.password = Some(secret::read_file(path.as_ref())?);
        } else if let Ok(password) = std::env::var(PASSWORD_VARIABLE)
            && !password.is_empty()
        {
            config.password = Some(password);
        }
        config.most_records = options.get("share-entries")?;
        if config.most_records < 10 {
            return Err(Failure::Usage("--share-entries must be at least 10".into()));
        }
        Ok(Some(config))
    }

    /// Reads a URL. Errors are the end of a sentence, and show nothing of it.
    fn parse(url: &str) -> Result<Self, &'static str> {
        let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("valkey://"));
        let rest =
            rest.ok_or(if url.starts_with("rediss://") { "cannot use TLS; put a tunnel between" } else { WANTED })?;
        let (place, chat) = rest.rsplit_once('/').ok_or(WANTED)?;
        let (credentials, place) = match place.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, place),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if chat.is_empty() || chat.len() > MAX_NAME || !chat.chars().all(is_name) {
            return Err("must end in the name of the chat: 1 to 64 of a-z A-Z 0-9 . _ -");
        }
        // In a URL a plus is no space, as it is in forms.
        let decoded = |text: &str| percent_decode(&text.replace('+', "%2B")).ok_or(WRONG_CODING);
        let (user, password) = match credentials.map(|text| text.split_once(':').ok_or(WANTED)).transpose()? {
            Some((user, password)) => (Some(decoded(user)?).filter(|user| !user.is_empty()), Some(decoded(password)?)),
            None => (None, None),
        };
        let engine = Endpoint::parse_or(place, 6379).map_err(|_| WANTED)?;
        Ok(Self { engine, user, password, chat: chat.to_owned(), most_records: 20_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_engine_user_password_and_chat() {
        let parsed = |url| {
            let config = ShareConfig::parse(url).unwrap();
            (config.engine.to_string(), config.user, config.password, config.chat)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(parsed("redis://h:1/c"), ("h:1".into(), None, None, "c".into()));
        assert_eq!(parsed("valkey://h/c.d"), ("h:6379".into(), None, None, "c.d".into()));
        assert_eq!(parsed("redis://u:p%40%2f+:x@[::1]:9/c"), ("[::1]:9".into(), text("u"), text("p@/+:x"), "c".into()));
        assert_eq!(parsed("redis://:p@h:1/c"), ("h:1".into(), None, text("p"), "c".into()));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "h:1/c",
            "http://hunter@h/c",
            "redis://h:1",
            "redis://h:1/",
            "redis://h:1/a b",
            "redis://u:hunter%zz@h:1/c",
            "redis://hunter@h:1/c",
            "redis://:hunter%@h:1/c",
            "redis://:hunter@h:x/c",
            "rediss://:hunter@h:1/c",
        ] {
            let error = ShareConfig::parse(url).unwrap_err();
            assert!(!error.contains("hunter"), "{url}: {error}");
        }
        let config = ShareConfig::parse("redis://u:hunter@h:1/c").unwrap();
        assert_eq!(format!("{config:?}"), "ShareConfig(redis://h:1/c)");
    }
}
