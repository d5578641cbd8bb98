//! All SQL of notify.

pub mod channels;
pub mod messages;

use kernel::Timestamp;
use kernel::clock::from_micros;
use sqlx::Row;
use sqlx::any::AnyRow;

fn time(row: &AnyRow, index: usize) -> Result<Timestamp, sqlx::Error> {
    Ok(from_micros(row.try_get(index)?))
}

fn optional_time(row: &AnyRow, index: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(from_micros))
}

/// An id that this slice wrote.
fn id<T: kernel::Prefix>(row: &AnyRow, index: usize) -> Result<kernel::Id<T>, sqlx::Error> {
    let text: String = row.try_get(index)?;
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
