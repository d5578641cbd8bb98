//! The file, the environment on top of it, and what is refused.

use kernel::config::{ConfigError, load};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    listen: String,
    smtp: Smtp,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Smtp {
    host: String,
    port: u16,
}

fn read(text: &str, env: &[(&str, &str)]) -> Result<Sample, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mainstay.toml");
    std::fs::write(&path, text).unwrap();
    load(
        Some(&path),
        env.iter().map(|(n, v)| (n.to_string(), v.to_string())),
    )
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = read(
        "listen = 'a'\n[smtp]\nhost = 'x'\nport = 1\n",
        &[("MAINSTAY_SMTP__PORT", "25")],
    )
    .unwrap();
    assert_eq!(
        config,
        Sample {
            listen: "a".into(),
            smtp: Smtp {
                host: "x".into(),
                port: 25
            }
        }
    );
}

#[test]
fn unknown_fields_are_named_with_their_line() {
    let error = read("listen = 'a'\n\n[smtp]\nhots = 'x'\n", &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("line 4") && error.contains("hots"), "{error}");
    let error = read("", &[("MAINSTAY_SMTP__PORT", "many")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("MAINSTAY_SMTP__PORT"), "{error}");
}
