//! From a built-in rule and its tunings to the rules that are evaluated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alerting::Severity;
use inventory::Selector;
use kernel::DbError;
use promql::{BinaryOp, Expr, ExprKind, Number};
use sqlx::AnyConnection;

use super::{Coverage, Limits, Tuning, TuningBody};
use crate::rules::model::{Group, Kind, Rule};
use crate::rules::template::Template;

/// Rules with a threshold that somebody may want elsewhere, and its unit.
const UNITS: [(&str, &str); 10] = [
    ("DiskFull", "% used"),
    ("DiskNearlyFull", "% used"),
    ("InodesNearlyUsedUp", "% free"),
    ("ProcessorBusy", "% busy"),
    ("MemoryShort", "% available"),
    ("FileDescriptorsShort", "% used"),
    ("ConnectionTrackingShort", "% used"),
    ("NetworkErrors", "errors/s"),
    ("PressureOnMemory", "s/s"),
    ("CertificateExpiresSoon", "s"),
];

/// The threshold of a built-in rule and its unit.
pub(crate) fn threshold(rule: &Rule) -> Option<(f64, &'static str)> {
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == rule.name)?;
    let mut expr = rule.expr.clone();
    let found = find(&mut expr)?;
    Some((constant(found)?, unit))
}

/// The right side of the first comparison with a number, from the left: what an alert's threshold is by custom.
fn find(expr: &mut Expr) -> Option<&mut Expr> {
    match &mut expr.kind {
        ExprKind::Paren(inner) => find(inner),
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => find(&mut binary.lhs),
            BinaryOp::Greater | BinaryOp::GreaterEqual | BinaryOp::Less | BinaryOp::LessEqual => {
                constant(&binary.rhs)?;
                Some(&mut binary.rhs)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The value of an expression of numbers alone.
fn constant(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Number(number) => Some(number.value),
        ExprKind::Paren(inner) => constant(inner),
        ExprKind::Unary { negate, expr } => constant(expr).map(|value| if *negate { -value } else { value }),
        ExprKind::Binary(binary) => {
            let (left, right) = (constant(&binary.lhs)?, constant(&binary.rhs)?);
            match binary.op {
                BinaryOp::Add => Some(left + right),
                BinaryOp::Sub => Some(left - right),
                BinaryOp::Mul => Some(left * right),
                BinaryOp::Div => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The rule as a tuning wants it, wherever it holds. Its key stays, so that alerts go on under the rule's name.
pub(crate) fn tuned(rule: &Rule, body: &TuningBody) -> Rule {
    let mut rule = rule.clone();
    if let Some(value) = body.threshold
        && let Some(found) = find(&mut rule.expr)
    {
        found.kind = ExprKind::Number(Number {
            value,
            is_duration: false,
        });
        rule.text = rule.expr.to_string();
    }
    if let Kind::Alert { for_ms, .. } = &mut rule.kind
        && let Some(seconds) = body.for_s
    {
        *for_ms = seconds.saturating_mul(1000);
    }
    if let Some(severity) = body.severity {
        rule.labels.retain(|(name, _)| name != "severity");
        rule.labels
            .push(("severity".into(), Template::literal(word(severity))));
    }
    rule
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// What each tuning covers now. A selector that is read no more covers nothing.
pub(crate) async fn coverages(
    connection: &mut AnyConnection,
    tunings: &[Tuning],
) -> Result<Vec<Coverage>, DbError> {
    let mut known: HashMap<&str, HashSet<String>> = HashMap::new();
    let mut found = Vec::with_capacity(tunings.len());
    for tuning in tunings {
        let hosts = match tuning.body.hosts.as_deref() {
            None => None,
            Some(text) => {
                if !known.contains_key(text) {
                    known.insert(text, hosts(connection, text).await?);
                }
                known.get(text).cloned()
            }
        };
        found.push(Coverage {
            hosts,
            labels: tuning.body.labels.clone(),
        });
    }
    Ok(found)
}

/// Names of the hosts that a selector means.
pub(crate) async fn hosts(connection: &mut AnyConnection, text: &str) -> Result<HashSet<String>, DbError> {
    let Ok(mut selector) = text.parse::<Selector>() else {
        return Ok(HashSet::new());
    };
    selector.terms.extend(Selector::kind("host").terms);
    let items = inventory::store::select(connection, &selector).await?;
    Ok(items.into_iter().map(|item| item.name).collect())
}

/// The more specific first; of equals the newer (`tunings` come newest first).
fn by_precedence<'a>(name: &str, tunings: &'a [(Tuning, Coverage)]) -> Vec<&'a (Tuning, Coverage)> {
    let mut ours: Vec<_> = tunings
        .iter()
        .filter(|(tuning, _)| tuning.body.rule == name)
        .collect();
    ours.sort_by_key(|(tuning, _)| {
        std::cmp::Reverse((tuning.body.labels.len(), tuning.body.hosts.is_some()))
    });
    ours
}

/// Takes the tunings into a pack's groups.
pub(crate) fn apply(groups: &mut [Group], tunings: &[(Tuning, Coverage)]) {
    for group in groups {
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            let ours = if rule.is_alert() {
                by_precedence(&rule.name, tunings)
            } else {
                Vec::new()
            };
            let mut without: Vec<Coverage> = Vec::new();
            for (tuning, coverage) in ours {
                if !tuning.body.is_off {
                    let mut one = tuned(rule, &tuning.body);
                    one.key = format!("{}~{}", rule.key, tuning.id);
                    one.limits = Some(Limits {
                        only: Some(coverage.clone()),
                        without: without.clone(),
                    });
                    rules.push(Arc::new(one));
                }
                without.push(coverage.clone());
            }
            if without.is_empty() {
                rules.push(rule.clone());
            } else {
                let mut rest = Rule::clone(rule);
                rest.limits = Some(Limits { only: None, without });
                rules.push(Arc::new(rest));
            }
        }
        group.rules = rules;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file;
    use crate::rules::pack::PACKS;

    fn rule(name: &str) -> Arc<Rule> {
        let groups = file::parse("host", PACKS[0].text).unwrap();
        let mut rules = groups.into_iter().flat_map(|group| group.rules);
        rules.find(|rule| rule.name == name).unwrap()
    }

    #[test]
    fn every_rule_with_a_unit_has_a_threshold_that_can_be_set() {
        for (name, unit) in UNITS {
            let rule = rule(name);
            let (before, found) = threshold(&rule).unwrap_or_else(|| panic!("{name} has no threshold"));
            assert_eq!(found, unit);
            assert!(before > 0.0, "{name}: {before}");
            let body = TuningBody {
                threshold: Some(12.5),
                ..TuningBody::default()
            };
            let tuned = tuned(&rule, &body);
            assert_eq!(threshold(&tuned).unwrap().0, 12.5, "{}", tuned.text);
            assert!(promql::parse(&tuned.text).is_ok(), "{}", tuned.text);
        }
        assert_eq!(
            threshold(&rule("CertificateExpiresSoon")).unwrap().0,
            14.0 * 86_400.0
        );
    }

    #[test]
    fn each_thing_is_covered_by_one_rule_only() {
        let groups = file::parse("host", PACKS[0].text).unwrap();
        let tuning = |labels: &[(&str, &str)], hosts: Option<&[&str]>, threshold| {
            let labels: std::collections::BTreeMap<String, String> = labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            let tuning = Tuning {
                id: super::super::TuningId::new(),
                body: TuningBody {
                    rule: "DiskFull".into(),
                    hosts: hosts.map(|_| "tag:env=test".into()),
                    labels: labels.clone(),
                    threshold: Some(threshold),
                    ..TuningBody::default()
                },
                updated_by: String::new(),
                updated_at: kernel::clock::from_micros(0),
                version: 1,
            };
            let hosts = hosts.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect());
            (tuning, Coverage { hosts, labels })
        };
        let tunings = [
            tuning(&[], Some(&["a", "b"]), 97.0),
            tuning(&[("instance", "a"), ("mountpoint", "/data")], None, 99.0),
            tuning(&[("instance", "a")], None, 98.0),
        ];
        let mut groups = groups;
        apply(&mut groups, &tunings);
        let rules: Vec<_> = groups
            .iter()
            .flat_map(|group| &group.rules)
            .filter(|rule| rule.name == "DiskFull")
            .collect();
        assert_eq!(rules.len(), 4);
        for (instance, mountpoint, wanted) in [
            ("a", "/data", 99.0),
            ("a", "/", 98.0),
            ("b", "/data", 97.0),
            ("c", "/data", 95.0),
        ] {
            let labels = promql::Labels::from_pairs([("instance", instance), ("mountpoint", mountpoint)]);
            let taking: Vec<f64> = rules
                .iter()
                .filter(|rule| rule.limits.as_ref().unwrap().take(&labels))
                .map(|rule| threshold(rule).unwrap().0)
                .collect();
            assert_eq!(taking, [wanted], "{instance} {mountpoint}");
        }
    }
}
