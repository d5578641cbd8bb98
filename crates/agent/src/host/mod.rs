//! The host's processes and sockets, for everything that relates the two.

pub(crate) mod addresses;
pub(crate) mod names;
pub(crate) mod netlink;
pub(crate) mod open;
pub(crate) mod processes;
pub(crate) mod sockets;
