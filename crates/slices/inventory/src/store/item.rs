//! Items: reading, writing, paging.

use std::collections::{BTreeMap, HashMap};

use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::model::{Item, ItemId, State};
use crate::selector::Selector;

use super::name::hold_name;

/// Rows that one round of a filtered list reads.
const CHUNK: i64 = 500;

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, key, parent, name, name_is_manual, state, own_team, own_tags, team, tags, owner, source, \
             attributes, created_at, changed_at, observed_at, retired_at, version FROM item ",
            $rest
        )
    };
}

fn row_to_item(row: &AnyRow) -> Result<Item, DbError> {
    let text = |index: usize| row.try_get::<String, _>(index);
    let number = |index: usize| row.try_get::<i64, _>(index);
    Ok(Item {
        id: parse_id(&text(0)?)?,
        kind: text(1)?,
        key: text(2)?,
        parent: optional_id(&text(3)?)?,
        name: text(4)?,
        name_is_manual: number(5)? != 0,
        state: State::parse(&text(6)?).unwrap_or(State::Active),
        own_team: row.try_get(7)?,
        own_tags: from_json("item.own_tags", &text(8)?)?,
        team: row.try_get(9)?,
        tags: from_json("item.tags", &text(10)?)?,
        owner: row.try_get(11)?,
        source: text(12)?,
        attributes: from_json("item.attributes", &text(13)?)?,
        created_at: from_micros(number(14)?),
        changed_at: from_micros(number(15)?),
        observed_at: from_micros(number(16)?),
        retired_at: row.try_get::<Option<i64>, _>(17)?.map(from_micros),
        version: number(18)?,
    })
}

pub(super) fn parse_id(text: &str) -> Result<ItemId, DbError> {
    text.parse()
        .map_err(|error| DbError::Sqlx(sqlx::Error::Decode(Box::new(error))))
}

fn optional_id(text: &str) -> Result<Option<ItemId>, DbError> {
    if text.is_empty() {
        Ok(None)
    } else {
        parse_id(text).map(Some)
    }
}

fn parent_text(parent: Option<&ItemId>) -> String {
    parent.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

pub async fn item(conn: &mut AnyConnection, id: &ItemId) -> Result<Option<Item>, DbError> {
    let row = sqlx::query(columns!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_item).transpose()
}

/// Those that exist of `ids`.
pub async fn by_ids(conn: &mut AnyConnection, ids: &[ItemId]) -> Result<HashMap<ItemId, Item>, DbError> {
    let mut found = HashMap::new();
    for id in ids {
        if !found.contains_key(id)
            && let Some(item) = item(&mut *conn, id).await?
        {
            found.insert(id.clone(), item);
        }
    }
    Ok(found)
}

/// The item of that kind and name; an active one before a retired one.
pub async fn item_by_name(conn: &mut AnyConnection, kind: &str, name: &str) -> Result<Option<Item>, DbError> {
    let row = sqlx::query(columns!(
        "WHERE kind = $1 AND name = $2 ORDER BY state, id LIMIT 1"
    ))
    .bind(kind)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(row_to_item).transpose()
}

pub async fn host_by_name(conn: &mut AnyConnection, name: &str) -> Result<Option<Item>, DbError> {
    item_by_name(conn, "host", name).await
}

pub async fn by_key(
    conn: &mut AnyConnection,
    kind: &str,
    parent: Option<&ItemId>,
    key: &str,
) -> Result<Option<Item>, DbError> {
    let row = sqlx::query(columns!("WHERE kind = $1 AND parent = $2 AND key = $3"))
        .bind(kind)
        .bind(parent_text(parent))
        .bind(key)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_item).transpose()
}

/// What is directly on an item, retired things too.
pub async fn children(conn: &mut AnyConnection, parent: &ItemId) -> Result<Vec<Item>, DbError> {
    let rows = sqlx::query(columns!("WHERE parent = $1 ORDER BY kind, name, id"))
        .bind(parent.as_str())
        .fetch_all(conn)
        .await?;
    rows.iter().map(row_to_item).collect()
}

