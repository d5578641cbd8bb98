//! Facts: what the host is made of.

pub(crate) mod identity;
