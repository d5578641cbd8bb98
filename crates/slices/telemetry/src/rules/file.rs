//! Prometheus rule files, read strictly: every fault has its line and column.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;
use yaml::{Error, Node};

use super::model::{Group, Kind, Rule};
use super::template::Template;

/// How often a group is evaluated when it does not say.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

/// A fault of a rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileError {
    /// From 1.
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl From<Error> for FileError {
    fn from(error: Error) -> Self {
        Self {
            line: error.line,
            column: error.column,
            message: error.message,
        }
    }
}

/// The faults of a rule file; none when it can be put in force.
pub fn check(text: &str) -> Vec<FileError> {
    parse("file", text).err().unwrap_or_default()
}

/// Reads a file. All faulty rules are told at once, not only the first.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Group>, Vec<FileError>> {
    let root = yaml::parse(text).map_err(|error| vec![error.into()])?;
    let mut errors = Vec::new();
    let groups = read_groups(file, &root, &mut errors).map_err(|error| vec![error.into()])?;
    if errors.is_empty() {
        Ok(groups)
    } else {
        Err(errors)
    }
}

fn read_groups(file: &str, root: &Node, errors: &mut Vec<FileError>) -> Result<Vec<Group>, Error> {
    let mut fields = root.fields("a rule file")?;
    let nodes = fields.need("groups", |node| node.list().map(<[Node]>::to_vec))?;
    fields.finish()?;
    let mut groups: Vec<Group> = Vec::new();
    for node in &nodes {
        match read_group(file, node, errors) {
            Ok(group) if groups.iter().any(|known| known.name == group.name) => {
                errors.push(
                    node.error(format!("a second group has the name \"{}\"", group.name))
                        .into(),
                );
            }
            Ok(group) => groups.push(group),
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(groups)
}

fn read_group(file: &str, node: &Node, errors: &mut Vec<FileError>) -> Result<Group, Error> {
    let mut fields = node.fields("a group")?;
    let title = fields.need("name", |n| n.word().map(str::to_owned))?;
    let interval = fields
        .get("interval", |n| n.duration())?
        .unwrap_or(DEFAULT_INTERVAL);
    let limit = fields.get("limit", |n| n.integer_in(0, i64::MAX))?.unwrap_or(0);
    let offset = fields.get("query_offset", |n| n.duration())?;
    let shared = fields.get("labels", labels)?.unwrap_or_default();
    let rules = fields
        .get("rules", |n| n.list().map(<[Node]>::to_vec))?
        .unwrap_or_default();
    fields.finish()?;
    if interval < Duration::from_secs(1) {
        return Err(node.error("`interval` must be at least 1s"));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut read = Vec::new();
    for rule in &rules {
        match read_rule(&format!("{file}/{title}"), rule, &shared, &mut seen) {
            Ok(rule) => read.push(Arc::new(rule.bound(limit, millis(offset)))),
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(Group {
        name: format!("{file}/{title}"),
        file: file.to_owned(),
        title,
        interval_ms: millis(Some(interval)),
        limit,
        rules: read,
    })
}

fn millis(duration: Option<Duration>) -> i64 {
    duration.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Names with their values, and where the values stand.
type Labels<'a> = Vec<(String, &'a Node)>;
type Templates = Vec<(String, Template)>;

fn read_rule(
    group: &str,
    node: &Node,
    shared: &Labels<'_>,
    seen: &mut HashMap<String, usize>,
) -> Result<Rule, Error> {
    let mut fields = node.fields("a rule")?;
    let alert = fields.get("alert", |n| n.word().map(str::to_owned))?;
    let record = fields.get("record", metric_name)?;
    let expr = fields.need("expr", expression)?;
    let hold = fields.get("for", |n| n.duration())?;
    let keep = fields.get("keep_firing_for", |n| n.duration())?;
    let own = fields.get("labels", labels)?.unwrap_or_default();
    let annotations = fields.get("annotations", annotations)?.unwrap_or_default();
    fields.finish()?;
    let (name, kind) = match (alert, record) {
        (Some(name), None) => (
            name,
            Kind::Alert {
                for_ms: millis(hold),
                keep_firing_for_ms: millis(keep),
                annotations,
            },
        ),
        (None, Some(name)) if (millis(hold), millis(keep)) == (0, 0) && annotations.is_empty() => {
            (name, Kind::Record)
        }
        (None, Some(_)) => {
            return Err(node.error("`for`, `keep_firing_for` and `annotations` belong to alerts only"));
        }
        _ => return Err(node.error("a rule has either `alert` or `record`, with the name as its value")),
    };
    let inherited = shared
        .iter()
        .filter(|(name, _)| !own.iter().any(|(other, _)| other == name));
    // Labels of what is recorded are plain text; in those of an alert templates are filled in.
    let is_plain = matches!(kind, Kind::Record);
    let labels = inherited
        .chain(&own)
        .map(|(name, value)| Ok((name.clone(), template(name, value, is_plain)?)))
        .collect::<Result<_, Error>>()?;
    let place = seen.entry(name.clone()).or_default();
    let key = format!("{group}/{name}#{place}");
    *place += 1;
    Ok(Rule::new(key, name, expr, labels, kind))
}

fn metric_name(node: &Node) -> Result<String, Error> {
    let name = node.word()?;
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if is_name && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(name.to_owned());
    }
    Err(node.error(format!(
        "\"{name}\" is no metric name; letters, digits, `_` and `:` are allowed"
    )))
}

fn expression(node: &Node) -> Result<(String, promql::Expr), Error> {
    let text = node.string()?.trim().to_owned();
    match promql::parse(&text) {
        Ok(expr) => Ok((text, expr)),
        Err(error) => Err(node.error(format!("in the expression: {error}"))),
    }
}

fn labels(node: &Node) -> Result<Labels<'_>, Error> {
    for entry in node.map()? {
        if entry.key.is_empty() || entry.key == promql::METRIC_NAME {
            let message = format!("{:?} cannot be the name of a rule's label", entry.key);
            return Err(Error::new(entry.line, entry.column, message));
        }
        text_of(&entry.value)?;
    }
    Ok(node.map()?.iter().map(|e| (e.key.clone(), &e.value)).collect())
}

fn annotations(node: &Node) -> Result<Templates, Error> {
    let read = |entry: &yaml::Entry| Ok((entry.key.clone(), template(&entry.key, &entry.value, false)?));
    node.map()?.iter().map(read).collect()
}

/// A text; nothing at all is an empty one.
fn text_of(node: &Node) -> Result<&str, Error> {
    if node.is_null() { Ok("") } else { node.string() }
}

fn template(name: &str, node: &Node, is_plain: bool) -> Result<Template, Error> {
    let text = text_of(node)?;
    if is_plain {
        return Ok(Template::literal(text));
    }
    Template::parse(text).map_err(|message| node.error(format!("`{name}`: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_prometheus_reads_it() {
        let groups = parse(
            "web",
            "groups:\n- name: g\n  interval: 5s\n  labels: {team: web}\n  rules:\n  - record: job:x:rate\n    expr: sum(rate(x[5m])) by (job)\n  \
             - alert: Hot\n    expr: t > 3\n    for: 1m30s\n    keep_firing_for: 10s\n    labels: {severity: critical}\n    annotations:\n      summary: '{{ $labels.a }}'\n",
        )
        .unwrap();
        let [record, hot] = &groups[0].rules[..] else {
            panic!("two rules")
        };
        assert!(matches!(record.kind, Kind::Record));
        assert!(matches!(
            hot.kind,
            Kind::Alert {
                for_ms: 90_000,
                keep_firing_for_ms: 10_000,
                ..
            }
        ));
        assert_eq!(
            hot.labels.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
            ["team", "severity"]
        );
        assert_eq!(
            (groups[0].name.as_str(), hot.key.as_str()),
            ("web/g", "web/g/Hot#0")
        );
    }

    #[test]
    fn groups_say_how_they_are_evaluated() {
        let text = "groups:\n- name: g\n  limit: 3\n  query_offset: 1m\n  labels: {a: group, b: group, c: }\n  rules:\n  - record: r\n    expr: up\n    for: 0s\n    \
            labels: {a: own, d: '{{ plain }}'}\n  - alert: Up\n    expr: up == 1\n- name: h\n  rules:\n  - alert: Up\n    expr: up == 1\n";
        let groups = parse("f", text).unwrap();
        let record = &groups[0].rules[0];
        let labels: Vec<_> = record
            .labels
            .iter()
            .map(|(n, t)| (n.as_str(), t.text()))
            .collect();
        assert_eq!(
            labels,
            [("b", "group"), ("c", ""), ("a", "own"), ("d", "{{ plain }}")]
        );
        let bounds = |rule: &Rule| (rule.limit, rule.offset_ms, rule.locality.is_some());
        assert_eq!(bounds(record), (3, 60_000, false));
        assert_eq!(bounds(&groups[0].rules[1]), (3, 60_000, false));
        assert_eq!(bounds(&groups[1].rules[0]), (0, 0, true));
        assert_eq!(
            (groups[0].limit, groups[0].file.as_str(), groups[0].title.as_str()),
            (3, "f", "g")
        );
    }

    #[test]
    fn all_faults_are_told_with_their_places() {
        let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n  - alert: B\n    exp: up\n  - record: 1bad\n    expr: up\n";
        let errors = check(text);
        let places: Vec<_> = errors.iter().map(|e| e.line).collect();
        assert_eq!(places, [5, 6, 8], "{errors:?}");
        assert!(errors[1].message.contains("expr"), "{errors:?}");
    }
}
