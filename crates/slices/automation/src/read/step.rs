//! Steps: what each does, and what all of them may say.

use std::time::Duration;

use protocol::{HttpMethod, ServiceVerb};
use yaml::{Error, Fields, Node};

use super::{bounded, short, templated, templated_map};
use crate::document::{Act, Step};
use crate::plan::shebang;
use crate::template;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// People sleep.
const DEFAULT_ANSWER: Duration = Duration::from_secs(24 * 3600);

pub(super) fn step(node: &Node) -> Result<Step, Error> {
    let mut fields = node.fields("a step")?;
    let name = fields.need("name", short)?;
    let act = act(node, &mut fields)?;
    let by_default = match act {
        Act::Approval { .. } => DEFAULT_ANSWER,
        _ => DEFAULT_TIMEOUT,
    };
    let timeout = fields.get("timeout", bounded)?.unwrap_or(by_default);
    let retries = fields.get("retries", |n| n.integer_in(0, 20))?.unwrap_or(0);
    let is_idempotent = fields.get("idempotent", |n| n.boolean())?;
    let ignores_errors = fields.get("ignore_errors", |n| n.boolean())?.unwrap_or(false);
    let when = fields.get("when", |n| {
        let text = n.string()?;
        template::check_condition(text).map_err(|message| n.error(message))?;
        Ok(text.to_owned())
    })?;
    fields.finish()?;
    // A service action ends in the same state however often it is done, except that a restart is seen.
    let by_kind = matches!(
        &act,
        Act::Service {
            verb: ServiceVerb::Start | ServiceVerb::Stop,
            ..
        } | Act::Wait { .. }
    );
    Ok(Step {
        name,
        act,
        timeout,
        retries: u32::try_from(retries).unwrap_or(0),
        is_idempotent: is_idempotent.unwrap_or(by_kind),
        ignores_errors,
        when,
    })
}

const KINDS: &str = "command, script, service, http, wait, approval, notify";

fn act(step: &Node, fields: &mut Fields<'_>) -> Result<Act, Error> {
    let mut found = [
        fields.get("command", command)?,
        fields.get("script", script)?,
        fields.get("service", service)?,
        fields.get("http", http)?,
        fields.get("wait", wait)?,
        fields.get("approval", |n| templated(n).map(|text| Act::Approval { text }))?,
        fields.get("notify", notification)?,
    ]
    .into_iter()
    .flatten();
    match (found.next(), found.next()) {
        (Some(act), None) => Ok(act),
        (None, _) => Err(step.error(format!("a step needs one of {KINDS}"))),
        _ => Err(step.error(format!("a step does one thing; it has more than one of {KINDS}"))),
    }
}

fn command(node: &Node) -> Result<Act, Error> {
    if let Ok(list) = node.list() {
        let argv: Vec<String> = list.iter().map(templated).collect::<Result<_, _>>()?;
        return with_argv(node, argv, None);
    }
    let mut fields = node.fields("a command: a list of arguments, or a map with `argv`")?;
    let argv = fields.need("argv", |n| {
        n.list()?.iter().map(templated).collect::<Result<Vec<_>, _>>()
    })?;
    let user = fields.get("user", short)?;
    fields.finish()?;
    with_argv(node, argv, user)
}

fn with_argv(node: &Node, argv: Vec<String>, user: Option<String>) -> Result<Act, Error> {
    if argv.is_empty() {
        return Err(node.error("a command needs a program"));
    }
    Ok(Act::Command { argv, user })
}

fn script(node: &Node) -> Result<Act, Error> {
    let plain = |n: &Node| -> Result<String, Error> {
        let text = n.word()?;
        if text.contains("{{") {
            return Err(n.error(
                "scripts are not templates, so that no input can become code; use the environment: $INPUT_NAME, $TARGET_NAME",
            ));
        }
        if shebang(text).is_none()
            && shebang(text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')).is_some()
        {
            return Err(n.error(
                "`#!` counts in the first column of the first line only; remove what stands before it",
            ));
        }
        Ok(text.to_owned())
    };
    if node.as_map().is_none() {
        return Ok(Act::Script {
            interpreter: None,
            script: plain(node)?,
            user: None,
        });
    }
    let mut fields = node.fields("a script")?;
    let script = fields.need("text", plain)?;
    let interpreter = fields.get("interpreter", short)?;
    let user = fields.get("user", short)?;
    fields.finish()?;
    if let (Some(interpreter), Some(first)) = (&interpreter, shebang(&script))
        && !is_same_program(interpreter, first)
    {
        return Err(node.error(format!(
            "the first line of the script says #!{first} and `interpreter` says {interpreter}; keep one of them"
        )));
    }
    Ok(Act::Script {
        interpreter,
        script,
        user,
    })
}

/// Is the interpreter the program of the `#!` line, by path, by name, or through `env`?
fn is_same_program(interpreter: &str, first: &str) -> bool {
    if interpreter == first {
        return true;
    }
    let mut words = first.split_whitespace();
    let program = match words.next() {
        Some("/usr/bin/env" | "/bin/env") => words.find(|word| !word.starts_with('-')),
        program if words.next().is_none() => program,
        // Arguments of the first line would be lost.
        _ => None,
    };
    program.is_some_and(|program| program == interpreter || program.rsplit('/').next() == Some(interpreter))
}

fn service(node: &Node) -> Result<Act, Error> {
    let mut fields = node.fields("a service action")?;
    let name = fields.need("name", templated)?;
    let verb = fields.need("action", |n| n.one_of(&["start", "stop", "restart", "reload"]))?;
    fields.finish()?;
    let verb = match verb {
        "start" => ServiceVerb::Start,
        "stop" => ServiceVerb::Stop,
        "reload" => ServiceVerb::Reload,
        _ => ServiceVerb::Restart,
    };
    Ok(Act::Service { name, verb })
}

fn http(node: &Node) -> Result<Act, Error> {
    let mut fields = node.fields("an HTTP request")?;
    let url = fields.need("url", templated)?;
    let method = fields.get("method", |n| {
        n.one_of(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    })?;
    let headers = fields.get("headers", templated_map)?.unwrap_or_default();
    let body = fields.get("body", templated)?;
    let status = |n: &Node| {
        n.integer_in(100, 599)
            .map(|code| u16::try_from(code).unwrap_or(200))
    };
    let expect = fields.get("expect", |n| match n.list() {
        Ok(list) => list.iter().map(status).collect(),
        Err(_) => status(n).map(|code| vec![code]),
    })?;
    fields.finish()?;
    let method = match method.unwrap_or("GET") {
        "HEAD" => HttpMethod::Head,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    };
    Ok(Act::Http {
        method,
        url,
        headers,
        body,
        expect: expect.unwrap_or_default(),
    })
}

fn wait(node: &Node) -> Result<Act, Error> {
    let mut fields = node.fields("a wait")?;
    let query = fields.need("query", templated)?;
    let every = fields.get("every", bounded)?.unwrap_or(Duration::from_secs(2));
    fields.finish()?;
    Ok(Act::Wait { query, every })
}

fn notification(node: &Node) -> Result<Act, Error> {
    let mut fields = node.fields("a notification")?;
    let title = fields.need("title", templated)?;
    let text = fields.get("text", templated)?.unwrap_or_default();
    let severity = fields
        .get("severity", |n| n.one_of(&["info", "warning", "critical"]))?
        .unwrap_or("info");
    fields.finish()?;
    let severity = match severity {
        "critical" => notify::Severity::Critical,
        "warning" => notify::Severity::Warning,
        _ => notify::Severity::Info,
    };
    Ok(Act::Notify {
        title,
        text,
        severity,
    })
}
