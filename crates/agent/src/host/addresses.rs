//! Addresses of interfaces, by `RTM_GETADDR`.
//!
//! Source: `rtnetlink(7)`.

use std::collections::HashMap;
use std::net::IpAddr;

use super::netlink::{dump, word};

/// `address/prefix` per interface index.
pub(crate) fn by_interface() -> HashMap<u32, Vec<String>> {
    const GET_ADDRESS: u16 = 22;
    let mut addresses: HashMap<u32, Vec<String>> = HashMap::new();
    let asked = dump(None, GET_ADDRESS, &[0; 8], |message| {
        if let Some((index, address)) = parse(message) {
            addresses.entry(index).or_default().push(address);
        }
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "failed to list addresses");
    }
    addresses
}

/// An `ifaddrmsg` and its attributes.
pub(crate) fn parse(message: &[u8]) -> Option<(u32, String)> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    let prefix = *message.get(1)?;
    let index = word(message, 4)?;
    let (mut address, mut local) = (None, None);
    let mut rest = message.get(8..)?;
    while let Some(head) = rest.get(..4) {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let Some(value) = rest.get(4..length) else { break };
        match u16::from_ne_bytes([head[2], head[3]]) {
            ADDRESS => address = ip(value),
            LOCAL => local = ip(value),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // On a point-to-point link `ADDRESS` is the far end.
    Some((index, format!("{}/{prefix}", local.or(address)?)))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => Some(IpAddr::from(four)),
        Err(_) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_has_its_address() {
        let all = super::by_interface();
        assert!(
            all.values().flatten().any(|address| address == "127.0.0.1/8"),
            "{all:?}"
        );
    }
}
