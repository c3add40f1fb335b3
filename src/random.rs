//! Random bytes and texts from the system.

use std::fmt::Write as _;

use crate::program::Failure;

/// Returns `N` random bytes.
///
/// # Errors
/// If the system has no random numbers.
pub fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::while_doing("no random numbers", error))?;
    Ok(bytes)
}

/// Returns `N` random bytes as `2 * N` hexadecimal digits.
///
/// # Errors
/// If the system has no random numbers.
pub fn hex<const N: usize>() -> Result<String, Failure> {
    let mut text = String::with_capacity(2 * N);
    for byte in bytes::<N>()? {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_have_their_length_and_differ() {
        let (one, other) = (hex::<16>().unwrap(), hex::<16>().unwrap());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
