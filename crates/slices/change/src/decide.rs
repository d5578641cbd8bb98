//! The rules, pure: a proposal and the situation give a verdict.

use jiff::Timestamp;

use crate::calendar::{Freeze, Window, covers};
use crate::model::{Change, ChangeState, Outcome, Proposal, RedeemError, Risk, Source, Target};

/// What the rules look at.
pub(crate) struct Situation<'a> {
    pub freezes: &'a [Freeze],
    pub windows: &'a [Window],
    /// Targets that another granted change is working on: `(item id, title of that change)`.
    pub busy: &'a [(String, String)],
    pub now: Timestamp,
}

/// When it is asked. The rules are the same; what differs is what a person has agreed to already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Request,
    /// A person has approved it; collisions that came later are unknown to them.
    Redeem,
    /// It is at work, or about to begin.
    Wave,
}

/// What is judged, of a proposal or of a stored change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub targets: &'a [Target],
    pub source: Source,
    pub risk: Risk,
    pub is_standard: bool,
}

impl<'a> From<&'a Proposal> for Asked<'a> {
    fn from(proposal: &'a Proposal) -> Self {
        Self {
            targets: &proposal.targets,
            source: proposal.source,
            risk: proposal.risk,
            is_standard: proposal.is_standard,
        }
    }
}

impl<'a> From<&'a Change> for Asked<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            targets: &change.targets,
            source: change.source,
            risk: change.risk,
            is_standard: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Grant,
    AskApproval(String),
    Refuse(String),
}

/// Freezes first, then windows, then collisions, then risk: the strictest reason is the one that is told.
pub(crate) fn judge(asked: Asked<'_>, stage: Stage, situation: &Situation<'_>) -> Verdict {
    let is_small_remediation = asked.source == Source::Alert && asked.risk == Risk::Low;
    let freezes = situation
        .freezes
        .iter()
        .filter(|f| !(f.allows_remediation && is_small_remediation));
    if let Some(reason) = first_freeze(asked.targets, freezes, situation.now) {
        return Verdict::Refuse(reason);
    }
    if asked.risk > Risk::Low
        && let Some(reason) = closed_window(asked.targets, situation)
    {
        return Verdict::Refuse(reason);
    }
    if asked.risk > Risk::Low
        && let Some((item, other)) = situation.busy.first()
    {
        let name = asked
            .targets
            .iter()
            .find(|t| t.item_id == *item)
            .map_or(item.as_str(), |t| t.name.as_str());
        let reason = format!("\"{other}\" is at work on {name} right now");
        return match stage {
            Stage::Request => Verdict::AskApproval(reason),
            Stage::Redeem | Stage::Wave => {
                Verdict::Refuse(format!("{reason}, which began after the approval"))
            }
        };
    }
    if stage != Stage::Request {
        return Verdict::Grant;
    }
    match (asked.risk, asked.source, asked.is_standard) {
        (Risk::Low, _, _) | (Risk::Medium, Source::Person, _) | (Risk::Medium, _, true) => Verdict::Grant,
        (Risk::Medium, ..) => Verdict::AskApproval(
            "nobody asked for it in person and it is of medium risk; mark the runbook as a standard change to let it run by itself".into(),
        ),
        (Risk::High, ..) => Verdict::AskApproval("a change of high risk needs a second person".into()),
    }
}

fn first_freeze<'a>(
    targets: &[Target],
    freezes: impl Iterator<Item = &'a Freeze>,
    now: Timestamp,
) -> Option<String> {
    for freeze in freezes.filter(|f| f.is_on(now)) {
        // What has no targets is held back by a freeze of everything.
        let is_of_everything = freeze.team.is_none() && freeze.tags.is_empty();
        if targets.is_empty() && is_of_everything {
            return Some(format!(
                "the freeze \"{}\" covers everything until {}",
                freeze.title, freeze.ends_at
            ));
        }
        let covered = |t: &&Target| covers(freeze.team.as_deref(), &freeze.tags, t);
        let Some(target) = targets.iter().find(covered) else {
            continue;
        };
        return Some(format!(
            "the freeze \"{}\" covers {} until {}",
            freeze.title, target.name, freeze.ends_at
        ));
    }
    None
}

