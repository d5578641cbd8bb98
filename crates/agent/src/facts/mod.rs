//! Facts: what the host is made of, told when it changes and once an hour.

pub(crate) mod certificates;
pub(crate) mod containers;
pub(crate) mod databases;
mod gather;
pub(crate) mod identity;
mod network;
pub(crate) mod packages;

pub(crate) use gather::{Sources, follow};
