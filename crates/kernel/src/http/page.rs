//! Keyset paging: a page carries the key of its last row, sealed as an opaque cursor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// A stretch of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it as `cursor` to go on; absent at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of up to `limit` from rows that were read with one more than that.
    pub fn cut(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> Cursor) -> Self {
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = if has_more {
            rows.last().map(|row| key(row).encode())
        } else {
            None
        };
        Self { items: rows, next }
    }
}

/// `limit` and `cursor`, as every list takes them.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 500, 100 when absent.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    pub fn limit(&self) -> i64 {
        i64::from(self.limit.unwrap_or(100).clamp(1, 500))
    }

    pub fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        Cursor::decode(self.cursor.as_deref())
    }
}

/// The sort key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    parts: Vec<String>,
}

impl Cursor {
    pub fn of(parts: &[&str]) -> Self {
        Self {
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        }
    }

    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.parts.join("\u{1f}"))
    }

    pub fn decode(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad_cursor())?;
        let joined = String::from_utf8(bytes).map_err(|_| bad_cursor())?;
        // PostgreSQL refuses NUL in text.
        if joined.contains('\0') {
            return Err(bad_cursor());
        }
        Ok(Some(Cursor {
            parts: joined.split('\u{1f}').map(str::to_owned).collect(),
        }))
    }

    pub fn part(&self, index: usize) -> Result<&str, Problem> {
        self.parts.get(index).map(String::as_str).ok_or_else(bad_cursor)
    }

    pub fn i64(&self, index: usize) -> Result<i64, Problem> {
        self.part(index)?.parse().map_err(|_| bad_cursor())
    }

    pub fn first_i64(&self) -> Result<i64, Problem> {
        self.i64(0)
    }
}

fn bad_cursor() -> Problem {
    Problem::bad_request(
        "`cursor` is not one that this list gave out; leave it away to start from the beginning",
    )
}