/// A target that windows cover may be changed while one of them is open.
fn closed_window(targets: &[Target], situation: &Situation<'_>) -> Option<String> {
    for target in targets {
        let covering: Vec<_> = situation
            .windows
            .iter()
            .filter(|w| covers(w.team.as_deref(), &w.tags, target))
            .collect();
        if covering.is_empty() || covering.iter().any(|w| w.is_open(situation.now)) {
            continue;
        }
        let next = covering
            .iter()
            .filter_map(|w| w.next_opening(situation.now).map(|at| (at, w)))
            .min_by_key(|(at, _)| *at);
        return Some(match next {
            Some((at, window)) => {
                format!(
                    "no change window is open for {}; \"{}\" opens at {at}",
                    target.name, window.title
                )
            }
            None => format!("no change window opens for {} in the next two weeks", target.name),
        });
    }
    None
}

pub(crate) fn may_redeem(change: &Change, plan_hash: &str, now: Timestamp) -> Result<(), RedeemError> {
    let refused = |text: String| Err(RedeemError::Refused(text));
    if change.state != ChangeState::Approved {
        return refused(format!("the change is {}, not approved", change.state.as_str()));
    }
    if change.plan_hash != plan_hash {
        return refused("the plan is not the one that was approved; ask for approval of the new plan".into());
    }
    if change.expires_at <= now {
        return refused(format!("the approval expired at {}", change.expires_at));
    }
    Ok(())
}

/// A granted change ends in any way; one that was not carried out can only be cancelled.
pub(crate) fn may_finish(state: ChangeState, outcome: Outcome) -> bool {
    match state {
        ChangeState::Granted => true,
        ChangeState::Requested | ChangeState::Approved => outcome == Outcome::Cancelled,
        _ => false,
    }
}