/// How many active things of a kind are on an item.
pub async fn count_active(conn: &mut AnyConnection, parent: &ItemId, kind: &str) -> Result<usize, DbError> {
    let row = sqlx::query("SELECT COUNT(*) FROM item WHERE parent = $1 AND kind = $2 AND state = 'active'")
        .bind(parent.as_str())
        .bind(kind)
        .fetch_one(conn)
        .await?;
    Ok(usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}

/// Everything under an item, nearest first.
pub async fn descendants(conn: &mut AnyConnection, parent: &ItemId) -> Result<Vec<Item>, DbError> {
    let mut found: Vec<Item> = children(&mut *conn, parent).await?;
    let mut next = 0;
    while next < found.len() && found.len() < 100_000 {
        let id = found[next].id.clone();
        found.extend(children(&mut *conn, &id).await?);
        next += 1;
    }
    Ok(found)
}

/// A stretch of the active and retired items in the order of (name, id), of one kind or (empty) of all.
pub async fn page(
    conn: &mut AnyConnection,
    kind: &str,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<Item>, DbError> {
    let sql = columns!(
        "WHERE ($1 = '' OR kind = $1) AND (name > $2 OR (name = $2 AND id > $3)) ORDER BY name, id LIMIT $4"
    );
    let one_kind =
        columns!("WHERE kind = $1 AND (name > $2 OR (name = $2 AND id > $3)) ORDER BY name, id LIMIT $4");
    let rows = sqlx::query(if kind.is_empty() { sql } else { one_kind })
        .bind(kind)
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(row_to_item).collect()
}

/// Up to `limit` items that match and that `may_see` lets through, in the order of (name, id), after a key.
pub async fn tree(
    conn: &mut AnyConnection,
    selector: &Selector,
    may_see: &(dyn Fn(&Item) -> bool + Send + Sync),
    after: (&str, &str),
    limit: usize,
) -> Result<Vec<Item>, DbError> {
    let kind = selector.only_kind().unwrap_or_default();
    let mut after = (after.0.to_owned(), after.1.to_owned());
    let mut names: HashMap<ItemId, String> = HashMap::new();
    let mut found = Vec::new();
    loop {
        let chunk = page(&mut *conn, kind, (&after.0, &after.1), CHUNK).await?;
        let Some(last) = chunk.last() else { break };
        after = (last.name.clone(), last.id.as_str().to_owned());
        let is_end = i64::try_from(chunk.len()).is_ok_and(|n| n < CHUNK);
        for candidate in chunk {
            let mut parent_name = None;
            if selector.needs_parent()
                && let Some(parent) = &candidate.parent
            {
                if !names.contains_key(parent)
                    && let Some(parent) = item(&mut *conn, parent).await?
                {
                    names.insert(parent.id, parent.name);
                }
                parent_name = names.get(parent).map(String::as_str);
            }
            if selector.matches(&candidate, parent_name) && may_see(&candidate) {
                found.push(candidate);
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
        if is_end {
            break;
        }
    }
    Ok(found)
}

/// All items that match.
pub async fn select(conn: &mut AnyConnection, selector: &Selector) -> Result<Vec<Item>, DbError> {
    tree(conn, selector, &|_| true, ("", ""), usize::MAX).await
}

/// Writes a new item. False when one with its key is there already.
pub async fn insert(conn: &mut AnyConnection, item: &Item) -> Result<bool, DbError> {
    let sql = "INSERT INTO item (id, kind, key, parent, name, name_is_manual, state, own_team, own_tags, team, tags, owner, \
        source, attributes, created_at, changed_at, observed_at, retired_at, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
        ON CONFLICT (kind, parent, key) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(item.id.as_str())
        .bind(item.kind.clone())
        .bind(item.key.clone())
        .bind(parent_text(item.parent.as_ref()))
        .bind(item.name.clone())
        .bind(i64::from(item.name_is_manual))
        .bind(item.state.as_str())
        .bind(item.own_team.clone())
        .bind(to_json("item.own_tags", &item.own_tags)?)
        .bind(item.team.clone())
        .bind(to_json("item.tags", &item.tags)?)
        .bind(item.owner.clone())
        .bind(item.source.clone())
        .bind(to_json("item.attributes", &item.attributes)?)
        .bind(item.created_at.as_microsecond())
        .bind(item.changed_at.as_microsecond())
        .bind(item.observed_at.as_microsecond())
        .bind(item.retired_at.map(Timestamp::as_microsecond))
        .bind(item.version)
        .execute(&mut *conn)
        .await?;
    let is_new = done.rows_affected() > 0;
    if is_new && item.kind == "host" && item.is_active() {
        hold_name(conn, item, item.created_at).await?;
    }
    Ok(is_new)
}

/// Writes everything of an item but its kind, key and parent, with the next version.
pub async fn save(conn: &mut AnyConnection, item: &mut Item, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE item SET name = $2, name_is_manual = $3, state = $4, own_team = $5, own_tags = $6, team = $7, \
        tags = $8, owner = $9, attributes = $10, changed_at = $11, observed_at = $12, retired_at = $13, \
        version = version + 1 WHERE id = $1";
    item.changed_at = now;
    sqlx::query(sql)
        .bind(item.id.as_str())
        .bind(item.name.clone())
        .bind(i64::from(item.name_is_manual))
        .bind(item.state.as_str())
        .bind(item.own_team.clone())
        .bind(to_json("item.own_tags", &item.own_tags)?)
        .bind(item.team.clone())
        .bind(to_json("item.tags", &item.tags)?)
        .bind(item.owner.clone())
        .bind(to_json("item.attributes", &item.attributes)?)
        .bind(now.as_microsecond())
        .bind(item.observed_at.as_microsecond())
        .bind(item.retired_at.map(Timestamp::as_microsecond))
        .execute(&mut *conn)
        .await?;
    item.version += 1;
    if item.kind == "host" && item.is_active() {
        hold_name(conn, item, now).await?;
    }
    Ok(())
}

/// Notes that an item was seen, without a new version.
pub async fn touch(conn: &mut AnyConnection, id: &ItemId, now: Timestamp) -> Result<(), DbError> {
    sqlx::query("UPDATE item SET observed_at = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(now.as_microsecond())
        .execute(conn)
        .await?;
    Ok(())
}

/// A name that no other active host has: the wanted one, or with `-2`, `-3`, … behind it.
pub async fn rename_free(conn: &mut AnyConnection, wanted: &str, own: &ItemId) -> Result<String, DbError> {
    let rows = sqlx::query(
        "SELECT name FROM item WHERE kind = 'host' AND state = 'active' AND id <> $1 AND (name = $2 OR \
         (name >= $3 AND name < $4))",
    )
    .bind(own.as_str())
    .bind(wanted)
    .bind(format!("{wanted}-"))
    .bind(format!("{wanted}."))
    .fetch_all(conn)
    .await?;
    let mut taken = BTreeMap::new();
    for row in rows {
        taken.insert(row.try_get::<String, _>(0)?, ());
    }
    let mut name = wanted.to_owned();
    let mut number = 2;
    while taken.contains_key(&name) {
        name = format!("{wanted}-{number}");
        number += 1;
    }
    Ok(name)
}
