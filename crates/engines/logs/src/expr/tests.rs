//! What the text language matches and what it refuses.
use super::*;
use proptest::prelude::*;

fn matches(query: &str, labels: &[(&str, &str)], severity: u8, text: &str) -> bool {
    let query = TextQuery::parse(query).unwrap();
    match query.node.bind(&Labels::new(labels.iter().copied())) {
        Verdict::Never => false,
        Verdict::Always => true,
        Verdict::Test(node) => node.matches(&mut Line::new(text, severity, &mut String::new())),
    }
}

#[test]
fn terms_match_what_the_table_says() {
    let labels = [("host", "web-1"), ("unit", "sshd.service")];
    let line = "Failed password for ROOT from 10.0.0.7 /var/log/auth.log a:b Über";
    let yes = [
        "",
        "*",
        "failed",
        "FAILED root",
        "word",
        "\"password for root\"",
        "/pass\\w+ for/",
        "über ÜBER",
        "host:web-1",
        "host:web-*",
        "host:*",
        "unit:*.service",
        "unit:s*d*e",
        "unit:/^ssh/",
        "file:\"\"",
        "host:\"web-1\"",
        "severity:err",
        "severity:<=warning",
        "severity:3",
        "severity:>crit",
        "/var/log/auth.log",
        "NOT nginx",
        "\"a:b\"",
        "nginx OR root",
        "failed AND NOT (nginx OR apache)",
        "NOT NOT root",
        "(failed)",
        "host:web-1 (a OR b) root",
        "10.0.0.7",
        "/log\\/auth/",
        "NOT unit:nginx",
    ];
    for query in yes {
        assert!(matches(query, &labels, 3, line), "{query}");
    }
    let no = [
        "nginx",
        "\"for password\"",
        "/PASS/",
        "host:web",
        "host:WEB-1",
        "host:*-2",
        "file:*x",
        "severity:warning",
        "severity:<err",
        "failed nginx",
        "NOT root",
        "root AND NOT failed",
        "unit:/^nginx/",
        "host:\"\"",
    ];
    for query in no {
        assert!(!matches(query, &labels, 3, line), "{query}");
    }
    assert!(!matches(
        "severity:>=0",
        &labels,
        crate::columns::NO_SEVERITY,
        line
    ));
}

#[test]
fn ambiguous_texts_read_as_people_mean_them() {
    assert!(matches(
        "http://example.org/x",
        &[],
        8,
        "GET http://example.org/x"
    ));
    assert!(matches("std::io", &[], 8, "at std::io::Error"));
    assert!(matches("10:30", &[], 8, "at 10:30:00"));
    assert!(matches("and or not", &[], 8, "not this and or that"));
    assert!(matches("\"say \\\"hi\\\" \\\\o/\"", &[], 8, "say \"hi\" \\o/"));
}

#[test]
fn errors_say_where() {
    let cases = [
        ("\"abc", 0, "not closed"),
        ("a (b", 2, "not closed"),
        ("a )", 2, "closes nothing"),
        ("a OR", 4, "missing"),
        ("OR a", 0, "missing"),
        ("()", 1, "missing before"),
        ("ü /(/", 2, "not valid"),
        ("host: x", 5, "no value"),
        ("severity:loud", 9, "not a severity"),
        ("severity:=<3", 9, "does not compare"),
        ("host:/[/", 5, "not valid"),
        ("a AND", 5, "missing"),
        ("NOT", 3, "missing"),
        ("/a{1000}{1000}/", 0, "too large"),
    ];
    for (query, at, part) in cases {
        let error = TextQuery::parse(query).unwrap_err();
        assert!(
            error.message.contains(part) && error.at == at,
            "{query}: {error:?}"
        );
    }
    assert!(
        TextQuery::parse(&"(".repeat(5000))
            .unwrap_err()
            .message
            .contains("nesting")
    );
    assert!(
        TextQuery::parse(&"a".repeat(20_000))
            .unwrap_err()
            .message
            .contains("longer")
    );
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_within_itself(text in "[a-z /\"()*:\\\\ORANDT<=ü]{0,40}") {
        match TextQuery::parse(&text) {
            Ok(query) => prop_assert_eq!(query.source(), text),
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
    }

    #[test]
    fn filters_never_hide_a_match(query in "(NOT )?([abc]{1,5}|\"[ab ]{1,6}\"|/[abc]{1,4}[.]?[abc]{0,4}/)( (OR )?[abc]{1,4})?", lines in proptest::collection::vec("[ABCabc ]{0,12}", 1..6)) {
        let query = TextQuery::parse(&query).unwrap();
        let mut builder = crate::trigram::FilterBuilder::new();
        lines.iter().for_each(|line| builder.add(line));
        let filter = builder.finish();
        let hit = lines.iter().any(|line| query.node.matches(&mut Line::new(line, 8, &mut String::new())));
        prop_assert!(!hit || query.node.may_match(Some(&filter), 1 << 8));
    }
}
