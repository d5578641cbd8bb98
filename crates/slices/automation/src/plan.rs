//! From a runbook and inputs to a plan: which targets, in which waves, and exactly what will be done to each.

use std::collections::{BTreeMap, HashMap, HashSet};

use inventory::{Item, ItemId, Selector};
use kernel::secret::sha256_hex;
use kernel::{Actor, DbError, FieldError};
use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use crate::decide;
use crate::document::{Act, Document, DocumentError, Step};
use crate::input;
use crate::model::{Run, RunTarget, Runbook};
use crate::place::Place;
use crate::secrets;
use crate::template::{self, AlertView, RunView, Scope, TargetView};

/// What somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub inputs: BTreeMap<String, String>,
    /// Selector that narrows the runbook's own, or names the targets when it has none.
    pub targets: Option<String>,
    pub alert: Option<AlertView>,
    /// Host that the alert is about: the target when neither runbook nor wish names any.
    pub alert_host: Option<String>,
}

/// Exactly what would be done.
#[derive(Clone)]
pub struct Plan {
    pub runbook: Runbook,
    pub document: Document,
    pub inputs: BTreeMap<String, String>,
    /// Values of the inputs that are secret; nothing else of the plan has them.
    pub secrets: BTreeMap<String, String>,
    pub targets: Vec<RunTarget>,
    pub waves: Vec<Vec<usize>>,
    pub hash: String,
    pub steps: Vec<PlannedStep>,
}

/// A step as it would be done, for people to read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedStep {
    pub name: String,
    pub kind: String,
    /// On each target (the first 20), or once.
    pub on: Vec<PlannedAct>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedAct {
    /// Name of the target; empty for a step that is done once.
    pub target: String,
    pub what: String,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the runbook has faults: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Document(Vec<DocumentError>),
    #[error("{}", .0.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<FieldError>),
    #[error("{0}")]
    Targets(String),
    #[error("{0}")]
    Template(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

const SHOWN: usize = 20;

/// Makes the plan. `actor` sees only targets inside of their scope.
pub async fn plan(
    connection: &mut AnyConnection,
    actor: &Actor,
    runbook: &Runbook,
    wish: &Wish,
) -> Result<Plan, PlanError> {
    let document = crate::document::parse(&runbook.text).map_err(PlanError::Document)?;
    let mut inputs = input::complete(&document.inputs, &wish.inputs).map_err(PlanError::Inputs)?;
    let taken = input::take_secrets(&document.inputs, &mut inputs);
    let scope = Scope {
        inputs: input::typed(&document.inputs, &inputs, ""),
        secrets: secrets::named(connection, "").await?,
        globs: input::globs(&document.inputs),
        alert: wish.alert.clone(),
        ..Scope::default()
    };
    let targets = targets(connection, actor, &document, wish, &scope).await?;
    let waves = decide::waves(targets.len(), &document);
    let mut everything = format!("{}\n{}\n{inputs:?}\n", runbook.text, runbook.version);
    let mut steps = Vec::new();
    for step in &document.steps {
        let mut on = Vec::new();
        let on_each = if step.act.is_once() {
            vec![None]
        } else {
            targets.iter().map(Some).collect()
        };
        for target in on_each {
            let scope = Scope {
                target: target.map(view),
                ..scope.clone()
            };
            let what = describe_step(step, &scope).map_err(PlanError::Template)?;
            let name = target.map(|t| t.name.clone()).unwrap_or_default();
            everything.push_str(&format!("{name}\t{}\t{what}\n", step.name));
            if on.len() < SHOWN {
                on.push(PlannedAct { target: name, what });
            }
        }
        steps.push(PlannedStep {
            name: step.name.clone(),
            kind: step.act.kind().into(),
            on,
        });
    }
    let hash = sha256_hex(everything.as_bytes());
    Ok(Plan {
        runbook: runbook.clone(),
        document,
        inputs,
        secrets: taken,
        targets,
        waves,
        hash,
        steps,
    })
}

/// What the templates of a run's steps can name.
pub(crate) fn scope(run: &Run, document: &Document, target: Option<&RunTarget>) -> Scope {
    Scope {
        inputs: input::typed(&document.inputs, &run.inputs, run.id.as_str()),
        globs: input::globs(&document.inputs),
        target: target.map(view),
        alert: run.alert.clone(),
        run: RunView {
            id: run.id.to_string(),
        },
        secrets: BTreeMap::new(),
    }
}

fn view(target: &RunTarget) -> TargetView {
    TargetView {
        id: target.item_id.clone(),
        name: target.name.clone(),
        tags: target.tags.clone(),
    }
}

async fn targets(
    connection: &mut AnyConnection,
    actor: &Actor,
    document: &Document,
    wish: &Wish,
    scope: &Scope,
) -> Result<Vec<RunTarget>, PlanError> {
    let (found, asked) = match (&wish.targets, &document.targets, &wish.alert_host) {
        (Some(text), Some(own), _) => {
            let own = template::render_in(own, scope, Place::Selector).map_err(PlanError::Template)?;
            let allowed: HashSet<ItemId> = select(connection, &own)
                .await?
                .into_iter()
                .map(|item| item.id)
                .collect();
            let mut found = select(connection, text).await?;
            found.retain(|item| allowed.contains(&item.id));
            (found, format!("{text}\" within the runbook's \"{own}"))
        }
        (Some(text), None, _) => (select(connection, text).await?, text.clone()),
        (None, Some(text), _) => {
            let text = template::render_in(text, scope, Place::Selector).map_err(PlanError::Template)?;
            (select(connection, &text).await?, text)
        }
        // By its exact name: a label must not become a pattern that matches more.
        (None, None, Some(host)) => {
            let found = inventory::store::host_by_name(connection, host).await?;
            (found.into_iter().collect(), host.clone())
        }
        (None, None, None) if document.steps.iter().all(|step| step.act.is_once()) => return Ok(Vec::new()),
        (None, None, None) => {
            return Err(PlanError::Targets(
                "neither the runbook nor the request says which targets; give a selector".into(),
            ));
        }
    };
    let found: Vec<_> = found
        .into_iter()
        .filter(|item| item.is_active())
        .filter(|item| {
            actor.kind == kernel::ActorKind::System || actor.sees(item.team.as_deref(), &item.tags)
        })
        .collect();
    if found.is_empty() {
        return Err(PlanError::Targets(format!(
            "nothing that you may see matches \"{asked}\""
        )));
    }
    if found.len() > document.max_targets {
        let (count, limit) = (found.len(), document.max_targets);
        return Err(PlanError::Targets(format!(
            "\"{asked}\" matches {count} targets and the runbook allows {limit}; narrow it or raise `max_targets`"
        )));
    }
    on_hosts(connection, found).await
}

async fn select(connection: &mut AnyConnection, selector: &str) -> Result<Vec<Item>, PlanError> {
    if selector.trim().is_empty() {
        return Err(PlanError::Targets(
            "an empty selector would mean everything; name the targets".into(),
        ));
    }
    let parsed: Selector = selector
        .parse()
        .map_err(|error| PlanError::Targets(format!("the selector \"{selector}\" does not read: {error}")))?;
    Ok(inventory::store::select(connection, &parsed).await?)
}

/// The items with the hosts that they are on, by name. Parents are read a level at a time.
async fn on_hosts(connection: &mut AnyConnection, found: Vec<Item>) -> Result<Vec<RunTarget>, PlanError> {
    let mut known: HashMap<ItemId, Item> = HashMap::new();
    let mut missing: Vec<ItemId> = found.iter().filter_map(step_up).collect();
    for _ in 0..8 {
        missing.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        missing.dedup();
        missing.retain(|id| !known.contains_key(id));
        if missing.is_empty() {
            break;
        }
        let level = inventory::store::by_ids(connection, &missing).await?;
        missing = level.values().filter_map(step_up).collect();
        known.extend(level);
    }
    let mut targets = Vec::new();
    for item in found {
        let host_id = host_of(&item, &known).ok_or_else(|| {
            PlanError::Targets(format!(
                "{} ({}) is on no host, so nothing can act on it",
                item.name, item.kind
            ))
        })?;
        targets.push(RunTarget {
            item_id: item.id.to_string(),
            host_id,
            name: item.name,
            tags: item.tags,
            team: item.team,
        });
    }
    targets.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.item_id.cmp(&b.item_id)));
    Ok(targets)
}

