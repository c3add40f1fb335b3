//! A page for browsers: bytes that are fixed when the program is built.

/// A document for `GET /`.
#[derive(Debug)]
pub struct WebPage {
    /// HTML in UTF-8, compressed (RFC 1952). It is kept in no other form.
    pub gzip: &'static [u8],
    /// Header lines beside type and length, each with CR LF, `Content-Encoding` among them.
    pub headers: &'static str,
}

/// Returns whether the reply to a request with this `Accept-Encoding` may be gzip. One without the header may (RFC 9110, section 12.5.3).
pub(super) fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let Some(codings) = accept_encoding else { return true };
    codings.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.bytes().all(|b| matches!(b, b'0' | b'.')));
        ["gzip", "x-gzip", "*"].iter().any(|known| name.trim().eq_ignore_ascii_case(known)) && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        for (header, taken) in [
            (None, true),
            (Some("gzip, deflate, br, zstd"), true),
            (Some("br;q=1.0, GZIP;q=0.5"), true),
            (Some("*"), true),
            (Some("identity"), false),
            (Some("br"), false),
            (Some(""), false),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.000, br"), false),
        ] {
            assert_eq!(accepts_gzip(header), taken, "{header:?}");
        }
    }
}
