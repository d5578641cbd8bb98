//! Walks over a graph of things and relations: who is affected when one fails, and what failure explains many.
//!
//! [`Graph`] holds nodes and typed edges. [`Graph::impact`] follows the ways in which a failure spreads,
//! [`Graph::blast_radius`] sums that up, [`Graph::common_cause`] walks backwards from symptoms and ranks what
//! may have caused them. Every answer brings the path that it rests on.
//!
//! How failures spread is in [`Kind`]. The library keeps no state between calls and reads no clock.

mod cause;
mod graph;
mod impact;
mod kind;
mod walk;

pub use cause::{Candidate, Explained, Symptoms};
pub use graph::{Graph, NodeId};
pub use impact::{Affected, BlastRadius, Hop, Impact, Limits};
pub use kind::{Kind, UnknownKind};
