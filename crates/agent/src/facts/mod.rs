//! Facts: what the host is made of, told when it changes and once an hour.

pub(crate) mod certificates;
mod gather;
pub(crate) mod identity;
mod network;
mod packages;

pub(crate) use gather::follow;
