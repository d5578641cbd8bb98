//! What an agent reads on its host: files, the journal, the kernel's answers, its join token.

pub use agent::fuzz::{
    certificate as agent_certificate, command_journal as agent_command_journal, glob as agent_glob,
    host_text as agent_host_text, journal_entry as agent_journal_entry, log_line as agent_log_line,
    netlink as agent_netlink, token as agent_token,
};

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub const TEXT_WORDS: &[&str] = &[
    "\n",
    "\n\n",
    "\t",
    " ",
    "(",
    ")",
    ": ",
    "Package: ",
    "Version: ",
    "Status: install ok installed\n",
    "P:",
    "V:",
    "\\040",
    "\\0",
    "ext4",
    "/",
    "é",
    "\u{0}",
    "4294967296",
    "-1",
];

pub fn host_text_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "1234 (a b) c) S 1 1234 1234 0 -1 4194560 100 0 0 0 5 6 0 0 20 0 7 0 8900 1000000 250 18446744073709551615 1 1 0 0 0 0\n",
        "/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n/dev/vdb1 /mnt/a\\040b xfs ro 0 0\n",
        "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22.1-9\nDescription: web\n server\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
        "P:musl\nV:1.2.4-r2\nA:x86_64\n\nP:busybox\nV:1.36.1-r5\nA:x86_64\n",
        "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: shop\n# Short-Description: The shop\n### END INIT INFO\nPIDFILE=/run/shop.pid\nDAEMON=/usr/bin/shop\n",
    ])
}

pub fn log_line_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "Nov 21 16:00:01 web-1 sshd[812]: Accepted publickey for ops",
        "2026-11-21T16:00:01.123456+01:00 web-1 kernel: [ 12.5] oops",
        "2026-11-21 16:00:01,123 ERROR shop.checkout - failed",
        "127.0.0.1 - - [21/Nov/2026:16:00:01 +0000] \"GET / HTTP/1.1\" 500 12",
        "<3>{\"level\":\"warn\",\"ts\":1795273200.5,\"msg\":\"x\"}",
        "no time at all",
    ])
}

pub const LINE_WORDS: &[&str] = &[
    "Feb 29 ",
    "Jan  1 00:00:00 ",
    "9999-12-31T23:59:60Z ",
    "+99:99",
    "[1]: ",
    ": ",
    "T",
    "é",
    "\r",
    "[",
    "]",
    "24:00:00",
];

pub fn journal_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "{\"__CURSOR\":\"s=1;i=2\",\"__REALTIME_TIMESTAMP\":\"1795273200000000\",\"PRIORITY\":\"3\",\"_SYSTEMD_UNIT\":\"a.service\",\"MESSAGE\":\"failed\",\"_PID\":\"7\"}",
        "{\"__CURSOR\":\"s\",\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":[104,105,255],\"SYSLOG_IDENTIFIER\":\"x\"}",
    ])
}

pub fn glob_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "*.log\u{0}syslog.log",
        "a?[b-d]*\u{0}axcc",
        "*a*a*a*a*b\u{0}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ])
}

pub fn token_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "ms1.eyJhIjpbImg6MSJdLCJmIjoiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYiIsInMiOiJ4In0",
        "ms1.e30",
    ])
}

/// The kind of certificate that agents find, made by hand: a PEM frame around a DER sequence.
pub fn certificate_seeds() -> Vec<Vec<u8>> {
    let mut seeds = texts(&[
        "-----BEGIN CERTIFICATE-----\nMIIBATCBqKADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAWEwHhcNMjUwMTAxMDAwMDAwWhcNMzUwMTAxMDAwMDAwWjAMMQowCAYDVQQDDAFhMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ]);
    seeds.push(vec![
        0x30, 0x82, 0x01, 0x00, 0x30, 0x81, 0x80, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01,
    ]);
    seeds
}

/// Headers of 16 bytes with their lengths; a multi-part answer.
pub fn netlink_seeds() -> Vec<Vec<u8>> {
    let message = |kind: u16, body: &[u8]| {
        let mut out = ((16 + body.len()) as u32).to_le_bytes().to_vec();
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&[2, 0, 1, 0, 0, 0, 9, 0, 0, 0]);
        out.extend_from_slice(body);
        out
    };
    let address = [
        2u8, 24, 0, 0, 2, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0, 1, 8, 0, 1, 0, 10, 0, 0, 1,
    ];
    let mut socket = vec![2u8, 10, 0, 0];
    socket.extend_from_slice(&[0; 68]);
    vec![
        [message(20, &address), message(3, &[0; 4])].concat(),
        [message(20, &socket), message(2, &[1; 8])].concat(),
    ]
}

pub fn command_journal_seeds() -> Vec<Vec<u8>> {
    vec![vec![], vec![12, 0, 0, 0, 1, 2, 3, 4, 0x81, 0xa1, b'a', 1]]
}
