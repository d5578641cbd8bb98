//! The HTTP face of incidents.

mod command;
mod declare;
mod detail;
mod list;
mod related;
mod sight;
mod stats;
mod timeline;
mod view;

use kernel::slice::roles;
use kernel::{Allow, Endpoint, FieldError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Incidents;

pub const READ: &str = "incidents.read";
pub const WRITE: &str = "incidents.write";

const fn read(path: &'static str) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        allow: Allow::Permission(READ, roles::READ),
    }
}

const fn write(path: &'static str) -> Endpoint {
    Endpoint {
        method: "POST",
        path,
        allow: Allow::Permission(WRITE, roles::OPERATE),
    }
}

pub const PERMISSIONS: &[Endpoint] = &[
    read("/api/v1/incidents"),
    read("/api/v1/incidents/stats"),
    read("/api/v1/incidents/{id}"),
    read("/api/v1/incidents/{id}/timeline"),
    read("/api/v1/incidents/{id}/runbooks"),
    write("/api/v1/incidents"),
    write("/api/v1/incidents/{id}/acknowledge"),
    write("/api/v1/incidents/{id}/mitigate"),
    write("/api/v1/incidents/{id}/resolve"),
    write("/api/v1/incidents/{id}/reopen"),
    write("/api/v1/incidents/{id}/close"),
    write("/api/v1/incidents/{id}/assign"),
    write("/api/v1/incidents/{id}/comment"),
    write("/api/v1/incidents/{id}/severity"),
    write("/api/v1/incidents/{id}/rename"),
    write("/api/v1/incidents/{id}/merge"),
    write("/api/v1/incidents/{id}/split"),
    write("/api/v1/incidents/{id}/candidates/{other}/confirm"),
    write("/api/v1/incidents/{id}/candidates/{other}/dismiss"),
];

pub fn routes(incidents: &Incidents) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::list_incidents, declare::declare_incident))
        .routes(routes!(stats::get_incident_stats))
        .routes(routes!(detail::get_incident))
        .routes(routes!(timeline::get_incident_timeline))
        .routes(routes!(detail::list_incident_runbooks))
        .routes(routes!(command::acknowledge_incident))
        .routes(routes!(command::mitigate_incident))
        .routes(routes!(command::resolve_incident))
        .routes(routes!(command::reopen_incident))
        .routes(routes!(command::close_incident))
        .routes(routes!(command::assign_incident))
        .routes(routes!(command::comment_incident))
        .routes(routes!(command::set_incident_severity))
        .routes(routes!(command::rename_incident))
        .routes(routes!(command::merge_incident))
        .routes(routes!(related::split_incident))
        .routes(routes!(related::confirm_incident_candidate))
        .routes(routes!(related::dismiss_incident_candidate))
        .with_state(incidents.clone())
}

const MAX_TITLE: usize = 200;
const MAX_TEXT: usize = 10_000;

/// Checks a text from a person: bounded, without NUL, and there when it must be.
fn check_text(errors: &mut Vec<FieldError>, field: &str, text: &str, is_required: bool, max: usize) {
    let mut refuse = |message: String| {
        errors.push(FieldError {
            field: field.to_owned(),
            message,
        });
    };
    if is_required && text.trim().is_empty() {
        refuse("must not be empty".into());
    }
    if text.chars().count() > max || text.contains('\0') {
        refuse(format!("at most {max} characters, without NUL"));
    }
}

fn refuse(errors: Vec<FieldError>) -> Result<(), kernel::Problem> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(kernel::Problem::invalid(errors))
    }
}
