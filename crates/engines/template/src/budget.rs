//! What an evaluation has left, and how large values are.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::Limits;

/// Levels that lists and maps may be nested.
const DEPTH_MAX: usize = 24;

pub struct Budget {
    value_max: usize,
    left: AtomicU64,
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self {
            value_max: limits.value_bytes,
            left: AtomicU64::new(limits.work_bytes),
        }
    }

    pub fn value_max(&self) -> usize {
        self.value_max
    }

    /// Work of `bytes`.
    pub fn spend(&self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        let taken = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken
            .map(drop)
            .map_err(|_| refused("the template takes too much work"))
    }

    /// A result of `bytes` was made, or will be.
    pub fn made(&self, bytes: usize) -> Result<(), Error> {
        if bytes > self.value_max {
            return Err(refused(format!(
                "a value is larger than {} bytes",
                self.value_max
            )));
        }
        self.spend(bytes + 1)
    }

    /// Charges for a value that was made or is about to be read.
    pub fn charge(&self, value: &Value) -> Result<(), Error> {
        let mut left = self.value_max + 1;
        let is_counted = count(value, DEPTH_MAX, &mut left)?;
        if !is_counted {
            return Err(refused(format!(
                "a value is larger than {} bytes",
                self.value_max
            )));
        }
        self.spend(self.value_max + 1 - left)
    }
}

pub fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// Takes the size of `value` from `left`; false when it is more.
fn count(value: &Value, depth: usize, left: &mut usize) -> Result<bool, Error> {
    let own = match value.kind() {
        ValueKind::String => value.as_str().map_or(1, str::len).max(1),
        ValueKind::Bytes => value.as_bytes().map_or(1, <[u8]>::len).max(1),
        _ => 1,
    };
    match left.checked_sub(own) {
        Some(rest) => *left = rest,
        None => return Ok(false),
    }
    let is_map = value.kind() == ValueKind::Map;
    if !is_map && !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Ok(true);
    }
    if depth == 0 {
        return Err(refused("lists are nested too deep"));
    }
    for item in value.try_iter()?.checked() {
        let item = item?;
        if !count(&item, depth - 1, left)? {
            return Ok(false);
        }
        if is_map && !count(&value.get_item(&item)?, depth - 1, left)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A writer that stops at its size.
struct Bounded {
    text: String,
    max: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        if self.text.len() + part.len() > self.max {
            let room = self.max - self.text.len();
            self.text.push_str(&part[..part.floor_char_boundary(room)]);
            return Err(std::fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

/// The text of a value, cut at `max` bytes.
pub fn written(value: &Value, max: usize) -> String {
    let mut bounded = Bounded {
        text: String::new(),
        max,
    };
    // What was cut is as long as the limit, which the caller refuses.
    let _is_whole = write!(bounded, "{value}").is_ok();
    bounded.text
}
