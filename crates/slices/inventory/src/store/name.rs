//! Which host had a name when: a name may go to another host once its holder is retired or renamed, its history does not.

use std::collections::{BTreeMap, HashMap};

use kernel::DbError;
use kernel::Timestamp;
use kernel::db::from_json;
use sqlx::{AnyConnection, Row};

use crate::model::{Item, ItemId};

/// Notes that an active host has its name, from now on.
pub async fn hold_name(conn: &mut AnyConnection, host: &Item, now: Timestamp) -> Result<(), DbError> {
    let last =
        sqlx::query("SELECT item, from_us FROM host_name WHERE name = $1 ORDER BY from_us DESC LIMIT 1")
            .bind(host.name.clone())
            .fetch_optional(&mut *conn)
            .await?;
    let mut from_us = now.as_microsecond();
    if let Some(row) = last {
        if row.try_get::<String, _>(0)? == host.id.as_str() {
            return Ok(());
        }
        // The clock may have stepped back; the order of the holders stays.
        from_us = from_us.max(row.try_get::<i64, _>(1)?.saturating_add(1));
    }
    sqlx::query("INSERT INTO host_name (name, from_us, item) VALUES ($1, $2, $3) ON CONFLICT (name, from_us) DO NOTHING")
        .bind(host.name.clone())
        .bind(from_us)
        .bind(host.id.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// A span of time, start included, end not; microseconds since the epoch.
pub type Span = (i64, i64);

/// Whether somebody sees what has this team and these tags.
pub type MaySee<'a> = dyn Fn(Option<&str>, &BTreeMap<String, String>) -> bool + Send + Sync + 'a;

/// The names of the hosts that `may_see` lets through, active and retired, each with the times at which it was theirs. What was
/// before the first holder of a name is that one's, what comes after the last one that one's.
pub async fn host_names(
    conn: &mut AnyConnection,
    may_see: &MaySee<'_>,
) -> Result<HashMap<String, Vec<Span>>, DbError> {
    let mut visible: HashMap<String, bool> = HashMap::new();
    let rows = sqlx::query("SELECT id, team, tags FROM item WHERE kind = 'host'")
        .fetch_all(&mut *conn)
        .await?;
    for row in &rows {
        let team: Option<String> = row.try_get(1)?;
        let tags = from_json("item.tags", &row.try_get::<String, _>(2)?)?;
        visible.insert(row.try_get(0)?, may_see(team.as_deref(), &tags));
    }
    let rows = sqlx::query("SELECT name, from_us, item FROM host_name ORDER BY name, from_us")
        .fetch_all(conn)
        .await?;
    let mut found: HashMap<String, Vec<Span>> = HashMap::new();
    let mut holders: Vec<(i64, bool)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let name: String = row.try_get(0)?;
        let is_ours = visible
            .get(&row.try_get::<String, _>(2)?)
            .copied()
            .unwrap_or(false);
        holders.push((row.try_get(1)?, is_ours));
        let is_last = match rows.get(index + 1) {
            Some(next) => next.try_get::<String, _>(0)? != name,
            None => true,
        };
        if is_last {
            let spans = spans(&holders);
            holders.clear();
            if !spans.is_empty() {
                found.insert(name, spans);
            }
        }
    }
    Ok(found)
}

/// The spans of those holders that are ours, adjacent ones joined.
fn spans(holders: &[(i64, bool)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (index, (from_us, is_ours)) in holders.iter().enumerate() {
        if !is_ours {
            continue;
        }
        let from = if index == 0 { i64::MIN } else { *from_us };
        let to = holders.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
        match spans.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => spans.push((from, to)),
        }
    }
    spans
}

/// The names that a host has had.
pub async fn names_of(conn: &mut AnyConnection, host: &ItemId) -> Result<Vec<String>, DbError> {
    let rows = sqlx::query("SELECT DISTINCT name FROM host_name WHERE item = $1")
        .bind(host.as_str())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::spans;

    #[test]
    fn a_name_is_its_holders_at_their_times() {
        for (holders, want) in [
            (vec![(10, true)], vec![(i64::MIN, i64::MAX)]),
            (vec![(10, false)], vec![]),
            (vec![(10, true), (20, false)], vec![(i64::MIN, 20)]),
            (vec![(10, false), (20, true)], vec![(20, i64::MAX)]),
            (
                vec![(10, true), (20, false), (30, true)],
                vec![(i64::MIN, 20), (30, i64::MAX)],
            ),
            (vec![(10, true), (20, true)], vec![(i64::MIN, i64::MAX)]),
        ] {
            assert_eq!(spans(&holders), want, "{holders:?}");
        }
    }
}
