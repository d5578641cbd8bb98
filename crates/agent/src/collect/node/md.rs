//! Software RAID: `/proc/mdstat` and `/sys/block/md*/md`.

use crate::collect::{CollectError, Collector, Every, KeptFile, Roots, Sink, read_dir_names, read_number};

/// `node_md_*`.
pub(crate) struct Md {
    roots: Roots,
    mdstat: KeptFile,
}

impl Md {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            roots: roots.clone(),
            mdstat: KeptFile::new(roots.proc("mdstat")),
        }
    }
}

/// One array of `/proc/mdstat`.
#[derive(Debug, Default, PartialEq)]
struct Array<'a> {
    name: &'a str,
    state: &'a str,
    active: u64,
    total: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

impl Collector for Md {
    fn name(&self) -> &'static str {
        "mdadm"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for array in parse(self.mdstat.read()?) {
            let device = ("device", array.name);
            for state in ["active", "inactive", "recovering", "resync", "check"] {
                let value = f64::from(u8::from(state == array.state));
                out.put("node_md_state", &[device, ("state", state)], value);
            }
            for (state, count) in [
                ("active", array.active),
                ("failed", array.failed),
                ("spare", array.spare),
            ] {
                out.put("node_md_disks", &[device, ("state", state)], count as f64);
            }
            out.put("node_md_disks_required", &[device], array.total as f64);
            out.put("node_md_blocks", &[device], array.blocks as f64);
            out.put("node_md_blocks_synced", &[device], array.synced as f64);
        }
        let folder = self.roots.sys("block");
        for name in read_dir_names(&folder)
            .iter()
            .filter(|name| name.starts_with("md"))
        {
            let path = folder.join(name).join("md");
            if let Some(disks) = read_number(&path.join("raid_disks")) {
                let degraded = read_number(&path.join("degraded")).unwrap_or(0.0);
                out.put("node_md_raid_disks", &[("device", name)], disks);
                out.put("node_md_degraded", &[("device", name)], degraded);
            }
        }
        Ok(())
    }
}

fn parse(text: &str) -> Vec<Array<'_>> {
    let mut arrays = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with("md") {
            continue;
        }
        let Some((name, rest)) = line.split_once(" : ") else {
            continue;
        };
        let mut array = Array {
            name,
            ..Array::default()
        };
        let mut members = 0;
        for word in rest.split_ascii_whitespace() {
            match word {
                "active" | "inactive" => array.state = word,
                _ if word.contains('[') => {
                    members += 1;
                    array.failed += u64::from(word.ends_with("(F)"));
                    array.spare += u64::from(word.ends_with("(S)"));
                }
                _ => {}
            }
        }
        // Arrays without redundancy do not print `[total/active]`: all their members are needed.
        array.total = members - array.failed - array.spare;
        array.active = array.total;
        while let Some(detail) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            read_detail(&mut array, detail);
        }
        if array.state == "inactive" {
            (array.active, array.total) = (0, 0);
        }
        arrays.push(array);
    }
    arrays
}

fn read_detail<'a>(array: &mut Array<'a>, line: &'a str) {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if let [blocks, "blocks", ..] = words.as_slice() {
        array.blocks = blocks.parse().unwrap_or(0);
        array.synced = array.blocks;
        let disks = words.iter().find_map(|word| {
            let (total, active) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
            Some((total.parse().ok()?, active.parse().ok()?))
        });
        if let Some((total, active)) = disks {
            (array.total, array.active) = (total, active);
        }
        return;
    }
    let state = ["recovery", "resync", "check", "reshape"]
        .into_iter()
        .find(|kind| line.contains(kind));
    let Some(kind) = state else { return };
    array.state = match kind {
        "recovery" | "reshape" => "recovering",
        other => other,
    };
    if line.contains("DELAYED") || line.contains("PENDING") || line.contains("REMOTE") {
        array.synced = 0;
        return;
    }
    let done = words
        .iter()
        .find_map(|word| word.strip_prefix('(')?.split_once('/')?.0.parse().ok());
    array.synced = done.unwrap_or(array.synced);
}
