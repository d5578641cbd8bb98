//! The list of events, newest first, narrowed by what a reader asks for.
//!
//! Each filter that can lead has a statement of its own, which walks the index on it and stops at the limit; what else is
//! asked for is looked at row by row. A prefix of topics is taken apart into the topics that exist, a handful.

use sqlx::{AnyConnection, Row};

use super::Event;
use super::store::row_to_event;
use crate::db::DbError;

/// What to read; `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub topic_prefix: Option<String>,
    pub subject: Option<String>,
    pub actor: Option<String>,
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
}

/// A prefix of more topics than this tells little; the list is then walked by number.
const MOST_TOPICS: usize = 24;

macro_rules! select {
    ($leading:literal) => {
        concat!(
            "SELECT seq, at, topic, subject, actor, actor_name, cause, data FROM event WHERE ",
            $leading,
            " AND ($3 = '' OR actor = $3) AND ($4 = '' OR substr(topic, 1, length($4)) = $4) \
             AND +at >= $5 AND +at < $6 ORDER BY seq DESC LIMIT $7"
        )
    };
}

const BY_SUBJECT: &str = select!("seq < $1 AND subject = $2");
const BY_ACTOR: &str = select!("seq < $1 AND actor = $2");
const BY_TOPIC: &str = select!("seq < $1 AND topic = $2");
const BY_NUMBER: &str = select!("seq < $1 AND $2 = ''");
/// A stretch of time that may lie far back. Times do not always rise with the numbers, so this is ordered by time.
const BY_TIME: &str = "SELECT seq, at, topic, subject, actor, actor_name, cause, data FROM event \
    WHERE at >= $1 AND at < $2 AND (at < $3 OR (at = $3 AND seq < $4)) ORDER BY at DESC, seq DESC LIMIT $5";
/// All topics: one look into the index for each. Which have the prefix is not asked here, because PostgreSQL may sort by a
/// language's rules, under which a prefix is no stretch of the index.
const TOPICS: &str = "WITH RECURSIVE known(topic) AS ( \
        SELECT MIN(topic) FROM event \
        UNION ALL SELECT (SELECT MIN(e.topic) FROM event e WHERE e.topic > known.topic) \
            FROM known WHERE known.topic IS NOT NULL) \
    SELECT topic FROM known WHERE topic IS NOT NULL";

/// Events before the one numbered `seq` that match, newest first.
pub async fn before(
    connection: &mut AnyConnection,
    filter: &Filter,
    seq: i64,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    let page = Page { filter, seq, limit };
    if let Some(subject) = &filter.subject {
        return page.walk(connection, BY_SUBJECT, subject).await;
    }
    if let Some(actor) = &filter.actor {
        return page.walk(connection, BY_ACTOR, actor).await;
    }
    if let Some(prefix) = filter.topic_prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
        let topics = topics(connection, prefix).await?;
        if topics.len() <= MOST_TOPICS {
            return page.merge(connection, &topics).await;
        }
    } else if filter.to_us.is_some() {
        return page.by_time(connection).await;
    }
    page.walk(connection, BY_NUMBER, "").await
}

struct Page<'a> {
    filter: &'a Filter,
    seq: i64,
    limit: i64,
}

impl Page<'_> {
    async fn walk(
        &self,
        connection: &mut AnyConnection,
        sql: &'static str,
        leading: &str,
    ) -> Result<Vec<Event>, DbError> {
        let prefix = self.filter.topic_prefix.clone().unwrap_or_default();
        let rows = sqlx::query(sql)
            .bind(self.seq)
            .bind(leading.to_owned())
            .bind(self.filter.actor.clone().unwrap_or_default())
            .bind(prefix)
            .bind(self.filter.from_us.unwrap_or(i64::MIN))
            .bind(self.filter.to_us.unwrap_or(i64::MAX))
            .bind(self.limit)
            .fetch_all(connection)
            .await?;
        rows.iter().map(row_to_event).collect()
    }

    async fn merge(&self, connection: &mut AnyConnection, topics: &[String]) -> Result<Vec<Event>, DbError> {
        let mut events = Vec::new();
        for topic in topics {
            events.extend(self.walk(connection, BY_TOPIC, topic).await?);
        }
        events.sort_unstable_by_key(|event| std::cmp::Reverse(event.seq));
        events.truncate(usize::try_from(self.limit).unwrap_or(0));
        Ok(events)
    }

    async fn by_time(&self, connection: &mut AnyConnection) -> Result<Vec<Event>, DbError> {
        let last = super::store::get(connection, self.seq).await?;
        let last_at = last.map_or(i64::MAX, |event| event.at.as_microsecond());
        let rows = sqlx::query(BY_TIME)
            .bind(self.filter.from_us.unwrap_or(i64::MIN))
            .bind(self.filter.to_us.unwrap_or(i64::MAX))
            .bind(last_at)
            .bind(self.seq)
            .bind(self.limit)
            .fetch_all(connection)
            .await?;
        rows.iter().map(row_to_event).collect()
    }
}

async fn topics(connection: &mut AnyConnection, prefix: &str) -> Result<Vec<String>, DbError> {
    let rows = sqlx::query(TOPICS).fetch_all(connection).await?;
    let mut topics: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows {
        topics.push(row.try_get(0)?);
    }
    topics.retain(|topic| topic.starts_with(prefix));
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::db::{Db, DbOptions};

    /// How SQLite carries a statement out.
    async fn plan(db: &Db, sql: &str) -> String {
        let mut reader = db.read().await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&mut *reader)
            .await
            .unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.try_get(3).unwrap()).collect();
        steps.join("; ")
    }

    #[tokio::test]
    async fn each_filter_walks_its_index_and_sorts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let options = DbOptions::sqlite(&dir.path().join("x.db"));
        let db = Db::open(&options, crate::Clock::System).await.unwrap();
        db.migrate(&[]).await.unwrap();
        for (sql, wanted) in [
            (BY_SUBJECT, "event_subject (subject=?"),
            (BY_ACTOR, "event_actor (actor=?"),
            (BY_TOPIC, "event_topic (topic=?"),
            (BY_NUMBER, "USING INTEGER PRIMARY KEY (rowid<?)"),
            (BY_TIME, "event_at (at>? AND at<?)"),
            (TOPICS, "event_topic (topic>?)"),
        ] {
            let plan = plan(&db, sql).await;
            assert!(plan.contains(wanted), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
            assert!(!plan.contains("SCAN event"), "{sql}\n{plan}");
        }
    }
}
