//! Whose requests a proxy hands on: `Forwarded` (RFC 7239), and `X-Forwarded-For` with `X-Forwarded-Proto`, which most proxies write.
//!
//! Each proxy adds the address that it was called from at the end, so what stands there first is only what a client has said. Whoever reads it decides which
//! proxies it believes ([`Hops::client`]); nothing here knows.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Headers;

/// Proxies that a request may have come through; what is said beyond is not looked at.
pub const HOPS_MAX: usize = 32;

/// From where each proxy was called, the nearest proxy's word first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hops(Vec<Hop>);

/// From where one proxy was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hop {
    /// By whom; `None` where the proxy hides it, or says what is no address.
    pub from: Option<IpAddr>,
    /// By TLS.
    pub is_tls: bool,
}

/// What cannot be read in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclear {
    /// Both kinds of headers are there, and a proxy writes only one of them.
    Both,
    /// `Forwarded` is not as RFC 7239 §4 has it.
    Malformed,
}

impl Hops {
    /// What the headers say; nothing where there are none of them.
    ///
    /// # Errors
    /// [`Unclear`] where the request could be taken for two clients'.
    pub fn read(headers: &Headers<'_>) -> Result<Self, Unclear> {
        let common: Vec<&str> = headers.all("x-forwarded-for").collect();
        let standard: Vec<&str> = headers.all("forwarded").collect();
        match (common.is_empty(), standard.is_empty()) {
            (false, false) => Err(Unclear::Both),
            (true, false) => Self::read_standard(&standard),
            (false, true) => Ok(Self::read_common(&common, headers)),
            (true, true) => Ok(Self::default()),
        }
    }

    fn read_common(values: &[&str], headers: &Headers<'_>) -> Self {
        // Said of the client alone; the last word is that of the proxy next to us.
        let schemes = headers.all("x-forwarded-proto").last();
        let scheme = schemes.and_then(|list| list.rsplit(',').next());
        let is_tls = scheme.is_some_and(is_tls);
        let nodes = values.iter().rev().flat_map(|value| value.rsplit(','));
        let hop = |text: &str| Hop {
            from: node(text.trim()),
            is_tls,
        };
        Self(nodes.take(HOPS_MAX).map(hop).collect())
    }

    fn read_standard(values: &[&str]) -> Result<Self, Unclear> {
        let mut hops = Vec::new();
        for value in values {
            let mut rest = *value;
            loop {
                let (hop, behind) = element(rest)?;
                hops.push(hop);
                match behind {
                    Some(behind) => rest = behind,
                    None => break,
                }
            }
        }
        hops.reverse();
        hops.truncate(HOPS_MAX);
        Ok(Self(hops))
    }

    /// The client: whoever called the first proxy that was not itself called by one of `proxies`. `None` where that one is hidden, or nothing is said.
    pub fn client(&self, proxies: impl Fn(IpAddr) -> bool) -> Option<Hop> {
        let mut found = None;
        for hop in &self.0 {
            let from = hop.from?;
            found = Some(*hop);
            if !proxies(from) {
                break;
            }
        }
        found
    }
}

/// One element of `Forwarded`, and what stands behind its comma (RFC 7239 §4).
fn element(text: &str) -> Result<(Hop, Option<&str>), Unclear> {
    let mut hop = Hop::default();
    let (mut names_from, mut names_scheme) = (false, false);
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let (name, value, behind) = pair(rest)?;
        // A parameter stands once, or it could be read in two ways.
        if name.eq_ignore_ascii_case("for") {
            hop.from = node(&value);
            if std::mem::replace(&mut names_from, true) {
                return Err(Unclear::Malformed);
            }
        } else if name.eq_ignore_ascii_case("proto") {
            hop.is_tls = is_tls(&value);
            if std::mem::replace(&mut names_scheme, true) {
                return Err(Unclear::Malformed);
            }
        }
        rest = behind.trim_start_matches([' ', '\t']);
        match rest.as_bytes().first() {
            None => return Ok((hop, None)),
            Some(b',') => return Ok((hop, Some(&rest[1..]))),
            Some(b';') => rest = &rest[1..],
            Some(_) => return Err(Unclear::Malformed),
        }
    }
}

/// `name=value`, the value a token or quoted, and the rest.
fn pair(text: &str) -> Result<(&str, String, &str), Unclear> {
    let (name, rest) = text.split_once('=').ok_or(Unclear::Malformed)?;
    if name.is_empty() || name.bytes().any(|byte| !is_token(byte)) {
        return Err(Unclear::Malformed);
    }
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.bytes().position(|byte| !is_token(byte));
        let (value, rest) = rest.split_at(end.unwrap_or(rest.len()));
        return match value.is_empty() {
            true => Err(Unclear::Malformed),
            false => Ok((name, value.to_owned(), rest)),
        };
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((name, value, &quoted[at + 1..])),
            '\\' => value.push(characters.next().ok_or(Unclear::Malformed)?.1),
            character => value.push(character),
        }
    }
    Err(Unclear::Malformed)
}

