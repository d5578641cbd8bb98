//! Which names a type reads: serde's derive tells them to the deserializer before it reads anything.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor};

/// The fields of a struct; `None` for what reads any name, for instance a map.
pub(super) fn names_of<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    T::deserialize(Ask).err().and_then(|told| told.0)
}

/// A deserializer without data that refuses everything, a struct with the names of its fields.
struct Ask;

#[derive(Debug)]
struct Told(Option<&'static [&'static str]>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the names of the fields")
    }
}

impl std::error::Error for Told {}

impl serde::de::Error for Told {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

impl<'de> Deserializer<'de> for Ask {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(Told(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Told> {
        Err(Told(Some(fields)))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its names are asked for")]
    struct Sample {
        limit: Option<u32>,
        #[serde(rename = "match[]")]
        matches: Option<String>,
    }

    #[test]
    fn a_struct_tells_its_names() {
        assert_eq!(names_of::<Sample>(), Some(&["limit", "match[]"][..]));
        assert_eq!(names_of::<std::collections::HashMap<String, String>>(), None);
    }
}
