//! Checking channels: all flaws of a body are told at once.

use kernel::{FieldError, Problem};
use lettre::message::Mailbox;

use crate::model::{ChannelConfig, ChannelSecrets, SmtpSecurity, Subscription};
use crate::template;

/// Collects the fields that are not valid.
#[derive(Default)]
pub struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    pub fn fail(&mut self, field: &str, message: impl ToString) {
        self.errors.push(FieldError {
            field: field.into(),
            message: message.to_string(),
        });
    }

    /// A line of text of `min` to `max` characters.
    pub fn line(&mut self, field: &str, value: &str, min: usize, max: usize) {
        let length = value.trim().chars().count();
        if length < min {
            self.fail(field, format!("needs at least {min} characters"));
        } else if length > max {
            self.fail(field, format!("may have at most {max} characters"));
        } else if value.chars().any(char::is_control) {
            self.fail(field, "must not contain control characters");
        }
    }

    pub fn template(&mut self, field: &str, template: &str) {
        if template.chars().count() > template::TEMPLATE_MAX {
            self.fail(
                field,
                format!("may have at most {} characters", template::TEMPLATE_MAX),
            );
        } else if template.contains('\0') {
            self.fail(field, "must not contain NUL characters");
        } else if let Err(error) = template::check(template) {
            self.fail(field, error);
        }
    }

    pub fn subscription(&mut self, subscription: &Subscription) {
        if subscription.kinds.len() > 10 {
            self.fail("subscription.kinds", "may have at most 10 entries");
        }
        if subscription.teams.len() > 100 {
            self.fail("subscription.teams", "may have at most 100 entries");
        }
        for (index, team) in subscription.teams.iter().enumerate() {
            self.line(&format!("subscription.teams[{index}]"), team, 1, 80);
        }
    }

    pub fn config(&mut self, config: &ChannelConfig, secrets: &ChannelSecrets) {
        let allowed: &[&str] = match config {
            ChannelConfig::Email { .. } => {
                self.email(config);
                &["password"]
            }
            ChannelConfig::Webhook { url, headers } => {
                self.url("config.url", url);
                if url.contains('…') {
                    self.fail(
                        "config.url",
                        "must be the whole address: `…` stands for what is not shown",
                    );
                }
                self.headers(headers);
                &["signing_key", "authorization"]
            }
            ChannelConfig::Slack {} => {
                match &secrets.url {
                    Some(url) => self.url("secrets.url", url),
                    None => self.fail("secrets.url", "is needed: the address of the incoming webhook"),
                }
                &["url"]
            }
            ChannelConfig::Matrix { homeserver, room } => {
                self.url("config.homeserver", homeserver);
                self.line("config.room", room, 2, 255);
                if !room.starts_with('!') {
                    self.fail("config.room", "must be a room id, which begins with `!`");
                }
                if secrets.access_token.is_none() {
                    self.fail("secrets.access_token", "is needed");
                }
                &["access_token"]
            }
        };
        if !secrets.headers.is_empty() {
            self.fail("secrets.headers", "give headers in `config.headers`");
        }
        for (name, value) in secrets.each() {
            let Some(value) = value else { continue };
            let field = format!("secrets.{name}");
            if allowed.contains(&name) {
                self.line(&field, value, 1, 2000);
            } else {
                self.fail(
                    &field,
                    format!("does not belong to a channel of type {}", config.kind()),
                );
            }
        }
        if secrets
            .authorization
            .as_ref()
            .is_some_and(|value| !value.is_ascii())
        {
            self.fail("secrets.authorization", "must be plain ASCII");
        }
    }

    fn email(&mut self, config: &ChannelConfig) {
        let ChannelConfig::Email {
            host,
            port,
            security,
            username,
            from,
            to,
            ehlo_name,
            ca_pem,
        } = config
        else {
            return;
        };
        self.line("config.host", host, 1, 255);
        if *port == 0 {
            self.fail("config.port", "must be from 1 to 65535");
        }
        if let Some(username) = username {
            self.line("config.username", username, 1, 255);
            if *security == SmtpSecurity::None && !is_loopback(host) {
                self.fail(
                    "config.security",
                    "must be starttls or tls: a password would go over the network in clear",
                );
            }
        }
        if let Some(name) = ehlo_name
            && !is_ehlo_name(name)
        {
            self.fail(
                "config.ehlo_name",
                "must be a host name with a dot, or an address in brackets such as [192.0.2.7]",
            );
        }
        self.mailbox("config.from", from);
        if to.is_empty() || to.len() > 50 {
            self.fail("config.to", "needs 1 to 50 addresses");
        }
        for (index, address) in to.iter().enumerate() {
            self.mailbox(&format!("config.to[{index}]"), address);
            if to.iter().take(index).any(|before| before == address) {
                self.fail(&format!("config.to[{index}]"), "is there twice");
            }
        }
        if let Some(pem) = ca_pem
            && (pem.len() > 100_000
                || pem.contains('\0')
                || lettre::transport::smtp::client::Certificate::from_pem(pem.as_bytes()).is_err()
                || !pem.contains("BEGIN CERTIFICATE"))
        {
            self.fail(
                "config.ca_pem",
                "must be certificates as PEM, at most 100,000 bytes",
            );
        }
    }

    fn mailbox(&mut self, field: &str, text: &str) {
        self.line(field, text, 3, 320);
        if let Err(error) = text.parse::<Mailbox>() {
            self.fail(field, format!("is not an e-mail address: {error}"));
        }
    }

    fn url(&mut self, field: &str, text: &str) {
        self.line(field, text, 8, 2000);
        let parsed = reqwest::Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|host| !host.is_empty())
                && url.username().is_empty()
                && url.password().is_none()
        });
        if parsed.is_none() {
            self.fail(
                field,
                "must be an http:// or https:// address without user and password",
            );
        }
    }

    fn headers(&mut self, headers: &std::collections::BTreeMap<String, String>) {
        const OURS: [&str; 7] = [
            "authorization",
            "content-length",
            "content-type",
            "host",
            "idempotency-key",
            "mainstay-signature",
            "transfer-encoding",
        ];
        if headers.len() > 20 {
            self.fail("config.headers", "may have at most 20 entries");
        }
        for (name, value) in headers {
            let is_name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
            let is_value = reqwest::header::HeaderValue::from_str(value).is_ok();
            if !is_name || !is_value || name.len() > 100 || value.len() > 2000 {
                self.fail(
                    "config.headers",
                    format!("\"{}\" is not a valid header", template::cut(name, 50)),
                );
            } else if OURS.contains(&name.to_lowercase().as_str()) {
                self.fail(
                    "config.headers",
                    format!("\"{name}\" is set by the server; use the secrets for credentials"),
                );
            }
        }
    }

    pub fn done(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

/// RFC 5321, 4.1.1.1: a name with a domain, or an address literal.
fn is_ehlo_name(name: &str) -> bool {
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match literal {
        Some(literal) => {
            let address = literal.strip_prefix("IPv6:").unwrap_or(literal);
            address.parse::<std::net::IpAddr>().is_ok()
        }
        None => {
            let is_label = |label: &str| {
                !label.is_empty()
                    && label.len() <= 63
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            name.len() <= 255 && name.contains('.') && name.split('.').all(is_label)
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
