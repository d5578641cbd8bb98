//! What made-up hosts do when they are told to: services really stop and start, disks really empty, and the usual questions get
//! plausible answers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use protocol::{Action, ServiceVerb};

use super::host::{Host, State};
use super::read::KERNEL;
use super::show::{df, du, free, journal, ps, uptime};
use super::world::SHOP;

/// How a command went.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
    /// How long it takes.
    pub takes: Duration,
}

impl Answer {
    fn said(text: impl Into<String>) -> Self {
        Self {
            stdout: text.into(),
            takes: Duration::from_millis(60),
            ..Self::default()
        }
    }

    fn failed(code: i32, text: impl Into<String>) -> Self {
        Self {
            stderr: text.into(),
            code,
            takes: Duration::from_millis(60),
            ..Self::default()
        }
    }

    fn after(mut self, millis: u64) -> Self {
        self.takes = Duration::from_millis(millis);
        self
    }

    /// Follows another one.
    fn add(&mut self, next: Self) {
        self.stdout.push_str(&next.stdout);
        self.stderr.push_str(&next.stderr);
        self.code = next.code;
        self.takes += next.takes;
    }
}

pub fn answer(host: &Host, action: &Action, now_ms: i64) -> Answer {
    match action {
        Action::Exec { argv, .. } => {
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            run(host, &argv, now_ms).unwrap_or_else(|| {
                Answer::failed(
                    127,
                    format!("{}: command not found\n", argv.first().unwrap_or(&"")),
                )
            })
        }
        Action::Script { script, env, .. } => self::script(host, script, env, now_ms),
        Action::Service { name, verb } => service(host, name, *verb, now_ms),
        Action::Http {
            url, expect_status, ..
        } => http(host, url, expect_status),
    }
}

fn http(host: &Host, url: &str, expect: &[u16]) -> Answer {
    if host.is_up(host.spec.role.unit) != Some(true) {
        return Answer::failed(7, format!("{url}: connection refused\n")).after(20);
    }
    match expect.is_empty() || expect.contains(&200) {
        true => Answer::said("200 OK\n"),
        false => Answer::failed(22, format!("{url} answered 200, expected {expect:?}\n")),
    }
}

fn service(host: &Host, name: &str, verb: ServiceVerb, now_ms: i64) -> Answer {
    let Some(is_up) = host.is_up(name) else {
        return Answer::failed(5, format!("Unit {name}.service not found.\n"));
    };
    match verb {
        ServiceVerb::Stop => host.set_service(name, false, None, now_ms),
        ServiceVerb::Start => host.set_service(name, true, None, now_ms),
        ServiceVerb::Restart => {
            host.set_service(name, false, None, now_ms);
            host.set_service(name, true, None, now_ms)
        }
        ServiceVerb::Reload if !is_up => {
            return Answer::failed(1, format!("{name}.service is not active, cannot reload.\n"));
        }
        ServiceVerb::Reload => true,
    };
    Answer::default().after(if verb == ServiceVerb::Reload { 80 } else { 700 })
}

/// Runs the first command of each line; what is not known does nothing.
fn script(host: &Host, text: &str, env: &BTreeMap<String, String>, now_ms: i64) -> Answer {
    let mut all = Answer::default();
    let joined = text.replace("\\\n", " ");
    for part in joined
        .lines()
        .flat_map(|line| line.split(" && "))
        .flat_map(|line| line.split("; "))
    {
        let first = part.split(" | ").next().unwrap_or_default().trim();
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let words = words(first, env);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Some(answer) = run(host, &words, now_ms) {
            all.add(answer);
        }
    }
    all.code = 0;
    all
}

fn words(line: &str, env: &BTreeMap<String, String>) -> Vec<String> {
    let filled = env.iter().rev().fold(line.to_owned(), |line, (name, value)| {
        line.replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value)
    });
    let plain = filled
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']).to_owned());
    plain
        .filter(|word| !word.contains('>') && !word.is_empty())
        .collect()
}

