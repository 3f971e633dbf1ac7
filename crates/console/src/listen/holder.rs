//! Who has a port: what `ss -ltnp` would say, where the system lets us see it (Linux, and programs of the same user).

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a listening TCP socket in `/proc/net/tcp`, and of an unconnected UDP socket in `/proc/net/udp`.
const LISTENS: [&str; 2] = ["0A", "07"];

/// A program that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    name: String,
    pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (pid {})", self.name, self.pid)
    }
}

/// The program that keeps `address` from being bound; `None` where that cannot be seen.
pub(super) fn of(is_udp: bool, address: SocketAddr) -> Option<Holder> {
    let protocol = if is_udp { "udp" } else { "tcp" };
    let inode = ["", "6"].iter().find_map(|family| {
        let table = fs::read_to_string(format!("/proc/net/{protocol}{family}")).ok()?;
        let mut lines = table.lines().skip(1);
        lines.find_map(|line| inode_of(line, address).map(str::to_owned))
    })?;
    let socket = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    for pid in pids {
        if has_open(pid, &socket) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let mut shown = Vec::new();
            taut_wire::text::escape(&mut shown, name.trim_end().as_bytes());
            return Some(Holder {
                name: String::from_utf8_lossy(&shown).into_owned(),
                pid,
            });
        }
    }
    None
}

fn has_open(pid: u32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .filter_map(Result::ok)
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.as_os_str() == socket)
}

/// The inode of a line of `/proc/net/tcp` whose socket keeps `address`: the same port on the same address or on all.
fn inode_of(line: &str, address: SocketAddr) -> Option<&str> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (host, port) = words.next()?.split_once(':')?;
    let state = words.nth(1)?;
    let inode = words.nth(5)?;
    let host = parse_host(host)?;
    let is_same = u16::from_str_radix(port, 16).ok()? == address.port()
        && LISTENS.contains(&state)
        && (host == address.ip() || host.is_unspecified() || address.ip().is_unspecified());
    is_same.then_some(inode)
}

/// An address as the kernel writes it: 32-bit words in the machine's byte order.
fn parse_host(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (number, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(number * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}
