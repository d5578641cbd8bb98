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
            argv: argv.iter().map(|arg| fill(arg)).collect::<Result<_, _>>()?,
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
