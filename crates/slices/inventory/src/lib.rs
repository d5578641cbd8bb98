//! Inventory: every thing of the estate is an item in one graph.
//!
//! Items carry attributes with a source and a time each ([`model`]), are found again by identity ([`identity`]) and hang together
//! by typed relations. Others tell what they see through [`observe`], [`relate`], [`retire`] and, for agents, [`observe_facts`];
//! everybody reads through [`store`], selects with a [`Selector`] and asks [`walk::impact`] what a failure would hit.

pub mod api;
mod draw;
pub mod events;
mod facts;
mod hold;
pub mod identity;
mod labels;
pub mod model;
mod observe;
mod retention;
pub mod selector;
pub mod store;
pub mod walk;

use std::time::Duration;

use kernel::{Actor, Kernel, Migration, Slice, Task, Wake};

pub use draw::{relate, unrelate};
pub use facts::{
    MOST_OF_A_KIND, adopt_host, find_host, observe_facts, observe_host, over_limit, separate_host,
};
pub use hold::place;
pub use labels::{resolve_labels, service};
pub use model::{IdentityKey, Item, ItemId, MANUAL, Observation, Relation, RelationKind, State};
pub use observe::{note, observe, retire, touch};
pub use retention::{Settings, bounds};
pub use selector::{Selector, SelectorError};

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "item",
        sql: include_str!("../migrations/0001_item.sql"),
    },
    Migration {
        version: 2,
        name: "retired",
        sql: include_str!("../migrations/0002_retired.sql"),
    },
    Migration {
        version: 3,
        name: "listener_process",
        sql: include_str!("../migrations/0003_listener_process.sql"),
    },
    Migration {
        version: 4,
        name: "name",
        sql: include_str!("../migrations/0004_name.sql"),
    },
];

/// The slice's handle.
#[derive(Clone)]
pub struct Inventory {
    pub(crate) kernel: Kernel,
    settings: Settings,
}

impl Inventory {
    pub fn new(kernel: &Kernel) -> Self {
        Self::with(kernel, Settings::default())
    }

    pub fn with(kernel: &Kernel, settings: Settings) -> Self {
        Self {
            kernel: kernel.clone(),
            settings,
        }
    }
}

pub fn slice(inventory: &Inventory) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(inventory),
        tasks: vec![expire_task(), retention::task(&inventory.settings)],
        permissions: api::PERMISSIONS,
        ..Slice::named("inventory")
    }
}

/// Takes out discovered relations that nobody has seen for a week.
fn expire_task() -> Task {
    Task::new(
        "inventory.expire",
        Duration::from_secs(3600),
        Wake::default(),
        |kernel| async move {
            loop {
                let mut tx = kernel.db.write().await?;
                let gone = facts::sockets::expire(&mut tx, &Actor::system("inventory")).await?;
                tx.commit().await?;
                if gone < 500 || kernel.stop.is_cancelled() {
                    return Ok(());
                }
            }
        },
    )
}
