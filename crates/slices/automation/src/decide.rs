//! What a run does next, pure: the run, its tasks and its document give one [`Next`].

use std::collections::{HashMap, HashSet};

use crate::document::{Act, Document};
use crate::model::{Run, RunTask, TaskState};

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Begin the current step on these targets (`""` for once a run), each with the number of its attempt.
    Begin(Vec<(String, u32)>),
    /// Nothing until something ends.
    Wait,
    Advance {
        wave: usize,
        step: usize,
    },
    /// With a word on the targets that were lost within what the strategy allows.
    Succeed(Option<String>),
    /// Too many targets failed, or a step that is done once.
    Fail(String),
}

/// Decides. Calling it again in the same situation gives the same answer.
pub(crate) fn next(run: &Run, tasks: &[RunTask], document: &Document) -> Next {
    let lost = lost_targets(tasks, document);
    let is_over = is_too_much(run, &lost, document);
    if is_over && !has_open(tasks) {
        return Next::Fail(how_many(run, &lost));
    }
    let Some(step) = document.steps.get(run.step) else {
        return next_wave(run, &lost);
    };
    let by_target: HashMap<&str, &RunTask> = tasks
        .iter()
        .filter(|t| t.step == run.step)
        .map(|t| (t.item_id.as_str(), t))
        .collect();
    let mut begin = Vec::new();
    let mut is_waiting = false;
    for target in participants(run, &step.act, &lost) {
        match by_target.get(target) {
            None => begin.push((target.to_owned(), 1)),
            Some(task) if !task.state.is_end() => is_waiting = true,
            Some(task) if may_retry(task, step.is_idempotent) && task.attempt <= step.retries => {
                begin.push((target.to_owned(), task.attempt + 1));
            }
            Some(_) => {}
        }
    }
    // One failure too many: what has begun ends, nothing more begins.
    if is_over {
        return Next::Wait;
    }
    if !begin.is_empty() {
        return Next::Begin(begin);
    }
    if is_waiting {
        return Next::Wait;
    }
    Next::Advance {
        wave: run.wave,
        step: run.step + 1,
    }
}

fn next_wave(run: &Run, lost: &HashSet<&str>) -> Next {
    if run.wave + 1 < run.waves.len() {
        Next::Advance {
            wave: run.wave + 1,
            step: 0,
        }
    } else {
        Next::Succeed((!lost.is_empty()).then(|| how_many(run, lost)))
    }
}

/// A run in which no target is left has failed, whatever the strategy allows; so has one whose step for all of them failed.
fn is_too_much(run: &Run, lost: &HashSet<&str>, document: &Document) -> bool {
    lost.contains("")
        || lost.len() > document.strategy.max_failures
        || (!lost.is_empty() && lost.len() >= run.targets.len())
}

fn how_many(run: &Run, lost: &HashSet<&str>) -> String {
    if lost.contains("") {
        return "a step that is done once for the run failed".into();
    }
    format!("{} of {} targets failed", lost.len(), run.targets.len())
}

/// Whom the current step is done on. Approvals belong to the first wave, notifications to the last.
fn participants<'a>(run: &'a Run, act: &Act, lost: &HashSet<&str>) -> Vec<&'a str> {
    let is_last = run.wave + 1 >= run.waves.len();
    match act {
        Act::Approval { .. } if run.wave > 0 => Vec::new(),
        Act::Notify { .. } if !is_last => Vec::new(),
        act if act.is_once() => vec![""],
        _ => {
            let wave = run.waves.get(run.wave).map(Vec::as_slice).unwrap_or_default();
            let ids = wave
                .iter()
                .filter_map(|index| run.targets.get(*index))
                .map(|target| target.item_id.as_str());
            ids.filter(|id| !lost.contains(id)).collect()
        }
    }
}

fn may_retry(task: &RunTask, is_idempotent: bool) -> bool {
    task.state == TaskState::Failed || (task.state == TaskState::Unknown && is_idempotent)
}

fn has_open(tasks: &[RunTask]) -> bool {
    tasks.iter().any(|task| !task.state.is_end())
}

/// Targets that a step has taken out of the run: it ended badly, has no attempt left, and its errors count.
fn lost_targets<'a>(tasks: &'a [RunTask], document: &Document) -> HashSet<&'a str> {
    let is_lost = |task: &&RunTask| {
        document.steps.get(task.step).is_none_or(|step| {
            let is_out_of_tries = !may_retry(task, step.is_idempotent) || task.attempt > step.retries;
            task.state.is_bad() && !step.ignores_errors && is_out_of_tries
        })
    };
    tasks
        .iter()
        .filter(is_lost)
        .map(|task| task.item_id.as_str())
        .collect()
}

