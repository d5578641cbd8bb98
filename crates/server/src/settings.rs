//! `mainstay.toml`, section by section. Each slice defines its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub database: Database,
    pub access: access::Settings,
    pub notify: notify::Settings,
    pub inventory: inventory::Settings,
    pub fleet: fleet::Settings,
    pub automation: automation::Settings,
    pub telemetry: telemetry::Settings,
    pub alerting: alerting::Settings,
    pub incidents: incidents::Settings,
    pub events: kernel::retention::Settings,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where the web page and the API are served.
    pub listen: SocketAddr,
    /// Where agents connect; one port above `listen` when absent.
    pub agent_listen: Option<SocketAddr>,
    /// The address that people and agents reach this server under, for links and join commands.
    pub public_url: Option<String>,
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,fleet=debug`.
    pub log: String,
    /// HTTP connections at a time; more are answered 503.
    pub max_connections: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8600)),
            agent_listen: None,
            public_url: None,
            log: "info".into(),
            max_connections: 4096,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://user@host/name`; SQLite in the data folder when absent.
    pub url: Option<String>,
    /// How long the start waits for a PostgreSQL that does not answer yet, in seconds.
    pub wait_s: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            wait_s: 60,
        }
    }
}

impl Settings {
    /// Reads the file that was named, or `mainstay.toml` in the data folder when there is one, and the environment.
    pub fn load(named: Option<&Path>, data: &Path) -> Result<Self, kernel::config::ConfigError> {
        let usual = data.join("mainstay.toml");
        let file: Option<PathBuf> = named
            .map(Path::to_owned)
            .or_else(|| usual.exists().then_some(usual));
        kernel::config::load(file.as_deref(), std::env::vars())
    }
}

impl Server {
    pub fn agent_listen(&self) -> SocketAddr {
        self.agent_listen.unwrap_or_else(|| {
            let port = if self.listen.port() == 0 {
                0
            } else {
                self.listen.port().saturating_add(1)
            };
            SocketAddr::new(self.listen.ip(), port)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../../docs/mainstay.toml");

    /// Lines such as `# name = value` in the reference are settings that have no default.
    fn is_optional(line: &str) -> bool {
        line.strip_prefix("# ")
            .and_then(|rest| rest.split_once(" = "))
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    }

    fn load(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mainstay.toml");
        std::fs::write(&file, text).unwrap();
        kernel::config::load(Some(&file), std::iter::empty()).unwrap()
    }

    #[test]
    fn the_reference_has_the_defaults() {
        assert_eq!(
            format!("{:#?}", load(REFERENCE)),
            format!("{:#?}", Settings::default())
        );
    }

    #[test]
    fn the_reference_has_every_setting() {
        let all: Vec<&str> = REFERENCE
            .lines()
            .map(|line| {
                if is_optional(line) {
                    line.trim_start_matches("# ")
                } else {
                    line
                }
            })
            .collect();
        let settings = format!("{:#?}", load(&all.join("\n")));
        assert!(!settings.contains("None"), "{settings}");
        for line in settings.lines() {
            let Some((name, _)) = line.trim().split_once(": ") else {
                continue;
            };
            let is_said = all
                .iter()
                .any(|line| line.starts_with(&format!("{name} = ")) || line.ends_with(&format!("{name}]")));
            assert!(
                is_said || name == "public_url" || line.ends_with(": fixed,"),
                "{name} is not in docs/mainstay.toml"
            );
        }
    }
}
