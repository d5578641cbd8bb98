//! Metrics that scripts and cron jobs leave in `*.prom` files, in the Prometheus text format, where node_exporter looks
//! for them. A file with a fault, or with times of its own, is left out as a whole and told of by
//! `node_textfile_scrape_error`.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names};
use crate::host::names;
use crate::host::open::open_file;

/// Debian's place, and the customary one.
const FOLDERS: [&str; 2] = [
    "var/lib/prometheus/node-exporter",
    "var/lib/node_exporter/textfile_collector",
];
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_SAMPLES: usize = 5_000;
const MAX_FILES: usize = 100;

/// `node_textfile_*` and what the files say.
pub(crate) struct Textfile(Roots);

impl Textfile {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Textfile {
    fn name(&self) -> &'static str {
        "textfile"
    }

    fn every(&self) -> Every {
        Every::Millis(10_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let (mut found, mut failed, mut left_out) = (false, false, 0);
        for folder in FOLDERS.map(|folder| self.0.root(folder)) {
            let names = read_dir_names(&folder);
            let files: Vec<_> = names.iter().filter(|name| name.ends_with(".prom")).collect();
            left_out += files.len().saturating_sub(MAX_FILES);
            for name in files.into_iter().take(MAX_FILES) {
                found = true;
                let path = folder.join(name);
                match read(&self.0.rootfs, &path) {
                    Ok((text, changed_s)) => {
                        let samples = parse(&text);
                        failed |= samples.is_none();
                        left_out += usize::from(samples.is_none());
                        for sample in samples.into_iter().flatten() {
                            put(&sample, out);
                        }
                        let shown = path.to_string_lossy();
                        out.put("node_textfile_mtime_seconds", &[("file", &*shown)], changed_s);
                    }
                    Err(_) => {
                        failed = true;
                        left_out += 1;
                    }
                }
            }
        }
        if !found {
            return Err(CollectError::Absent);
        }
        out.left_out("text_files", left_out);
        out.put("node_textfile_scrape_error", &[], f64::from(u8::from(failed)));
        Ok(())
    }
}

fn read(root: &Path, path: &Path) -> std::io::Result<(String, f64)> {
    let file = open_file(root, &names::path(path))?;
    let changed_s = file.metadata()?.mtime() as f64;
    let mut text = String::new();
    let length = file.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64;
    if length > MAX_BYTES {
        return Err(std::io::Error::other("the file is too large"));
    }
    Ok((text, changed_s))
}

#[derive(Debug, PartialEq)]
struct TextSample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

fn put(sample: &TextSample<'_>, out: &mut Sink) {
    let labels: Vec<(&str, &str)> = sample
        .labels
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    out.put(sample.name, &labels, sample.value);
}

/// All samples of a file; `None` when there is a fault in it.
fn parse(text: &str) -> Option<Vec<TextSample<'_>>> {
    let lines = text.lines().map(str::trim);
    let samples: Option<Vec<_>> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(parse_line)
        .collect();
    samples.filter(|samples| samples.len() <= MAX_SAMPLES)
}

/// `name{label="text",…} value`.
fn parse_line(line: &str) -> Option<TextSample<'_>> {
    let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.trim_start().strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once('=')?;
            let (text, after) = quoted(after.trim_start())?;
            let label = label.trim();
            if !is_name(label) || label.contains(':') {
                return None;
            }
            labels.push((label, text));
            rest = after.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = rest.get(1..)?;
    }
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next()?)?;
    // A time of its own would be old the next time round.
    (is_name(name) && words.next().is_none()).then_some(TextSample { name, labels, value })
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => text.parse().ok(),
    }
}

/// The text between quotes at the front, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, inside.get(at + 1..)?)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_with_and_without_labels() {
        let text = "# HELP a x\n# TYPE a gauge\na 1\n\na{ b = \"x\\\"y\\\\z\\n\" , c=\"}\",} +Inf\nrule:b{} -2.5e3\n";
        let samples = parse(text).unwrap();
        assert_eq!(samples.len(), 3);
        assert_eq!(
            samples[1].labels,
            [("b", "x\"y\\z\n".to_owned()), ("c", "}".to_owned())]
        );
        assert_eq!(samples[1].value, f64::INFINITY);
        assert_eq!((samples[2].name, samples[2].value), ("rule:b", -2500.0));
    }

    #[test]
    fn faults_and_times_leave_a_file_out() {
        for text in [
            "a",
            "a x",
            "a 1 1395066363000",
            "1a 2",
            "a{b} 1",
            "a{b=\"x} 1",
            "a{b=\"x\"",
            "a{b:c=\"x\"} 1",
        ] {
            assert_eq!(parse(&format!("fine 1\n{text}\n")), None, "{text}");
        }
    }

    #[test]
    fn one_bad_file_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots {
            rootfs: dir.path().to_owned(),
            ..Roots::default()
        };
        let mut collector = Textfile::new(&roots);
        let mut sink = Sink::new(crate::collect::series::Series::default());
        assert!(matches!(collector.collect(&mut sink), Err(CollectError::Absent)));
        let folder = dir.path().join(FOLDERS[0]);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("good.prom"), "backup_age_seconds{job=\"db\"} 12\n").unwrap();
        std::fs::write(folder.join("bad.prom"), "backup_age_seconds 12 99\n").unwrap();
        std::fs::write(folder.join("other.txt"), "not mine\n").unwrap();
        let mode = rustix::fs::Mode::RUSR;
        let pipe = folder.join("pipe.prom");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        collector.collect(&mut sink).unwrap();
        let named = sink.drain_named();
        let value = |name: &str| {
            let is_it = |labels: &protocol::Labels| labels.iter().any(|(_, text)| text == name);
            named
                .iter()
                .filter(|(labels, _)| is_it(labels))
                .map(|(_, value)| *value)
                .collect::<Vec<_>>()
        };
        assert_eq!(value("backup_age_seconds"), [12.0]);
        assert_eq!(value("node_textfile_mtime_seconds").len(), 2);
        assert_eq!(value("node_textfile_scrape_error"), [1.0]);
    }
}