/// Cuts targets into waves.
pub(crate) fn waves(count: usize, document: &Document) -> Vec<Vec<usize>> {
    let size = document.strategy.batch.size(count);
    let all: Vec<usize> = (0..count).collect();
    if all.is_empty() {
        vec![Vec::new()]
    } else {
        all.chunks(size).map(<[usize]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kernel::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{RunId, RunState, RunTarget};

    fn document(batch: &str, max_failures: usize) -> Document {
        let text = format!(
            "name: x\nstrategy: {{ batch: {batch}, max_failures: {max_failures} }}\nsteps:\n  \
             - name: ask\n    approval: go?\n  - name: a\n    command: [a]\n    retries: 1\n  \
             - name: b\n    command: [b]\n  - name: tell\n    notify: {{ title: done }}\n"
        );
        crate::document::parse(&text).unwrap()
    }

    fn run(count: usize, document: &Document) -> Run {
        let target = |n: usize| RunTarget {
            item_id: format!("itm_{n}"),
            name: format!("web-{n}"),
            host_id: format!("itm_{n}"),
            tags: BTreeMap::new(),
            team: None,
        };
        Run {
            id: RunId::new(),
            runbook_id: String::new(),
            runbook_name: String::new(),
            runbook_version: 1,
            text: String::new(),
            inputs: BTreeMap::new(),
            targets: (0..count).map(target).collect(),
            waves: waves(count, document),
            state: RunState::Running,
            wave: 0,
            step: 0,
            is_dry: false,
            source: "person".into(),
            incident_id: None,
            alert_id: None,
            alert_fingerprint: None,
            alert: None,
            change_id: None,
            plan_hash: String::new(),
            requested_by: String::new(),
            requested_by_name: String::new(),
            requested_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            note: None,
            event_seq: None,
        }
    }

    /// Plays a run to its end; `outcome` says how each attempt ends. Gives the attempts in order.
    fn play(
        run: &mut Run,
        document: &Document,
        mut outcome: impl FnMut(usize, &str, u32) -> TaskState,
    ) -> (Vec<(usize, String, u32)>, Next) {
        let mut tasks: Vec<RunTask> = Vec::new();
        let mut attempts = Vec::new();
        for _ in 0..10_000 {
            match next(run, &tasks, document) {
                Next::Begin(list) => {
                    for (item_id, attempt) in list {
                        attempts.push((run.step, item_id.clone(), attempt));
                        let state = outcome(run.step, &item_id, attempt);
                        tasks.retain(|t| !(t.step == run.step && t.item_id == item_id));
                        let step = run.step;
                        tasks.push(RunTask {
                            step,
                            item_id,
                            attempt,
                            state,
                            command_id: None,
                            exit_code: None,
                            note: None,
                            started_at: None,
                            finished_at: None,
                        });
                    }
                }
                Next::Advance { wave, step } => (run.wave, run.step) = (wave, step),
                end => return (attempts, end),
            }
        }
        panic!("the run does not end")
    }

    #[test]
    fn waves_follow_each_other_and_once_steps_happen_once() {
        let document = document("2", 0);
        let (attempts, end) = play(&mut run(3, &document), &document, |_, _, _| TaskState::Ok);
        assert_eq!(end, Next::Succeed(None));
        let steps: Vec<(usize, &str)> = attempts.iter().map(|(s, t, _)| (*s, t.as_str())).collect();
        let expected = [
            (0, ""),
            (1, "itm_0"),
            (1, "itm_1"),
            (2, "itm_0"),
            (2, "itm_1"),
            (1, "itm_2"),
            (2, "itm_2"),
            (3, ""),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_failure_stops_the_next_wave() {
        let document = document("1", 0);
        let bad = |step: usize, target: &str, _: u32| match (step, target) {
            (2, "itm_0") => TaskState::Failed,
            _ => TaskState::Ok,
        };
        let (attempts, end) = play(&mut run(3, &document), &document, bad);
        assert!(matches!(end, Next::Fail(_)));
        assert!(
            !attempts.iter().any(|(_, target, _)| target == "itm_1"),
            "{attempts:?}"
        );
    }

    #[test]
    fn an_unknown_end_is_not_tried_again_unless_idempotent() {
        let document = document("all", 0);
        let (attempts, end) = play(&mut run(1, &document), &document, |step, _, _| {
            if step == 1 {
                TaskState::Unknown
            } else {
                TaskState::Ok
            }
        });
        assert!(matches!(end, Next::Fail(_)));
        assert_eq!(attempts.iter().filter(|(step, ..)| *step == 1).count(), 1);
    }

    #[test]
    fn what_is_allowed_to_fail_is_told_and_all_is_too_much() {
        let document = document("all", 3);
        let bad = |failing: usize| {
            move |step: usize, target: &str, _: u32| {
                let is_bad = step == 2 && (0..failing).any(|n| target == format!("itm_{n}"));
                if is_bad { TaskState::Failed } else { TaskState::Ok }
            }
        };
        let (_, end) = play(&mut run(3, &document), &document, bad(1));
        assert_eq!(end, Next::Succeed(Some("1 of 3 targets failed".into())));
        let (_, end) = play(&mut run(3, &document), &document, bad(3));
        assert_eq!(end, Next::Fail("3 of 3 targets failed".into()));
    }

    #[test]
    fn a_step_for_all_that_fails_ends_the_run() {
        let document = document("all", 3);
        let (attempts, end) = play(&mut run(3, &document), &document, |step, _, _| match step {
            0 => TaskState::Failed,
            _ => TaskState::Ok,
        });
        assert!(matches!(end, Next::Fail(_)));
        assert_eq!(attempts.len(), 1);
    }

    proptest! {
        /// No step is begun twice with the same attempt, no target goes on after it is lost, and every run ends.
        #[test]
        fn runs_end_and_begin_nothing_twice(count in 1..7usize, batch in 1..4usize, allowed in 0..3usize, bad in proptest::collection::vec(any::<bool>(), 64)) {
            let document = document(&batch.to_string(), allowed);
            let mut uses = 0;
            let (attempts, end) = play(&mut run(count, &document), &document, |_, target, _| {
                uses += 1;
                if !target.is_empty() && bad[uses % 64] { TaskState::Failed } else { TaskState::Ok }
            });
            let unique: HashSet<_> = attempts.iter().collect();
            prop_assert_eq!(unique.len(), attempts.len());
            prop_assert!(matches!(end, Next::Succeed(_) | Next::Fail(_)));
            prop_assert!(attempts.iter().all(|(_, _, attempt)| *attempt <= 2));
        }
    }
}
