//! The words of a made-up host's tools: `df`, `free`, `ps` and their like, from the same readings as its samples.

use std::fmt::Write;

use super::host::{Host, State};
use super::read::{self, DISKS};

/// The value of a series as the collectors read it.
fn reading(host: &Host, state: &State, now_ms: i64, name: &str, label: Option<(&str, &str)>) -> f64 {
    let mut found = 0.0;
    read::read(host, state, host.boot_ms, now_ms, &mut |reading| {
        let fits = label.is_none_or(|wanted| reading.labels.iter().any(|(n, v)| (*n, *v) == wanted));
        if reading.name == name && fits {
            found = reading.value;
        }
    });
    found
}

pub fn df(host: &Host, state: &State, arguments: &[&str], now_ms: i64) -> String {
    let mut text = "Filesystem      Size  Used Avail Use% Mounted on\n".to_owned();
    let wanted = arguments.iter().find(|word| word.starts_with('/'));
    for (mount, device, gib) in DISKS
        .iter()
        .filter(|(mount, ..)| wanted.is_none_or(|wanted| wanted == mount))
    {
        let available = reading(
            host,
            state,
            now_ms,
            "node_filesystem_avail_bytes",
            Some(("mountpoint", mount)),
        );
        let available = available / f64::from(1 << 30);
        let used = gib - available;
        let share = used / gib * 100.0;
        let _ = writeln!(
            text,
            "{device:<14} {gib:>4.0}G {used:>4.0}G {available:>4.1}G {share:>3.0}% {mount}"
        );
    }
    text
}

pub fn du(state: &State, arguments: &[&str]) -> String {
    let root = arguments
        .iter()
        .find(|word| word.starts_with('/'))
        .copied()
        .unwrap_or("/var");
    let log = if state.filled > 0.0 { "84G" } else { "1.9G" };
    format!("{log}\t/var/log\n21G\t/var/lib\n640M\t/var/cache\n{log}\t{root}\n")
}

pub fn journal(host: &Host, state: &State) -> String {
    let own = &state.services[0];
    let end = if own.is_up {
        "is running"
    } else {
        "Failed with result 'signal'"
    };
    format!("{} systemd[1]: {}.service: {end}\n", host.spec.name, own.name)
}

pub fn uptime(host: &Host, state: &State, now_ms: i64) -> String {
    let days = (now_ms - host.boot_ms) / 86_400_000;
    let load = |name| reading(host, state, now_ms, name, None);
    let (one, five, fifteen) = (load("node_load1"), load("node_load5"), load("node_load15"));
    format!(" up {days} days,  0 users,  load average: {one:.2}, {five:.2}, {fifteen:.2}\n")
}

pub fn free(host: &Host, state: &State, now_ms: i64) -> String {
    let mib = |name| reading(host, state, now_ms, name, None) / f64::from(1 << 20);
    let (total, available) = (
        mib("node_memory_MemTotal_bytes"),
        mib("node_memory_MemAvailable_bytes"),
    );
    let (free, cache) = (mib("node_memory_MemFree_bytes"), mib("node_memory_Cached_bytes"));
    let used = total - available;
    format!(
        "               total        used        free      shared  buff/cache   available\nMem: {total:>15.0} {used:>11.0} {free:>11.0}          12 {cache:>11.0} {available:>11.0}\nSwap:           2048           0        2048\n"
    )
}

pub fn ps(host: &Host, state: &State) -> String {
    let mut text = String::new();
    for (number, service) in state
        .services
        .iter()
        .enumerate()
        .filter(|(_, service)| service.is_up)
    {
        let memory = if number == 0 {
            host.memory_used * 0.6 + state.leaked
        } else {
            0.001
        };
        let kib = memory * (host.spec.role.memory_gib << 20) as f64;
        let _ = writeln!(
            text,
            "{:>6} root  {:>4.1} {kib:>9.0} {}",
            service.pid,
            if number == 0 { 31.0 } else { 0.1 },
            service.name
        );
    }
    text
}
