//! Secrets that runbooks name: written and removed, never read back.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::secrets::{SHORTEST, seal_named};
use crate::store::secret::SecretInfo;
use crate::{Automation, store};

const LONGEST: usize = 4096;

pub(super) fn routes(automation: &Automation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_runbook_secrets))
        .routes(routes!(put_runbook_secret, delete_runbook_secret))
        .with_state(automation.clone())
}

/// Every runbook can name every secret.
fn require_everywhere(actor: &Actor) -> Result<(), Problem> {
    match actor.may("runbooks.write", roles::MANAGE, None, &BTreeMap::new()) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "secrets are for every runbook; this needs a role that holds everywhere",
        )),
    }
}

/// Names of the secrets that runbooks can use
#[utoipa::path(get, path = "/api/v1/runbook-secrets", tag = "automation",
    responses((status = 200, body = Vec<SecretInfo>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_runbook_secrets(
    State(automation): State<Automation>,
    actor: Actor,
) -> Result<Json<Vec<SecretInfo>>, Problem> {
    require_everywhere(&actor)?;
    let mut reader = automation.kernel().db.read().await?;
    Ok(Json(store::secret::list(&mut reader).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    #[schema(min_length = 6, max_length = 4096)]
    value: String,
}

/// Store a secret; steps name it as `{{ secrets.NAME }}`
#[utoipa::path(put, path = "/api/v1/runbook-secrets/{name}", tag = "automation", params(("name" = String, Path)), request_body = SecretValue,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn put_runbook_secret(
    State(automation): State<Automation>,
    actor: Actor,
    Path(name): Path<String>,
    Json(body): Json<SecretValue>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor)?;
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 60
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name {
        let message = "1 to 60 lower-case letters, digits and `_`, a letter first";
        return Err(Problem::invalid_field("name", message));
    }
    if !(SHORTEST..=LONGEST).contains(&body.value.len()) || body.value.contains('\0') {
        let message = format!("{SHORTEST} to {LONGEST} bytes, without NUL");
        return Err(Problem::invalid_field("value", message));
    }
    let mut tx = automation.kernel().db.write().await?;
    let sealed = seal_named(&automation.kernel().secrets, &name, &body.value)?;
    let now = tx.now();
    store::secret::put(&mut tx, &name, sealed, (&actor.name, now)).await?;
    tx.append(
        &actor,
        NewEvent::new("runbook_secret.changed", &name, &serde_json::json!({})),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a secret; steps that name it fail
#[utoipa::path(delete, path = "/api/v1/runbook-secrets/{name}", tag = "automation", params(("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn delete_runbook_secret(
    State(automation): State<Automation>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor)?;
    let mut tx = automation.kernel().db.write().await?;
    if !store::secret::remove(&mut tx, &name).await? {
        return Err(Problem::not_found("secret", &name));
    }
    tx.append(
        &actor,
        NewEvent::new("runbook_secret.removed", &name, &serde_json::json!({})),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
