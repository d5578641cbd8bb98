//! All SQL of the slice: free functions over a connection.

mod identity;
mod item;
mod name;
mod network;
mod old;
mod package;
mod relation;

pub use crate::walk::graph;
pub use identity::{OpenConflict, conflicts, keys_of, open_conflicts};
pub(crate) use identity::{candidates, record_conflict, save_keys};
pub use item::{
    by_ids, by_key, children, count_active, descendants, host_by_name, item, item_by_name, page, select, tree,
};
pub(crate) use item::{insert, rename_free, save, touch};
pub use name::{MaySee, Span, host_names, names_of};
pub(crate) use network::{
    Listener, Peer, addresses, count_endpoints, delete_peers_before, hosts_of_address, listener_service,
    listeners, peers, peers_at, replace_addresses, replace_listeners, save_peer, touch_peer,
};
pub(crate) use old::{delete_retired, forget};
pub use package::{Package, package_page, packages};
pub(crate) use package::{delete_packages, insert_packages};
pub use relation::{all_relations, relations_of, talks};
pub(crate) use relation::{delete_relation, expire_relations, insert_relation, touch_relation};
