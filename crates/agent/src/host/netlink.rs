//! Asking the kernel for a list over netlink: one request, datagrams of messages, an end.

use std::io;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// No list is longer than this many messages.
const MOST: usize = 131_072;

/// Asks for everything of `kind` and hands each message's body to `take`.
pub(super) fn dump(
    protocol: Option<Protocol>,
    kind: u16,
    body: &[u8],
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        protocol,
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1)))?;
    sendto(
        &socket,
        &request(kind, body),
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut buffer = vec![0; 32 * 1024];
    let mut count = 0;
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let datagram = buffer.get(..length).unwrap_or_default();
        let ended = messages(datagram, |message| {
            count += 1;
            take(message);
        })?;
        if ended || count >= MOST {
            return Ok(());
        }
    }
}

fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    const REQUEST_DUMP: u16 = 0x301;
    let length = u32::try_from(16 + body.len()).unwrap_or(16);
    [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &REQUEST_DUMP.to_ne_bytes(),
        &[0; 8],
        body,
    ]
    .concat()
}

/// Splits a datagram. True when the list has ended.
pub(crate) fn messages(mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<bool> {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    while let Some(length) = word(bytes, 0) {
        let length = length as usize;
        let kind = bytes
            .get(4..6)
            .and_then(|two| two.try_into().ok())
            .map_or(0, u16::from_ne_bytes);
        match kind {
            DONE => return Ok(true),
            ERROR => return Err(io::Error::other("the kernel refused the list")),
            _ => {}
        }
        let Some(message) = bytes.get(16..length) else {
            return Ok(true);
        };
        take(message);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// A 32-bit number in the byte order of the machine.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_answers_are_refused_quietly() {
        assert!(!messages(&[], |_| {}).unwrap());
        for length in 0..40u8 {
            let mut bytes = vec![0; 40];
            bytes[0] = length;
            let _ = messages(&bytes, |_| {});
        }
    }
}
