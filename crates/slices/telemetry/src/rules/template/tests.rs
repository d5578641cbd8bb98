//! What templates give. The expectations were checked against Prometheus' own rule tester.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn element(i: &str, value: f64) -> Element {
    Element {
        labels: map(&[("__name__", "x"), ("i", i)]),
        value,
    }
}

fn fill(text: &str, value: f64) -> String {
    let external = External {
        url: "https://ops.example/mainstay/".into(),
        labels: map(&[("site", "north")]),
    };
    let labels = map(&[("__name__", "x"), ("i", "a"), ("instance", "web-1.example:9100")]);
    let ask = |text: &str| match text {
        "x" => Ok(vec![element("b", 4.5), element("a", 1_234_567.0)]),
        "nothing" => Ok(Vec::new()),
        other => Err(format!("{other:?} is no query")),
    };
    let data = Data {
        labels: &labels,
        value,
        at_ms: 1_700_000_000_000,
        external: &external,
        query: &ask,
    };
    Template::parse(text).unwrap().render(&data)
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(fill(text, 4.5), *expected, "{text}");
    }
}

#[test]
fn values_labels_and_data() {
    check(&[
        (
            "{{ $labels.instance }} is at {{ $value }}",
            "web-1.example:9100 is at 4.5",
        ),
        ("{{.Labels.i}}{{ .Value }}{{ .Labels.missing }}|", "a4.5|"),
        ("{{ $labels }}", "map[__name__:x i:a instance:web-1.example:9100]"),
        (
            "{{ $.Labels.i }} {{ $externalLabels.site }} {{ .ExternalLabels }}",
            "a north map[site:north]",
        ),
        (
            "{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
            "https://ops.example/mainstay/ https://ops.example/mainstay/ /mainstay",
        ),
        (
            "{{ args 1 \"b\" }} {{ (args 1).x }}",
            "map[arg0:1 arg1:b] <no value>",
        ),
        (
            "{{ 1000000.0 }} {{ 123456789.0 }} {{ 100000.0 }} {{ 1e21 }} {{ 0.00001 }} {{ 1.0 }} {{ 0x10 }} {{ 'a' }}",
            "1e+06 1.23456789e+08 100000 1e+21 1e-05 1 16 97",
        ),
        ("plain } text", "plain } text"),
    ]);
    assert_eq!(fill("{{ $value }}", f64::INFINITY), "+Inf");
}

#[test]
fn control_flow_and_variables() {
    check(&[
        (
            "{{ if $labels.nope }}yes{{ else if eq $labels.i \"a\" }}A{{ else }}other{{ end }}",
            "A",
        ),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ end }}{{ $x }}",
            "2",
        ),
        (
            "{{ with $x := 5 }}{{ $x }}{{ . }}{{ end }} {{ with 0 }}a{{ else }}b{{ end }}",
            "55 b",
        ),
        (
            "{{ range $i, $e := query \"x\" | sortByLabel \"i\" }}{{ if $i }}, {{ end }}{{ $e.Labels.i }}{{ end }}",
            "a, b",
        ),
        (
            "{{ range query \"x\" }}{{ .Labels.i }}={{ .Value }};{{ end }}",
            "b=4.5;a=1.234567e+06;",
        ),
        ("{{ range query \"nothing\" }}a{{ else }}empty{{ end }}", "empty"),
        (
            "{{ range query \"x\" }}{{ if eq .Labels.i \"a\" }}{{ break }}{{ end }}{{ .Labels.i }}{{ end }}",
            "b",
        ),
        (
            "{{ range query \"x\" }}{{ if eq .Labels.i \"b\" }}{{ continue }}{{ end }}{{ .Labels.i }}{{ end }}",
            "a",
        ),
        (
            "{{ range $k, $v := $externalLabels }}{{ $k }}={{ $v }}{{ end }}",
            "site=north",
        ),
        (
            "{{ define \"t\" }}[{{ .arg0 }} {{ $.arg1 }}]{{ end }}{{ template \"t\" (args 1 $value) }}",
            "[1 4.5]",
        ),
        (
            "{{ with query \"x\" }}{{ . | first | label \"i\" }}{{ else }}none{{ end }} {{ strvalue (query \"x\" | first) }}|",
            "b |",
        ),
        (
            "{{ (query \"x\" | first).Labels.i }} {{ (index (query \"x\" | sortByLabel \"i\") 1).Value }}",
            "b 4.5",
        ),
        ("{{ query \"x\" | first }}", "{map[__name__:x i:b] 4.5}"),
        (
            "{{ and 1 0 }} {{ or 0 \"x\" }} {{ not 1 }} {{ lt 1.0 2.0 }} {{ eq \"a\" \"b\" \"a\" }} {{ ne 1 2 }} {{ gt $value 3.5 }}",
            "0 x false true true true true",
        ),
        ("{{ or $labels.i (query \"broken\") }}", "a"),
        (
            "{{ len $externalLabels }} {{ index $labels \"i\" }} {{ slice \"hello\" 1 3 }} {{ len (query \"x\") }}",
            "1 a el 2",
        ),
    ]);
}