/// One program with its arguments; `None` when the host has no such program.
fn run(host: &Host, argv: &[&str], now_ms: i64) -> Option<Answer> {
    let (program, arguments) = argv.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    if program == "sudo" {
        return run(host, arguments, now_ms);
    }
    let state = host.lock().clone();
    Some(match program {
        "systemctl" | "service" => systemctl(host, &state, arguments, now_ms),
        "df" => Answer::said(df(host, &state, arguments, now_ms)),
        "du" => Answer::said(du(&state, arguments)).after(400),
        "journalctl" if arguments.iter().any(|word| word.starts_with("--vacuum")) => {
            free_disk(host, 0.5);
            let freed = if state.filled > 0.0 { "38.2G" } else { "412.0M" };
            Answer::said(format!(
                "Vacuuming done, freed {freed} of archived journals from /var/log/journal.\n"
            ))
            .after(900)
        }
        "journalctl" => Answer::said(journal(host, &state)),
        "logrotate" => {
            free_disk(host, 1.0);
            Answer::said(
                "rotating pattern: /var/log/*.log  weekly (4 rotations)\nrenaming and compressing logs\n",
            )
            .after(700)
        }
        "find" | "rm" | "truncate" => {
            free_disk(host, 1.0);
            Answer::said(if state.filled > 0.0 {
                "/var/log/reports/debug.log.1\n/var/log/reports/debug.log.2\n"
            } else {
                ""
            })
            .after(500)
        }
        "apt-get" | "apt" | "dpkg" => packages(host, &state, arguments),
        "certbot" => {
            host.change(|state| {
                state.certificate_until_s = now_ms as f64 / 1000.0 + 90.0 * 86_400.0;
                state.certificate_issued_ms = now_ms;
                state.has_news = true;
            });
            Answer::said("Congratulations, all renewals succeeded: /etc/letsencrypt/live/shop.example.org/fullchain.pem (success)\n")
                .after(1500)
        }
        "uptime" => Answer::said(uptime(host, &state, now_ms)),
        "free" => Answer::said(free(host, &state, now_ms)),
        "ps" => Answer::said(ps(host, &state)),
        "ss" | "netstat" => {
            Answer::said("Total: 212\nTCP:   164 (estab 121, closed 22, orphaned 0, timewait 21)\n")
        }
        "dmesg" => Answer::said(if state.leaked > 0.3 {
            "[warn] systemd: Under memory pressure, flushing caches.\n"
        } else {
            ""
        }),
        "hostname" | "uname" => Answer::said(format!("{} {KERNEL}\n", host.spec.name)),
        "whoami" => Answer::said("root\n"),
        "echo" | "printf" => Answer::said(format!("{}\n", arguments.join(" "))),
        "sleep" => {
            let seconds: f64 = arguments
                .first()
                .and_then(|text| text.parse().ok())
                .unwrap_or(1.0);
            Answer::default().after((seconds.clamp(0.0, 3600.0) * 1000.0) as u64)
        }
        "true" | "sync" | "curl" | "cat" | "ls" | "test" => Answer::said(""),
        "false" => Answer::failed(1, ""),
        _ => return None,
    })
}

fn systemctl(host: &Host, state: &State, arguments: &[&str], now_ms: i64) -> Answer {
    let mut plain = arguments.iter().filter(|word| !word.starts_with('-'));
    let (Some(verb), name) = (plain.next(), plain.next()) else {
        return Answer::failed(1, "Too few arguments.\n");
    };
    let name = name.map_or("", |name| name.strip_suffix(".service").unwrap_or(name));
    let known = state.services.iter().find(|service| service.name == name);
    match (*verb, known) {
        ("list-units", _) => {
            let mut text = String::new();
            for service in state.services.iter().filter(|service| !service.is_up) {
                let _ = writeln!(
                    text,
                    "{}.service loaded failed failed {}",
                    service.name, service.about
                );
            }
            Answer::said(text)
        }
        ("start" | "stop" | "restart" | "reload", Some(_)) => {
            let verb = match *verb {
                "start" => ServiceVerb::Start,
                "stop" => ServiceVerb::Stop,
                "reload" => ServiceVerb::Reload,
                _ => ServiceVerb::Restart,
            };
            service(host, name, verb, now_ms)
        }
        ("is-active", Some(service)) if service.is_up => Answer::said("active\n"),
        ("is-active", Some(_)) => Answer {
            code: 3,
            ..Answer::said("failed\n")
        },
        ("status", Some(service)) => {
            let (mark, state, code) = if service.is_up {
                ("●", "active (running)", 0)
            } else {
                ("×", "failed (Result: signal)", 3)
            };
            let text = format!(
                "{mark} {name}.service - {}\n     Loaded: loaded (/lib/systemd/system/{name}.service; enabled; preset: enabled)\n     Active: {state}\n   Main PID: {} ({name})\n",
                service.about, service.pid
            );
            Answer {
                code,
                ..Answer::said(text)
            }
        }
        ("daemon-reload", _) => Answer::said(""),
        _ => Answer::failed(4, format!("Unit {name}.service could not be found.\n")),
    }
}

/// Takes away a share of what filled the disk.
fn free_disk(host: &Host, share: f64) {
    if host.lock().filled > 0.0 {
        host.change(|state| {
            state.filled *= 1.0 - share;
            if state.filled < 0.05 {
                state.filled = 0.0;
            }
        });
    }
}

fn packages(host: &Host, state: &State, arguments: &[&str]) -> Answer {
    let wanted = arguments.iter().find_map(|word| word.split_once('='));
    match wanted {
        Some((package, version)) if package == host.spec.role.package => {
            let known = [host.spec.role.version, super::world::SHOP_BAD];
            let allowed = if package == SHOP { &known[..] } else { &known[..1] };
            let Some(version) = allowed.iter().find(|known| **known == version) else {
                let text = format!("E: Version '{version}' for '{package}' was not found\n");
                return Answer::failed(100, text);
            };
            let text = format!("Setting up {package} ({version}) over ({}) ...\n", state.version);
            host.change(|state| {
                state.version = version;
                state.has_news = true;
            });
            Answer::said(text).after(1800)
        }
        Some((package, _)) => Answer::failed(100, format!("E: Unable to locate package {package}\n")),
        None => {
            if arguments.contains(&"clean") {
                free_disk(host, 0.1);
            }
            Answer::said("").after(300)
        }
    }
}
