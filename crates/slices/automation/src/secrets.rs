//! Secrets of runs: plans, tasks, events and stored commands carry placeholders; the values are sealed, and put in by fleet when a
//! command is sent.

use std::collections::BTreeMap;

use fleet::{Secret, SecretSource};
use kernel::secret::Secrets;
use kernel::{BoxFuture, DbError, Kernel};
use sqlx::AnyConnection;

use crate::store;

/// What a run shows in the place of a secret input.
pub(crate) const HIDDEN: &str = "(secret)";
/// Shorter ones would cover much that is none.
pub(crate) const SHORTEST: usize = 6;

/// Stands for a secret. Nobody can write one beforehand: the id of a run is not known before it is made.
pub(crate) fn placeholder(run: &str, name: &str) -> String {
    match run {
        "" => format!("[secret {name}]"),
        run => format!("[secret {run} {name}]"),
    }
}

/// What templates see under `secrets`.
pub(crate) async fn named(
    connection: &mut AnyConnection,
    run: &str,
) -> Result<BTreeMap<String, String>, DbError> {
    let all = store::secret::list(connection).await?;
    let of = |name: String| {
        let text = placeholder(run, &format!("secrets.{name}"));
        (name, text)
    };
    Ok(all.into_iter().map(|secret| of(secret.name)).collect())
}

pub(crate) fn seal_named(secrets: &Secrets, name: &str, value: &str) -> Result<Vec<u8>, DbError> {
    seal(secrets, &format!("runbook_secret:{name}"), value)
}

fn seal(secrets: &Secrets, context: &str, value: &str) -> Result<Vec<u8>, DbError> {
    let sealed = secrets.seal(context, value.as_bytes());
    sealed.map_err(|error| DbError::Sqlx(sqlx::Error::Encode(error.to_string().into())))
}

fn open(secrets: &Secrets, context: &str, sealed: &[u8]) -> Result<String, DbError> {
    let opened = secrets.open(context, sealed);
    let plain = opened.map_err(|error| DbError::Sqlx(sqlx::Error::Decode(error.to_string().into())))?;
    Ok(String::from_utf8_lossy(&plain).into_owned())
}

/// Keeps what was given for a run.
pub(crate) async fn keep(
    connection: &mut AnyConnection,
    secrets: &Secrets,
    run: &str,
    given: &BTreeMap<String, String>,
) -> Result<(), DbError> {
    for (name, value) in given {
        let sealed = seal(secrets, &format!("run_secret:{run}:{name}"), value)?;
        store::secret::put_of_run(connection, run, name, sealed).await?;
    }
    Ok(())
}

/// Gives fleet the secrets of a run's commands.
pub(crate) struct OfRuns(pub(crate) Kernel);

impl SecretSource for OfRuns {
    fn secrets<'a>(
        &'a self,
        connection: &'a mut AnyConnection,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Secret>, DbError>> {
        Box::pin(async move {
            let Some(run) = reference
                .strip_prefix("run:")
                .and_then(|rest| rest.split(':').next())
            else {
                return Ok(Vec::new());
            };
            let mut all = Vec::new();
            for (name, sealed) in store::secret::sealed_of_run(connection, run).await? {
                all.push(Secret {
                    placeholder: placeholder(run, &name),
                    value: open(&self.0.secrets, &format!("run_secret:{run}:{name}"), &sealed)?,
                });
            }
            for (name, sealed) in store::secret::sealed(connection).await? {
                all.push(Secret {
                    placeholder: placeholder(run, &format!("secrets.{name}")),
                    value: open(&self.0.secrets, &format!("runbook_secret:{name}"), &sealed)?,
                });
            }
            Ok(all)
        })
    }
}
