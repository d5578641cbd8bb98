//! The rules, without I/O: how long a failed sign-in waits, which passwords will do, when a session ends, how far a token reaches.

use kernel::Timestamp;

use crate::Settings;
use crate::model::Session;

/// A session's secret is replaced after this long.
pub const ROTATE_AFTER_S: i64 = 24 * 3600;
/// The secret before it stays good this long, for requests that were under way.
pub const ROTATE_GRACE_S: i64 = 60;
/// Failures are forgotten after this long without another.
pub const FORGET_FAILURES_S: i64 = 3600;
/// `used_at` and `seen_at` are exact to this.
pub const TOUCH_EVERY_S: i64 = 60;

/// What failed sign-ins are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleKind {
    /// One login from one address: guessing one password.
    Pair,
    /// One address: guessing many logins.
    Address,
    /// The address of a proxy that is not listed: many people's, so bounded loosely beside what it says of them.
    SharedAddress,
    /// One login from everywhere: guessing with many machines. Kept short, or a stranger could lock somebody out.
    Login,
}

impl ThrottleKind {
    fn free(self) -> i64 {
        match self {
            Self::Pair => 5,
            Self::Address => 20,
            Self::Login => 50,
            Self::SharedAddress => 200,
        }
    }

    pub fn longest_s(self) -> i64 {
        match self {
            Self::Pair => 15 * 60,
            // Others may be behind the same address.
            Self::Address => 60,
            Self::Login | Self::SharedAddress => 30,
        }
    }
}

/// How long the next attempt waits after `failures` of them, in seconds.
pub fn delay_s(kind: ThrottleKind, failures: i64) -> i64 {
    let beyond = failures - kind.free();
    if beyond < 0 {
        return 0;
    }
    let doubled = 1_i64.checked_shl(beyond.min(40) as u32).unwrap_or(i64::MAX);
    doubled.min(kind.longest_s())
}

/// May this session still be used?
pub fn is_live(session: &Session, settings: &Settings, now: Timestamp) -> bool {
    let idle_s = now.as_second() - session.seen_at.as_second();
    now < session.expires_at && idle_s <= settings.session_idle_s()
}

/// Does a token that may use `held` (all, when absent) cover `wanted`?
pub fn covers(held: Option<&[String]>, wanted: Option<&[String]>) -> bool {
    let Some(held) = held else { return true };
    let Some(wanted) = wanted else { return false };
    wanted.iter().all(|want| {
        held.iter().any(|have| match have.strip_suffix('*') {
            Some(head) => want.starts_with(head),
            None => have == want,
        })
    })
}

const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 200;

/// Passwords that are tried first, in lower case. Shorter ones fail by length.
const COMMON: &[&str] = &[
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "admin12345",
    "administrator",
    "adminadmin",
    "changeme123",
    "correcthorsebatterystaple",
    "football123",
    "iloveyou123",
    "letmein123",
    "letmein1234",
    "mainstay123",
    "monitoring",
    "monitoring1",
    "p@ssw0rd123",
    "passw0rd123",
    "password01",
    "password11",
    "password12",
    "password123",
    "password1234",
    "password12345",
    "password123456",
    "password2024",
    "password2025",
    "password2026",
    "qazwsxedcrfv",
    "qwerty12345",
    "qwerty123456",
    "qwertyuiop",
    "qwertyuiop123",
    "root123456",
    "superman123",
    "sunshine123",
    "welcome123",
    "welcome1234",
    "zaq12wsxcde3",
    "zxcvbnm123",
];

/// Why a password will not do, as a fragment that fits "password: …".
pub fn password_flaw(password: &str, login: &str) -> Option<String> {
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        return Some(format!("needs at least {PASSWORD_MIN} characters"));
    }
    if length > PASSWORD_MAX {
        return Some(format!("may have at most {PASSWORD_MAX} characters"));
    }
    let lower = password.to_lowercase();
    let login = login.to_lowercase();
    if !login.is_empty() && (lower == login || lower.replace(&login, "").chars().count() < 4) {
        return Some("must not be made of the login".into());
    }
    if COMMON.contains(&lower.as_str()) || is_pattern(&lower) {
        return Some("is one of those that are tried first; choose one that nobody would guess".into());
    }
    None
}

/// One unit again and again ("aaaaaaaaaa", "abcabcabcabc"), or one run of neighbours ("1234567890", "abcdefghij").
fn is_pattern(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let repeats = (1..=4).any(|unit| chars.iter().zip(chars.iter().skip(unit)).all(|(a, b)| a == b));
    let step = |by: i64| {
        chars.windows(2).all(|pair| {
            let (a, b) = (i64::from(u32::from(pair[0])), i64::from(u32::from(pair[1])));
            b - a == by || (pair[0] == '9' && pair[1] == '0') || (pair[0] == '0' && pair[1] == '9')
        })
    };
    repeats || step(1) || step(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end() {
        assert_eq!(delay_s(ThrottleKind::Pair, 4), 0);
        assert_eq!(delay_s(ThrottleKind::Pair, 5), 1);
        assert_eq!(delay_s(ThrottleKind::Pair, 8), 8);
        assert_eq!(delay_s(ThrottleKind::Pair, i64::MAX), 900);
        assert_eq!(delay_s(ThrottleKind::Address, 19), 0);
        assert_eq!(delay_s(ThrottleKind::Login, 500), 30);
    }

    #[test]
    fn weak_passwords_are_told_why() {
        for weak in [
            "short",
            "Password123",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "1234567890",
            "9876543210",
            "annabell",
            "annabellannabell",
            "ANNABELL123",
        ] {
            assert!(password_flaw(weak, "annabell").is_some(), "{weak}");
        }
        assert_eq!(password_flaw("seven green bicycles", "annabell"), None);
        assert!(password_flaw(&"ab9".repeat(70), "x").is_some());
    }

    #[test]
    fn a_narrow_token_makes_only_narrower_ones() {
        let list = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>();
        let held = list(&["incidents.*", "tokens.write"]);
        assert!(covers(Some(&held), Some(&list(&["incidents.read"]))));
        assert!(covers(Some(&held), Some(&list(&["incidents.*"]))));
        assert!(!covers(Some(&held), Some(&list(&["*"]))));
        assert!(!covers(Some(&held), None));
        assert!(covers(None, None));
    }
}
