//! Containers that run on the host, found by the control groups of their processes: no engine is asked.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use protocol::ContainerFact;
use serde_json::Value;

use crate::collect::{Roots, read_text};
use crate::host::open::open_file;
use crate::host::processes::{Processes, TICKS};

/// Containers that are told of at most.
pub(crate) const MOST: usize = 1000;
/// Largest description that is read.
const MOST_BYTES: u64 = 4 << 20;
/// Of an id, when there is no name.
const SHOWN: usize = 12;

/// The containers of now, by name.
pub(crate) fn find(roots: &Roots) -> Vec<ContainerFact> {
    let processes = Processes::new(&roots.procfs);
    let boot_ms = processes.boot_ms().unwrap_or(0);
    // An agent in a container tells of those beside it, not of its own, which is the host here.
    let own = cgroup(roots, 1).as_deref().and_then(container);
    // The first process of a container is the one that it lives as long as.
    let mut first: BTreeMap<(&'static str, String), (u64, u32)> = BTreeMap::new();
    for pid in processes.pids() {
        let found = cgroup(roots, pid).as_deref().and_then(container);
        let Some(found) = found.filter(|found| own.as_ref() != Some(found)) else {
            continue;
        };
        let Some(stat) = processes.stat(pid) else { continue };
        let slot = first.entry(found).or_insert((u64::MAX, pid));
        *slot = (*slot).min((stat.started_ticks, pid));
    }
    let podman = podman_names(roots);
    let mut all: Vec<ContainerFact> = first
        .into_iter()
        .map(|((runtime, id), (started_ticks, pid))| {
            let (name, image) = match runtime {
                "docker" => docker_name(roots, &id),
                "podman" => podman.get(&id).cloned().unwrap_or_default(),
                _ => (None, None),
            };
            let short: String = id.chars().take(SHOWN).collect();
            let is_hex = id.len() == 64;
            ContainerFact {
                name: name.unwrap_or(if is_hex { short } else { id.clone() }),
                id,
                runtime: runtime.to_owned(),
                image,
                main_pid: Some(pid),
                started_at_ms: i64::try_from(started_ticks * 1000 / TICKS)
                    .ok()
                    .map(|ms| boot_ms + ms),
            }
        })
        .collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}

fn cgroup(roots: &Roots, pid: u32) -> Option<String> {
    read_text(&roots.proc(&format!("{pid}/cgroup")))
}

/// The runtime and the id of the container that a control group belongs to.
fn container(text: &str) -> Option<(&'static str, String)> {
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut found = None;
    for path in paths {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| parts.get(index)).copied();
            // The innermost one: a container may run others.
            found = of_part(part, before, path).or(found);
        }
        if found.is_some() {
            return found;
        }
    }
    None
}