fn step_up(item: &Item) -> Option<ItemId> {
    item.parent.clone().filter(|_| item.kind != "host")
}

fn host_of(item: &Item, known: &HashMap<ItemId, Item>) -> Option<String> {
    let mut at = item;
    for _ in 0..8 {
        if at.kind == "host" {
            return Some(at.id.to_string());
        }
        at = known.get(at.parent.as_ref()?)?;
    }
    None
}

/// What a step would do here, or that its condition does not hold.
pub(crate) fn describe_step(step: &Step, scope: &Scope) -> Result<String, String> {
    match &step.when {
        Some(condition) if !template::holds(condition, scope)? => {
            Ok(format!("nothing, since not: {condition}"))
        }
        _ => describe(&step.act, scope),
    }
}

/// An act in words, with its templates filled.
pub(crate) fn describe(act: &Act, scope: &Scope) -> Result<String, String> {
    let fill = |text: &str| template::render(text, scope);
    Ok(match act {
        Act::Command { argv, user } => {
            let argv: Vec<String> = argv
                .iter()
                .map(|arg| fill(arg).map(|a| quote(&a)))
                .collect::<Result<_, _>>()?;
            let user = user
                .as_ref()
                .map(|user| format!(" as {user}"))
                .unwrap_or_default();
            format!("run {}{user}", argv.join(" "))
        }
        Act::Script {
            interpreter, script, ..
        } => {
            let lines = script.lines().count();
            let program = interpreter.as_deref().or(shebang(script)).unwrap_or("/bin/sh");
            format!("run a script of {lines} lines with {program}")
        }
        Act::Service { name, verb } => format!(
            "{} the service {}",
            format!("{verb:?}").to_lowercase(),
            fill(name)?
        ),
        Act::Http { method, url, .. } => format!("{} {}", format!("{method:?}").to_uppercase(), fill(url)?),
        Act::Wait { query, .. } => {
            format!("wait until {}", template::render_in(query, scope, Place::Query)?)
        }
        Act::Approval { text } => format!("ask: {}", fill(text)?),
        Act::Notify { title, .. } => format!("tell people: {}", fill(title)?),
    })
}

/// What the first line of a script says runs it.
pub(crate) fn shebang(script: &str) -> Option<&str> {
    let line = script.lines().next()?.strip_prefix("#!")?;
    Some(line.trim()).filter(|line| !line.is_empty())
}

fn quote(argument: &str) -> String {
    let is_plain = !argument.is_empty()
        && argument
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c));
    if is_plain {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}
