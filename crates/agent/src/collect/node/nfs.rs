//! NFS, as a client (`/proc/net/rpc/nfs`) and as a server (`/proc/net/rpc/nfsd`).

use crate::collect::{CollectError, Collector, Every, KeptFile, Roots, Sink};

const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create",
    "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];
/// Of the client, in the kernel's order; kernels know a front part of it.
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];
/// Operations of the server by their number in the protocol; those without a name are not told of.
const V4_OPS: [&str; 40] = [
    "",
    "",
    "",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];

/// `node_nfs_*` or `node_nfsd_*`.
pub(crate) struct Nfs {
    file: KeptFile,
    serves: bool,
}

impl Nfs {
    pub(crate) fn client(roots: &Roots) -> Self {
        Self {
            file: KeptFile::new(roots.proc("net/rpc/nfs")),
            serves: false,
        }
    }

    pub(crate) fn server(roots: &Roots) -> Self {
        Self {
            file: KeptFile::new(roots.proc("net/rpc/nfsd")),
            serves: true,
        }
    }
}

impl Collector for Nfs {
    fn name(&self) -> &'static str {
        if self.serves { "nfsd" } else { "nfs" }
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let serves = self.serves;
        for line in self.file.read()?.lines() {
            let mut words = line.split_ascii_whitespace();
            let key = words.next().unwrap_or_default();
            let values: Vec<f64> = words.map(|word| word.parse().unwrap_or(0.0)).collect();
            if serves {
                put_server(key, &values, out);
            } else {
                put_client(key, &values, out);
            }
        }
        Ok(())
    }
}

/// Numbers by their place in the line.
fn put_all(out: &mut Sink, values: &[f64], metrics: &[(usize, &str)]) {
    for (at, metric) in metrics {
        if let Some(value) = values.get(*at) {
            out.put(metric, &[], *value);
        }
    }
}

/// Calls by method; the first number says how many there are. What the kernel does not know was never called.
fn put_calls(out: &mut Sink, metric: &str, proto: &str, names: &[&str], values: &[f64]) {
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let value = values.get(at + 1).copied().unwrap_or(0.0);
        out.put(metric, &[("proto", proto), ("method", name)], value);
    }
}

fn put_client(key: &str, values: &[f64], out: &mut Sink) {
    let calls = "node_nfs_requests_total";
    match key {
        "net" => {
            for (at, protocol) in [(1, "udp"), (2, "tcp")] {
                let value = values.get(at).copied().unwrap_or(0.0);
                out.put("node_nfs_packets_total", &[("protocol", protocol)], value);
            }
            put_all(out, values, &[(3, "node_nfs_connections_total")]);
        }
        "rpc" => put_all(
            out,
            values,
            &[
                (0, "node_nfs_rpcs_total"),
                (1, "node_nfs_rpc_retransmissions_total"),
                (2, "node_nfs_rpc_authentication_refreshes_total"),
            ],
        ),
        "proc2" => put_calls(out, calls, "2", &V2, values),
        "proc3" => put_calls(out, calls, "3", &V3, values),
        "proc4" => put_calls(out, calls, "4", &V4, values),
        _ => {}
    }
}

fn put_server(key: &str, values: &[f64], out: &mut Sink) {
    let calls = "node_nfsd_requests_total";
    // The server's own null calls are not told of.
    let without_null = |names: &'static [&'static str]| {
        let mut names = names.to_vec();
        if let Some(first) = names.first_mut() {
            *first = "";
        }
        names
    };
    match key {
        "rc" => put_all(
            out,
            values,
            &[
                (0, "node_nfsd_reply_cache_hits_total"),
                (1, "node_nfsd_reply_cache_misses_total"),
                (2, "node_nfsd_reply_cache_nocache_total"),
            ],
        ),
        "fh" => put_all(out, values, &[(0, "node_nfsd_file_handles_stale_total")]),
        "io" => put_all(
            out,
            values,
            &[
                (0, "node_nfsd_disk_bytes_read_total"),
                (1, "node_nfsd_disk_bytes_written_total"),
            ],
        ),
        "th" => put_all(out, values, &[(0, "node_nfsd_server_threads")]),
        "ra" => put_all(
            out,
            values,
            &[
                (0, "node_nfsd_read_ahead_cache_size_blocks"),
                (11, "node_nfsd_read_ahead_cache_not_found_total"),
            ],
        ),
        "net" => {
            for (at, protocol) in [(1, "udp"), (2, "tcp")] {
                let value = values.get(at).copied().unwrap_or(0.0);
                out.put("node_nfsd_packets_total", &[("proto", protocol)], value);
            }
            put_all(out, values, &[(3, "node_nfsd_connections_total")]);
        }
        "rpc" => {
            put_all(out, values, &[(0, "node_nfsd_server_rpcs_total")]);
            for (at, error) in [(2, "fmt"), (3, "auth"), (4, "cInt")] {
                let value = values.get(at).copied().unwrap_or(0.0);
                out.put("node_nfsd_rpc_errors_total", &[("error", error)], value);
            }
        }
        "proc2" => put_calls(out, calls, "2", &without_null(&V2), values),
        "proc3" => put_calls(out, calls, "3", &without_null(&V3), values),
        "proc4ops" => put_calls(out, calls, "4", &V4_OPS, values),
        "wdeleg_getattr" => {
            let value = values.first().copied().unwrap_or(0.0);
            out.put(calls, &[("proto", "4"), ("method", "WdelegGetattr")], value);
        }
        _ => {}
    }
}
