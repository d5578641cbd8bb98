//! `ctl query`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// PromQL
    expression: String,
    /// Range that ends now, instead of an instant: 5m, 1h, 2d
    #[arg(long)]
    last: Option<String>,
    /// Step of the range
    #[arg(long, default_value = "15s")]
    step: String,
}

pub async fn query(client: &Client, args: &QueryArgs) -> Result<ExitCode> {
    let answer = match &args.last {
        None => {
            client
                .get("/api/v1/query", &[("query", &args.expression)])
                .await?
        }
        Some(last) => {
            let back = show::duration_ms("--last", last)?;
            show::duration_ms("--step", &args.step)?;
            let now_ms = kernel::Clock::System.now_ms();
            let (start, end) = ((now_ms - back) as f64 / 1000.0, now_ms as f64 / 1000.0);
            let (start, end) = (start.to_string(), end.to_string());
            let query = [
                ("query", args.expression.as_str()),
                ("start", &start),
                ("end", &end),
                ("step", &args.step),
            ];
            client.get("/api/v1/query_range", &query).await?
        }
    };
    if client.json {
        show::value(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let data = &answer["data"];
    match data["resultType"].as_str() {
        Some("scalar" | "string") => out::line(data["result"][1].as_str().unwrap_or_default()),
        _ => {
            let series = data["result"].as_array().map_or(&[][..], Vec::as_slice);
            if series.is_empty() {
                out::complain("no data");
            }
            series.iter().for_each(print_series);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_series(series: &Value) {
    let labels = series["metric"].as_object().into_iter().flatten();
    let mut name = "";
    let mut parts = Vec::new();
    for (label, value) in labels {
        let value = value.as_str().unwrap_or_default();
        if label == "__name__" {
            name = value;
        } else {
            parts.push(format!("{label}=\"{value}\""));
        }
    }
    let shown = format!("{name}{{{}}}", parts.join(", "));
    if let Some(value) = series["value"][1].as_str() {
        return out::line(format_args!("{shown}  {value}"));
    }
    let values = series["values"].as_array().into_iter().flatten();
    let texts: Vec<&str> = values.filter_map(|point| point[1].as_str()).collect();
    out::line(format_args!("{shown}  {}", texts.join(" ")));
}
