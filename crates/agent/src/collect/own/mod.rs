//! Collectors of what node_exporter does not have: services, process groups, certificates, the agent itself.

mod certificates;
mod figures;
mod process_groups;
mod services;

pub(crate) use certificates::{Certificates, paths as certificate_paths};
pub(crate) use figures::OwnFigures;
pub(crate) use process_groups::ProcessGroups;
pub(crate) use services::{ServiceStates, put_service};
