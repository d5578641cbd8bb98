//! Runbooks and runs over HTTP.

mod rights;
mod runbooks;
mod runs;
mod secrets;
mod steer;
mod stream;
mod view;

use kernel::slice::roles;
use kernel::{Allow, Endpoint};
use utoipa_axum::router::OpenApiRouter;

use crate::Automation;

const READ: Allow = Allow::Permission("runbooks.read", roles::READ);
const WRITE: Allow = Allow::Permission("runbooks.write", roles::MANAGE);
const START: Allow = Allow::Permission("runs.start", roles::OPERATE);

pub(crate) const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/runbooks",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runbooks",
        allow: WRITE,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runbooks/validate",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runbooks/{id}",
        allow: READ,
    },
    Endpoint {
        method: "PUT",
        path: "/api/v1/runbooks/{id}",
        allow: WRITE,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/runbooks/{id}",
        allow: WRITE,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runbooks/{id}/versions",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runbooks/{id}/versions/{version}",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runbooks/{id}/plan",
        allow: START,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runbooks/{id}/runs",
        allow: START,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runbook-secrets",
        allow: WRITE,
    },
    Endpoint {
        method: "PUT",
        path: "/api/v1/runbook-secrets/{name}",
        allow: WRITE,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/runbook-secrets/{name}",
        allow: WRITE,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runs",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runs/{id}",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runs/{id}/cancel",
        allow: START,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runs/{id}/approve",
        allow: START,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/runs/{id}/reject",
        allow: START,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/runs/{id}/stream",
        allow: READ,
    },
];

pub(crate) fn routes(automation: &Automation) -> OpenApiRouter {
    runbooks::routes(automation)
        .merge(runs::routes(automation))
        .merge(steer::routes(automation))
        .merge(stream::routes(automation))
        .merge(secrets::routes(automation))
}
