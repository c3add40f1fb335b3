//! Stand-in until the harmless text lands.
use std::fmt;
/// Text from a peer, made harmless.
#[derive(Debug)]
pub struct Harmless<'a>(pub &'a str);
impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
