//! Templates that would take the process down are refused, quickly; ordinary ones work.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use template::{Limits, expression_names, is_true, names, render};

fn filled(source: &str) -> Result<String, String> {
    let context = json!({
        "name": "web-1",
        "n": 3,
        "share": 0.914,
        "off": false,
        "hosts": ["a", "b", "c"],
        "tags": {"grp": "x", "env": "prod"},
        "wide": "w".repeat(10_000),
    });
    render(source, &context, Limits::default()).map_err(|error| error.to_string())
}

#[test]
fn ordinary_templates_are_filled() {
    for (source, expected) in [
        ("plain", "plain"),
        ("{{ name | upper }}-{{ n * 2 }} {{ off }}", "WEB-1-6 false"),
        ("{{ nope | default('x') }}{{ nope is defined }}", "xfalse"),
        ("{{ hosts | join(', ') }} {{ hosts | length }}", "a, b, c 3"),
        (
            "{% for h in hosts %}{{ loop.index }}{{ h }}{% if not loop.last %};{% endif %}{% endfor %}",
            "1a;2b;3c",
        ),
        ("{% for i in range(3) %}{{ i }}{% else %}none{% endfor %}", "012"),
        ("{{ '%.1f' | format(share * 100) }} %", "91.4 %"),
        (
            "{{ name | replace('-', '_') }}{{ name[:3] }}{{ 'x' ~ (n + 1) }}",
            "web_1webx4",
        ),
        ("{% set a, b = n, name %}{{ b }}{{ a }}", "web-13"),
        (
            "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m('y') }}",
            "<1><y>",
        ),
        ("{% set x %}in {{ n }}{% endset %}{{ x }}", "in 3"),
        (
            "{% for k, v in tags | dictsort %}{{ k }}={{ v }} {% endfor %}",
            "env=prod grp=x ",
        ),
        (
            "{{ hosts | map('upper') | join }}{{ tags | tojson }}",
            "ABC{\"env\": \"prod\", \"grp\": \"x\"}",
        ),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        (
            "{% if name in ['web-1'] and n > 2 %}y{% elif n == 1 %}z{% else %}n{% endif %}",
            "y",
        ),
        (
            "{{ ('a' ~ name) * 2 }} {{ 4 * 5 }} {{ (1 + 2) * -3 }}",
            "aweb-1aweb-1 20 -9",
        ),
        ("{{ hosts | batch(2) | list | length }}", "2"),
    ] {
        assert_eq!(filled(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_is_not_defined_is_an_error_when_strict() {
    assert!(filled("{{ nope }}").is_err());
    let lenient = Limits {
        is_strict: false,
        ..Limits::default()
    };
    assert_eq!(render("<{{ nope }}>", &json!({}), lenient).unwrap(), "<>");
    assert_eq!(
        render("a\n{{ nope() }}", &json!({}), lenient).unwrap_err().line,
        2
    );
}

#[test]
fn no_template_makes_more_than_it_may() {
    let doubling = format!(
        "{{% set a = 'aaaaaaaa' %}}{}{{{{ a | length }}}}",
        "{% set a = a ~ a %}".repeat(40)
    );
    let plus = format!("{{% set a = name %}}{}", "{% set a = a + a %}".repeat(40));
    let capture = format!(
        "{{% set a = name %}}{}",
        "{% set a %}{{ a }}{{ a }}{% endset %}".repeat(40)
    );
    let lists = format!(
        "{{% set a = [name] %}}{}{{{{ a == a }}}}",
        "{% set a = [a, a] %}".repeat(40)
    );
    let maps = format!(
        "{{% set a = {{}} %}}{}{{{{ a | tojson }}}}",
        "{% set a = {'l': a, 'r': a} %}".repeat(40)
    );
    let deep = format!(
        "{{% set a = [] %}}{}{{{{ a }}}}",
        "{% set a = [a] %}".repeat(3000)
    );
    let raw = format!(
        "{{% set x %}}{{% for i in range(9000) %}}{}{{% endfor %}}{{% endset %}}",
        "r".repeat(30_000)
    );
    let copies = format!(
        "{{% set l = [] %}}{{% for i in range(9000) %}}{}{{% endfor %}}",
        "{% set x = wide[1:] %}".repeat(40)
    );
    let chain = format!("{{{{ name{} }}}}", ".a".repeat(30_000));
    let signs = format!("{{{{ {}1 }}}}", "- ".repeat(30_000));
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    let elifs = format!("{{% if n %}}{}{{% endif %}}", "{% elif n %}".repeat(5000));
    let ifs = format!("{}{}", "{% if n %}".repeat(3000), "{% endif %}".repeat(3000));
    let constants = "{{ ('a' * 99999999) | length }}".repeat(1500);
    let folded = "{{ ((1,) * 99999999) | length }}".repeat(1500);
    for source in [
        doubling.as_str(),
        &plus,
        &capture,
        &lists,
        &maps,
        &deep,
        &raw,
        &copies,
        &chain,
        &signs,
        &parens,
        &elifs,
        &ifs,
        &constants,
        &folded,
        "{{ 9999 * 9999 * 'a' }}",
        "{{ '%2000000000d' | format(1) }}",
        "{{ '%*d' | format(2000000000, 1) }}",
        "{{ name | indent(2000000000, true) }}",
        "{{ name | indent(width=2000000000, first=true) }}",
        "{{ hosts | batch(2000000000, 'x') | list }}",
        "{{ hosts | slice(2000000000) | list }}",
        "{{ tags | tojson(2000000000) }}",
        "{{ tags | tojson(indent=2000000000) }}",
        "{{ wide | replace('', wide) }}",
        "{{ wide | replace('w', wide) }}",
        "{{ range(10000) | join(wide) }}",
        "{{ range(10000) | map('replace', '', wide) | list }}",
        "{{ wide * 2000000000 }}",
        "{{ hosts * 2000000000 }}",
        "{{ [*range(9000), *range(9000)] }}",
        "{{ range(2000000000) }}",
        "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
        "{% for i in range(10000) %}{{ wide }}{% endfor %}",
        "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('aaaaaaaa') }}",
        "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
        "{% include 'x' %}",
        "{% block x %}{% endblock %}",
        "{{ range(10000) | zip(range(10000)) | map('join', wide) | list }}",
    ] {
        let short: String = source.chars().take(80).collect();
        assert!(filled(source).is_err(), "{short}");
    }
}

#[test]
fn names_and_conditions() {
    let read = names("{{ inputs.a }}{% if alert.name %}{% endif %}", Limits::default()).unwrap();
    assert_eq!(read.into_iter().collect::<Vec<_>>(), ["alert.name", "inputs.a"]);
    assert!(names("{{ a", Limits::default()).is_err());
    assert!(expression_names("a) %}{{ b }}{% if (c", Limits::default()).is_err());
    let context = BTreeMap::from([("a", 3)]);
    assert!(is_true("a > 2", &context, Limits::default()).unwrap());
    assert!(!is_true("not a", &context, Limits::default()).unwrap());
    assert!(is_true("b", &context, Limits::default()).is_err());
    assert!(is_true("'%}' == '%}'", &context, Limits::default()).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Whatever is written, it ends in a text or an error.
    #[test]
    fn any_mixture_of_pieces_ends(pieces in prop::collection::vec(prop::sample::select(vec![
        "{% set a = a ~ a %}", "{% set a = a + a %}", "{% set a = [a, a] %}", "{{ a }}", "{% for i in range(900) %}", "{% endfor %}",
        "{% set a %}", "{% endset %}", "{{ a | replace('', a) }}", "{% set a = a | list %}", "{% set a = a | join(a) %}", "{% if a == a %}", "{% endif %}",
        "{% macro m(a) %}", "{% endmacro %}", "{{ m(a) }}", "{% set a = a * 9 %}", "text", "{% set a = a | string %}", "{% set a = [a] | batch(900) %}",
        "{% set a = a | tojson %}", "{% set a = a | zip(a) %}", "{{ a is in a }}", "{% filter upper %}", "{% endfilter %}",
    ]), 1..60)) {
        let source = pieces.concat();
        let limits = Limits { is_strict: false, ..Limits::default() };
        if let Ok(text) = render(&source, &json!({"a": "aaaa"}), limits) {
            prop_assert!(text.len() <= limits.output_bytes);
        }
    }
}
