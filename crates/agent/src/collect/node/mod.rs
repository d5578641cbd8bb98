//! Collectors with node_exporter's metric and label names. One file per part of the kernel; [`all`] is the list.

mod cpu;
mod cpuinfo;
mod disk;
mod fabric;
pub(crate) mod filesystem;
mod hardware;
mod hwmon;
pub(crate) mod identity;
mod ipvs;
mod kernel;
mod md;
mod memory;
mod net;
mod netclass;
mod nfs;
mod paths;
mod process_table;
mod storage;
mod textfile;
mod timex;

use super::{Collector, Roots};

/// What the collectors leave out; the defaults suit a live host.
pub(crate) struct Choice {
    pub(crate) device: fn(&str) -> bool,
    pub(crate) arp_device: fn(&str) -> bool,
    pub(crate) class_device: fn(&str) -> bool,
    pub(crate) cpu_flag: fn(&str) -> bool,
    pub(crate) cpu_bug: fn(&str) -> bool,
}

impl Default for Choice {
    fn default() -> Self {
        // Ends of container links come and go with each container and say nothing that the bridge does not.
        let device = |name: &str| !name.starts_with("veth");
        Self {
            device,
            arp_device: device,
            class_device: device,
            cpu_flag: |_| false,
            cpu_bug: |_| false,
        }
    }
}

/// Every collector of this folder.
pub(crate) fn all(roots: &Roots, choice: &Choice) -> Vec<Box<dyn Collector>> {
    vec![
        Box::new(cpu::Cpu::new(roots)),
        Box::new(cpu::Stat::new(roots)),
        Box::new(cpu::CpuState::new(roots)),
        Box::new(cpuinfo::CpuInfo::new(roots, choice.cpu_flag, choice.cpu_bug)),
        Box::new(cpuinfo::CpuFrequency::new(roots)),
        Box::new(cpuinfo::CpuVulnerabilities::new(roots)),
        Box::new(memory::Meminfo::new(roots)),
        Box::new(memory::Vmstat::new(roots)),
        Box::new(kernel::Load::new(roots)),
        Box::new(kernel::FileHandles::new(roots)),
        Box::new(kernel::Numbers::entropy(roots)),
        Box::new(kernel::Numbers::hung_tasks(roots)),
        Box::new(kernel::Pressure::new(roots)),
        Box::new(kernel::Schedstat::new(roots)),
        Box::new(kernel::Conntrack::new(roots)),
        Box::new(net::Netdev::new(roots, choice.device)),
        Box::new(net::Netstat::new(roots)),
        Box::new(net::Sockstat::new(roots)),
        Box::new(net::Softnet::new(roots)),
        Box::new(net::UdpQueues::new(roots)),
        Box::new(net::Arp::new(roots, choice.arp_device)),
        Box::new(disk::Disk::new(roots)),
        Box::new(disk::DiskInfo::new(roots)),
        Box::new(filesystem::Filesystem::new(roots)),
        Box::new(netclass::Netclass::new(roots, choice.class_device)),
        Box::new(netclass::Bonding::new(roots)),
        Box::new(identity::Os::new(roots)),
        Box::new(identity::Dmi::new(roots)),
        Box::new(identity::Uname),
        Box::new(identity::Time::new(roots)),
        Box::new(timex::Timex),
        Box::new(hardware::Thermal::new(roots)),
        Box::new(hardware::Edac::new(roots)),
        Box::new(hardware::Nvme::new(roots)),
        Box::new(hardware::PowerSupply::new(roots)),
        Box::new(hardware::Watchdog::new(roots)),
        Box::new(hwmon::Hwmon::new(roots)),
        Box::new(md::Md::new(roots)),
        Box::new(process_table::ProcessTable::new(roots)),
        Box::new(storage::Xfs::new(roots)),
        Box::new(storage::Btrfs::new(roots)),
        Box::new(storage::Zfs::new(roots)),
        Box::new(nfs::Nfs::client(roots)),
        Box::new(nfs::Nfs::server(roots)),
        Box::new(ipvs::Ipvs::new(roots)),
        Box::new(fabric::FibreChannel::new(roots)),
        Box::new(fabric::Infiniband::new(roots)),
        Box::new(paths::Multipath::new(roots)),
        Box::new(paths::Tape::new(roots)),
        Box::new(paths::Rapl::new(roots)),
        Box::new(textfile::Textfile::new(roots)),
    ]
}

#[cfg(test)]
mod conformance;
