//! Drawing and removing relations.

use kernel::{Actor, DbError, NewEvent, Tx};

use crate::events::RelationNamed;
use crate::model::{ItemId, RelationKind};
use crate::store;

/// Draws a relation. True when it is new.
pub async fn relate(
    tx: &mut Tx,
    actor: &Actor,
    from: &ItemId,
    kind: RelationKind,
    to: &ItemId,
    source: &str,
) -> Result<bool, DbError> {
    relate_for(tx, actor, (from, kind, to), source, false).await
}

/// Removes what `source` said of a relation. True when it did.
pub async fn unrelate(
    tx: &mut Tx,
    actor: &Actor,
    from: &ItemId,
    kind: RelationKind,
    to: &ItemId,
    source: &str,
) -> Result<bool, DbError> {
    let is_gone = store::delete_relation(tx, from, kind, to, source).await?;
    if is_gone {
        let data = RelationNamed {
            from: from.clone(),
            kind,
            to: to.clone(),
            source: source.into(),
        };
        tx.append(actor, NewEvent::new("relation.removed", from, &data))
            .await?;
    }
    Ok(is_gone)
}

pub(crate) async fn relate_for(
    tx: &mut Tx,
    actor: &Actor,
    (from, kind, to): (&ItemId, RelationKind, &ItemId),
    source: &str,
    expires: bool,
) -> Result<bool, DbError> {
    let now = tx.now();
    let is_new = from != to && store::insert_relation(tx, from, kind, to, source, now, expires).await?;
    if is_new {
        let data = RelationNamed {
            from: from.clone(),
            kind,
            to: to.clone(),
            source: source.into(),
        };
        tx.append(actor, NewEvent::new("relation.created", from, &data))
            .await?;
    }
    Ok(is_new)
}
