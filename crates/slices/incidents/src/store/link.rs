//! Rows of `incident_event`: which events tell the story of which incident.

use kernel::clock::from_micros;
use kernel::db::from_json;
use kernel::{DbError, Event, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

/// How far back the causes of an event are followed.
const MAX_CAUSES: i64 = 20;

/// The event belongs to the incident's story.
pub async fn add(connection: &mut AnyConnection, incident: &str, seq: i64) -> Result<(), DbError> {
    let sql =
        "INSERT INTO incident_event (incident, seq) VALUES ($1, $2) ON CONFLICT (incident, seq) DO NOTHING";
    sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(seq)
        .execute(connection)
        .await?;
    Ok(())
}

/// The event and what led to it belong to the incident's story.
pub async fn add_with_causes(
    connection: &mut AnyConnection,
    incident: &str,
    seq: i64,
) -> Result<(), DbError> {
    let sql = "WITH RECURSIVE up(seq, cause, depth) AS ( \
            SELECT seq, cause, 0 FROM event WHERE seq = $2 \
            UNION ALL SELECT e.seq, e.cause, up.depth + 1 FROM event e JOIN up ON e.seq = up.cause WHERE up.depth < $3) \
        INSERT INTO incident_event (incident, seq) SELECT $1, seq FROM up WHERE 1 = 1 \
        ON CONFLICT (incident, seq) DO NOTHING";
    sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(seq)
        .bind(MAX_CAUSES)
        .execute(connection)
        .await?;
    Ok(())
}

/// What follows from an event of a story is part of it. False when the cause is in no story.
pub async fn follow(connection: &mut AnyConnection, seq: i64, cause: i64) -> Result<bool, DbError> {
    let sql = "INSERT INTO incident_event (incident, seq) SELECT incident, $1 FROM incident_event WHERE seq = $2 \
        ON CONFLICT (incident, seq) DO NOTHING";
    let done = sqlx::query(sql).bind(seq).bind(cause).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

/// The newest event of a topic in the story of an incident.
pub async fn latest(
    connection: &mut AnyConnection,
    incident: &str,
    topic: &'static str,
) -> Result<Option<i64>, DbError> {
    let sql = "SELECT l.seq FROM incident_event l JOIN event e ON e.seq = l.seq \
        WHERE l.incident = $1 AND e.topic = $2 ORDER BY l.seq DESC LIMIT 1";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(topic)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// What the story of one incident says of a subject becomes part of another's, and stays its own.
pub async fn copy_of(
    connection: &mut AnyConnection,
    (from, into): (&str, &str),
    subject: &str,
) -> Result<(), DbError> {
    let sql = "INSERT INTO incident_event (incident, seq) SELECT $2, l.seq FROM incident_event l \
        JOIN event e ON e.seq = l.seq WHERE l.incident = $1 AND e.subject = $3 \
        ON CONFLICT (incident, seq) DO NOTHING";
    sqlx::query(sql)
        .bind(from.to_owned())
        .bind(into.to_owned())
        .bind(subject.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// The incident whose story an event is part of; of merged ones, the one that stands.
pub async fn incident_of(connection: &mut AnyConnection, seq: i64) -> Result<Option<String>, DbError> {
    let sql = "SELECT e.incident FROM incident_event e JOIN incident i ON i.id = e.incident \
        WHERE e.seq = $1 AND i.merged_into IS NULL ORDER BY e.incident LIMIT 1";
    let row = sqlx::query(sql).bind(seq).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The story of one incident becomes part of another's, and stays its own.
pub async fn copy_all(connection: &mut AnyConnection, from: &str, into: &str) -> Result<(), DbError> {
    let sql = "INSERT INTO incident_event (incident, seq) SELECT $2, seq FROM incident_event WHERE incident = $1 \
        ON CONFLICT (incident, seq) DO NOTHING";
    sqlx::query(sql)
        .bind(from.to_owned())
        .bind(into.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

const FORWARD: &str = "SELECT e.seq, e.at, e.topic, e.subject, e.actor, e.actor_name, e.cause, e.data \
    FROM incident_event l JOIN event e ON e.seq = l.seq WHERE l.incident = $1 AND l.seq > $2 ORDER BY l.seq LIMIT $3";
const BACKWARD: &str = "SELECT e.seq, e.at, e.topic, e.subject, e.actor, e.actor_name, e.cause, e.data \
    FROM incident_event l JOIN event e ON e.seq = l.seq WHERE l.incident = $1 AND l.seq < $2 ORDER BY l.seq DESC LIMIT $3";

/// A stretch of the story: from `edge` on, or (newest first) back from it.
pub async fn story(
    connection: &mut AnyConnection,
    incident: &str,
    is_newest_first: bool,
    edge: i64,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    let sql = if is_newest_first { BACKWARD } else { FORWARD };
    let rows = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(edge)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_event).collect()
}

fn row_to_event(row: &AnyRow) -> Result<Event, DbError> {
    Ok(Event {
        seq: row.try_get(0)?,
        at: from_micros(row.try_get(1)?),
        topic: row.try_get(2)?,
        subject: row.try_get(3)?,
        actor: row.try_get(4)?,
        actor_name: row.try_get(5)?,
        cause: row.try_get(6)?,
        data: from_json("event.data", &row.try_get::<String, _>(7)?)?,
    })
}

/// The events between two numbers (both included) in the stories of incidents that are not over.
pub async fn of_open(connection: &mut AnyConnection, (first, last): (i64, i64)) -> Result<Vec<i64>, DbError> {
    let sql = "SELECT DISTINCT l.seq FROM incident_event l JOIN incident i ON i.id = l.incident \
        WHERE l.seq >= $1 AND l.seq <= $2 AND i.state NOT IN ('resolved', 'closed')";
    let rows = sqlx::query(sql)
        .bind(first)
        .bind(last)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Did an alert, an incident or a run that one of them asked for lead to the event?
pub async fn is_reaction(connection: &mut AnyConnection, event: &Event) -> Result<bool, DbError> {
    let Some(cause) = event.cause else {
        return Ok(false);
    };
    let sql = "WITH RECURSIVE up(seq, topic, cause, depth) AS ( \
            SELECT seq, topic, cause, 0 FROM event WHERE seq = $1 \
            UNION ALL SELECT e.seq, e.topic, e.cause, up.depth + 1 FROM event e JOIN up ON e.seq = up.cause WHERE up.depth < $2) \
        SELECT seq FROM up WHERE topic LIKE 'alert.%' OR topic LIKE 'incident.%' LIMIT 1";
    let row = sqlx::query(sql)
        .bind(cause)
        .bind(MAX_CAUSES)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// The number of the first event at or after a time; `None` when there is none.
pub async fn first_since(connection: &mut AnyConnection, at: Timestamp) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("SELECT seq FROM event WHERE at >= $1 ORDER BY at, seq LIMIT 1")
        .bind(at.as_microsecond())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Events of one topic between two numbers, newest first: a stretch of the index on the topic.
pub async fn of_topic(
    connection: &mut AnyConnection,
    topic: &str,
    (from, to): (i64, i64),
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    let sql = "SELECT seq, at, topic, subject, actor, actor_name, cause, data FROM event \
        WHERE topic = $1 AND seq >= $2 AND seq < $3 ORDER BY seq DESC LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(topic.to_owned())
        .bind(from)
        .bind(to)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_event).collect()
}

/// The number of the newest event that can have changed the graph. Each part of the query is one look into an index.
pub async fn graph_stamp(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COALESCE(MAX(s), 0) AS BIGINT) FROM ( \
        SELECT MAX(seq) AS s FROM event WHERE topic = 'relation.created' \
        UNION ALL SELECT MAX(seq) AS s FROM event WHERE topic = 'relation.removed' \
        UNION ALL SELECT MAX(seq) AS s FROM event WHERE topic = 'item.created' \
        UNION ALL SELECT MAX(seq) AS s FROM event WHERE topic = 'item.retired' \
        UNION ALL SELECT MAX(seq) AS s FROM event WHERE topic = 'item.returned' \
        UNION ALL SELECT MAX(seq) AS s FROM event WHERE topic = 'host.discovered') AS newest";
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}
