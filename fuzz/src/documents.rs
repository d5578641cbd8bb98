//! Documents that people write: YAML, and what is read from it.

pub const YAML_WORDS: &[&str] = &[
    "- ",
    ": ",
    "\n  ",
    "\n",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "null",
    "~",
    "true",
    "0x1F",
    ".inf",
    "1e400",
    "steps:",
    "inputs:",
    "expr:",
    "{{",
    "}}",
    "{%",
    "%}",
    "5m",
    "groups:",
    "\t",
    "\u{feff}",
    "\u{0}",
];

/// Reads YAML; every place that is told lies in the text.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = yaml::parse_duration(text);
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u32;
    match yaml::parse_many(text) {
        Ok(documents) => documents.iter().for_each(|node| walk(node, lines)),
        Err(error) => assert!(error.line <= lines + 1, "line {} of {lines}", error.line),
    }
}

fn walk(node: &yaml::Node, lines: u32) {
    assert!(
        node.line >= 1 && node.line <= lines + 1 && node.column >= 1,
        "{}:{}",
        node.line,
        node.column
    );
    let _ = (
        node.describe(),
        node.as_i64(),
        node.as_f64(),
        node.as_bool(),
        node.duration(),
    );
    for child in node.as_seq().unwrap_or_default() {
        walk(child, lines);
    }
    for entry in node.as_map().unwrap_or_default() {
        walk(&entry.value, lines);
    }
}

/// Reads a runbook; what is wrong is told with its place.
pub fn runbook(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(errors) = automation::parse_document(text) {
        assert!(!errors.is_empty(), "refused without a reason");
    }
}

/// Reads a rule file.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = telemetry::check_rules(text);
}

pub const TEMPLATE_WORDS: &[&str] = &[
    "{{ ",
    " }}",
    "{{- ",
    " -}}",
    "{{/*",
    "*/}}",
    "if ",
    "else ",
    "end",
    "with ",
    "range ",
    "range 9 ",
    "define \"t\"",
    "template \"t\" ",
    "block \"b\" .",
    "break",
    "continue",
    "$x := ",
    "$x = ",
    "$i, $e := ",
    "$x",
    "$labels",
    ".Labels",
    ".Value",
    "$value",
    ".",
    "$",
    "|",
    "(",
    ")",
    "query \"up\" ",
    "first ",
    "label \"a\" ",
    "value ",
    "sortByLabel \"a\" ",
    "printf \"%5.2f %v %s %q %x %T %d\" ",
    "print ",
    "args ",
    "humanize ",
    "humanizeDuration ",
    "humanizeTimestamp ",
    "toTime ",
    "toDuration ",
    "reReplaceAll \"(a)\" \"$1\" ",
    "match \"a+\" ",
    "index ",
    "slice ",
    "len ",
    "eq ",
    "lt ",
    "and ",
    "or ",
    "not ",
    "stripDomain ",
    "stripPort ",
    "title ",
    "html ",
    "js ",
    "1e308 ",
    "-1 ",
    "0x7f ",
    "'a'",
    "\"\\u00e9\"",
    "`raw`",
    "nil",
    "true",
    "\n",
    "é",
];

/// Fills a template; what it gives stays in bounds, and what is wrong is told.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match telemetry::preview_template(text, 4.5) {
        Ok(filled) => assert!(filled.len() <= 64 << 10, "{} bytes", filled.len()),
        Err(error) => assert!(
            error.contains("line ") || text.len() > 64 << 10,
            "without a place: {error}"
        ),
    }
}

pub fn template_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "{{ $labels.instance }} is down, {{ $value | humanize }} {{ printf \"%.2f\" $value }}",
        "{{ range $i, $e := query \"up\" | sortByLabel \"instance\" }}{{ if $i }}, {{ end }}{{ $e.Labels.job }}={{ .Value }}{{ else }}none{{ end }}",
        "{{- /* c */ -}} {{ with query \"up\" }}{{ . | first | value | humanize1024 }}{{ end }}{{ $x := 1 }}{{ $x = print $x $x }}{{ $x }}",
        "{{ define \"t\" }}[{{ .arg0 }}]{{ end }}{{ template \"t\" (args 1 $value) }}{{ if and (gt $value 1.0) (match \"^w\" .Labels.instance) }}a{{ else if eq 1 2 }}b{{ end }}",
        "{{ humanizeDuration 93784.0 }} {{ 1700000000.5 | humanizeTimestamp }} {{ reReplaceAll \"(.*)-(.*)\" \"$2\" \"a-b\" | title }} {{ slice \"abc\" 1 2 }}",
    ];
    seeds.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn yaml_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"a: 1\nb: [x, 'y', \"z\\n\", {c: ~}]\nd: |\n  text\n  more\ne: >-\n  folded\n  line\n".to_vec(),
        b"base: &b {k: v}\nuse: *b\nlist:\n- 0x1F\n- .inf\n- 2024-01-01\n- !!str 5\n".to_vec(),
        b"---\n? key\n: value\n...\n---\nsecond: true\n".to_vec(),
    ];
    seeds.extend(runbook_seeds());
    seeds
}

pub fn runbook_seeds() -> Vec<Vec<u8>> {
    below("../docs/runbooks")
}

pub fn rule_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"groups:\n- name: g\n  interval: 15s\n  limit: 5\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    labels: {severity: critical}\n    annotations:\n      summary: '{{ $labels.instance }} is down, {{ $value | humanize }}'\n  - record: job:up:sum\n    expr: sum by (job) (up)\n".to_vec(),
        b"groups: []\n".to_vec(),
    ];
    seeds.extend(below("../crates/slices/telemetry/packs"));
    seeds.extend(below("../crates/slices/telemetry/tests/it/rules"));
    seeds
}

/// The YAML files of a folder of the project.
fn below(folder: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let is_yaml = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    paths
        .iter()
        .filter(|path| is_yaml(path))
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}
