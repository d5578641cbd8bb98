//! Sockets by `INET_DIAG`: the kernel is asked for the states that matter, instead of printing all of `/proc/net/tcp`.
//! That file is still read where netlink is not allowed.
//!
//! Source: `linux/inet_diag.h`, `sock_diag(7)`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

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
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(procfs.join(file)).ok());
    texts.flat_map(|text| parse_table(&text, state)).collect()
}

fn dump(family: u8, protocol: u8, states: u32) -> io::Result<Vec<Socket>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1)))?;
    sendto(&socket, &request(family, protocol, states), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut sockets = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if parse_dump(buffer.get(..length).unwrap_or_default(), &mut sockets)? || sockets.len() >= MOST {
            return Ok(sockets);
        }
    }
}

/// A netlink header and an `inet_diag_req_v2` for all sockets of a kind.
fn request(family: u8, protocol: u8, states: u32) -> [u8; 72] {
    const DIAG_BY_FAMILY: u16 = 20;
    const REQUEST_DUMP: u16 = 0x301;
    let mut bytes = [0; 72];
    let head = [
        &72u32.to_ne_bytes()[..],
        &DIAG_BY_FAMILY.to_ne_bytes(),
        &REQUEST_DUMP.to_ne_bytes(),
        &[0; 8],
        &[family, protocol, 0, 0],
        &states.to_ne_bytes(),
    ]
    .concat();
    for (slot, byte) in bytes.iter_mut().zip(head) {
        *slot = byte;
    }
    bytes
}

/// Takes the sockets of one datagram. True when the dump has ended.
fn parse_dump(mut bytes: &[u8], sockets: &mut Vec<Socket>) -> io::Result<bool> {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    while let Some(length) = word(bytes, 0) {
        let length = length as usize;
        let kind = bytes.get(4..6).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes);
        match kind {
            DONE => return Ok(true),
            ERROR => return Err(io::Error::other("the kernel refused to list sockets")),
            _ => {}
        }
        let Some(message) = bytes.get(16..length) else { return Ok(true) };
        sockets.extend(parse_message(message));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// An `inet_diag_msg`.
fn parse_message(bytes: &[u8]) -> Option<Socket> {
    let family = *bytes.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        Some(match family {
            AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?),
            AF_INET6 => plain(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?)),
            _ => return None,
        })
    };
    Some(Socket {
        local: SocketAddr::new(address(8)?, port(4)?),
        remote: SocketAddr::new(address(24)?, port(6)?),
        inode: u64::from(word(bytes, 68)?),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
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
        Some(Socket { local: parse_address(local)?, remote: parse_address(remote)?, inode: inode.parse().ok()? })
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
        let connection = connections.iter().find(|socket| socket.remote == address).unwrap();
        assert_eq!(connection.local, client.local_addr().unwrap());
    }

    #[test]
    fn damaged_answers_are_refused_quietly() {
        let mut sockets = Vec::new();
        assert!(!parse_dump(&[], &mut sockets).unwrap());
        for length in 0..40u8 {
            let mut bytes = vec![0; 40];
            bytes[0] = length;
            let _ = parse_dump(&bytes, &mut sockets);
        }
        assert!(sockets.is_empty());
    }
}
