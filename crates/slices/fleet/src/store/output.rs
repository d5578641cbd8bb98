//! Output of commands, in chunks.

use kernel::{DbError, Timestamp};
use protocol::Stream;
use sqlx::{AnyConnection, Row};

use crate::model::CommandId;

/// A piece of what a command wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputChunk {
    /// Place in the order of everything that commands wrote; read on after it.
    pub seq: i64,
    pub stream: Stream,
    /// Position of the first byte in its stream.
    pub start_byte: u64,
    pub data: Vec<u8>,
}

pub fn stream_text(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

/// Chunks of a command after `seq`, in the order in which they came; of one stream or of both.
pub async fn output(
    conn: &mut AnyConnection,
    id: &CommandId,
    stream: Option<Stream>,
    after: i64,
    limit: i64,
) -> Result<Vec<OutputChunk>, DbError> {
    let rows = sqlx::query(
        "SELECT seq, stream, start_byte, data FROM command_output WHERE command = $1 AND ($2 = '' OR stream = $2) \
         AND seq > $3 ORDER BY seq LIMIT $4",
    )
    .bind(id.as_str())
    .bind(stream.map(stream_text).unwrap_or_default())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let is_stderr = row.try_get::<String, _>(1)? == "stderr";
            Ok(OutputChunk {
                seq: row.try_get(0)?,
                stream: if is_stderr { Stream::Stderr } else { Stream::Stdout },
                start_byte: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
                data: row.try_get(3)?,
            })
        })
        .collect()
}

/// How far a stream has been stored.
pub async fn end_of_stream(conn: &mut AnyConnection, id: &CommandId, stream: Stream) -> Result<u64, DbError> {
    let row = sqlx::query(
        "SELECT CAST(COALESCE(MAX(start_byte + length), 0) AS BIGINT) FROM command_output WHERE command = $1 AND stream = $2",
    )
    .bind(id.as_str())
    .bind(stream_text(stream))
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}

/// Stores a chunk; gives its place, or `None` when it is there already.
pub async fn insert_output(
    conn: &mut AnyConnection,
    id: &CommandId,
    stream: Stream,
    start_byte: u64,
    data: &[u8],
) -> Result<Option<i64>, DbError> {
    let row = sqlx::query(
        "INSERT INTO command_output (command, stream, start_byte, length, data) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (command, stream, start_byte) DO NOTHING RETURNING seq",
    )
    .bind(id.as_str())
    .bind(stream_text(stream))
    .bind(i64::try_from(start_byte).unwrap_or(i64::MAX))
    .bind(i64::try_from(data.len()).unwrap_or(i64::MAX))
    .bind(data.to_vec())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Deletes up to 500 chunks of commands that ended before; says how many.
pub async fn delete_output_before(conn: &mut AnyConnection, before: Timestamp) -> Result<u64, DbError> {
    let done = sqlx::query(
        "DELETE FROM command_output WHERE seq IN (SELECT o.seq FROM command_output o \
         JOIN command c ON c.id = o.command WHERE c.ended_at < $1 ORDER BY o.seq LIMIT 500)",
    )
    .bind(before.as_microsecond())
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
