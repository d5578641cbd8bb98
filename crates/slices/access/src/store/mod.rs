//! All SQL of access. Reads and writes are free functions over a connection or transaction.

pub mod grants;
pub mod holders;
pub mod people;
pub mod services;
pub mod sessions;
pub mod setup;
pub mod teams;
pub mod throttle;
pub mod tokens;

use kernel::Timestamp;
use kernel::clock::from_micros;
use sqlx::Row;
use sqlx::any::AnyRow;

pub use people::{people_of_team, person};

fn time(row: &AnyRow, index: usize) -> Result<Timestamp, sqlx::Error> {
    Ok(from_micros(row.try_get(index)?))
}

fn optional_time(row: &AnyRow, index: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(from_micros))
}

fn flag(row: &AnyRow, index: usize) -> Result<bool, sqlx::Error> {
    Ok(row.try_get::<i64, _>(index)? != 0)
}

/// An id that this slice wrote.
fn id<T: kernel::Prefix>(row: &AnyRow, index: usize) -> Result<kernel::Id<T>, sqlx::Error> {
    let text: String = row.try_get(index)?;
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
