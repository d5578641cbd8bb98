//! What tells this host from another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use protocol::Identity;
use sha2::{Digest, Sha256};

use crate::collect::{Roots, read_dir_names, read_text};

/// Serial numbers that manufacturers leave in place of one.
const NO_SERIAL: [&str; 8] = [
    "none",
    "not specified",
    "default string",
    "to be filled by o.e.m.",
    "system serial number",
    "0",
    "n/a",
    "not applicable",
];

pub(crate) fn identity(roots: &Roots) -> Identity {
    let root = |path: &str| read_text(&roots.root(path)).filter(|text| !text.is_empty());
    let dmi = |name: &str| {
        let text = read_text(&roots.sys("class/dmi/id").join(name))?;
        let known = !text.is_empty() && !NO_SERIAL.contains(&text.to_lowercase().as_str());
        (known && text.bytes().any(|byte| byte != b'0' && byte != b'-')).then_some(text)
    };
    let machine_id = root("etc/machine-id").or_else(|| root("var/lib/dbus/machine-id"));
    Identity {
        machine_id: machine_id.filter(|id| id.len() == 32),
        boot_id: boot_id(roots),
        dmi_uuid: dmi("product_uuid").map(|uuid| uuid.to_lowercase()),
        serial: dmi("product_serial").or_else(|| dmi("board_serial")),
        host_key: host_key(roots),
        macs: macs(roots),
    }
}

pub(crate) fn boot_id(roots: &Roots) -> Option<String> {
    read_text(&roots.proc("sys/kernel/random/boot_id")).filter(|id| !id.is_empty())
}

pub(crate) fn hostname(roots: &Roots) -> String {
    let kernel = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    read_text(&roots.proc("sys/kernel/hostname"))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(kernel)
}

/// The fingerprint of the strongest SSH host key.
fn host_key(roots: &Roots) -> Option<String> {
    let names = [
        "ssh_host_ed25519_key.pub",
        "ssh_host_ecdsa_key.pub",
        "ssh_host_rsa_key.pub",
    ];
    names
        .iter()
        .find_map(|name| key_fingerprint(&read_text(&roots.root("etc/ssh").join(name))?))
}

/// `SHA256:…` of a line of an OpenSSH public key file.
pub(crate) fn key_fingerprint(line: &str) -> Option<String> {
    let blob = line.split_ascii_whitespace().nth(1)?;
    let blob = base64::engine::general_purpose::STANDARD.decode(blob).ok()?;
    Some(format!(
        "SHA256:{}",
        STANDARD_NO_PAD.encode(Sha256::digest(&blob))
    ))
}

/// Addresses of real interfaces, sorted; bridges and the ends of tunnels change from boot to boot.
fn macs(roots: &Roots) -> Vec<String> {
    let folder = roots.sys("class/net");
    let real = read_dir_names(&folder)
        .into_iter()
        .filter(|name| folder.join(name).join("device").exists());
    let mut macs: Vec<String> = real
        .filter_map(|name| read_text(&folder.join(name).join("address")))
        .filter(|mac| mac.len() == 17 && mac != "00:00:00:00:00:00")
        .collect();
    macs.sort_unstable();
    macs.dedup();
    macs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_key_is_shown_as_ssh_keygen_shows_it() {
        // The published host key of a well-known site, and what `ssh-keygen -lf` prints for it.
        let line =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl github.com";
        assert_eq!(
            key_fingerprint(line).unwrap(),
            "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
        );
        assert_eq!(key_fingerprint("broken"), None);
    }

    #[test]
    fn this_host_has_a_name_and_a_boot() {
        let roots = Roots::default();
        assert!(!hostname(&roots).is_empty());
        assert!(identity(&roots).boot_id.is_some());
    }
}
