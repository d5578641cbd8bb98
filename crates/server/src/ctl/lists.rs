//! The plain lists.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::client::Client;
use super::show;
use crate::out;

pub async fn hosts(client: &Client) -> Result<ExitCode> {
    let mut hosts = client
        .list("/api/v1/items", &[("q", "kind=host")], 10_000)
        .await?;
    let agents = client.list("/api/v1/agents", &[], 10_000).await?;
    let alerts = client.list("/api/v1/alerts", &[], 10_000).await?;
    for host in &mut hosts {
        let name = host["name"].clone();
        let agent = agents.iter().find(|agent| agent["item_id"] == host["id"]);
        let presence = agent.map_or(Value::Null, |agent| agent["presence"].clone());
        let seen = agent.map_or(Value::Null, |agent| agent["heard_at"].clone());
        let count = alerts
            .iter()
            .filter(|alert| alert["state"] == "firing")
            .filter(|alert| alert["labels"]["instance"] == name || alert["item_id"] == host["id"])
            .count();
        if let Value::Object(host) = host {
            host.insert("presence".into(), presence);
            host.insert("last_seen".into(), seen);
            host.insert("alerts".into(), json!(count));
        }
    }
    show::rows(
        client,
        &hosts,
        &[
            ("NAME", "name"),
            ("AGENT", "presence"),
            ("LAST SEEN", "last_seen"),
            ("ALERTS FIRING", "alerts"),
            ("ID", "id"),
        ],
    );
    Ok(ExitCode::SUCCESS)
}

pub async fn items(client: &Client, selector: &str) -> Result<ExitCode> {
    let items = client.list("/api/v1/items", &[("q", selector)], 10_000).await?;
    show::rows(
        client,
        &items,
        &[
            ("KIND", "kind"),
            ("NAME", "name"),
            ("STATE", "state"),
            ("ID", "id"),
        ],
    );
    Ok(ExitCode::SUCCESS)
}

pub async fn agents(client: &Client) -> Result<ExitCode> {
    let agents = client.list("/api/v1/agents", &[], 10_000).await?;
    let columns = [
        ("HOST", "name"),
        ("PRESENCE", "presence"),
        ("VERSION", "version"),
        ("ADDRESS", "address"),
        ("LAST SEEN", "heard_at"),
        ("ID", "id"),
    ];
    show::rows(client, &agents, &columns);
    Ok(ExitCode::SUCCESS)
}

pub async fn alerts(client: &Client) -> Result<ExitCode> {
    let alerts = client.list("/api/v1/alerts", &[], 10_000).await?;
    let columns = [
        ("STATE", "state"),
        ("SEVERITY", "severity"),
        ("NAME", "name"),
        ("HOST", "labels.instance?"),
        ("SINCE", "active_since"),
        ("SUMMARY", "annotations.summary?"),
        ("ID", "id"),
    ];
    show::rows(client, &alerts, &columns);
    Ok(ExitCode::SUCCESS)
}

pub async fn events(client: &Client, topic: Option<&str>, limit: u32) -> Result<ExitCode> {
    let text = limit.min(500).to_string();
    let mut query = vec![("limit", text.as_str())];
    query.extend(topic.map(|topic| ("topic", topic)));
    let events = client.list("/api/v1/events", &query, limit as usize).await?;
    let columns = [
        ("SEQ", "seq"),
        ("AT", "at"),
        ("TOPIC", "topic"),
        ("WHO", "actor_name"),
        ("SUBJECT", "subject"),
        ("CAUSE", "cause"),
    ];
    show::rows(client, &events, &columns);
    Ok(ExitCode::SUCCESS)
}

pub async fn snapshot(client: &Client, include_master_key: bool) -> Result<ExitCode> {
    let body = json!({ "include_master_key": include_master_key });
    let made = client.post("/api/v1/snapshots", &body).await?;
    if client.json {
        show::value(&made);
    } else {
        let (path, files) = (show::cell(&made, "path"), show::cell(&made, "files"));
        out::line(format_args!(
            "{path} ({files} files, {} bytes)",
            show::cell(&made, "bytes")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn api(client: &Client, method: &str, path: &str, body: Option<&str>) -> Result<ExitCode> {
    let body: Option<Value> = body
        .map(serde_json::from_str)
        .transpose()
        .context("the body is not JSON")?;
    show::value(&client.send_json(method, path, body.as_ref()).await?);
    Ok(ExitCode::SUCCESS)
}