fn of_part(part: &str, before: Option<&str>, path: &str) -> Option<(&'static str, String)> {
    const SCOPES: [(&str, &str); 4] = [
        ("docker-", "docker"),
        ("libpod-", "podman"),
        ("cri-containerd-", "containerd"),
        ("crio-", "cri-o"),
    ];
    if let Some(scope) = part.strip_suffix(".scope") {
        if let Some(name) = scope.strip_prefix("machine-") {
            return Some(("systemd-nspawn", unescape(name)));
        }
        return SCOPES.iter().find_map(|(head, runtime)| {
            let id = scope.strip_prefix(head)?;
            is_id(id).then(|| (*runtime, id.to_owned()))
        });
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(("lxc", name.to_owned()));
    }
    match before {
        Some("docker") if is_id(part) => Some(("docker", part.to_owned())),
        Some("lxc") => Some(("lxc", part.to_owned())),
        Some(_) if is_id(part) && path.contains("kubepods") => Some(("containerd", part.to_owned())),
        _ => None,
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// `\x2d` → `-`, as systemd writes names of units.
fn unescape(text: &str) -> String {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

type Named = (Option<String>, Option<String>);

fn read_json(root: &Path, path: &Path) -> Option<Value> {
    let mut text = Vec::new();
    let file = open_file(root, path).ok()?;
    file.take(MOST_BYTES + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MOST_BYTES).then(|| serde_json::from_slice(&text).ok())?
}

fn words(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(|text| text.trim_start_matches('/').to_owned())
        .filter(|text| !text.is_empty())
}

fn docker_name(roots: &Roots, id: &str) -> Named {
    let path = roots.root(&format!("var/lib/docker/containers/{id}/config.v2.json"));
    match read_json(&roots.rootfs, &path) {
        Some(config) => (words(&config["Name"]), words(&config["Config"]["Image"])),
        None => (None, None),
    }
}

fn podman_names(roots: &Roots) -> BTreeMap<String, Named> {
    let path = roots.root("var/lib/containers/storage/overlay-containers/containers.json");
    let all = read_json(&roots.rootfs, &path).unwrap_or_default();
    let named = |entry: &Value| {
        let metadata: Option<Value> = entry["metadata"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        let image = metadata.and_then(|data| words(&data["image-name"]));
        Some((
            entry["id"].as_str()?.to_owned(),
            (words(&entry["names"][0]), image),
        ))
    };
    all.as_array().into_iter().flatten().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e1c0a9b8d7c6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e";

    #[test]
    fn control_groups_tell_the_runtime_and_the_id() {
        for (path, want) in [
            (
                format!("0::/system.slice/docker-{ID}.scope"),
                Some(("docker", ID)),
            ),
            (
                format!("12:cpu:/docker/{ID}\n1:name=systemd:/docker/{ID}"),
                Some(("docker", ID)),
            ),
            (
                format!("0::/machine.slice/libpod-{ID}.scope/container"),
                Some(("podman", ID)),
            ),
            (format!("0::/machine.slice/libpod-conmon-{ID}.scope"), None),
            (
                format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
                Some(("containerd", ID)),
            ),
            (
                format!("0::/kubepods/besteffort/pod1/{ID}"),
                Some(("containerd", ID)),
            ),
            ("0::/lxc.payload.web/init.scope".into(), Some(("lxc", "web"))),
            (
                "0::/machine.slice/machine-build\\x2d1.scope/payload".into(),
                Some(("systemd-nspawn", "build-1")),
            ),
            ("0::/system.slice/nginx.service".into(), None),
            ("0::/".into(), None),
        ] {
            let found = container(&path);
            assert_eq!(found.as_ref().map(|(r, id)| (*r, id.as_str())), want, "{path}");
        }
    }

    #[test]
    fn containers_have_the_names_that_their_engines_gave_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let roots = Roots {
            procfs: root.join("proc"),
            rootfs: root.to_owned(),
            ..Roots::default()
        };
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let stat = |pid: u32, start: u64| {
            format!("{pid} (nginx) S 1 7 7 0 -1 0 0 0 0 0 10 20 0 0 20 0 3 0 {start} 1000 42 0")
        };
        write("proc/stat", "btime 1700000000\n");
        for (pid, start) in [(40, 900), (41, 500)] {
            write(&format!("proc/{pid}/stat"), &stat(pid, start));
            write(
                &format!("proc/{pid}/cgroup"),
                &format!("0::/system.slice/docker-{ID}.scope\n"),
            );
        }
        write("proc/50/stat", &stat(50, 700));
        write("proc/50/cgroup", "0::/lxc.payload.web\n");
        write(
            &format!("var/lib/docker/containers/{ID}/config.v2.json"),
            r#"{"Name":"/shop","Config":{"Image":"nginx:1.25"}}"#,
        );
        let found = find(&roots);
        let told: Vec<_> = found
            .iter()
            .map(|c| {
                (
                    c.name.as_str(),
                    c.runtime.as_str(),
                    c.image.as_deref(),
                    c.main_pid,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("shop", "docker", Some("nginx:1.25"), Some(41)),
                ("web", "lxc", None, Some(50))
            ]
        );
        assert_eq!(found[0].started_at_ms, Some(1_700_000_005_000));
        write("proc/1/cgroup", "0::/lxc.payload.web\n");
        let beside: Vec<String> = find(&roots).into_iter().map(|c| c.name).collect();
        assert_eq!(beside, ["shop"], "the one that the agent is in is its host");
    }
}
