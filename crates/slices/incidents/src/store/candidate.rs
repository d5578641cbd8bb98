//! Rows of `incident_candidate`: two incidents that may be one, until a person decides.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

/// Undecided candidates that one incident shows.
const SHOWN: i64 = 20;

/// Two incidents that may be one.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The older of the two.
    pub incident: String,
    pub other: String,
    /// The kind of evidence.
    pub kind: String,
    /// In a sentence.
    pub reason: String,
    pub at: Timestamp,
}

impl Candidate {
    /// The other incident, seen from one of the two.
    pub fn counterpart(&self, of: &str) -> &str {
        if self.incident == of {
            &self.other
        } else {
            &self.incident
        }
    }
}

/// Ids sort by birth.
fn ordered<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    if a <= b { (a, b) } else { (b, a) }
}

/// Notes a candidate; false when the pair is known, decided or not.
pub async fn add(connection: &mut AnyConnection, candidate: &Candidate) -> Result<bool, DbError> {
    let (incident, other) = ordered(&candidate.incident, &candidate.other);
    let sql = "INSERT INTO incident_candidate (incident, other, kind, reason, state, at) \
        VALUES ($1, $2, $3, $4, 'open', $5) ON CONFLICT (incident, other) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(other.to_owned())
        .bind(candidate.kind.clone())
        .bind(candidate.reason.clone())
        .bind(candidate.at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// A person has decided that the two are not one, or are; also of a pair that was no candidate.
pub async fn decide(
    connection: &mut AnyConnection,
    (a, b): (&str, &str),
    state: &'static str,
    by: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let (incident, other) = ordered(a, b);
    let sql = "INSERT INTO incident_candidate (incident, other, kind, reason, state, at, decided_at, decided_by_name) \
        VALUES ($1, $2, 'person', '', $3, $5, $5, $4) ON CONFLICT (incident, other) DO UPDATE SET \
        state = excluded.state, decided_at = excluded.decided_at, decided_by_name = excluded.decided_by_name";
    sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(other.to_owned())
        .bind(state)
        .bind(by.to_owned())
        .bind(now.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

/// Has a person decided that the two are not one?
pub async fn is_dismissed(connection: &mut AnyConnection, a: &str, b: &str) -> Result<bool, DbError> {
    let (incident, other) = ordered(a, b);
    let sql =
        "SELECT state FROM incident_candidate WHERE incident = $1 AND other = $2 AND state = 'dismissed'";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(other.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// The undecided candidates of an incident whose other half still stands, oldest first.
pub async fn of_incident(connection: &mut AnyConnection, incident: &str) -> Result<Vec<Candidate>, DbError> {
    let sql = "SELECT c.incident, c.other, c.kind, c.reason, c.at FROM incident_candidate c \
        JOIN incident a ON a.id = c.incident JOIN incident b ON b.id = c.other \
        WHERE (c.incident = $1 OR c.other = $1) AND c.state = 'open' \
        AND a.merged_into IS NULL AND b.merged_into IS NULL AND a.state <> 'closed' AND b.state <> 'closed' \
        ORDER BY c.at, c.incident, c.other LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(SHOWN)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_candidate).collect()
}

/// One undecided candidate.
pub async fn get(connection: &mut AnyConnection, a: &str, b: &str) -> Result<Option<Candidate>, DbError> {
    let (incident, other) = ordered(a, b);
    let sql = "SELECT incident, other, kind, reason, at FROM incident_candidate \
        WHERE incident = $1 AND other = $2 AND state = 'open'";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(other.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_candidate).transpose()
}

fn row_to_candidate(row: &AnyRow) -> Result<Candidate, DbError> {
    Ok(Candidate {
        incident: row.try_get(0)?,
        other: row.try_get(1)?,
        kind: row.try_get(2)?,
        reason: row.try_get(3)?,
        at: from_micros(row.try_get(4)?),
    })
}
