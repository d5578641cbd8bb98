//! Facts: what the host is made of.

pub(crate) mod certificates;
pub(crate) mod identity;
