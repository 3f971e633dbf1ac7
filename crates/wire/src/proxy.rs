//! The PROXY protocol, versions 1 and 2 (HAProxy, proxy-protocol.txt): what a proxy says of a connection ahead of its first byte.
//!
//! Whoever reads it decides whether the other end may say so; nothing here knows. Checksums and other extensions of version 2 are not looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Violation;

/// The longest line of version 1, its end included (section 2.1).
const LINE_BYTES_MAX: usize = 107;
/// Bytes behind the fixed part of version 2 that are read: addresses, and extensions that nobody needs many of.
const REST_BYTES_MAX: usize = 2_048;
/// What version 2 begins with (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const PREFIX: &[u8] = b"PROXY ";

const V1: &str = "PROXY protocol, section 2.1";
const V2: &str = "PROXY protocol, section 2.2";

/// On whose behalf a connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// The proxy's own, or of somebody whom it does not name.
    Itself,
    /// This client's.
    Client(SocketAddr),
}

/// Reads the header at the front of `input`; the number is how many bytes it has. `None`: more bytes are needed.
///
/// # Errors
/// A [`Violation`] when there is no header, or a broken one.
pub fn decode(input: &[u8]) -> Result<Option<(Proxied, usize)>, Violation> {
    if input.starts_with(SIGNATURE) {
        return decode_v2(input);
    }
    if input.starts_with(PREFIX) {
        return decode_v1(input);
    }
    if SIGNATURE.starts_with(input) || PREFIX.starts_with(input) {
        return Ok(None);
    }
    Err(Violation::new(
        "PROXY protocol, section 2",
        "the connection does not begin with a header of the PROXY protocol",
    ))
}

fn decode_v1(input: &[u8]) -> Result<Option<(Proxied, usize)>, Violation> {
    let wrong = |text: &'static str| Violation::new(V1, text);
    let head = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return match head.len() {
            LINE_BYTES_MAX => Err(wrong("the line is longer than 107 bytes")),
            _ => Ok(None),
        };
    };
    let line = std::str::from_utf8(&head[PREFIX.len()..end]);
    let line = line.map_err(|_| wrong("the line is no text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let proxied = match words.as_slice() {
        ["UNKNOWN", ..] => Proxied::Itself,
        ["TCP4", from, to, from_port, to_port] => {
            let (from, _) = (ip::<Ipv4Addr>(from)?, ip::<Ipv4Addr>(to)?);
            port(to_port)?;
            Proxied::Client(SocketAddr::new(IpAddr::V4(from), port(from_port)?))
        }
        ["TCP6", from, to, from_port, to_port] => {
            let (from, _) = (ip::<Ipv6Addr>(from)?, ip::<Ipv6Addr>(to)?);
            port(to_port)?;
            Proxied::Client(SocketAddr::new(IpAddr::V6(from), port(from_port)?))
        }
        _ => {
            return Err(wrong(
                "it is none of UNKNOWN, TCP4 and TCP6 with two addresses and two ports",
            ));
        }
    };
    Ok(Some((proxied, end + 2)))
}

fn ip<T: std::str::FromStr>(text: &str) -> Result<T, Violation> {
    text.parse()
        .map_err(|_| Violation::new(V1, "an address is none of its family"))
}

fn port(text: &str) -> Result<u16, Violation> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse()
        .ok()
        .filter(|_| is_plain)
        .ok_or_else(|| Violation::new(V1, "a port is no number of 0 to 65535"))
}

fn decode_v2(input: &[u8]) -> Result<Option<(Proxied, usize)>, Violation> {
    let wrong = |text: &'static str| Violation::new(V2, text);
    let Some(&[command, family, high, low]) = input.get(12..16) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_BYTES_MAX {
        return Err(wrong("the header is longer than 2,064 bytes"));
    }
    if command >> 4 != 2 {
        return Err(wrong("the version is not 2"));
    }
    let Some(rest) = input.get(16..16 + length) else {
        return Ok(None);
    };
    let proxied = match (command & 0xf, family) {
        (0, _) => Proxied::Itself,
        (1, 0x11) => {
            let Some(&[a, b, c, d, _, _, _, _, high, low, _, _]) = rest.get(..12) else {
                return Err(wrong("the addresses are cut short"));
            };
            let from = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
            Proxied::Client(SocketAddr::new(from, u16::from_be_bytes([high, low])))
        }
        (1, 0x21) => {
            let (Some(from), Some(&[high, low])) = (rest.first_chunk::<16>(), rest.get(32..34))
            else {
                return Err(wrong("the addresses are cut short"));
            };
            if rest.len() < 36 {
                return Err(wrong("the addresses are cut short"));
            }
            let from = IpAddr::V6(Ipv6Addr::from(*from));
            Proxied::Client(SocketAddr::new(from, u16::from_be_bytes([high, low])))
        }
        // Unix sockets, datagrams, and what comes later: nothing that would be an address here.
        (1, _) => Proxied::Itself,
        _ => return Err(wrong("the command is neither LOCAL nor PROXY")),
    };
    Ok(Some((proxied, 16 + length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn client(text: &str) -> Proxied {
        Proxied::Client(text.parse().unwrap())
    }

    #[test]
    fn both_versions_name_the_client_and_leave_what_follows() {
        let line = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\nGET / HTTP/1.1\r\n";
        let read = decode(line).unwrap().unwrap();
        assert_eq!(read, (client("192.0.2.7:56324"), 41));
        let six = b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n";
        assert_eq!(decode(six).unwrap().unwrap().0, client("[2001:db8::1]:1"));
        let unknown = b"PROXY UNKNOWN whatever\r\nhello";
        assert_eq!(decode(unknown).unwrap().unwrap(), (Proxied::Itself, 24));
        let mut binary = SIGNATURE.to_vec();
        binary.extend([
            0x21, 0x11, 0, 15, 192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 4, 1, 0xbb, 4, 0, 0,
        ]);
        binary.extend(b"hello");
        assert_eq!(
            decode(&binary).unwrap().unwrap(),
            (client("192.0.2.7:56324"), 31)
        );
        let mut local = SIGNATURE.to_vec();
        local.extend([0x20, 0, 0, 0]);
        assert_eq!(decode(&local).unwrap().unwrap(), (Proxied::Itself, 16));
        for whole in [&line[..41], six, &binary[..31]] {
            for cut in 0..whole.len() {
                assert_eq!(decode(&whole[..cut]).unwrap(), None, "{cut}");
            }
        }
    }

    #[test]
    fn what_is_no_header_or_a_broken_one_is_refused() {
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 1\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 1\r\n",
            b"PROXY TCP4  192.0.2.7 10.0.0.1 1 1\r\n",
            b"PROXY UDP4 192.0.2.7 10.0.0.1 1 1\r\n",
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat(),
            &[SIGNATURE.as_slice(), &[0x31, 0x11, 0, 12]].concat(),
            &[SIGNATURE.as_slice(), &[0x22, 0x11, 0, 0]].concat(),
            &[SIGNATURE.as_slice(), &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat(),
            &[SIGNATURE.as_slice(), &[0x21, 0x11, 0xff, 0xff]].concat(),
        ] {
            assert!(decode(wrong).is_err(), "{wrong:?}");
        }
    }
}
