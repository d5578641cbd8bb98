//! Entry points for fuzzing: everything that reads bytes from outside. Not for other use.

use std::path::Path;

use jiff::tz::TimeZone;

use crate::host::processes::parse_stat;
use crate::logs::line::{Context, parse as parse_line};

/// A line of a log file.
pub fn log_line(bytes: &[u8]) {
    let context = Context {
        after_ms: 0,
        now_ms: 1_795_273_200_000,
        zone: &TimeZone::UTC,
    };
    let _ = parse_line(bytes, 0, &context);
}

/// An entry of the journal.
pub fn journal_entry(bytes: &[u8]) {
    let _ = crate::logs::journal::parse(bytes);
}

/// A pattern and a name, split at the first zero byte.
pub fn glob(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let _ = crate::logs::glob::matches(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
}

/// Files of `/proc` and of the host, as text.
pub fn host_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = parse_stat(&text);
    let _ = crate::collect::node::filesystem::parse_mounts(&text);
    let _ = crate::services::init::parse(&text, "service");
    let _ = crate::facts::packages::parse_dpkg(&text);
    let _ = crate::facts::packages::parse_apk(&text);
    let _ = crate::host::processes::display_name(Path::new(text.as_ref()), &[]);
}

/// A join token.
pub fn token(bytes: &[u8]) {
    let _ = crate::token::Token::parse(&String::from_utf8_lossy(bytes));
}

/// A certificate in PEM or DER.
pub fn certificate(bytes: &[u8]) {
    let _ = crate::facts::certificates::parse(bytes, "file");
}

/// Answers of the kernel over netlink.
pub fn netlink(bytes: &[u8]) {
    let _ = crate::host::netlink::messages(bytes, |message| {
        let _ = crate::host::sockets::parse_message(message);
        let _ = crate::host::addresses::parse(message);
    });
}

/// The journal of commands.
pub fn command_journal(bytes: &[u8]) {
    let _ = crate::act::journal::parse(bytes);
}

#[cfg(test)]
mod tests {
    /// Every entry point takes cut and twisted versions of real input.
    #[test]
    fn twisted_input_does_no_harm() {
        let seeds: [&[u8]; 6] = [
            b"Nov 21 14:59:58 web1 sshd[812]: error: x",
            br#"{"__CURSOR":"s","__REALTIME_TIMESTAMP":"1","MESSAGE":[1,2]}"#,
            b"7 (a) S 1 7 7 0 -1 0 0 0 0 0 10 20 0 0 20 0 3 0 99 1000 42 0",
            b"PIDFILE=${A:-/run/x}.pid\nDAEMON=$NAME",
            b"[a-z]*\0abc",
            &[20, 0, 0, 0, 20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 10, 1, 2],
        ];
        let entries = [
            super::log_line,
            super::journal_entry,
            super::glob,
            super::host_text,
            super::token,
            super::certificate,
            super::netlink,
            super::command_journal,
        ];
        for seed in seeds {
            for cut in 0..seed.len() {
                let mut twisted = seed.to_vec();
                twisted[cut] ^= 0x55;
                for entry in entries {
                    entry(&seed[..cut]);
                    entry(&twisted);
                }
            }
        }
    }
}
