//! The reader as its callers use it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use yaml::{Error, Limits, Node, Value, parse, parse_duration, parse_many, parse_with};

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn keeps_order_and_places() {
    let node = parse("# head\nb: 1\na:\n  - x\n  - {k: \"v\"}\n").unwrap();
    let map = node.as_map().unwrap();
    assert_eq!(
        map.iter()
            .map(|e| (e.key.as_str(), e.line, e.column))
            .collect::<Vec<_>>(),
        [("b", 2, 1), ("a", 3, 1)]
    );
    let items = node.get("a").unwrap().as_seq().unwrap();
    assert_eq!((items[0].line, items[0].column), (4, 5));
    assert_eq!((items[1].line, items[1].column), (5, 5));
    let v = items[1].get("k").unwrap();
    assert_eq!((v.line, v.column, v.scalar().unwrap().is_plain()), (5, 9, false));
}

#[test]
fn core_schema_only() {
    let node =
        parse("[1, -0x10, 0x10, 0o17, 1e3, .inf, true, yes, null, ~, '1', \"true\", !!str 5, 01, nan]")
            .unwrap();
    let items = node.as_seq().unwrap();
    let ints: Vec<_> = items.iter().map(Node::as_i64).collect();
    assert_eq!(ints[..4], [Some(1), None, Some(16), Some(15)]);
    assert_eq!(items[4].as_f64(), Some(1000.0));
    assert_eq!(items[5].as_f64(), Some(f64::INFINITY));
    assert_eq!((items[6].as_bool(), items[7].as_bool()), (Some(true), None));
    assert!(items[8].is_null() && items[9].is_null());
    assert_eq!(
        (items[10].as_i64(), items[11].as_bool(), items[12].as_i64()),
        (None, None, None)
    );
    assert_eq!(items[12].as_str(), Some("5"));
    assert_eq!(items[14].as_f64(), None);
}

#[test]
fn block_texts() {
    let node = parse("a: |\n  one\n  two\nb: >-\n  one\n  two\n").unwrap();
    assert_eq!(node.get("a").unwrap().as_str(), Some("one\ntwo\n"));
    assert_eq!(node.get("b").unwrap().as_str(), Some("one two"));
}

#[test]
fn refuses_what_is_ambiguous() {
    assert_eq!(
        refused("a: 1\nb: 2\na: 3\n"),
        "line 3, column 1: the key \"a\" is given twice; remove one"
    );
    assert_eq!(
        refused("a: !vault x"),
        "line 1, column 4: the tag !vault is not known here; remove it"
    );
    assert_eq!(
        refused("[a]: 1"),
        "line 1, column 1: a list as a key; keys are single words or quoted texts"
    );
    assert!(refused("a: 1\n---\nb: 2\n").contains("one of 2 documents"));
    assert!(refused("a: [1, 2").starts_with("line "));
    assert!(refused("a: *nowhere").contains("line 1"));
    assert!(refused("a: &x [*x]").contains("alias"));
}

#[test]
fn bombs_are_bounded() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..20 {
        let row = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{row}]\n"));
    }
    assert!(refused(&text).contains("more than 200000 values"));
    assert!(refused(&"[".repeat(100)).contains("64 levels"));
    let small = Limits {
        max_bytes: 3,
        ..Limits::default()
    };
    assert!(
        parse_with("abcd", &small)
            .unwrap_err()
            .message
            .contains("limit is 3")
    );
}

#[test]
fn documents_aliases_and_merges() {
    assert_eq!(parse_many("---\na\n---\nb\n").unwrap().len(), 2);
    assert!(parse("").unwrap().is_null());
    let node = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").unwrap();
    let used = node.get("use").unwrap();
    assert_eq!(
        (used.get("x").unwrap().as_i64(), used.get("y").unwrap().as_i64()),
        (Some(1), Some(3))
    );
    assert!(refused("<<: 5").contains("<< needs a map"));
}

#[derive(Debug)]
struct Step {
    name: String,
    timeout: Option<Duration>,
    targets: Vec<String>,
}

fn step(node: &Node) -> Result<Step, Error> {
    let mut f = node.fields("a step")?;
    let step = Step {
        name: f.need("name", Node::word)?.to_owned(),
        timeout: f.get("timeout", Node::duration)?,
        targets: f.get("targets", Node::strings)?.unwrap_or_default(),
    };
    f.finish()?;
    Ok(step)
}

#[test]
fn typed_decoding() {
    let decode = |text: &str| parse(text).unwrap().each(step);
    let steps =
        decode("- name: restart\n  timeout: 1m30s\n  targets: [a, b]\n- name: 5\n  timeout:\n").unwrap();
    assert_eq!(steps[0].timeout, Some(Duration::from_secs(90)));
    assert_eq!(
        (steps[0].targets.len(), steps[1].name.as_str(), steps[1].timeout),
        (2, "5", None)
    );
    let error = |text: &str| decode(text).unwrap_err().to_string();
    assert_eq!(
        error("- name: x\n  tagets: [a]\n"),
        "line 2, column 3: unknown field \"tagets\" (did you mean \"targets\"?)"
    );
    assert_eq!(
        error("- name: x\n  owner: me\n"),
        "line 2, column 3: unknown field \"owner\"; a step has the fields name, timeout, targets"
    );
    assert_eq!(
        error("- timeout: 5s\n"),
        "line 1, column 3: a step needs the field \"name\""
    );
    assert_eq!(
        error("- name: [x]\n"),
        "line 1, column 9: field \"name\": expected a text that is not empty, found a list"
    );
    assert_eq!(
        error("- name: x\n  timeout: 5 minutes\n"),
        "line 2, column 12: \"5 minutes\" is not a duration; write for example 30s, 5m or 1h30m"
    );
    assert_eq!(
        error("- x\n"),
        "line 1, column 3: expected a step (a map), found the text \"x\""
    );
}

#[test]
fn bounded_numbers_and_words() {
    let node = parse("{n: 70000, w: critcal, d: 0}").unwrap();
    let error = node.get("n").unwrap().integer_in(1, 65535).unwrap_err();
    assert_eq!(
        error.message,
        "expected a whole number from 1 to 65535, found the number 70000"
    );
    let error = node
        .get("w")
        .unwrap()
        .one_of(&["warning", "critical"])
        .unwrap_err();
    assert_eq!(
        error.message,
        "\"critcal\" is not one of warning, critical (did you mean \"critical\"?)"
    );
    assert_eq!(node.get("d").unwrap().duration(), Ok(Duration::ZERO));
    assert!(matches!(node.value, Value::Map(_)));
}

#[test]
fn durations() {
    assert_eq!(
        parse_duration("1w2d3h4m5s6ms"),
        Ok(Duration::from_millis(788_645_006))
    );
    for bad in [
        "",
        "5",
        "1.5h",
        "30m1h",
        "1m1m",
        "-5s",
        "9999999999999999999s",
        "3000y",
        "5 m",
    ] {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
}
