//! `ctl logs`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Args)]
pub struct LogArgs {
    /// Words, "phrases", /regular expressions/, label:value, AND OR NOT
    #[arg(default_value = "")]
    query: String,
    /// Time range that ends now
    #[arg(long, default_value = "1h")]
    last: String,
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Stream new lines
    #[arg(long, short)]
    follow: bool,
}

pub async fn logs(client: &Client, args: &LogArgs) -> Result<ExitCode> {
    if args.follow {
        let json = client.json;
        let mut events = client.events("/api/v1/logs/tail", &[("q", &args.query)]).await?;
        while let Some((event, data)) = events.next().await? {
            match serde_json::from_str::<Value>(&data) {
                Ok(line) if event == "line" && !json => print_line(&line),
                Ok(_) if event == "line" => out::line(data),
                _ => out::complain(format_args!("{data} lines dropped: the reader is too slow")),
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let back = show::duration_ms("--last", &args.last)?;
    let from = kernel::clock::from_millis(kernel::Clock::System.now_ms() - back).to_string();
    let limit = args.limit.clamp(1, 5000).to_string();
    let query = [("q", args.query.as_str()), ("from", &from), ("limit", &limit)];
    let mut lines = client.list("/api/v1/logs/query", &query, args.limit).await?;
    lines.reverse();
    if client.json {
        show::value(&Value::Array(lines));
        return Ok(ExitCode::SUCCESS);
    }
    for line in &lines {
        print_line(line);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_line(line: &Value) {
    let program = line["labels"]["program"]
        .as_str()
        .or(line["labels"]["file"].as_str())
        .unwrap_or("-");
    let (at, host) = (show::cell(line, "at"), show::cell(line, "labels.host"));
    out::line(format_args!(
        "{at} {host} {program}: {}",
        line["text"].as_str().unwrap_or_default()
    ));
}