#[test]
fn space_is_trimmed_and_comments_are_left_out() {
    check(&[
        ("a {{- $value -}} b", "a4.5b"),
        ("{{- /* c */ -}} x {{- /* d */}} y", "x y"),
        ("a{{/* {{ no }} */}}b", "ab"),
        ("{{-3}} {{ 3 -}}\n z", "-3 3z"),
        ("{{ $value\n | printf \"%.0f\" }}", "4"),
    ]);
}

#[test]
fn texts_are_formatted() {
    check(&[
        (
            "{{ printf \"%v %g %.3g %e %d %s\" $value $value $value $value $value $value }}",
            "4.5 4.5 4.5 4.500000e+00 %!d(float64=4.5) %!s(float64=4.5)",
        ),
        (
            "{{ printf \"%.2f of %s %d %!\" 1.0 \"x\" }}",
            "1.00 of x %!d(MISSING) %!!(MISSING)",
        ),
        (
            "{{ printf \"%5.1f|%-6s|%05d|%q|%t|%T|%x\" 2.25 \"ab\" 42 \"q\\n\" true $value 255 }}",
            "  2.2|ab    |00042|\"q\\n\"|true|float64|ff",
        ),
        (
            "{{ printf \"%d\" 3 4 }} {{ printf \"%.0f\" }} {{ printf \"%s\" nil }}",
            "3%!(EXTRA int=4) %!f(MISSING) %!s(<nil>)",
        ),
        (
            "{{ printf \"%6.2f%%\" 12.345 }} {{ printf \"%+d\" 5 }} {{ printf \"%x\" \"hi\" }} {{ printf \"%8s|\" \"ab\" }} {{ printf \"%.1s\" \"ab\" }}",
            " 12.35% +5 6869       ab| a",
        ),
        (
            "{{ printf \"%g\" 1e7 }} {{ printf \"%G\" 1e-7 }} {{ printf \"%.3e\" 12345.678 }} {{ printf \"%08.3f\" -3.14159 }}",
            "1e+07 1E-07 1.235e+04 -003.142",
        ),
        (
            "{{ 5 | printf \"%d-%d\" 4 }} {{ \"a\" | printf \"%s\" | toUpper }}",
            "4-5 A",
        ),
        ("{{ print 1 2 \"a\" \"b\" 3 }} {{ println 1 2 }}", "1 2ab3 1 2\n"),
        (
            "{{ html \"<a>'\\\"&\" }} {{ urlquery \"a b\" }} {{ js \"a<b>'\\\"=&\" }} {{ safeHtml \"<b>\" }}",
            "&lt;a&gt;&#39;&#34;&amp; a+b a\\u003Cb\\u003E\\'\\\"\\u003D\\u0026 <b>",
        ),
        (
            "{{ title \"hello wORLD-foo it's ein_z öl\" }}",
            "Hello WORLD-Foo It'S Ein_z Öl",
        ),
        (
            "{{ reReplaceAll \"(.*)-(.*)\" \"${2}_$1\" \"a-b\" }} {{ match \"a.c\" \"xabcx\" }}",
            "b_a true",
        ),
    ]);
}

