//! The rules, pure: a proposal and the situation give a verdict.

use jiff::Timestamp;

use crate::calendar::{Freeze, Window, covers};
use crate::model::{Change, ChangeState, Outcome, Proposal, RedeemError, Risk, Source, Target};

/// What the rules look at.
pub(crate) struct Situation<'a> {
    pub freezes: &'a [Freeze],
    pub windows: &'a [Window],
    /// Targets that a granted change is working on: `(item id, title of that change)`.
    pub busy: &'a [(String, String)],
    pub now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Grant,
    AskApproval(String),
    Refuse(String),
}

/// Freezes first, then windows, then collisions, then risk: the strictest reason is the one that is told.
pub(crate) fn judge(proposal: &Proposal, situation: &Situation<'_>) -> Verdict {
    let is_small_remediation = proposal.source == Source::Alert && proposal.risk == Risk::Low;
    let freezes = situation
        .freezes
        .iter()
        .filter(|f| !(f.allows_remediation && is_small_remediation));
    if let Some(reason) = first_freeze(&proposal.targets, freezes, situation.now) {
        return Verdict::Refuse(reason);
    }
    if proposal.risk > Risk::Low
        && let Some(reason) = closed_window(&proposal.targets, situation)
    {
        return Verdict::Refuse(reason);
    }
    let collision = situation.busy.first();
    if proposal.risk > Risk::Low
        && let Some((item, other)) = collision
    {
        let name = proposal
            .targets
            .iter()
            .find(|t| t.item_id == *item)
            .map_or(item.as_str(), |t| t.name.as_str());
        return Verdict::AskApproval(format!("\"{other}\" is at work on {name} right now"));
    }
    match (proposal.risk, proposal.source, proposal.is_standard) {
        (Risk::Low, _, _) | (Risk::Medium, Source::Person, _) | (Risk::Medium, _, true) => Verdict::Grant,
        (Risk::Medium, ..) => Verdict::AskApproval(
            "nobody asked for it in person and it is of medium risk; mark the runbook as a standard change to let it run by itself".into(),
        ),
        (Risk::High, ..) => Verdict::AskApproval("a change of high risk needs a second person".into()),
    }
}

/// Why a freeze holds these targets back, if one does.
pub(crate) fn frozen(
    targets: &[Target],
    source: Source,
    freezes: &[Freeze],
    now: Timestamp,
) -> Option<String> {
    let freezes = freezes
        .iter()
        .filter(|f| !(f.allows_remediation && source == Source::Alert));
    first_freeze(targets, freezes, now)
}

fn first_freeze<'a>(
    targets: &[Target],
    freezes: impl Iterator<Item = &'a Freeze>,
    now: Timestamp,
) -> Option<String> {
    for freeze in freezes.filter(|f| f.is_on(now)) {
        let Some(target) = targets.iter().find(|t| covers(&freeze.tags, t)) else {
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
            .filter(|w| covers(&w.tags, target))
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

/// `made_by`: who made the service account that asks, so that nobody is their own second person.
/// May this actor decide on the change now? The error says why not.
pub(crate) fn may_decide(
    change: &Change,
    actor_key: &str,
    made_by: Option<&str>,
    is_approval: bool,
    now: Timestamp,
) -> Result<(), String> {
    if change.state != ChangeState::Requested {
        return Err(format!(
            "the change is {}, it waits for no decision",
            change.state.as_str()
        ));
    }
    if change.expires_at <= now {
        return Err(format!("the request expired at {}; ask again", change.expires_at));
    }
    if is_approval
        && change.risk == Risk::High
        && (change.requested_by == actor_key || made_by == Some(actor_key))
    {
        return Err("a change of high risk is approved by somebody else than who asked for it".into());
    }
    if is_approval && change.risk == Risk::High && !actor_key.starts_with("person:") {
        return Err("a change of high risk is approved by a person, not by a service account".into());
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
            proposal,
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
