//! What the collectors of a made-up host read: the series of a real one, from its curves and its state.

use super::host::{Host, State};

/// One sample without its time.
pub struct Reading<'a> {
    pub name: &'static str,
    pub labels: &'a [(&'static str, &'a str)],
    pub value: f64,
    /// Is it worth keeping for the week before?
    pub is_core: bool,
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Mount point, device, size in GiB.
pub const DISKS: [(&str, &str, f64); 2] = [("/", "/dev/vda1", 40.0), ("/var", "/dev/vdb1", 120.0)];

/// Takes readings of one moment, always in the same order.
struct Out<'s> {
    sink: &'s mut dyn FnMut(Reading<'_>),
}

impl Out<'_> {
    fn core(&mut self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        (self.sink)(Reading {
            name,
            labels,
            value,
            is_core: true,
        });
    }

    fn live(&mut self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        (self.sink)(Reading {
            name,
            labels,
            value,
            is_core: false,
        });
    }
}

/// Reads everything at `t_ms`. The number and order of readings are the same each time.
pub fn read(host: &Host, state: &State, boot_ms: i64, t_ms: i64, sink: &mut dyn FnMut(Reading<'_>)) {
    let (t, boot) = (t_ms as f64 / 1000.0, boot_ms as f64 / 1000.0);
    let mut out = Out { sink };
    processor(host, state, boot, t, &mut out);
    memory(host, state, t, &mut out);
    disks(host, state, boot, t, &mut out);
    network(host, boot, t, &mut out);
    services(host, state, boot, t, &mut out);
    shop(host, state, boot, t, &mut out);
    out.live("node_time_seconds", &[], t);
    out.live("node_boot_time_seconds", &[], boot);
    let uname = [
        ("machine", "x86_64"),
        ("nodename", host.spec.name.as_str()),
        ("release", KERNEL),
        ("sysname", "Linux"),
    ];
    out.live("node_uname_info", &uname, 1.0);
}

pub const KERNEL: &str = "6.1.0-25-amd64";

const CPUS: [&str; 4] = ["0", "1", "2", "3"];

fn processor(host: &Host, state: &State, boot: f64, t: f64, out: &mut Out<'_>) {
    let cpus = host.spec.role.cpus;
    let busy = host.cpu.sum(boot, t) + state.extra_cpu_s;
    for (number, cpu) in CPUS.iter().take(cpus as usize).enumerate() {
        // The first processor has a little more to do.
        let busy = busy * if number == 0 { 1.04 } else { 0.98 };
        let shares = [
            ("user", 0.72),
            ("system", 0.2),
            ("iowait", 0.05),
            ("softirq", 0.03),
        ];
        for (mode, share) in shares {
            out.core(
                "node_cpu_seconds_total",
                &[("cpu", cpu), ("mode", mode)],
                busy * share,
            );
        }
        out.core(
            "node_cpu_seconds_total",
            &[("cpu", cpu), ("mode", "idle")],
            (t - boot - busy).max(0.0),
        );
    }
    let surge = if state.version == super::world::SHOP_BAD {
        0.25
    } else {
        0.0
    };
    let load = |back: f64| (host.cpu.at(t - back) + surge) * f64::from(cpus) * 1.3;
    out.core("node_load1", &[], load(20.0));
    out.live("node_load5", &[], load(150.0));
    out.live("node_load15", &[], load(450.0));
    out.live("node_context_switches_total", &[], busy * 21_000.0);
    out.live("node_forks_total", &[], busy * 3.0);
    out.live("node_procs_running", &[], (1.0 + load(5.0)).floor());
    out.live("node_pressure_cpu_waiting_seconds_total", &[], busy * 0.06);
}

fn memory(host: &Host, state: &State, t: f64, out: &mut Out<'_>) {
    let total = host.spec.role.memory_gib as f64 * GIB;
    let used = host.memory_used * (0.85 + 0.15 * host.cpu.at(t) / host.spec.role.load) + state.leaked;
    let available = ((1.0 - used) * total).max(total * 0.018);
    out.core("node_memory_MemTotal_bytes", &[], total);
    out.core("node_memory_MemAvailable_bytes", &[], available);
    out.live("node_memory_MemFree_bytes", &[], available * 0.3);
    out.live("node_memory_Cached_bytes", &[], available * 0.62);
    out.live("node_memory_Buffers_bytes", &[], available * 0.08);
    out.live("node_memory_SwapTotal_bytes", &[], 2.0 * GIB);
    out.live(
        "node_memory_SwapFree_bytes",
        &[],
        2.0 * GIB * (1.0 - (state.leaked * 1.4).min(0.9)),
    );
    out.live("node_pressure_memory_stalled_seconds_total", &[], 0.0);
    out.live("node_vmstat_oom_kill", &[], 0.0);
}

fn disks(host: &Host, state: &State, boot: f64, t: f64, out: &mut Out<'_>) {
    for (number, (mount, device, gib)) in DISKS.iter().enumerate() {
        let size = gib * GIB;
        // Logs grow by the day and are rotated at night.
        let daily = 0.035 * ((t - 11_700.0).rem_euclid(86_400.0) / 86_400.0);
        let filled = if number == 1 { state.filled } else { 0.0 };
        let used = (host.disk_used[number] + daily + filled).min(0.984);
        let at = [("device", *device), ("fstype", "ext4"), ("mountpoint", *mount)];
        out.core("node_filesystem_size_bytes", &at, size);
        out.core("node_filesystem_avail_bytes", &at, size * (1.0 - used));
        out.core(
            "node_filesystem_free_bytes",
            &at,
            size * (1.0 - used) + size * 0.01,
        );
        out.live("node_filesystem_files", &at, gib * 65_536.0);
        out.live(
            "node_filesystem_files_free",
            &at,
            gib * 65_536.0 * (1.0 - used * 0.3),
        );
        out.live("node_filesystem_readonly", &at, 0.0);
        out.live("node_filesystem_device_error", &at, 0.0);
    }
    for (device, share) in [("vda", 0.2), ("vdb", 0.8)] {
        let bytes = host.disk.sum(boot, t) * share;
        let on = [("device", device)];
        out.core("node_disk_read_bytes_total", &on, bytes * 0.3);
        out.core("node_disk_written_bytes_total", &on, bytes * 0.7);
        out.core("node_disk_io_time_seconds_total", &on, bytes / 6e7);
        out.live(
            "node_disk_reads_completed_total",
            &on,
            (bytes * 0.3 / 16_384.0).floor(),
        );
        out.live(
            "node_disk_writes_completed_total",
            &on,
            (bytes * 0.7 / 8192.0).floor(),
        );
        out.live("node_disk_read_time_seconds_total", &on, bytes * 0.3 / 2e8);
        out.live("node_disk_write_time_seconds_total", &on, bytes * 0.7 / 1.5e8);
    }
}

fn network(host: &Host, boot: f64, t: f64, out: &mut Out<'_>) {
    let bytes = host.network.sum(boot, t);
    let on = [("device", "eth0")];
    out.core("node_network_receive_bytes_total", &on, bytes.floor());
    out.core("node_network_transmit_bytes_total", &on, (bytes * 0.8).floor());
    out.live("node_network_receive_packets_total", &on, (bytes / 900.0).floor());
    out.live(
        "node_network_transmit_packets_total",
        &on,
        (bytes * 0.8 / 900.0).floor(),
    );
    out.live("node_network_receive_errs_total", &on, 0.0);
    out.live("node_network_transmit_errs_total", &on, 0.0);
    out.live("node_network_up", &on, 1.0);
    out.live(
        "node_netstat_Tcp_CurrEstab",
        &[],
        (40.0 + host.network.at(t) / 60_000.0).floor(),
    );
    out.live(
        "node_sockstat_TCP_inuse",
        &[],
        (52.0 + host.network.at(t) / 60_000.0).floor(),
    );
    out.live(
        "node_filefd_allocated",
        &[],
        (1800.0 + host.network.at(t) / 20_000.0).floor(),
    );
    out.live("node_filefd_maximum", &[], 9.223e18);
}

fn services(host: &Host, state: &State, boot: f64, t: f64, out: &mut Out<'_>) {
    let memory = host.spec.role.memory_gib as f64 * GIB;
    for (number, service) in state.services.iter().enumerate() {
        let (up, share) = (
            f64::from(u8::from(service.is_up)),
            if number == 0 { 0.8 } else { 0.01 },
        );
        out.core(
            "mainstay_service_up",
            &[("manager", "systemd"), ("name", service.name)],
            up,
        );
        let name = [("name", service.name)];
        let busy = host.cpu.sum(boot, t) * f64::from(host.spec.role.cpus) * share;
        out.live("mainstay_process_cpu_seconds_total", &name, busy);
        let leaked = if number == 0 { state.leaked } else { 0.0 };
        let resident = memory * (host.memory_used * share * 0.8 + leaked) * up;
        out.live("mainstay_process_resident_memory_bytes", &name, resident);
        out.live(
            "mainstay_process_open_fds",
            &name,
            up * (24.0 + 900.0 * share).floor(),
        );
        out.live(
            "mainstay_process_count",
            &name,
            up * if number == 0 { 4.0 } else { 1.0 },
        );
    }
    if host.spec.role.has_certificate {
        let labels = [("path", CERTIFICATE), ("subject", "CN=shop.example.org")];
        out.live(
            "mainstay_certificate_not_after_seconds",
            &labels,
            state.certificate_until_s,
        );
    }
}

pub const CERTIFICATE: &str = "/etc/letsencrypt/live/shop.example.org/fullchain.pem";

fn shop(host: &Host, state: &State, boot: f64, t: f64, out: &mut Out<'_>) {
    if !host.spec.role.serves_shop {
        return;
    }
    let all = host.requests.sum(boot, t);
    let failed = state.failed_requests + all * 0.0004;
    out.core(
        "shop_http_requests_total",
        &[("code", "200")],
        (all - failed).floor(),
    );
    out.core("shop_http_requests_total", &[("code", "500")], failed.floor());
    out.live(
        "shop_http_request_duration_seconds_sum",
        &[],
        all * 0.083 + state.failed_requests * 1.9,
    );
    out.live("shop_http_request_duration_seconds_count", &[], all.floor());
}
