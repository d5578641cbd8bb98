//! Carrying decisions out: rows, events and pages of one step, in the transaction of the caller.
//!
//! Every function here expects that the caller holds the turn (`store::take_turn`).

pub mod growth;
pub mod join;
pub mod life;
pub mod merge;
pub mod page;
mod page_alert;
pub mod split;

use std::sync::Arc;

use kernel::{Actor, DbError, Tx};

use crate::Incidents;
use crate::decide::terrain::Terrain;
use crate::model::Incident;
use crate::store;

/// What a step works with.
pub struct Desk<'a> {
    pub tx: &'a mut Tx,
    pub actor: Actor,
    pub incidents: &'a Incidents,
    pub terrain: Arc<Terrain>,
}

impl<'a> Desk<'a> {
    /// Takes the turn.
    pub async fn open(tx: &'a mut Tx, actor: Actor, incidents: &'a Incidents) -> Result<Desk<'a>, DbError> {
        store::take_turn(tx).await?;
        let terrain = incidents.map.terrain(tx).await?;
        Ok(Desk {
            tx,
            actor,
            incidents,
            terrain,
        })
    }

    /// Stores an incident that has changed.
    pub async fn save(&mut self, incident: &mut Incident) -> Result<(), DbError> {
        incident.version += 1;
        let now = self.tx.now();
        store::incident::save(self.tx, incident, now).await?;
        if incident.resolve_at.is_some() || incident.remind_at.is_some() || incident.announce_at.is_some() {
            let wake = self.incidents.wake.clone();
            self.tx.after_commit(move || wake.signal());
        }
        Ok(())
    }
}
