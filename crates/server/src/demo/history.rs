//! The week before the start: samples straight into blocks, a day at a time, and log lines in the order of their times.

use anyhow::Result;
use logs::Record;
use protocol::Body;
use telemetry::Telemetry;
use tsdb::{Labels, SeriesData};

use super::curve::Random;
use super::fault::Company;
use super::host::Host;
use super::past::{Episode, Trouble};
use super::speech::{self, Said};
use super::{past, read};

const STEP_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// One line for each host in this time.
const LINES_EVERY_MS: i64 = 900_000;
const LINES_AT_ONCE: usize = 4000;

/// Writes what happened in the `days` before `now_ms`. Returns the numbers of samples and lines.
pub async fn write(
    telemetry: &Telemetry,
    company: &std::sync::Arc<Company>,
    days: u32,
    now_ms: i64,
) -> Result<(u64, u64)> {
    let (stores, hosts) = (telemetry.clone(), company.clone());
    let samples = tokio::task::spawn_blocking(move || samples(&stores, &hosts, days, now_ms)).await??;
    let mut count = 0;
    for records in lines(company, days, now_ms).chunks(LINES_AT_ONCE) {
        telemetry.ingest_lines(records.to_vec()).await?;
        count += records.len() as u64;
    }
    Ok((samples, count))
}

/// Blocks lie on whole days, so each day is written once.
fn samples(telemetry: &Telemetry, company: &Company, days: u32, now_ms: i64) -> Result<u64> {
    let first = now_ms - i64::from(days) * DAY_MS;
    let mut written = 0;
    let mut from = first;
    while from < now_ms {
        let until = ((from.div_euclid(DAY_MS) + 1) * DAY_MS).min(now_ms);
        let series: Vec<SeriesData> = company
            .hosts
            .iter()
            .flat_map(|host| stretch(host, from, until, now_ms))
            .collect();
        if !series.is_empty() {
            written += telemetry.tsdb().import(&series)?;
        }
        from = until;
    }
    Ok(written)
}

/// The core series of a host from `from` to before `until`, on whole minutes.
fn stretch(host: &Host, from: i64, until: i64, now_ms: i64) -> Vec<SeriesData> {
    let calm = host.lock().clone();
    let mut all: Vec<SeriesData> = Vec::new();
    let mut t_ms = (from + STEP_MS - 1).div_euclid(STEP_MS) * STEP_MS;
    while t_ms < until {
        let mut number = 0;
        let mut state = calm.clone();
        past::shade(host, &mut state, t_ms, now_ms);
        read::read(host, &state, host.boot_ms, t_ms, &mut |reading| {
            if !reading.is_core {
                return;
            }
            if number == all.len() {
                let own = [
                    ("__name__", reading.name),
                    ("instance", host.spec.name.as_str()),
                    ("job", "mainstay"),
                ];
                let labels = Labels::from_pairs(reading.labels.iter().copied().chain(own));
                all.push(SeriesData {
                    labels,
                    samples: Vec::new(),
                });
            }
            all[number].samples.push((t_ms, reading.value));
            number += 1;
        });
        t_ms += STEP_MS;
    }
    all
}

/// In bad times there is a line for each host in this time.
const LINES_IN_TROUBLE_EVERY_MS: i64 = 20_000;

fn lines(company: &Company, days: u32, now_ms: i64) -> Vec<Record> {
    let mut random = Random::new(4711);
    let mut records = Vec::new();
    let mut from = now_ms - i64::from(days) * DAY_MS;
    while from < now_ms {
        for host in &company.hosts {
            let at_ms = from + random.below(LINES_EVERY_MS as usize) as i64;
            let said = match (random.below(8), past::mood(host, at_ms, now_ms)) {
                (0, _) | (_, None) => speech::common_line(&mut random),
                (_, Some(mood)) => speech::own_line(host, mood, &mut random),
            };
            records.extend(written(host, said, at_ms.min(now_ms - 1000)));
        }
        from += LINES_EVERY_MS;
    }
    for episode in past::within(days) {
        records.extend(trouble(company, episode, now_ms, &mut random));
    }
    records.sort_by_key(|record| record.at_ms);
    records
}

/// What the hosts that an episode touched wrote while it lasted.
fn trouble(company: &Company, episode: &Episode, now_ms: i64, random: &mut Random) -> Vec<Record> {
    let (begin, end) = (episode.at_ms(0.0, now_ms), episode.at_ms(episode.minutes, now_ms));
    let mut records = Vec::new();
    for host in &company.hosts {
        let is_here = episode.strikes(host);
        if is_here && episode.trouble == Trouble::Down {
            let unit = host.spec.role.unit;
            records.extend(written(
                host,
                speech::manager_line(unit, "failed", Some("exit-code")),
                begin,
            ));
            records.extend(written(host, speech::manager_line(unit, "active", None), end));
        }
        if !is_here && episode.failing(host) == 0.0 {
            continue;
        }
        let mut from = begin;
        while from < end {
            let at_ms = from + random.below(LINES_IN_TROUBLE_EVERY_MS as usize) as i64;
            if let Some(mood) = past::mood(host, at_ms, now_ms) {
                records.extend(written(host, speech::own_line(host, mood, random), at_ms));
            }
            from += LINES_IN_TROUBLE_EVERY_MS;
        }
    }
    records
}

fn written(host: &Host, said: Said, at_ms: i64) -> Vec<Record> {
    let bodies = speech::bodies(vec![said], at_ms).into_iter();
    bodies.flat_map(|body| record(host, body)).collect()
}

/// With the labels that the same line gets when an agent sends it.
fn record(host: &Host, body: Body) -> Vec<Record> {
    let Body::Logs { source, lines } = body else {
        return Vec::new();
    };
    let made = lines.into_iter().map(|line| {
        let labels = [
            ("host", host.spec.name.as_str()),
            ("source", source.kind.as_str()),
            ("unit", source.name.as_str()),
            ("program", line.program.as_deref().unwrap_or_default()),
        ];
        Record {
            at_ms: line.at_ms,
            labels: logs::Labels::new(labels),
            severity: line.severity,
            text: line.text,
        }
    });
    made.collect()
}