/// `tchar` of RFC 9110 §5.6.2, and the colon, which some proxies leave unquoted behind an address.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&byte)
}

fn is_tls(scheme: &str) -> bool {
    let scheme = scheme.trim();
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}

/// An address, with or without a port, of IPv6 with or without its brackets.
fn node(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let found = address.or_else(with_port).or_else(in_brackets)?;
    Some(found.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::http::{Limits, parse_request};

    const LIMITS: Limits = Limits {
        head_bytes_max: 16 << 10,
        headers_max: 100,
        target_bytes_max: 8 << 10,
    };

    fn read(fields: &str) -> Result<Hops, Unclear> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let (request, _) = parse_request(head.as_bytes(), &LIMITS).unwrap().unwrap();
        Hops::read(&request.headers)
    }

    fn client(fields: &str) -> Option<(String, bool)> {
        let is_proxy = |address: IpAddr| address.to_string().starts_with("10.");
        let hop = read(fields).unwrap().client(is_proxy)?;
        Some((hop.from?.to_string(), hop.is_tls))
    }

    fn is(fields: &str, address: &str, is_tls: bool) {
        assert_eq!(
            client(fields),
            Some((address.to_owned(), is_tls)),
            "{fields}"
        );
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_no_proxy() {
        is("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", false);
        is(
            "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1\r\n",
            "192.0.2.1",
            false,
        );
        is(
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1,10.0.0.1\r\n",
            "192.0.2.1",
            false,
        );
        is("X-Forwarded-For: 10.0.0.2, 10.0.0.1\r\n", "10.0.0.2", false);
        is(
            "X-Forwarded-For: [2001:db8::1]:80\r\n",
            "2001:db8::1",
            false,
        );
        is("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1", false);
        is("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1", false);
        is(
            "X-Forwarded-For: 192.0.2.1:4711\r\nX-Forwarded-Proto: https\r\n",
            "192.0.2.1",
            true,
        );
        is(
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https, http\r\n",
            "192.0.2.1",
            false,
        );
        is(
            "Forwarded: for=6.6.6.6;proto=https, for=192.0.2.1;proto=http;by=10.0.0.9\r\n",
            "192.0.2.1",
            false,
        );
        is(
            "Forwarded: for=192.0.2.1;PROTO=\"HTTPS\" , For=\"10.0.0.1:80\"\r\n",
            "192.0.2.1",
            true,
        );
        is(
            "Forwarded: For=\"[2001:db8::1]:4711\";host=a\r\nForwarded: for=10.0.0.1\r\n",
            "2001:db8::1",
            false,
        );
    }

    #[test]
    fn who_is_hidden_is_nobody() {
        for fields in [
            "",
            "X-Forwarded-Proto: https\r\n",
            "X-Forwarded-For: unknown\r\n",
            "X-Forwarded-For: 192.0.2.1, unknown\r\n",
            "X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.1\r\n",
            "X-Forwarded-For: \r\n",
            "X-Forwarded-For: 192.0.2.1, \r\n",
            "Forwarded: for=_hidden, for=10.0.0.1\r\n",
            "Forwarded: proto=https\r\n",
        ] {
            assert_eq!(client(fields), None, "{fields}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let both = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n";
        assert_eq!(read(both), Err(Unclear::Both));
        for fields in [
            "Forwarded: for\r\n",
            "Forwarded: \r\n",
            "Forwarded: for=\r\n",
            "Forwarded: for=\"192.0.2.1\r\n",
            "Forwarded: x=\", for=\"[2001:db8::1]\"\r\n",
            "Forwarded: for=6.6.6.6\", for=192.0.2.1\r\n",
            "Forwarded: for=192.0.2.1,\r\n",
            "Forwarded: for=192.0.2.1 for=6.6.6.6\r\n",
            "Forwarded: for=\"192.0.2.1\\\r\n",
            "Forwarded: for=6.6.6.6;for=192.0.2.1\r\n",
            "Forwarded: for=192.0.2.1;proto=http;For=6.6.6.6\r\n",
            "Forwarded: for=192.0.2.1;proto=http;Proto=https\r\n",
        ] {
            assert_eq!(read(fields), Err(Unclear::Malformed), "{fields}");
        }
    }

    #[test]
    fn many_hops_are_cut() {
        let long = format!("X-Forwarded-For: {}192.0.2.1\r\n", "10.0.0.1,".repeat(900));
        is(&long, "192.0.2.1", false);
        let far = format!("X-Forwarded-For: 192.0.2.1{}\r\n", ",10.0.0.1".repeat(900));
        is(&far, "10.0.0.1", false);
    }
}
