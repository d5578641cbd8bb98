//! The list of capabilities. A new one is its folder, its handle in `wire.rs`, and a line here.

use kernel::{Kernel, Migration, Slice};

use crate::wire::Handles;

/// The schema of every slice, in the order in which they are brought up to date.
pub const SCHEMA: &[(&str, &[Migration])] = &[
    ("access", access::MIGRATIONS),
    ("inventory", inventory::MIGRATIONS),
    ("notify", notify::MIGRATIONS),
    ("fleet", fleet::MIGRATIONS),
    ("change", change::MIGRATIONS),
    ("automation", automation::MIGRATIONS),
    ("alerting", alerting::MIGRATIONS),
    ("telemetry", telemetry::MIGRATIONS),
    ("incidents", incidents::MIGRATIONS),
];

/// Every capability, by tier.
pub fn all(kernel: &Kernel, handles: &Handles) -> Vec<Slice> {
    vec![
        access::slice(&handles.access),
        inventory::slice(&handles.inventory),
        notify::slice(&handles.notify),
        fleet::slice(&handles.fleet),
        change::slice(kernel),
        automation::slice(&handles.automation),
        alerting::slice(&handles.alerting),
        telemetry::slice(&handles.telemetry),
        incidents::slice(&handles.incidents),
        crate::snapshot::slice(kernel, &handles.telemetry, handles.data.clone()),
        crate::vitals::slice(kernel, &handles.telemetry, handles.data.clone()),
    ]
}
