//! From a step to a command for an agent.

use std::collections::BTreeMap;

use fleet::{DispatchError, Fleet, Order};
use kernel::{Actor, Tx};
use protocol::Action;

use crate::document::{Act, Step};
use crate::model::{Run, RunTarget};
use crate::template::{self, Scope};

/// Output kept of each stream of a command.
const OUTPUT_CAP: u64 = 1 << 20;

/// What the agent is asked to do.
pub(crate) fn action(act: &Act, scope: &Scope) -> Result<Action, String> {
    let fill = |text: &str| template::render(text, scope);
    let fill_map = |map: &BTreeMap<String, String>| -> Result<BTreeMap<String, String>, String> {
        map.iter()
            .map(|(name, text)| Ok((name.clone(), fill(text)?)))
            .collect()
    };
    Ok(match act {
        Act::Command { argv, user } => Action::Exec {
            argv: arguments(argv, scope)?,
            env: environment(scope),
            cwd: None,
            user: user.clone(),
            stdin: None,
        },
        Act::Script {
            interpreter,
            script,
            user,
        } => Action::Script {
            interpreter: interpreter.clone(),
            script: script.clone(),
            args: Vec::new(),
            env: environment(scope),
            user: user.clone(),
        },
        Act::Service { name, verb } => Action::Service {
            name: fill(name)?,
            verb: *verb,
        },
        Act::Http {
            method,
            url,
            headers,
            body,
            expect,
        } => Action::Http {
            method: *method,
            url: fill(url)?,
            headers: fill_map(headers)?,
            body: body.as_deref().map(fill).transpose()?,
            expect_status: expect.clone(),
        },
        Act::Wait { .. } | Act::Approval { .. } | Act::Notify { .. } => {
            return Err("this step is not done by an agent".into());
        }
    })
}

/// The arguments of a command. An input must not become an option: where the runbook does not write the dash itself, a value
/// that begins with one is refused, but for what follows `--`.
fn arguments(argv: &[String], scope: &Scope) -> Result<Vec<String>, String> {
    let mut is_after_dashes = false;
    let mut filled = Vec::with_capacity(argv.len());
    for written in argv {
        let argument = template::render(written, scope)?;
        if argument.starts_with('-') && !written.starts_with('-') && !is_after_dashes {
            return Err(format!(
                "the argument {written:?} would become the option {argument:?}; write \"--\" in front of it, or narrow the input's pattern"
            ));
        }
        is_after_dashes |= written == "--";
        filled.push(argument);
    }
    Ok(filled)
}

/// Inputs and target as environment variables: data for a script, never code.
fn environment(scope: &Scope) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = scope
        .inputs
        .iter()
        .map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value.to_string()))
        .collect();
    if let Some(target) = &scope.target {
        env.insert("TARGET_NAME".into(), target.name.clone());
        env.insert("TARGET_ID".into(), target.id.clone());
    }
    env.insert("RUN_ID".into(), scope.run.id.clone());
    env
}

/// Hands a command to the agent of the target's host. Durable with the transaction; the id of the command, or why there is none.
pub(crate) async fn dispatch(
    fleet: &Fleet,
    tx: &mut Tx,
    run: &Run,
    target: &RunTarget,
    step: &Step,
    (action, attempt): (Action, u32),
) -> Result<Result<String, String>, kernel::DbError> {
    let Ok(host) = target.host_id.parse() else {
        return Ok(Err(format!("{} is on no host", target.name)));
    };
    let reference = format!("run:{}:{}:{}:{attempt}", run.id, run.step, target.item_id);
    let order = Order {
        timeout_ms: u64::try_from(step.timeout.as_millis()).unwrap_or(u64::MAX),
        output_cap_bytes: OUTPUT_CAP,
        idempotent: step.is_idempotent,
        ..Order::new(fleet::Target::Item(host), action, reference)
    };
    match fleet.dispatch(tx, &Actor::system("automation"), &order).await {
        Ok(id) => Ok(Ok(id.to_string())),
        Err(DispatchError::Db(error)) => Err(error),
        Err(other) => Ok(Err(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Scalar;

    fn filled(argv: &[&str], value: &str) -> Result<Vec<String>, String> {
        let scope = Scope {
            inputs: [("service".to_owned(), Scalar::Text(value.to_owned()))].into(),
            ..Scope::default()
        };
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        arguments(&argv, &scope)
    }

    #[test]
    fn an_input_does_not_become_an_option() {
        let status = ["systemctl", "status", "{{ inputs.service }}"];
        assert_eq!(filled(&status, "cron").unwrap(), ["systemctl", "status", "cron"]);
        let error = filled(&status, "--host=evil").unwrap_err();
        assert!(
            error.contains("--host=evil") && error.contains("\"--\""),
            "{error}"
        );
        assert!(filled(&["apt-get", "{{ inputs.service }}=1"], "-oDPkg::Pre-Invoke::=id").is_err());
        let after = ["systemctl", "status", "--", "{{ inputs.service }}"];
        assert_eq!(filled(&after, "-x").unwrap(), ["systemctl", "status", "--", "-x"]);
        let own = ["tail", "--lines={{ inputs.service }}"];
        assert_eq!(filled(&own, "5").unwrap(), ["tail", "--lines=5"]);
    }
}
