//! Making the handles of all slices, in the order of their tiers, and putting the application together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use automation::Automation;
use kernel::{BoxFuture, Kernel, Slice};
use telemetry::Telemetry;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::settings::Settings;
use crate::{assets, slices};

/// The handles of the slices.
#[derive(Clone)]
pub struct Handles {
    pub access: access::Access,
    pub inventory: inventory::Inventory,
    pub notify: notify::Notify,
    pub fleet: fleet::Fleet,
    pub automation: Automation,
    pub alerting: alerting::Alerting,
    pub telemetry: Telemetry,
    pub incidents: incidents::Incidents,
    pub data: PathBuf,
}

/// The application before its duties are started.
pub struct Wired {
    pub handles: Handles,
    pub router: axum::Router,
    pub openapi: OpenApi,
    #[cfg_attr(not(test), expect(dead_code, reason = "the coverage tests read it"))]
    pub endpoints: Vec<kernel::Endpoint>,
    slices: Vec<Slice>,
    events: kernel::retention::Settings,
}

#[cfg(test)]
impl Wired {
    /// Problems beyond those that every slice may answer with.
    pub fn problems(&self) -> impl Iterator<Item = &kernel::http::problem::Code> {
        self.slices.iter().flat_map(|slice| slice.problems)
    }
}

pub async fn wire(
    kernel: &Kernel,
    settings: &Settings,
    data: &Path,
    public_url: String,
    agents: SocketAddr,
) -> Result<Wired> {
    wire_with(kernel, settings, data, public_url, agents, |_| Vec::new()).await
}

/// Like [`wire`], with slices that only this start of the server has.
pub async fn wire_with(
    kernel: &Kernel,
    settings: &Settings,
    data: &Path,
    public_url: String,
    agents: SocketAddr,
    extra: impl FnOnce(&Handles) -> Vec<Slice>,
) -> Result<Wired> {
    let access = access::Access::new(kernel, settings.access.clone());
    let inventory = inventory::Inventory::new(kernel);
    let notify = notify::Notify::new(
        kernel,
        notify::Settings {
            public_url: public_url.clone(),
            ..settings.notify.clone()
        },
    );
    let fleet = fleet::Fleet::new(kernel, settings.fleet.clone(), &public_url, agents).await?;
    let alerting = alerting::Alerting::with(kernel, settings.alerting.clone());
    let observed = telemetry::Settings {
        public_url: public_url.clone(),
        ..settings.telemetry.clone()
    };
    let telemetry = Telemetry::open(kernel, &observed, data).context("the data folder")?;
    fleet.set_intake(Arc::new(telemetry.clone()));
    let automation = Automation::with(
        kernel,
        fleet.clone(),
        Arc::new(Conditions(telemetry.clone(), kernel.clock.clone())),
        settings.automation.clone(),
    );
    let incidents = incidents::Incidents::new(kernel, settings.incidents.clone()).with_telemetry(&telemetry);
    let data = data.to_owned();
    let handles = Handles {
        access,
        inventory,
        notify,
        fleet,
        automation,
        alerting,
        telemetry,
        incidents,
        data,
    };
    let mut slices = slices::all(kernel, &handles);
    slices.push(crate::address::slice(&public_url));
    slices.extend(extra(&handles));
    let app = kernel::http::assemble(
        kernel,
        &mut slices,
        Arc::new(handles.access.clone()),
        description(),
    );
    handles.access.set_endpoints(app.endpoints.clone());
    let worth_it = SizeAbove::new(512)
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES);
    let router = app
        .router
        .fallback(assets::serve)
        .layer(CompressionLayer::new().compress_when(worth_it))
        .layer(CatchPanicLayer::new());
    Ok(Wired {
        handles,
        router,
        openapi: app.openapi,
        endpoints: app.endpoints,
        slices,
        events: settings.events,
    })
}

/// Starts what the slices do by themselves.
pub async fn start(kernel: &Kernel, wired: &mut Wired) -> Result<()> {
    wired
        .handles
        .telemetry
        .start()
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let history = kernel::retention::events(wired.events, vec![incidents::held_events]);
    kernel::task::start(kernel, kernel::retention::task("events.retention", history));
    kernel::task::start(kernel, kernel::clock::steps());
    kernel::task::start(kernel, kernel::db::checks());
    let consumers = wired.slices.iter().flat_map(|slice| &slice.consumers);
    let names: Vec<&str> = consumers.map(|consumer| consumer.name).collect();
    kernel::event::consume::register(kernel, &names).await?;
    for slice in std::mem::take(&mut wired.slices) {
        for consumer in slice.consumers {
            let consumer = Arc::new(consumer);
            let (kernel_, name) = (kernel.clone(), consumer.name);
            kernel::task::supervise(kernel, name, move || {
                kernel::event::consume::run(kernel_.clone(), consumer.clone())
            });
        }
        for task in slice.tasks {
            kernel::task::start(kernel, task);
        }
    }
    Ok(())
}

/// Conditions of runbooks are asked of telemetry, a higher tier than automation.
struct Conditions(Telemetry, kernel::Clock);

impl automation::Query for Conditions {
    fn is_firing<'a>(
        &'a self,
        connection: &'a mut sqlx::AnyConnection,
        alert_id: &'a str,
    ) -> BoxFuture<'a, Result<bool, kernel::DbError>> {
        Box::pin(async move {
            let alert = alerting::store::by_id(connection, alert_id).await?;
            Ok(alert.is_some_and(|alert| alert.life.state.as_str() == "firing"))
        })
    }

    fn instant<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<f64>, String>> {
        Box::pin(async move {
            let now_ms = self.1.now_ms();
            match self
                .0
                .instant(text, now_ms)
                .await
                .map_err(|error| error.to_string())?
            {
                promql::Value::Vector(samples) => {
                    Ok(samples.into_iter().map(|sample| sample.value).collect())
                }
                promql::Value::Scalar { value, .. } => Ok(vec![value]),
                _ => Err("the condition gives neither a vector nor a number".into()),
            }
        })
    }
}

fn description() -> OpenApi {
    let about = "Everything that the web page does, it does through this interface. Sign in with a session cookie, or send \
        `Authorization: Bearer ms_…`. Errors are RFC 9457 problems; the Prometheus addresses answer errors in Prometheus' shape.";
    let info = InfoBuilder::new()
        .title("Mainstay")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .build();
    OpenApiBuilder::new().info(info).build()
}
