//! Sockets by `INET_DIAG`: the kernel is asked for the states that matter, instead of printing all of `/proc/net/tcp`.
//! That file is still read where netlink is not allowed.
//!
//! Source: `linux/inet_diag.h`, `sock_diag(7)`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use rustix::net::netlink::SOCK_DIAG;

use super::netlink::{self, word};

const ESTABLISHED: u32 = 1 << 1;
const CLOSED: u32 = 1 << 7;
const LISTENING: u32 = 1 << 10;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// More sockets than this are not looked at in one go.
const MOST: usize = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) inode: u64,
}

/// TCP sockets that listen.
pub(crate) fn listening(procfs: &Path) -> Vec<Socket> {
    dump_or_read(procfs, TCP, LISTENING, &["net/tcp", "net/tcp6"], "0A")
}

/// TCP connections that are open.
pub(crate) fn established(procfs: &Path) -> Vec<Socket> {
    dump_or_read(procfs, TCP, ESTABLISHED, &["net/tcp", "net/tcp6"], "01")
}

/// UDP sockets that wait for anybody.
pub(crate) fn bound_udp(procfs: &Path) -> Vec<Socket> {
    dump_or_read(procfs, UDP, CLOSED, &["net/udp", "net/udp6"], "07")
}

fn dump_or_read(procfs: &Path, protocol: u8, states: u32, files: &[&str], state: &str) -> Vec<Socket> {
    // Another root than the running kernel's (a test) has files only.
    if procfs == Path::new("/proc") {
        let both = dump(AF_INET, protocol, states).and_then(|mut sockets| {
            sockets.extend(dump(AF_INET6, protocol, states)?);
            Ok(sockets)
        });
        if let Ok(sockets) = both {
            return sockets;
        }
    }
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(procfs.join(file)).ok());
    texts.flat_map(|text| parse_table(&text, state)).collect()
}

fn dump(family: u8, protocol: u8, states: u32) -> io::Result<Vec<Socket>> {
    const DIAG_BY_FAMILY: u16 = 20;
    // An `inet_diag_req_v2` for all sockets of a kind.
    let mut body = [&[family, protocol, 0, 0][..], &states.to_ne_bytes()].concat();
    body.resize(56, 0);
    let mut sockets = Vec::new();
    netlink::dump(Some(SOCK_DIAG), DIAG_BY_FAMILY, &body, |message| {
        if sockets.len() < MOST {
            sockets.extend(parse_message(message));
        }
    })?;
    Ok(sockets)
}

/// An `inet_diag_msg`.
pub(crate) fn parse_message(bytes: &[u8]) -> Option<Socket> {
    let family = *bytes.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        Some(match family {
            AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?),
            AF_INET6 => plain(Ipv6Addr::from(
                <[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?,
            )),
            _ => return None,
        })
    };
    Some(Socket {
        local: SocketAddr::new(address(8)?, port(4)?),
        remote: SocketAddr::new(address(24)?, port(6)?),
        inode: u64::from(word(bytes, 68)?),
    })
}

/// An IPv4 address that came in IPv6 clothes, without them.
fn plain(address: Ipv6Addr) -> IpAddr {
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

/// The sockets of a table such as `/proc/net/tcp` that are in `state`.
fn parse_table(text: &str, state: &str) -> Vec<Socket> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, remote, found, inode) = (words.get(1)?, words.get(2)?, words.get(3)?, words.get(9)?);
        (*found == state).then_some(())?;
        Some(Socket {
            local: parse_address(local)?,
            remote: parse_address(remote)?,
            inode: inode.parse().ok()?,
        })
    };
    text.lines().skip(1).filter_map(parse).take(MOST).collect()
}

/// `0100007F:1F90`: words in the byte order of the machine, port in hexadecimal.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut octets = [0; 16];
            for (at, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?.to_ne_bytes());
            }
            plain(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_lists_a_listener_and_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let by_netlink = dump(AF_INET, TCP, LISTENING).unwrap();
        let found = by_netlink.iter().find(|socket| socket.local == address).unwrap();
        let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let by_file = parse_table(&text, "0A");
        assert!(by_file.contains(found), "both ways agree");
        let connections = established(Path::new("/proc"));
        let connection = connections
            .iter()
            .find(|socket| socket.remote == address)
            .unwrap();
        assert_eq!(connection.local, client.local_addr().unwrap());
    }
}
