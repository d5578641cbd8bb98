//! Ids: UUIDv7 (RFC 9562) as text with a prefix that names the kind (`inc_01890a5d…`), sortable by creation.
//!
//! The order holds within a process whatever the wall clock does, and across restarts once [`start_after`] was called with the
//! newest time that the database knows. The time inside an id is therefore not the time of creation: store that in a column.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod sequence;

pub use sequence::start_after;

/// Gives a type's ids their prefix.
pub trait Prefix {
    const PREFIX: &'static str;
}

/// The id of a `T`.
pub struct Id<T> {
    text: String,
    of: PhantomData<fn() -> T>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{given}\" is not an id of the form {prefix}_<32 hex digits>")]
pub struct IdError {
    given: String,
    prefix: &'static str,
}

impl<T: Prefix> Id<T> {
    /// A new id. Ids made later sort later.
    pub fn new() -> Self {
        Self {
            text: format!("{}_{}", T::PREFIX, sequence::next().simple()),
            of: PhantomData,
        }
    }
}

impl<T: Prefix> Default for Id<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Id<T> {
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<T: Prefix> FromStr for Id<T> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let hex = text
            .strip_prefix(T::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'));
        let is_id = hex.is_some_and(|h| {
            h.len() == 32
                && h.bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        if is_id {
            Ok(Self {
                text: text.to_owned(),
                of: PhantomData,
            })
        } else {
            Err(IdError {
                given: text.chars().take(80).collect(),
                prefix: T::PREFIX,
            })
        }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            of: PhantomData,
        }
    }
}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de, T: Prefix> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl<T> utoipa::PartialSchema for Id<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl<T> utoipa::ToSchema for Id<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing;
    impl Prefix for Thing {
        const PREFIX: &'static str = "thg";
    }

    #[test]
    fn ids_round_trip_and_sort_by_birth() {
        let first = Id::<Thing>::new();
        let second = Id::<Thing>::new();
        assert!(first < second, "{first} {second}");
        assert_eq!(first.as_str().parse::<Id<Thing>>().unwrap(), first);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "thg_",
            "inc_0123456789abcdef0123456789abcdef",
            "thg_0123456789ABCDEF0123456789abcdef",
        ] {
            assert!(text.parse::<Id<Thing>>().is_err(), "{text}");
        }
    }
}
