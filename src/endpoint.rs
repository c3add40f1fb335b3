//! The address of a program: a host, a port, and whether TLS protects the way to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use crate::program::Failure;

/// `HOST:PORT`, the host a name, an IPv4 address or an IPv6 address in brackets; `https://HOST:PORT` behind TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The host, without brackets.
    pub host: String,
    /// The port; 0 only where the system may choose.
    pub port: u16,
    /// If TLS protects the connections to it. Only clients ask for that: see [`Endpoint::parse_url`].
    pub tls: bool,
}

/// The longest host name, in characters (RFC 1035).
const MAX_HOST: usize = 253;
/// The ports of URLs that name none.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;
const WANTED: &str = "an address must be HOST:PORT, for example 127.0.0.1:9000 or [::1]:9000";

fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    !text.is_empty() && text.len() <= MAX_HOST && text.chars().all(plain)
}

impl Endpoint {
    /// Checks a host, without brackets, and a port from 1 to 65535, as a peer gives them.
    ///
    /// # Errors
    /// If either is not that; the text says what it must be.
    pub fn new(host: &str, port: i64) -> Result<Self, &'static str> {
        if !is_host(host) {
            return Err("an address must be a host name or an IP address of at most 253 characters");
        }
        let port = u16::try_from(port).ok().filter(|&port| port > 0);
        let port = port.ok_or("a port must be a number from 1 to 65535")?;
        Ok(Self { host: host.to_owned(), port, tls: false })
    }

    /// Reads `HOST:PORT`, or `HOST` alone for the port `default`.
    ///
    /// # Errors
    /// If `text` is neither; the error says what it must be.
    pub fn parse_or(text: &str, default: u16) -> Result<Self, &'static str> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let is_address = bare.parse::<IpAddr>().is_ok();
        if is_address || !text.contains(':') && is_host(text) {
            return Ok(Self { host: bare.to_owned(), port: default, tls: false });
        }
        text.parse()
    }

    /// Reads `https://HOST[:PORT]` or `http://HOST[:PORT]`, which may end in `/` or `/RPC2`, or like [`Endpoint::parse_or`].
    ///
    /// # Errors
    /// If `text` is none of these; the error says what it must be.
    pub fn parse_url(text: &str, default: u16) -> Result<Self, &'static str> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Self::parse_or(text, default),
        };
        let authority = ["/RPC2", "/"].iter().find_map(|path| rest.strip_suffix(path)).unwrap_or(rest);
        let endpoint = Self::parse_or(authority, if tls { HTTPS_PORT } else { HTTP_PORT });
        endpoint
            .map(|endpoint| Self { tls, ..endpoint })
            .map_err(|_| "a URL must be https://HOST[:PORT] or http://HOST[:PORT]")
    }

    /// Returns `HOST:PORT`, as the header `Host` has it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Returns the IP address that the host is, if it is one and no name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
    }

    /// Resolves the host, and returns its first address.
    ///
    /// # Errors
    /// If the name cannot be resolved.
    pub fn resolve(&self) -> Result<SocketAddr, Failure> {
        let mut addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| Failure::while_doing(format_args!("cannot resolve {self}"), error))?;
        addresses.next().ok_or_else(|| Failure::Failed(format!("{self} has no address")))
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(WANTED)?;
        let bare = host.strip_prefix('[').map(|rest| rest.strip_suffix(']').ok_or(WANTED)).transpose()?;
        if bare.is_none() && host.contains(':') {
            return Err(WANTED);
        }
        let host = bare.unwrap_or(host);
        let port = port.parse().map_err(|_| WANTED)?;
        if is_host(host) { Ok(Self { host: host.to_owned(), port, tls: false }) } else { Err(WANTED) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.tls { "https://" } else { "" }, self.authority())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port(), tls: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written_alike() {
        for text in ["127.0.0.1:9000", "[::1]:0", "localhost:65535", "my-host.local:1"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "host",
            "host:",
            ":1",
            "host:65536",
            "host:-1",
            "::1:5000",
            "[::1:5000",
            "a b:1",
            "http://host:1",
            "h\u{1b}:1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_left_out_has_its_default() {
        for (text, read) in [
            ("192.168.1.1", "192.168.1.1:5000"),
            ("attic.local", "attic.local:5000"),
            ("fe80::1", "[fe80::1]:5000"),
            ("[::1]", "[::1]:5000"),
            ("[::1]:1", "[::1]:1"),
            ("host:1", "host:1"),
        ] {
            assert_eq!(Endpoint::parse_or(text, 5000).unwrap().to_string(), read, "{text}");
        }
        for text in ["", ":", "host:", "a b", "http://host", "[host", "h:x"] {
            assert!(Endpoint::parse_or(text, 5000).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_say_whether_there_is_tls() {
        for (text, read) in [
            ("https://chat.example", "https://chat.example:443"),
            ("https://chat.example/", "https://chat.example:443"),
            ("https://chat.example:8443/RPC2", "https://chat.example:8443"),
            ("https://[::1]:1", "https://[::1]:1"),
            ("http://chat.example", "chat.example:80"),
            ("http://chat.example:9000/RPC2", "chat.example:9000"),
            ("chat.example", "chat.example:9000"),
            ("chat.example:1", "chat.example:1"),
        ] {
            let endpoint = Endpoint::parse_url(text, 9000).unwrap();
            assert_eq!(endpoint.to_string(), read, "{text}");
            assert_eq!(Endpoint::parse_url(read, 9000), Ok(endpoint), "{read}");
        }
        for text in ["https://", "https://a/b", "https://u:p@host", "ftp://host", "https:host", "https://a b"] {
            assert!(Endpoint::parse_url(text, 9000).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_and_ports_of_peers_are_checked() {
        for (host, port) in [("", 1), ("a b", 1), ("host\n", 1), ("h", 0), ("h", 65536), ("h", -1)] {
            assert!(Endpoint::new(host, port).is_err(), "{host:?} {port}");
        }
        assert!(Endpoint::new(&"x".repeat(MAX_HOST + 1), 1).is_err());
        assert!(Endpoint::new(&"x".repeat(MAX_HOST), 1).is_ok());
        assert_eq!(Endpoint::new("::1", 65535).unwrap().to_string(), "[::1]:65535");
    }
}
