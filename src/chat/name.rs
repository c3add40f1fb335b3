//! Stand-in until the names land.
use std::fmt;
use std::sync::Arc;
/// The form in which names are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(Arc<str>);
/// Why a name is not allowed.
#[derive(Debug)]
pub struct NameError;
impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name has 1 to 64 characters")
    }
}
macro_rules! name_type {
    ($name:ident) => {
        /// A name.
        #[derive(Clone, Debug)]
        pub struct $name(Arc<str>, NameKey);
        impl $name {
            /// Checks `text`.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if text.is_empty() || text.len() > 64 {
                    return Err(NameError);
                }
                Ok(Self(text.into(), NameKey(text.to_lowercase().into())))
            }
            /// The display form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The comparison form.
            pub fn key(&self) -> &NameKey {
                &self.1
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
name_type!(UserName);
name_type!(RoomName);