/// Does the change wait for a decision now? The error says why not. Who may decide is a question for `rights`.
pub(crate) fn is_open(change: &Change, now: Timestamp) -> Result<(), String> {
    if change.state != ChangeState::Requested {
        return Err(format!(
            "the change is {}, it waits for no decision",
            change.state.as_str()
        ));
    }
    if change.expires_at <= now {
        return Err(format!("the request expired at {}; ask again", change.expires_at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::calendar::FreezeId;

    fn proposal(risk: Risk, source: Source, is_standard: bool) -> Proposal {
        let tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        Proposal {
            title: "restart nginx".into(),
            kind: "runbook".into(),
            source,
            risk,
            is_standard,
            reason: String::new(),
            plan_hash: "h".into(),
            plan_summary: String::new(),
            targets: vec![Target {
                item_id: "itm_1".into(),
                name: "web-1".into(),
                tags,
                team: None,
            }],
        }
    }

    fn freeze(tags: &[(&str, &str)], allows_remediation: bool) -> Freeze {
        Freeze {
            id: FreezeId::new(),
            title: "Christmas".into(),
            team: None,
            tags: tags.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            starts_at: "2026-12-20T00:00:00Z".parse().unwrap(),
            ends_at: "2026-12-27T00:00:00Z".parse().unwrap(),
            allows_remediation,
            created_by: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn judge_at(proposal: &Proposal, freezes: &[Freeze], busy: &[(String, String)], at: &str) -> Verdict {
        judge(
            proposal.into(),
            Stage::Request,
            &Situation {
                freezes,
                windows: &[],
                busy,
                now: at.parse().unwrap(),
            },
        )
    }

    const IN_FREEZE: &str = "2026-12-24T00:00:00Z";
    const BEFORE: &str = "2026-12-01T00:00:00Z";

    #[test]
    fn risk_and_source_decide_who_must_agree() {
        use {Risk::*, Source::*};
        for (risk, source, is_standard, grants) in [
            (Low, Alert, false, true),
            (Low, Schedule, false, true),
            (Medium, Person, false, true),
            (Medium, Schedule, false, false),
            (Medium, Alert, true, true),
            (High, Person, true, false),
        ] {
            let verdict = judge_at(&proposal(risk, source, is_standard), &[], &[], BEFORE);
            assert_eq!(
                verdict == Verdict::Grant,
                grants,
                "{risk:?} {source:?} {is_standard} {verdict:?}"
            );
        }
    }

    #[test]
    fn a_freeze_holds_what_it_covers() {
        let low = proposal(Risk::Low, Source::Alert, false);
        let covering = freeze(&[("env", "prod")], false);
        assert!(
            matches!(judge_at(&low, std::slice::from_ref(&covering), &[], IN_FREEZE), Verdict::Refuse(r) if r.contains("Christmas"))
        );
        assert_eq!(judge_at(&low, &[covering], &[], BEFORE), Verdict::Grant);
        assert_eq!(
            judge_at(&low, &[freeze(&[("env", "test")], false)], &[], IN_FREEZE),
            Verdict::Grant
        );
        assert_eq!(
            judge_at(&low, &[freeze(&[], true)], &[], IN_FREEZE),
            Verdict::Grant
        );
        let medium = proposal(Risk::Medium, Source::Alert, true);
        assert!(matches!(
            judge_at(&medium, &[freeze(&[], true)], &[], IN_FREEZE),
            Verdict::Refuse(_)
        ));
    }

    #[test]
    fn a_collision_asks_a_person() {
        let busy = [("itm_1".to_owned(), "kernel upgrade".to_owned())];
        let verdict = judge_at(&proposal(Risk::Medium, Source::Person, false), &[], &busy, BEFORE);
        assert!(matches!(verdict, Verdict::AskApproval(reason) if reason.contains("kernel upgrade")));
    }

    /// An approval does not outlive the rules: freezes, windows and new collisions count when it is redeemed and before each wave.
    #[test]
    fn the_same_rules_hold_at_every_stage() {
        let open = Window {
            id: crate::calendar::WindowId::new(),
            title: "Nights".into(),
            team: None,
            tags: BTreeMap::new(),
            days: vec!["tue".into()],
            start_minute: 60,
            end_minute: 120,
            time_zone: "UTC".into(),
            created_by: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
        };
        let at = |stage,
                  source,
                  risk,
                  freezes: &[Freeze],
                  windows: &[Window],
                  busy: &[(String, String)],
                  now: &str| {
            let proposal = proposal(risk, source, false);
            let now = now.parse().unwrap();
            judge(
                (&proposal).into(),
                stage,
                &Situation {
                    freezes,
                    windows,
                    busy,
                    now,
                },
            )
        };
        let remediation = [freeze(&[], true)];
        let busy = [("itm_1".to_owned(), "kernel upgrade".to_owned())];
        for stage in [Stage::Request, Stage::Redeem, Stage::Wave] {
            for risk in [Risk::Medium, Risk::High] {
                let verdict = at(stage, Source::Alert, risk, &remediation, &[], &[], IN_FREEZE);
                assert!(
                    matches!(verdict, Verdict::Refuse(_)),
                    "{stage:?} {risk:?} {verdict:?}"
                );
                let closed = at(
                    stage,
                    Source::Person,
                    risk,
                    &[],
                    std::slice::from_ref(&open),
                    &[],
                    "2026-12-02T01:30:00Z",
                );
                assert!(
                    matches!(closed, Verdict::Refuse(_)),
                    "{stage:?} {risk:?} {closed:?}"
                );
            }
            let low = at(stage, Source::Alert, Risk::Low, &remediation, &[], &[], IN_FREEZE);
            assert_eq!(low, Verdict::Grant);
            let collision = at(stage, Source::Person, Risk::High, &[], &[], &busy, BEFORE);
            assert_eq!(matches!(collision, Verdict::Refuse(_)), stage != Stage::Request);
            let inside = at(
                stage,
                Source::Person,
                Risk::Medium,
                &[],
                std::slice::from_ref(&open),
                &[],
                "2026-12-01T01:30:00Z",
            );
            assert_eq!(inside, Verdict::Grant);
        }
    }

    #[test]
    fn a_freeze_of_everything_holds_what_has_no_targets() {
        let untargeted = Proposal {
            targets: Vec::new(),
            ..proposal(Risk::Low, Source::Person, false)
        };
        assert!(matches!(
            judge_at(&untargeted, &[freeze(&[], false)], &[], IN_FREEZE),
            Verdict::Refuse(_)
        ));
        assert_eq!(
            judge_at(&untargeted, &[freeze(&[("env", "prod")], false)], &[], IN_FREEZE),
            Verdict::Grant
        );
    }

    proptest! {
        /// Whatever else holds, high risk is never granted without a person, and a freeze never lets a person's change through.
        #[test]
        fn high_risk_always_asks(source in 0..4usize, is_standard: bool, with_freeze: bool) {
            let source = [Source::Person, Source::Schedule, Source::Alert, Source::Pipeline][source];
            let freezes = if with_freeze { vec![freeze(&[], true)] } else { vec![] };
            let verdict = judge_at(&proposal(Risk::High, source, is_standard), &freezes, &[], IN_FREEZE);
            prop_assert_ne!(&verdict, &Verdict::Grant);
            prop_assert_eq!(matches!(verdict, Verdict::Refuse(_)), with_freeze);
        }
    }
}
