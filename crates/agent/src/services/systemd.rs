//! Services of systemd, over D-Bus: a list at the start, then signals. No polling but for a check once a minute.
//!
//! Source: `org.freedesktop.systemd1(5)`.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zbus::{
    Connection, DynamicType, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, connection,
};

use super::table::{Manager, Service};

const DESTINATION: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// One call may take this long; systemd is sometimes busy.
const CALL: Duration = Duration::from_secs(10);
/// In case a signal was missed.
const CHECK: Duration = Duration::from_secs(60);
/// Signals that wait for us.
const QUEUE: usize = 1024;
const PAUSE: Duration = Duration::from_secs(2);

/// What systemd has said.
#[derive(Debug)]
pub(crate) enum Report {
    All(Vec<Service>),
    One(Service),
    /// Its unit file is gone.
    Gone(String),
}

/// Follows systemd until `stop`, connecting again when the bus goes away. `address` is another bus than the system's.
pub(crate) async fn follow(address: Option<String>, reports: mpsc::Sender<Report>, stop: CancellationToken) {
    loop {
        let outcome = tokio::select! {
            outcome = session(address.as_deref(), &reports) => outcome,
            () = stop.cancelled() => return,
        };
        match outcome {
            Ok(()) if reports.is_closed() => return,
            Ok(()) => tracing::info!("the connection to systemd ended"),
            Err(error) => tracing::warn!(%error, "no connection to systemd"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn session(address: Option<&str>, reports: &mpsc::Sender<Report>) -> zbus::Result<()> {
    let builder = match address {
        Some(address) => connection::Builder::address(address),
        None => connection::Builder::system(),
    };
    let bus = Bus {
        connection: builder.method_timeout(CALL).build().await?,
    };
    let mut properties = bus
        .listen(
            MatchRule::builder()
                .interface("org.freedesktop.DBus.Properties")
                .member("PropertiesChanged")
                .path_namespace("/org/freedesktop/systemd1/unit")
                .build()?,
        )
        .await?;
    let mut manager = bus
        .listen(
            MatchRule::builder()
                .interface(MANAGER)
                .path(MANAGER_PATH)
                .build()?,
        )
        .await?;
    bus.call("Subscribe", &()).await?;
    let mut check = tokio::time::interval(CHECK);
    loop {
        let report = tokio::select! {
            _ = check.tick() => Some(Report::All(bus.services().await?)),
            message = properties.next() => match message {
                Some(message) => bus.on_properties(&message?).await,
                None => return Ok(()),
            },
            message = manager.next() => match message {
                Some(message) => bus.on_manager(&message?).await,
                None => return Ok(()),
            },
        };
        if let Some(report) = report
            && reports.send(report).await.is_err()
        {
            return Ok(());
        }
    }
}

struct Bus {
    connection: Connection,
}

type Properties = HashMap<String, OwnedVariant>;

impl Bus {
    async fn listen(&self, rule: MatchRule<'static>) -> zbus::Result<MessageStream> {
        timeout(
            CALL,
            MessageStream::for_match_rule(rule, &self.connection, NonZeroUsize::new(QUEUE)),
        )
        .await
        .map_err(|_| zbus::Error::Failure("the bus does not answer".into()))?
    }

    async fn call<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: serde::Serialize + DynamicType,
    {
        self.connection
            .call_method(Some(DESTINATION), MANAGER_PATH, Some(MANAGER), method, body)
            .await
    }

    async fn properties(&self, path: &str, interface: &str) -> zbus::Result<Properties> {
        let getter = Some("org.freedesktop.DBus.Properties");
        let reply = self
            .connection
            .call_method(Some(DESTINATION), path, getter, "GetAll", &(interface))
            .await?;
        reply.body().deserialize()
    }

    async fn services(&self) -> zbus::Result<Vec<Service>> {
        type Row = (
            String,
            String,
            String,
            String,
            String,
            String,
            OwnedObjectPath,
            u32,
            String,
            OwnedObjectPath,
        );
        let reply = self.call("ListUnits", &()).await?;
        let rows: Vec<Row> = reply.body().deserialize()?;
        let mut services = Vec::new();
        for (name, _, load, .., path, _, _, _) in &rows {
            if name.ends_with(".service") && load == "loaded" {
                // A unit may go away between the list and the question.
                services.extend(self.service(path.as_str()).await.ok().flatten());
            }
        }
        Ok(services)
    }

    /// A loaded service; `None` for other units.
    async fn service(&self, path: &str) -> zbus::Result<Option<Service>> {
        let unit = self.properties(path, UNIT).await?;
        let id = text(&unit, "Id").unwrap_or_default();
        if !id.ends_with(".service") || text(&unit, "LoadState").as_deref() != Some("loaded") {
            return Ok(None);
        }
        let service = self.properties(path, SERVICE).await?;
        Ok(Some(describe(&id, &unit, &service)))
    }

    async fn on_properties(&self, message: &Message) -> Option<Report> {
        let header = message.header();
        let path = header.path()?;
        // Units of other kinds change often; their paths tell.
        if !path.as_str().ends_with("_2eservice") {
            return None;
        }
        self.service(path.as_str()).await.ok().flatten().map(Report::One)
    }

    async fn on_manager(&self, message: &Message) -> Option<Report> {
        let header = message.header();
        let name = match header.member()?.as_str() {
            "UnitNew" | "UnitRemoved" => message.body().deserialize::<(String, OwnedObjectPath)>().ok()?.0,
            "JobRemoved" => {
                message
                    .body()
                    .deserialize::<(u32, OwnedObjectPath, String, String)>()
                    .ok()?
                    .2
            }
            _ => return None,
        };
        if !name.ends_with(".service") {
            return None;
        }
        match self.call("GetUnit", &(name.as_str())).await {
            Ok(reply) => {
                let path: OwnedObjectPath = reply.body().deserialize().ok()?;
                self.service(path.as_str()).await.ok().flatten().map(Report::One)
            }
            Err(_) => Some(self.unloaded(name).await),
        }
    }

    /// A unit that systemd does not keep in memory: stopped, or removed from the host.
    async fn unloaded(&self, name: String) -> Report {
        let state = match self.call("GetUnitFileState", &(name.as_str())).await {
            Ok(reply) => reply.body().deserialize::<String>().unwrap_or_default(),
            Err(_) => return Report::Gone(short(&name).to_owned()),
        };
        let name = short(&name).to_owned();
        Report::One(Service {
            enabled: Some(is_enabled(&state)),
            ..Service::new(name, Manager::Systemd, "inactive")
        })
    }
}

fn describe(id: &str, unit: &Properties, service: &Properties) -> Service {
    let state = text(unit, "ActiveState").unwrap_or_else(|| "inactive".to_owned());
    let kind = text(service, "Type").unwrap_or_default();
    let enabled = text(unit, "UnitFileState").map(|state| is_enabled(&state));
    let is_up = matches!(state.as_str(), "active" | "reloading" | "refreshing");
    let is_long_running = kind != "oneshot";
    Service {
        enabled,
        description: text(unit, "Description"),
        main_pid: number(service, "MainPID")
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0),
        started_at_ms: number(unit, "ActiveEnterTimestamp")
            .filter(|micros| is_up && *micros != 0)
            .and_then(|micros| i64::try_from(micros / 1000).ok()),
        reason: reason(service),
        // A unit that failed is told of whatever its kind; one that merely may be started is not missed.
        expected: state == "failed" || (is_long_running && (is_up || enabled == Some(true))),
        ..Service::new(short(id), Manager::Systemd, state)
    }
}

/// Services are named alike under all managers: without `.service`, which systemctl takes as well.
pub(crate) fn short(unit: &str) -> &str {
    unit.strip_suffix(".service").unwrap_or(unit)
}

fn is_enabled(state: &str) -> bool {
    matches!(state, "enabled" | "enabled-runtime")
}

/// What systemd says of the last end of the main process.
fn reason(service: &Properties) -> Option<String> {
    let result = text(service, "Result").filter(|result| result != "success")?;
    let status = service
        .get("ExecMainStatus")
        .and_then(|value| i32::try_from(value.clone()).ok())
        .unwrap_or(0);
    Some(match result.as_str() {
        "exit-code" => format!("exit-code {status}"),
        "signal" | "core-dump" => format!("signal {status}"),
        _ => result,
    })
}

fn text(properties: &Properties, key: &str) -> Option<String> {
    String::try_from(properties.get(key)?.clone())
        .ok()
        .filter(|text| !text.is_empty())
}

fn number(properties: &Properties, key: &str) -> Option<u64> {
    let value = properties.get(key)?;
    u64::try_from(value.clone())
        .ok()
        .or_else(|| u32::try_from(value.clone()).ok().map(u64::from))
}

#[cfg(test)]
#[path = "systemd_tests.rs"]
mod tests;
