//! E-mail by SMTP. The Message-ID is the message's own, so that a mail program shows a repetition once; messages about one thing
//! refer to one invented first message and so form a conversation.

use std::time::{Duration, SystemTime};

use kernel::secret::sha256_hex;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{Letter, chain, permanent, temporary};
use crate::decide::Outcome;
use crate::model::{ChannelConfig, ChannelSecrets, SmtpSecurity};

/// For one step of the conversation; the whole attempt has a bound of its own.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);

pub async fn send(
    config: &ChannelConfig,
    secrets: &ChannelSecrets,
    letter: &Letter<'_>,
) -> Result<(), Outcome> {
    let ChannelConfig::Email {
        host,
        port,
        security,
        username,
        from,
        ca_pem,
        ..
    } = config
    else {
        return Err(permanent("not an e-mail channel"));
    };
    let message = message(from, letter)?;
    let tls = match security {
        SmtpSecurity::None => Tls::None,
        SmtpSecurity::Starttls => Tls::Required(tls(host, ca_pem.as_deref())?),
        SmtpSecurity::Tls => Tls::Wrapper(tls(host, ca_pem.as_deref())?),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(*port)
        .tls(tls)
        .timeout(Some(STEP_TIMEOUT));
    if let Some(username) = username {
        let password = secrets.password.clone().unwrap_or_default();
        transport = transport.credentials(Credentials::new(username.clone(), password));
    }
    let sent = transport.build().send(message).await;
    sent.map(drop).map_err(|error| {
        let reason = format!("{host}:{port}: {}", chain(&error));
        if error.is_permanent() {
            permanent(reason)
        } else {
            temporary(reason)
        }
    })
}

/// Can these certificates be used?
pub fn tls(host: &str, ca_pem: Option<&str>) -> Result<TlsParameters, Outcome> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca_pem {
        let certificate = Certificate::from_pem(pem.as_bytes())
            .map_err(|error| permanent(format!("ca_pem: {}", chain(&error))))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build()
        .map_err(|error| permanent(format!("TLS cannot be set up: {}", chain(&error))))
}

fn message(from: &str, letter: &Letter<'_>) -> Result<Message, Outcome> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| permanent(format!("\"{text}\" is not an e-mail address: {error}")))
    };
    let at = u64::try_from(letter.created_at.as_second()).unwrap_or_default();
    let mut builder = Message::builder()
        .from(mailbox(from)?)
        .to(mailbox(letter.target)?)
        .subject(letter.words.title.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(at))
        .message_id(Some(format!("<{}@{}>", letter.id, letter.domain)))
        // RFC 3834: keeps out-of-office replies away.
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .raw_header(raw("X-Mainstay-Severity", letter.page.severity.as_str()))
        .raw_header(raw("X-Mainstay-Kind", letter.page.kind.as_str()));
    if let Some(path) = &letter.page.url_path {
        let thread: String = sha256_hex(path.as_bytes()).chars().take(32).collect();
        let first = format!("<{thread}@{}>", letter.domain);
        builder = builder.in_reply_to(first.clone()).references(first);
    }
    let plain = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .body(letter.words.text.clone());
    let html = SinglePart::builder()
        .header(ContentType::TEXT_HTML)
        .body(html(letter));
    builder
        .multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
        .map_err(|error| permanent(format!("the message cannot be made: {error}")))
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The same words, with the address as a link.
fn html(letter: &Letter<'_>) -> String {
    let mut text = escape(&letter.words.text);
    if let Some(url) = letter.url {
        let url = escape(url);
        text = text.replace(&url, &format!("<a href=\"{url}\">{url}</a>"));
    }
    format!(
        "<!doctype html><html><body><div style=\"font-family:sans-serif;white-space:pre-wrap\">{text}</div></body></html>"
    )
}
