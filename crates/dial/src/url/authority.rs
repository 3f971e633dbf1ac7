//! The part between `://` and the path: `[USER:PASSWORD@]HOST[:PORT]`. Proxies are written the same way.

use std::net::Ipv6Addr;

/// What stands there.
pub(crate) struct Authority {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) userinfo: Option<String>,
}

/// Bytes of a host name at most (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// Reads it; `scheme` is for the examples in the reasons.
pub(crate) fn read_authority(authority: &str, scheme: &str) -> Result<Authority, String> {
    // A password may hold an `@`; a host cannot.
    let (userinfo, place) = match authority.rsplit_once('@') {
        Some((userinfo, place)) => (Some(decode(userinfo)?), place),
        None => (None, authority),
    };
    let (host, port) = split_port(place, scheme)?;
    check_host(host, place, scheme)?;
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(read_port(port)?),
    };
    // RFC 6874 §2 writes the percent sign of a zone as `%25`; people write it as it is.
    let host = host.replacen("%25", "%", 1);
    Ok(Authority {
        host,
        port,
        userinfo,
    })
}

fn split_port<'a>(place: &'a str, scheme: &str) -> Result<(&'a str, Option<&'a str>), String> {
    let Some(rest) = place.strip_prefix('[') else {
        return match place.split_once(':') {
            Some((_, port)) if port.contains(':') => Err(format!(
                "an IPv6 address stands in brackets; write for example {scheme}://[::1]:8080"
            )),
            Some((host, port)) => Ok((host, Some(port))),
            None => Ok((place, None)),
        };
    };
    let Some((host, after)) = rest.split_once(']') else {
        return Err(format!(
            "the `[` of its IPv6 address is not closed; write for example {scheme}://[::1]:8080"
        ));
    };
    let address = host.split('%').next().unwrap_or(host);
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(format!(
            "`{host}` is not an IPv6 address, and only those stand in brackets"
        ));
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err("after the `]` only `:PORT` can come".into()),
    }
}

fn check_host(host: &str, place: &str, scheme: &str) -> Result<(), String> {
    if host.is_empty() {
        let port = if place.len() > 1 { place } else { ":8080" };
        return Err(format!(
            "it names no host; write for example {scheme}://localhost{port}"
        ));
    }
    if !host.is_ascii() {
        return Err(format!(
            "the host `{host}` must be written in ASCII (the form that begins with `xn--`)"
        ));
    }
    let is_odd = |byte: u8| !byte.is_ascii_graphic() || br#""<>\^`{|},;()!$&'*+="#.contains(&byte);
    if let Some(odd) = host.bytes().find(|byte| is_odd(*byte)) {
        return Err(format!(
            "the host `{host}` holds `{}`, which no host name has",
            char::from(odd)
        ));
    }
    if host.len() > HOST_BYTES_MAX {
        return Err(format!(
            "its host is {} bytes long, and a name has {HOST_BYTES_MAX} at most",
            host.len()
        ));
    }
    Ok(())
}

fn read_port(port: &str) -> Result<u16, String> {
    match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(format!("`{port}` is not a port (1 to 65535)")),
    }
}

/// `%40` as `@`. What is not UTF-8 then cannot be sent by HTTP's Basic scheme either (RFC 7617 §2.1).
pub(crate) fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', &rest[1..]),
            },
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes)
        .map_err(|_| "its user name or password is not UTF-8 once decoded".to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