#[test]
fn numbers_times_and_addresses_read_well() {
    check(&[
        (
            "{{ humanize 0.00012 }} {{ humanize 123456.0 }} {{ humanize 0.0 }} {{ humanize 12345678 }}",
            "120u 123.5k 0 12.35M",
        ),
        (
            "{{ humanize1024 1610612736.0 }} {{ humanize1024 0.5 }}",
            "1.5Gi 0.5",
        ),
        (
            "{{ humanizePercentage 0.98765 }} {{ humanizePercentage 12.0 }}",
            "98.77% 1200%",
        ),
        (
            "{{ humanizeDuration 93784.0 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration -3.5 }} {{ humanizeDuration 59.9999 }} {{ humanizeDuration 3600 }}",
            "1d 2h 3m 4s 12.3ms -3.5s 60s 1h 0m 0s",
        ),
        (
            "{{ humanizeTimestamp 1700000000.5 }} {{ toTime 1700000000.123 }}",
            "2023-11-14 22:13:20.5 +0000 UTC 2023-11-14 22:13:20.122 +0000 UTC",
        ),
        (
            "{{ toDuration 3723.5 }} {{ now | humanizeTimestamp }} {{ parseDuration \"1h30m\" }}",
            "1h2m3.5s 2023-11-14 22:13:20 +0000 UTC 5400",
        ),
        (
            "{{ stripPort \"a:80\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"::1\" }} {{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"10.0.0.1:80\" }}",
            "a ::1 ::1 a:80 10.0.0.1:80",
        ),
        (
            "{{ graphLink \"up == 0\" }} {{ tableLink \"a+b{x='ö'}\" }}",
            "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=a%2Bb%7Bx%3D%27%C3%B6%27%7D&g0.tab=1",
        ),
        (
            "{{ urlQueryEscape \"a b&c\" }} {{ $labels.instance | stripPort | stripDomain | toUpper | toLower }}",
            "a+b%26c web-1",
        ),
    ]);
}

fn check_failures(cases: &[(&str, &str)]) {
    for (text, part) in cases {
        let filled = fill(text, 4.5);
        assert!(
            filled.starts_with("<error expanding template: ") && filled.contains(part),
            "{text}: {filled}"
        );
    }
}

#[test]
fn filling_is_bounded() {
    check_failures(&[
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "nested deeper than 100",
        ),
        (
            "{{ range 300 }}{{ range 300 }}{{ end }}{{ end }}",
            "more than 20000 steps",
        ),
        (
            "{{ $x := \"ab\" }}{{ range 30 }}{{ $x = print $x $x }}{{ end }}",
            "gives more than 65536 bytes",
        ),
        (
            "{{ range 9999 }}0123456789{{ end }}",
            "gives more than 65536 bytes",
        ),
        (
            "{{ range $i, $e := 99 }}{{ match (print $i) \"c\" }}{{ end }}",
            "16 regular expressions",
        ),
        (
            "{{ range 9999 }}{{ range 9999 }}{{ break }}{{ end }}{{ end }}",
            "range: more than 4194304 bytes of work",
        ),
        (
            "{{ $y := printf \"%1000s\" \"\" }}{{ range 9999 }}{{ $x := len $y }}{{ end }}",
            "len: more than 4194304 bytes of work",
        ),
        ("{{ args (args 1) }}", "args of args"),
    ]);
}

#[test]
fn failures_stand_in_the_text() {
    check_failures(&[
        (
            "{{ eq $value 0 }}",
            "line 1, column 4 of the text: eq: incompatible types for comparison",
        ),
        ("{{ if lt $value 3 }}x{{ end }}", "lt: incompatible types"),
        ("{{ lt true false }}", "invalid type for comparison"),
        (
            "a\n {{ query \"nothing\" | first | value }}",
            "line 2, column 23 of the text: first: first() called on vector with no elements",
        ),
        ("{{ query \"broken\" }}", "query: \"broken\" is no query"),
        ("{{ $value.foo }}", "can't evaluate field foo in type float64"),
        ("{{ .Foo }}", "can't evaluate field Foo"),
        ("{{ first }}", "wrong number of args for first: want 1 got 0"),
        ("{{ $value 3 }}", "can't give an argument"),
        ("{{ label 1 (query \"x\" | first) }}", "expected string; got int"),
        ("{{ range $value }}x{{ end }}", "range can't iterate over 4.5"),
        (
            "{{ toUpper $value }}",
            "wrong type for value; expected string; got float64",
        ),
        ("{{ index (query \"x\") 9 }}", "index out of range: 9"),
        ("{{ slice \"abc\" 2 1 }}", "invalid slice index"),
        ("{{ humanize \"abc\" }}", "\"abc\" is no number"),
        ("{{ toTime 1e300 }}", "nanoseconds"),
        ("{{ match \"(\" \"x\" }}", "match: not a valid regular expression"),
    ]);
}

