//! What starts a runbook by itself: schedules, and alerts within guard rails.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use yaml::{Error, Fields, Node};

use super::{bounded, short, templated_map};
use crate::document::{AlertTrigger, Mode, Schedule};

pub(super) type Triggers = (Vec<Schedule>, Vec<AlertTrigger>);

pub(super) fn triggers(node: &Node) -> Result<Triggers, Error> {
    let mut found: Triggers = Default::default();
    for node in node.list()? {
        let mut fields = node.fields("a trigger")?;
        let cron = fields.get("schedule", cron)?;
        let alert = fields.get("alert", short)?;
        let inputs = fields.get("inputs", templated_map)?.unwrap_or_default();
        match (cron, alert) {
            (Some(cron), None) => {
                let zone = fields.get("time_zone", time_zone)?;
                found.0.push(Schedule {
                    cron,
                    time_zone: zone.unwrap_or_else(|| "UTC".into()),
                    inputs,
                });
            }
            (None, Some(alert)) => found.1.push(alert_trigger(alert, inputs, &mut fields)?),
            _ => return Err(node.error("a trigger has either `schedule` or `alert`")),
        }
        fields.finish()?;
    }
    Ok(found)
}

fn alert_trigger(
    alert: String,
    inputs: BTreeMap<String, String>,
    fields: &mut Fields<'_>,
) -> Result<AlertTrigger, Error> {
    let mode = fields
        .get("mode", |n| n.one_of(&["dry_run", "ask", "run"]))?
        .unwrap_or("ask");
    Ok(AlertTrigger {
        alert,
        labels: fields
            .get("labels", |n| n.string_map())?
            .unwrap_or_default()
            .into_iter()
            .collect(),
        inputs,
        mode: match mode {
            "dry_run" => Mode::DryRun,
            "run" => Mode::Run,
            _ => Mode::Ask,
        },
        cooldown: fields
            .get("cooldown", bounded)?
            .unwrap_or(Duration::from_secs(600)),
        max_per_hour: fields
            .get("max_per_hour", |n| n.integer_in(1, 1000))?
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(6),
        max_active: fields
            .get("max_active", |n| n.integer_in(1, 1000))?
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(5),
    })
}

fn cron(node: &Node) -> Result<String, Error> {
    let text = node.word()?;
    crate::schedule::parse(text).map_err(|message| node.error(message))?;
    Ok(text.to_owned())
}

fn time_zone(node: &Node) -> Result<String, Error> {
    let name = node.word()?;
    TimeZone::get(name).map_err(|_| {
        node.error(format!(
            "\"{name}\" is no time zone; write for example Europe/Berlin"
        ))
    })?;
    Ok(name.to_owned())
}
