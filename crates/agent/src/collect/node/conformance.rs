//! Our collectors against node_exporter's own end-to-end output for a made-up host.
//!
//! For every family that a collector of ours speaks, all samples must be there with the same labels and values, and no
//! others. The families that no collector of ours speaks are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Choice, all};
use crate::collect::series::Series;
use crate::collect::{CollectError, Roots, Sink};

/// Families and samples that agree today. More is better: raise them with each collector.
const FAMILIES: usize = 744;
const SAMPLES: usize = 1777;

type Samples = BTreeMap<String, f64>;

/// Families that say something of the running program or of the host the test runs on.
const NOT_COMPARED: [&str; 7] = [
    "node_scrape_collector_duration_seconds",
    "node_scrape_collector_success",
    "node_exporter_build_info",
    "node_time_seconds",
    "node_time_zone_offset_seconds",
    "node_uname_info",
    "node_textfile_mtime_seconds",
];

fn fixtures() -> Option<(tempfile::TempDir, String)> {
    let data = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/node-exporter"
    ));
    if !data.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", data.display());
        println!("skipped: {} is missing", data.display());
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .arg("xJf")
        .arg(data.join("fixtures.tar.xz"))
        .arg("-C")
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(status.success(), "tar failed");
    Some((dir, lossy(&data)))
}

fn lossy(data: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(data.join("e2e-output.txt")).unwrap()).into_owned()
}

/// `name{labels} value` to a canonical key without empty labels.
fn parse(text: &str) -> Samples {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(parse_line)
        .collect()
}

fn parse_line(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, rest) = series.split_once('{').unwrap_or((series, ""));
    let mut labels = Vec::new();
    let mut rest = rest.trim_end_matches('}');
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                '"' => {
                    end = at + 1;
                    break;
                }
                other => text.push(other),
            }
        }
        if !text.is_empty() {
            labels.push((label.trim_start_matches(',').to_owned(), text));
        }
        rest = &after[end..];
    }
    labels.sort();
    (key(name, &labels), value.parse().unwrap())
}

fn key(name: &str, labels: &[(String, String)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(label, text)| format!("{label}={text:?}"))
        .collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn family(key: &str) -> &str {
    key.split_once('{').map_or(key, |(name, _)| name)
}

fn collect(roots: &Roots, choice: &Choice, only: Option<&str>) -> Samples {
    let mut samples = Samples::new();
    for mut collector in all(roots, choice) {
        if only.is_some_and(|only| collector.name() != only) || collector.name() == "filesystem" {
            continue;
        }
        let mut sink = Sink::new(Series::default());
        match collector.collect(&mut sink) {
            Ok(()) | Err(CollectError::Absent) => {}
            Err(error) => panic!("{}: {error}", collector.name()),
        }
        for (labels, value) in sink.drain_named() {
            let name = labels
                .iter()
                .find(|(label, _)| label == "__name__")
                .unwrap()
                .1
                .clone();
            let rest: Vec<_> = labels
                .into_iter()
                .filter(|(label, _)| label != "__name__")
                .collect();
            assert!(
                samples.insert(key(&name, &rest), value).is_none(),
                "{} twice",
                key(&name, &rest)
            );
        }
    }
    samples
}

fn ours(dir: &Path) -> Samples {
    let roots = Roots {
        procfs: dir.join("proc"),
        sysfs: dir.join("sys"),
        rootfs: dir.to_owned(),
        udev: dir.join("udev/data"),
    };
    let choice = Choice {
        device: |device| device == "lo",
        arp_device: |device| device != "nope",
        class_device: |device| !["dmz", "int"].contains(&device),
        cpu_flag: |flag| matches!(flag, "aes" | "avx" | "avx2" | "constant_tsc"),
        cpu_bug: |bug| bug == "cpu_meltdown" || bug == "mds" || bug.starts_with("spectre_"),
    };
    let mut samples = collect(&roots, &choice, None);
    // The fixtures have no /proc/net/dev: node_exporter asked the running kernel, whose loopback had dropped nothing. What this
    // machine's loopback has dropped is not the test's, so it gets one of its own.
    let beside = tempfile::tempdir().unwrap();
    samples.extend(collect(&quiet_loopback(beside.path()), &choice, Some("netdev")));
    samples
}

/// A host with a loopback that has seen some traffic and dropped nothing.
fn quiet_loopback(dir: &Path) -> Roots {
    let (net, statistics) = (dir.join("proc/net"), dir.join("sys/class/net/lo/statistics"));
    std::fs::create_dir_all(&net).unwrap();
    std::fs::create_dir_all(&statistics).unwrap();
    let head = "Inter-|   Receive                                                |  Transmit\n \
                face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
    let line = "    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n";
    std::fs::write(net.join("dev"), format!("{head}{line}")).unwrap();
    std::fs::write(statistics.join("rx_nohandler"), "0\n").unwrap();
    Roots::under(dir)
}

fn is_compared(key: &str) -> bool {
    let name = family(key);
    let counts_traffic = name.ends_with("_bytes_total") || name.ends_with("_packets_total");
    let is_skipped = NOT_COMPARED.contains(&name)
        || name.starts_with("node_textfile")
        || (name.starts_with("node_network_") && counts_traffic && !name.contains("carrier"))
        // node_exporter was told to look at some chips only.
        || key.contains("chip=\"bogus\"");
    name.starts_with("node_") && !is_skipped
}

fn agree(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_eq() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[test]
fn the_made_up_host_gives_node_exporters_samples() {
    let Some((dir, text)) = fixtures() else { return };
    // The paths of power zones are told as they are.
    let text = text.replace("collector/fixtures/", &format!("{}/", dir.path().display()));
    let theirs: Samples = parse(&text)
        .into_iter()
        .filter(|(key, _)| is_compared(key))
        .collect();
    let ours: Samples = ours(dir.path())
        .into_iter()
        .filter(|(key, _)| is_compared(key))
        .collect();
    let our_families: BTreeSet<&str> = ours.keys().map(|key| family(key)).collect();
    let their_families: BTreeSet<&str> = theirs.keys().map(|key| family(key)).collect();

    let mut faults = Vec::new();
    let mut matched = 0;
    for (key, value) in theirs
        .iter()
        .filter(|(key, _)| our_families.contains(family(key)))
    {
        match ours.get(key) {
            Some(found) if agree(*found, *value) => matched += 1,
            Some(found) => faults.push(format!("{key} is {found}, should be {value}")),
            None => faults.push(format!("{key} is missing")),
        }
    }
    for key in ours
        .keys()
        .filter(|key| their_families.contains(family(key)) && !theirs.contains_key(*key))
    {
        faults.push(format!("{key} should not be"));
    }
    let families = our_families.intersection(&their_families).count();
    println!("{matched} samples of {families} families agree");
    let lacking: Vec<&str> = their_families.difference(&our_families).copied().collect();
    println!(
        "{} of {} families that we lack: {}",
        lacking.len(),
        their_families.len(),
        lacking.join(" ")
    );
    let beyond: Vec<&str> = our_families.difference(&their_families).copied().collect();
    println!("beyond: {}", beyond.join(" "));
    assert!(
        faults.is_empty(),
        "{} differences:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(
        families >= FAMILIES && matched >= SAMPLES,
        "{families} families, {matched} samples"
    );
}
