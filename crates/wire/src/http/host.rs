use std::fmt;
use std::net::Ipv6Addr;

use super::Violation;

const CLAUSE: &str = "RFC 9110 §7.2";
/// Bytes of a DNS name.
const NAME_BYTES_MAX: usize = 255;

/// To whom a request is addressed: the Host field, with name and port apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'b> {
    /// The name as it was sent; an IPv6 address keeps its brackets.
    pub name: &'b str,
    /// The port, where one was named.
    pub port: Option<u16>,
}

impl<'b> Host<'b> {
    /// Reads `name`, `name:port`, `[v6]` or `[v6]:port`.
    ///
    /// Stricter than RFC 3986 §3.2.2: letters, digits and `-._~` only, since nobody's name holds `,` or `%41`, and who accepts them may be
    /// led to another host than the next program in the row.
    ///
    /// # Errors
    /// A 400 when it is empty, holds userinfo, a path, a list or anything else that is no name, or when the port is none.
    pub fn parse(value: &'b [u8]) -> Result<Self, Violation> {
        let Ok(value) = std::str::from_utf8(value) else {
            return Err(Violation::bad(CLAUSE, "the Host is not ASCII"));
        };
        if value.is_empty() {
            return Err(Violation::bad(CLAUSE, "the Host is empty"));
        }
        let (name, port) = split_port(value).ok_or_else(|| {
            Violation::bad(CLAUSE, "the Host's IPv6 address is not closed by `]`")
        })?;
        if !is_name(name) {
            return Err(Violation::bad(
                CLAUSE,
                "the Host is not a name or an address, perhaps with a port",
            ));
        }
        let port = match port {
            None | Some("") => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        Ok(Self { name, port })
    }

    /// Whether `authority`, as it stands in `url`, is this host. Names are compared without case; a port left out on either side is the
    /// default of the URL's scheme.
    pub fn is(&self, authority: &str, url: &str) -> bool {
        let secure = url
            .get(..6)
            .is_some_and(|s| s.eq_ignore_ascii_case("https:"))
            || url.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("wss:"));
        let default = if secure { 443 } else { 80 };
        Host::parse(authority.as_bytes()).is_ok_and(|other| {
            other.name.eq_ignore_ascii_case(self.name)
                && other.port.unwrap_or(default) == self.port.unwrap_or(default)
        })
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// The name and what follows its colon; `None` for a bracket left open or followed by something else.
fn split_port(value: &str) -> Option<(&str, Option<&str>)> {
    if value.starts_with('[') {
        let end = value.find(']')? + 1;
        return match value[end..].strip_prefix(':') {
            Some(port) => Some((&value[..end], Some(port))),
            None => value[end..].is_empty().then_some((value, None)),
        };
    }
    Some(match value.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (value, None),
    })
}

fn is_name(name: &str) -> bool {
    if let Some(inner) = name.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn parse_port(digits: &str) -> Result<u16, Violation> {
    let refused = || Violation::bad(CLAUSE, "the Host's port is not a number up to 65535");
    // `parse` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    digits.parse().map_err(|_| refused())
}
