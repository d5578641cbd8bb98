//! The HTTP face: alerts to read, silences and maintenance windows to make and end.

pub mod alerts;
pub mod maintenance;
mod sight;
pub mod silences;
pub mod version;

use kernel::slice::roles;
use kernel::{Allow, Endpoint, FieldError, Problem, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Alerting;

const fn entry(
    method: &'static str,
    path: &'static str,
    permission: &'static str,
    who: &'static [kernel::Role],
) -> Endpoint {
    Endpoint {
        method,
        path,
        allow: Allow::Permission(permission, who),
    }
}

pub const PERMISSIONS: &[Endpoint] = &[
    entry("GET", "/api/v1/alerts", "alerts.read", roles::READ),
    entry("GET", "/api/v1/alerts/summary", "alerts.read", roles::READ),
    entry("GET", "/api/v1/alerts/{id}", "alerts.read", roles::READ),
    entry("GET", "/api/v1/silences", "silences.read", roles::READ),
    entry("POST", "/api/v1/silences", silences::WRITE, roles::OPERATE),
    entry("POST", "/api/v1/silences/preview", "silences.read", roles::READ),
    entry("GET", "/api/v1/silences/{id}", "silences.read", roles::READ),
    entry("PATCH", "/api/v1/silences/{id}", silences::WRITE, roles::OPERATE),
    entry("DELETE", "/api/v1/silences/{id}", silences::WRITE, roles::OPERATE),
    entry("GET", "/api/v1/maintenance", "maintenance.read", roles::READ),
    entry("POST", "/api/v1/maintenance", maintenance::WRITE, roles::OPERATE),
    entry("GET", "/api/v1/maintenance/{id}", "maintenance.read", roles::READ),
    entry(
        "PATCH",
        "/api/v1/maintenance/{id}",
        maintenance::WRITE,
        roles::OPERATE,
    ),
    entry(
        "DELETE",
        "/api/v1/maintenance/{id}",
        maintenance::WRITE,
        roles::OPERATE,
    ),
];

pub fn routes(handle: &Alerting) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::summarize_alerts))
        .routes(routes!(alerts::get_alert))
        .routes(routes!(silences::list_silences, silences::create_silence))
        .routes(routes!(silences::preview_silence))
        .routes(routes!(
            silences::get_silence,
            silences::change_silence,
            silences::end_silence
        ))
        .routes(routes!(
            maintenance::list_maintenance,
            maintenance::create_maintenance
        ))
        .routes(routes!(
            maintenance::get_maintenance,
            maintenance::change_maintenance,
            maintenance::end_maintenance
        ))
        .with_state(handle.clone())
}

const MAX_COMMENT: usize = 2_000;
const MAX_DAYS: i64 = 366 * 5;

fn field_error(field: &str, message: impl ToString) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message: message.to_string(),
    }
}

fn check_text(errors: &mut Vec<FieldError>, field: &str, text: &str, is_required: bool) {
    if is_required && text.trim().is_empty() {
        errors.push(field_error(field, "say in a few words why"));
    }
    if text.len() > MAX_COMMENT || text.contains('\0') {
        errors.push(field_error(
            field,
            format!("at most {MAX_COMMENT} bytes without NUL"),
        ));
    }
}

/// A stretch of time that has not passed yet; a start in the past becomes now.
fn check_times(
    errors: &mut Vec<FieldError>,
    starts_at: Option<Timestamp>,
    ends_at: Timestamp,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let starts_at = starts_at.unwrap_or(now).max(now);
    if ends_at <= now {
        errors.push(field_error("ends_at", "this time has passed"));
    } else if ends_at <= starts_at {
        errors.push(field_error("ends_at", "must be after starts_at"));
    }
    let days = ends_at.as_second().saturating_sub(now.as_second()) / 86_400;
    if days > MAX_DAYS {
        errors.push(field_error("ends_at", "at most five years ahead"));
    }
    (starts_at, ends_at)
}

fn refuse(errors: Vec<FieldError>) -> Result<(), Problem> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

/// Reads a choice of the query string.
fn choice(field: &str, given: Option<&str>, allowed: &[&str]) -> Result<String, Problem> {
    match given {
        None | Some("") => Ok(String::new()),
        Some(text) if allowed.contains(&text) => Ok(text.to_owned()),
        Some(_) => Err(Problem::invalid_field(
            field,
            format_args!("one of {}", allowed.join(", ")),
        )),
    }
}
