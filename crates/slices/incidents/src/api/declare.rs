//! A person declares an incident that no alert has found.

use axum::extract::State as Handle;
use axum::http::StatusCode;
use kernel::http::Json;
use kernel::slice::roles;
use kernel::{Actor, FieldError, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::{IncidentView, view};
use super::{MAX_TEXT, MAX_TITLE, WRITE, check_text, refuse};
use crate::model::Severity;
use crate::work::Desk;
use crate::work::life::{Beginning, begin};
use crate::{Incidents, place, store};

const MAX_ITEMS: usize = 50;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// What people notice.
    pub title: String,
    pub severity: Severity,
    /// What is known so far.
    #[serde(default)]
    pub description: String,
    /// Ids of the items that it is about; the first gives it its team.
    #[serde(default)]
    pub items: Vec<String>,
}

/// Declare an incident
#[utoipa::path(post, path = "/api/v1/incidents", tag = "incidents", request_body = NewIncident,
    responses((status = 201, body = IncidentView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn declare_incident(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Json(new): Json<NewIncident>,
) -> Result<(StatusCode, Json<IncidentView>), Problem> {
    let mut errors = Vec::new();
    check_text(&mut errors, "title", &new.title, true, MAX_TITLE);
    check_text(&mut errors, "description", &new.description, false, MAX_TEXT);
    if new.items.len() > MAX_ITEMS {
        errors.push(FieldError {
            field: "items".into(),
            message: format!("at most {MAX_ITEMS}"),
        });
    }
    refuse(errors)?;
    let mut tx = incidents.kernel.db.write().await?;
    let mut team = None;
    for (index, id) in new.items.iter().enumerate() {
        let item = place::item(&mut tx, id).await?;
        let is_mine =
            |item: &inventory::Item| actor.may(WRITE, roles::OPERATE, item.team.as_deref(), &item.tags);
        let Some(item) = item.filter(is_mine) else {
            return Err(Problem::invalid_field(
                &format!("items[{index}]"),
                "there is no such item that you may declare an incident for",
            ));
        };
        team = team.or(item.team);
    }
    let is_everywhere = actor.may(WRITE, roles::OPERATE, None, &Default::default());
    if new.items.is_empty() && !is_everywhere {
        return Err(Problem::invalid_field(
            "items",
            "your role holds for a part of the house: name an item of it",
        ));
    }
    let mut desk = Desk::open(&mut tx, actor, &incidents).await?;
    let number = store::next_number(desk.tx).await?;
    let beginning = Beginning {
        title: new.title.trim().to_owned(),
        summary: new.description,
        severity: new.severity,
        team,
        item: new.items.first().cloned(),
        root_alert: None,
        is_declared: true,
    };
    let mut incident = begin(beginning, number, desk.tx.now());
    desk.open_incident(&mut incident).await?;
    let shown = view(&mut tx, incident).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(shown)))
}
