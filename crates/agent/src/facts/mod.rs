//! Facts: what the host is made of, told when it changes and once an hour.

pub(crate) mod certificates;
mod gather;
pub(crate) mod identity;
mod network;
pub(crate) mod packages;

pub(crate) use gather::follow;
