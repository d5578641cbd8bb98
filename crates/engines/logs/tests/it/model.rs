//! Against a naive model: whatever is appended, sealed and reopened, queries answer as a plain list would.
use crate::{open, record, search};
use logs::{Direction, Found, Labels, Logs, MatchOp, Matcher, Options, Position, Query, Record, Selection};
use proptest::prelude::*;
use std::time::Instant;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Record>),
    Seal,
    Reopen,
    Ask(Question),
}

#[derive(Debug, Clone)]
struct Question {
    word: &'static str,
    host: Option<(MatchOp, &'static str)>,
    from_ms: i64,
    to_ms: i64,
    limit: usize,
    direction: Direction,
    hurried: bool,
}

const WORDS: [&str; 6] = ["", "error", "disk full", "over", "ü", "xyzzy"];
const LINES: [&str; 6] = [
    "Error: disk FULL on sda",
    "all is well",
    "stack overflow",
    "Über error",
    "",
    "diskfull",
];

fn line() -> impl Strategy<Value = Record> {
    (0i64..60, 0usize..3, 0u8..9, 0usize..6, any::<bool>()).prop_map(|(at_ms, host, severity, text, long)| {
        let padding = if long {
            " padding".repeat(20)
        } else {
            String::new()
        };
        let host = ["a", "b", ""][host];
        Record {
            at_ms,
            labels: Labels::new([("host", host), ("unit", "x")]),
            severity: (severity < 8).then_some(severity),
            text: format!("{}{padding}", LINES[text]),
        }
    })
}

fn question() -> impl Strategy<Value = Question> {
    let host = prop_oneof![
        Just(None),
        Just(Some((MatchOp::Eq, "a"))),
        Just(Some((MatchOp::Neq, "a"))),
        Just(Some((MatchOp::Re, "a|b"))),
        Just(Some((MatchOp::NotRe, ".+")))
    ];
    (
        0usize..6,
        host,
        -5i64..60,
        0i64..70,
        1usize..9,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(word, host, from_ms, span, limit, newest, hurried)| Question {
            word: WORDS[word],
            host,
            from_ms,
            to_ms: from_ms + span,
            limit,
            direction: if newest {
                Direction::NewestFirst
            } else {
                Direction::OldestFirst
            },
            hurried,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => proptest::collection::vec(line(), 0..12).prop_map(Step::Append),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        4 => question().prop_map(Step::Ask),
    ]
}

impl Question {
    fn selects(&self, found: &Found) -> bool {
        let host = found.record.labels.get("host");
        let by_host = match self.host {
            None => true,
            Some((MatchOp::Eq, value)) => host == value,
            Some((MatchOp::Neq, value)) => host != value,
            Some((MatchOp::Re, _)) => host == "a" || host == "b",
            Some((MatchOp::NotRe, _)) => host.is_empty(),
        };
        let text = found.record.text.to_lowercase();
        let by_text = self.word.split(' ').all(|word| text.contains(word));
        by_host && by_text && (self.from_ms..self.to_ms).contains(&found.record.at_ms)
    }

    fn query(&self) -> Query {
        let matchers = self
            .host
            .map(|(op, value)| Matcher::new("host", op, value).unwrap());
        Query {
            selection: Selection {
                matchers: matchers.into_iter().collect(),
                ..search(self.word)
            },
            limit: self.limit,
            direction: self.direction,
            ..Query::new(self.from_ms, self.to_ms)
        }
    }
}

fn options() -> Options {
    Options {
        segment_bytes: 3_000,
        block_bytes: 300,
        fsync: false,
        ..Options::default()
    }
}

/// All pages together, with a deadline that is over from the start when the question is hurried.
fn pages(logs: &Logs, question: &Question) -> Vec<Found> {
    let mut query = question.query();
    let mut all = Vec::new();
    loop {
        query.deadline = question.hurried.then(Instant::now);
        let page = logs.query(&query).unwrap();
        assert!(page.records.len() <= question.limit);
        assert_eq!(page.damaged_blocks, 0);
        all.extend(page.records);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

fn check(logs: &Logs, model: &[Found], question: &Question) {
    let mut expected: Vec<Found> = model
        .iter()
        .filter(|found| question.selects(found))
        .cloned()
        .collect();
    expected.sort_by_key(|found| found.position);
    if question.direction == Direction::NewestFirst {
        expected.reverse();
    }
    assert_eq!(pages(logs, question), expected, "{question:?}");

    let histogram = logs.histogram(&question.query(), 7).unwrap();
    assert!(histogram.complete);
    let total: u64 = histogram.buckets.iter().map(logs::Bucket::total).sum();
    assert_eq!(total, expected.len() as u64);
    for bucket in &histogram.buckets {
        for severity in 0..9u8 {
            let same = |found: &&Found| {
                let at_ms = found.record.at_ms;
                (bucket.start_ms..bucket.start_ms + 7).contains(&at_ms)
                    && found.record.severity.unwrap_or(8) == severity
            };
            let count = expected.iter().filter(same).count() as u64;
            assert_eq!(bucket.by_severity[usize::from(severity)], count, "{bucket:?}");
        }
    }
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = open(dir.path(), options());
    let mut model: Vec<Found> = Vec::new();
    for step in steps {
        match step {
            Step::Append(records) => {
                let outcome = logs.append(&records).unwrap();
                let first = outcome.first_seq.unwrap_or(model.len() as u64);
                assert_eq!(first, model.len() as u64, "numbers follow each other");
                model.extend(records.into_iter().enumerate().map(|(index, record)| Found {
                    position: Position {
                        at_ms: record.at_ms,
                        seq: first + index as u64,
                    },
                    record,
                }));
            }
            Step::Seal => {
                logs.maintain(100).unwrap();
            }
            Step::Reopen => {
                drop(logs);
                logs = open(dir.path(), options());
                assert_eq!(logs.take_notices(), []);
            }
            Step::Ask(question) => check(&logs, &model, &question),
        }
        assert_eq!(logs.stats().records, model.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn queries_answer_as_a_plain_list_would(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}

#[test]
fn labels_and_values_follow_time_and_matchers() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), options());
    logs.append(&[record(10, "a", "one"), record(20, "b", "two")])
        .unwrap();
    logs.maintain(0).unwrap();
    logs.maintain(i64::MAX / 2).unwrap();
    let mut third = record(i64::MAX / 2, "c", "three");
    third.labels = Labels::new([("host", "c"), ("unit", "x")]);
    logs.append(&[third]).unwrap();
    let all = Selection::default();
    assert_eq!(Vec::from_iter(logs.labels(&all, 0, i64::MAX)), ["host", "unit"]);
    assert_eq!(
        Vec::from_iter(logs.labels(&all, i64::MIN, 15)),
        Vec::<String>::new(),
        "expired"
    );
    assert_eq!(
        Vec::from_iter(logs.label_values("host", &all, 0, i64::MAX)),
        ["c"]
    );
    let not_c = Selection {
        matchers: vec![Matcher::new("host", MatchOp::Neq, "c").unwrap()],
        ..Selection::default()
    };
    assert!(logs.label_values("host", &not_c, 0, i64::MAX).is_empty());
}

#[test]
fn impossible_questions_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), options());
    let refused = |query: Query| logs.query(&query).unwrap_err().to_string();
    assert!(
        refused(Query {
            limit: 0,
            ..Query::new(0, 1)
        })
        .contains("limit 0")
    );
    assert!(
        refused(Query {
            limit: 1_000_000,
            ..Query::new(0, 1)
        })
        .contains("between 1 and 100000")
    );
    assert!(
        logs.histogram(&Query::new(0, 1), 0)
            .unwrap_err()
            .to_string()
            .contains("positive step")
    );
    assert!(
        logs.histogram(&Query::new(0, 1_000_000), 1)
            .unwrap_err()
            .to_string()
            .contains("larger step")
    );
    assert!(
        Matcher::new("host", MatchOp::Re, "a)(b")
            .unwrap_err()
            .to_string()
            .contains("label host")
    );
}
