//! Secrets of commands: stored commands name them, they are put in when a command is sent, and masked in whatever comes back.

use std::sync::Arc;

use kernel::{BoxFuture, DbError};
use protocol::Action;
use sqlx::AnyConnection;

/// A secret of a command. Its text in a stored command is `placeholder`.
#[derive(Clone)]
pub struct Secret {
    pub placeholder: String,
    pub value: String,
}

/// Who keeps the secrets of commands: the slice that ordered them.
pub trait SecretSource: Send + Sync {
    /// The secrets that a command may name, by the reference under which it was ordered.
    fn secrets<'a>(
        &'a self,
        connection: &'a mut AnyConnection,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Secret>, DbError>>;
}

/// The action with its secrets in their places.
pub(crate) fn fill(action: Action, secrets: &[Secret]) -> Action {
    let text = |text: String| {
        secrets.iter().fold(text, |text, secret| {
            text.replace(&secret.placeholder, &secret.value)
        })
    };
    let map = |all: std::collections::BTreeMap<String, String>| {
        all.into_iter().map(|(name, value)| (name, text(value))).collect()
    };
    match action {
        Action::Exec {
            argv,
            env,
            cwd,
            user,
            stdin,
        } => Action::Exec {
            argv: argv.into_iter().map(text).collect(),
            env: map(env),
            cwd,
            user,
            stdin: stdin.map(text),
        },
        // The script itself is no template: what looks like a placeholder in it is its own.
        Action::Script {
            interpreter,
            script,
            args,
            env,
            user,
        } => Action::Script {
            interpreter,
            script,
            args: args.into_iter().map(text).collect(),
            env: map(env),
            user,
        },
        Action::Http {
            method,
            url,
            headers,
            body,
            expect_status,
        } => Action::Http {
            method,
            url: text(url),
            headers: map(headers),
            body: body.map(text),
            expect_status,
        },
        other @ Action::Service { .. } => other,
    }
}

/// Covers every occurrence of a secret with `*`, byte for byte, so that positions stay.
pub(crate) fn mask(data: &mut [u8], secrets: &[Secret]) {
    // The longest first: one that holds another is covered whole.
    let mut values: Vec<&[u8]> = secrets.iter().map(|secret| secret.value.as_bytes()).collect();
    values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    for secret in values {
        if secret.is_empty() {
            continue;
        }
        let mut from = 0;
        while let Some(at) = find(&data[from..], secret) {
            data[from + at..from + at + secret.len()].fill(b'*');
            from += at + secret.len();
        }
    }
}

pub(crate) fn mask_text(text: &str, secrets: &[Secret]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask(&mut bytes, secrets);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many bytes at the end may be the beginning of a secret, so that they wait for what follows.
pub(crate) fn open_end(data: &[u8], secrets: &[Secret]) -> usize {
    let of = |secret: &Secret| {
        let secret = secret.value.as_bytes();
        let longest = secret.len().saturating_sub(1).min(data.len());
        (1..=longest)
            .rev()
            .find(|size| data.ends_with(&secret[..*size]))
            .unwrap_or(0)
    };
    secrets.iter().map(of).max().unwrap_or(0)
}

fn find(data: &[u8], wanted: &[u8]) -> Option<usize> {
    data.windows(wanted.len()).position(|window| window == wanted)
}

pub(crate) type Shared = Arc<Vec<Secret>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<Secret> {
        vec![Secret {
            placeholder: "[secret run_1 password]".into(),
            value: "hunter22".into(),
        }]
    }

    #[test]
    fn a_secret_is_put_in_when_it_is_sent_and_covered_when_it_comes_back() {
        let secrets = secrets();
        let action = Action::Exec {
            argv: vec!["login".into(), "--password=[secret run_1 password]".into()],
            env: Default::default(),
            cwd: None,
            user: None,
            stdin: None,
        };
        let Action::Exec { argv, .. } = fill(action, &secrets) else {
            panic!("another action")
        };
        assert_eq!(argv[1], "--password=hunter22");
        assert_eq!(
            mask_text("a hunter22 b hunter22", &secrets),
            "a ******** b ********"
        );
    }

    /// However the output is cut into pieces, the secret is never shown, and nothing else is lost.
    #[test]
    fn a_secret_across_pieces_is_covered() {
        let secrets = secrets();
        let all = b"before hunter22 hunter hunter2hunter22 hu";
        for size in 1..all.len() {
            let (mut shown, mut waiting) = (Vec::new(), Vec::new());
            for piece in all.chunks(size) {
                waiting.extend_from_slice(piece);
                mask(&mut waiting, &secrets);
                let rest = waiting.split_off(waiting.len() - open_end(&waiting, &secrets));
                shown.extend_from_slice(&waiting);
                waiting = rest;
            }
            shown.extend_from_slice(&waiting);
            assert_eq!(
                shown, b"before ******** hunter hunter2******** hu",
                "pieces of {size}"
            );
        }
    }
}
