//! Faults by the API, and the inbox that the demonstration's channels lead to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::{Json, Path};
use kernel::slice::{Allow, roles};
use kernel::{Actor, Endpoint, Kernel, NewEvent, Problem, Slice, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fault::{Company, Fault, FaultView};

/// Messages that the inbox keeps.
const KEPT: usize = 500;

#[derive(Clone)]
pub struct Demo(Arc<Inner>);

struct Inner {
    kernel: Kernel,
    company: Arc<Company>,
    inbox: Mutex<VecDeque<Received>>,
}

/// A message that a channel of the demonstration sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Received {
    channel: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The body of the webhook.
    message: Value,
}

impl Demo {
    pub fn new(kernel: &Kernel, company: &Arc<Company>) -> Self {
        Self(Arc::new(Inner {
            kernel: kernel.clone(),
            company: company.clone(),
            inbox: Mutex::default(),
        }))
    }

    fn now_ms(&self) -> i64 {
        self.0.kernel.clock.now_ms()
    }

    async fn tell(&self, actor: &Actor, topic: &'static str, fault: &FaultView) -> Result<(), Problem> {
        let mut tx = self.0.kernel.db.write().await?;
        let data = json!({ "fault": fault.fault, "title": fault.title, "host": fault.host });
        tx.append(actor, NewEvent::new(topic, &fault.host, &data)).await?;
        Ok(tx.commit().await?)
    }
}

const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/demo/faults",
        allow: Allow::Permission("demo.read", roles::READ),
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/demo/faults",
        allow: Allow::Permission("demo.write", roles::OPERATE),
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/demo/faults/{fault}",
        allow: Allow::Permission("demo.write", roles::OPERATE),
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/demo/inbox",
        allow: Allow::Permission("demo.read", roles::READ),
    },
    // The sender is the server itself, which has no session.
    Endpoint {
        method: "POST",
        path: "/api/v1/demo/inbox/{channel}",
        allow: Allow::Public,
    },
];

pub fn slice(demo: &Demo) -> Slice {
    Slice {
        routes: OpenApiRouter::new()
            .routes(routes!(list_demo_faults, trigger_demo_fault))
            .routes(routes!(undo_demo_fault))
            .routes(routes!(list_demo_inbox))
            .routes(routes!(receive_demo_message))
            .with_state(demo.clone()),
        permissions: PERMISSIONS,
        ..Slice::named("demo")
    }
}

/// Faults that can be triggered
#[utoipa::path(get, path = "/api/v1/demo/faults", tag = "demo",
    responses((status = 200, body = Vec<FaultView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_demo_faults(State(demo): State<Demo>) -> Json<Vec<FaultView>> {
    let now_ms = demo.now_ms();
    Json(
        Fault::ALL
            .iter()
            .map(|fault| demo.0.company.view(*fault, now_ms))
            .collect(),
    )
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trigger {
    fault: Fault,
}

/// Trigger a fault
#[utoipa::path(post, path = "/api/v1/demo/faults", tag = "demo", request_body = Trigger,
    responses((status = 200, body = FaultView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn trigger_demo_fault(
    State(demo): State<Demo>,
    actor: Actor,
    Json(body): Json<Trigger>,
) -> Result<Json<FaultView>, Problem> {
    let now_ms = demo.now_ms();
    demo.0.company.apply(body.fault, now_ms);
    let view = demo.0.company.view(body.fault, now_ms);
    demo.tell(&actor, "demo.fault_triggered", &view).await?;
    Ok(Json(view))
}

/// Take a fault back
#[utoipa::path(delete, path = "/api/v1/demo/faults/{fault}", tag = "demo", params(("fault" = Fault, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn undo_demo_fault(
    State(demo): State<Demo>,
    actor: Actor,
    Path(fault): Path<String>,
) -> Result<StatusCode, Problem> {
    let known: Result<Fault, _> = serde_json::from_value(json!(fault));
    let fault = known.map_err(|_| Problem::not_found("fault", &fault))?;
    let now_ms = demo.now_ms();
    demo.0.company.undo(fault, now_ms);
    let view = demo.0.company.view(fault, now_ms);
    demo.tell(&actor, "demo.fault_undone", &view).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Messages that the channels of the demonstration sent, newest first
#[utoipa::path(get, path = "/api/v1/demo/inbox", tag = "demo",
    responses((status = 200, body = Vec<Received>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_demo_inbox(State(demo): State<Demo>) -> Json<Vec<Received>> {
    let inbox = demo.0.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    Json(inbox.iter().rev().cloned().collect())
}

/// Take a message of a channel
#[utoipa::path(post, path = "/api/v1/demo/inbox/{channel}", tag = "demo", params(("channel" = String, Path)), request_body = Value,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn receive_demo_message(
    State(demo): State<Demo>,
    Path(channel): Path<String>,
    Json(message): Json<Value>,
) -> Result<StatusCode, Problem> {
    if channel.chars().count() > 80 {
        return Err(Problem::invalid_field("channel", "has at most 80 characters"));
    }
    let received = Received {
        channel,
        at: demo.0.kernel.clock.now(),
        message,
    };
    let mut inbox = demo.0.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    if inbox.len() == KEPT {
        inbox.pop_front();
    }
    inbox.push_back(received);
    Ok(StatusCode::NO_CONTENT)
}