#[test]
fn faults_are_told_with_their_places() {
    for (text, part) in [
        (
            "{{ $x }}",
            "line 1, column 4 of the text: the variable $x is not declared",
        ),
        (
            "a\nb {{ foo 1 }}",
            "line 2, column 6 of the text: \"foo\" is no function",
        ),
        ("{{ if }}x{{ end }}", "a value is missing in if"),
        ("{{ 1 | 2 }}", "a constant after \"|\""),
        ("{{ \"a }}", "does not end"),
        ("{{ `a }}", "does not end"),
        ("{{ end }}", "without a block"),
        ("{{ else }}", "without a block"),
        ("{{ if 1 }}", "{{ if }} has no {{ end }}"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "a second {{ else }}"),
        ("{{ if 1 }}{{ else", "no closing"),
        ("{{ $x = 1 }}", "not declared"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ 1.x }}", "\"1.x\" is no number"),
        ("{{ \"a\".x }}", "a constant has no fields"),
        ("{{ }}", "a value is missing"),
        ("{{ $value ", "no closing"),
        ("{{ template \"x\" }}", "no template \"x\""),
        ("{{ define \"t\" }}{{ $value }}{{ end }}", "not declared"),
        ("{{ break }}", "outside of {{ range }}"),
        ("{{ ($value }}", "unexpected \"}}\" in parentheses"),
        ("{{ $value) }}", "unexpected \")\""),
        ("{{ \"\\q\" }}", "no escape"),
        ("{{ /* c */ }}", "does not belong"),
        ("{{/* c }}", "does not end"),
        ("{{ $a, $b := 1 }}", "too many variables"),
        ("{{ 1\"a\" }}", "unexpected the text"),
        ("{{ a%b }}", "glued"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    let deep = "{{ ".to_owned() + &"(".repeat(200) + "1" + &")".repeat(200) + " }}";
    assert!(Template::parse(&deep).unwrap_err().contains("nested deeper"));
    assert!(
        Template::parse(&"{{ if 1 }}".repeat(200))
            .unwrap_err()
            .contains("nested deeper")
    );
    assert!(
        Template::parse(&"x".repeat(70_000))
            .unwrap_err()
            .contains("65536")
    );
}

#[test]
fn queries_are_asked_as_they_are_written() {
    let asked = RefCell::new(Vec::new());
    let ask = |text: &str| {
        asked.borrow_mut().push(text.to_owned());
        Ok(Vec::new())
    };
    let labels = map(&[("i", "a")]);
    let data = Data {
        labels: &labels,
        value: 1.0,
        at_ms: 0,
        external: &External::default(),
        query: &ask,
    };
    let text = "{{ range printf \"up{i='%s'}\" .Labels.i | query }}{{ end }}";
    assert_eq!(Template::parse(text).unwrap().render(&data), "");
    assert_eq!(*asked.borrow(), ["up{i='a'}"]);
    assert_eq!(Template::literal("{{ x }}").render(&data), "{{ x }}");
}

#[test]
fn a_preview_needs_no_store() {
    let text = "{{ $labels.instance | stripPort }}: {{ range query \"x\" }}{{ .Value }} {{ end }}";
    assert_eq!(preview(text, 0.5).unwrap(), "web-1.example: 1 0.5 ");
    assert!(preview("{{ nope }}", 0.0).unwrap_err().contains("nope"));
}
