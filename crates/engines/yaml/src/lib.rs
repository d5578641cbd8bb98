//! A strict YAML 1.2 reader that remembers where everything stands.
//!
//! Flow: [`parse`] turns a text into a tree of [`Node`]s with lines and columns; [`Fields`] decodes maps field by
//! field and refuses unknown ones by name. Duplicate keys, unknown tags, deep nesting and alias bombs are errors.
//! Nothing here writes YAML.

mod duration;
mod error;
mod fields;
mod load;
mod scalar;

pub use duration::parse_duration;
pub use error::Error;
pub use fields::Fields;
pub use load::{Limits, parse, parse_many, parse_with};
pub use scalar::Scalar;

/// A value and where it starts; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(Scalar),
    Seq(Vec<Node>),
    /// In the order of the text; keys are unique.
    Map(Vec<Entry>),
}

/// One key of a map with its value; the place is that of the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub line: u32,
    pub column: u32,
    pub value: Node,
}

impl Node {
    /// An error at this place.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::new(self.line, self.column, message)
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The text of any scalar that is not null: `8080` unquoted is also the text "8080".
    pub fn as_str(&self) -> Option<&str> {
        self.scalar().filter(|s| !s.is_null()).map(Scalar::text)
    }

    pub fn as_i64(&self) -> Option<i64> {
        self.scalar().and_then(Scalar::as_i64)
    }

    pub fn as_f64(&self) -> Option<f64> {
        self.scalar().and_then(Scalar::as_f64)
    }

    pub fn as_bool(&self) -> Option<bool> {
        self.scalar().and_then(Scalar::as_bool)
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(s) => Some(s),
            _ => None,
        }
    }

    /// What the node is, for errors.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Seq(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
            Value::Scalar(s) => s.describe(),
        }
    }
}
