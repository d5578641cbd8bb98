//! Collectors of what node_exporter does not have.

mod figures;
pub(crate) use figures::OwnFigures;
