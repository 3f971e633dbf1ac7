use memchr::memchr3;

use super::framing::Framing;
use super::head::{self, Limits, Version};
use super::{Headers, Host, METHOD_BYTES_MAX, Method, Violation};

/// A request's head, read and checked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'b> {
    /// What is to be done.
    pub method: Method<'b>,
    /// The target's path, still percent-encoded: it begins with `/`, or is `*` with OPTIONS.
    pub path: &'b str,
    /// What follows the target's `?`, still encoded.
    pub query: Option<&'b str>,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// Every header field.
    pub headers: Headers<'b>,
    /// The Host; `None` only with HTTP/1.0.
    pub host: Option<Host<'b>>,
    /// Where the body ends; never [`Framing::ToEnd`].
    pub framing: Framing,
    /// Whether the client will send another request on this connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
}

/// Reads the request head at the front of `input`, after empty lines if there are any.
///
/// `None`: more bytes are needed. The number is how many bytes the head has, with its empty line and those before it.
///
/// # Errors
/// A [`Violation`] as soon as it can be told; every longer input gives the same one.
pub fn parse_request<'b>(
    input: &'b [u8],
    limits: &Limits,
) -> Result<Option<(Request<'b>, usize)>, Violation> {
    let begin = head::blank_lines(input);
    check_start(&input[begin..], limits)?;
    let Some(end) = head::find_end(input, begin, limits)? else {
        return Ok(None);
    };
    let (line, fields) = head::parse_lines(&input[begin..end])?;
    let (method, target, version) = parse_request_line(line)?;
    let headers = head::parse_fields(fields, limits)?;
    let framing = Framing::read(&headers, version)?;
    let host = find_host(&headers, version)?;
    let target = Target::parse(target, method, host)?;
    let expects_continue = expects_continue(&headers, version, framing)?;
    let request = Request {
        method,
        path: target.path,
        query: target.query,
        version,
        headers,
        host: host.or(target.host),
        framing: framing.unwrap_or_default(),
        keep_alive: keeps_alive(&headers, version),
        expects_continue,
    };
    Ok(Some((request, end)))
}

/// Refuses a method or target that is too long before the whole line has come.
fn check_start(input: &[u8], limits: &Limits) -> Result<(), Violation> {
    let end_of_word = |bytes: &[u8]| memchr3(b' ', b'\r', b'\n', bytes);
    let Some(method) = end_of_word(&input[..input.len().min(METHOD_BYTES_MAX + 1)]) else {
        return if input.len() > METHOD_BYTES_MAX {
            Err(Violation::new(
                501,
                "RFC 9112 §3",
                "the method is longer than any that is known",
            ))
        } else {
            Ok(())
        };
    };
    if input[method] != b' ' {
        return Ok(());
    }
    let target = &input[method + 1..];
    let window = &target[..target.len().min(limits.target_bytes_max.saturating_add(1))];
    if end_of_word(window).is_none() && window.len() > limits.target_bytes_max {
        return Err(Violation::new(
            414,
            "RFC 9110 §15.5.15",
            format!(
                "the target is longer than {} bytes",
                limits.target_bytes_max
            ),
        ));
    }
    Ok(())
}

/// `METHOD SP TARGET SP VERSION`, with one space each (RFC 9112 §3).
fn parse_request_line(line: &[u8]) -> Result<(Method<'_>, &str, Version), Violation> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(Violation::bad(
            "RFC 9112 §3",
            "the request line is not a method, a target and a version",
        ));
    };
    let method = std::str::from_utf8(method)
        .ok()
        .filter(|method| head::is_token(method.as_bytes()))
        .ok_or_else(|| Violation::bad("RFC 9110 §9.1", "the method is not a token"))?;
    let method = Method::from_name(method);
    let version = Version::parse(version)?;
    if method == Method::Connect {
        return Err(Violation::new(
            501,
            "RFC 9110 §9.3.6",
            "this server is no proxy: there is no CONNECT",
        ));
    }
    let target = std::str::from_utf8(target)
        .ok()
        .filter(|target| {
            target
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#')
        })
        .ok_or_else(|| {
            Violation::bad(
                "RFC 9112 §3.2",
                "the target holds a character that must be percent-encoded",
            )
        })?;
    Ok((method, target, version))
}

/// A request target, taken apart (RFC 9112 §3.2).
struct Target<'b> {
    path: &'b str,
    query: Option<&'b str>,
    host: Option<Host<'b>>,
}

impl<'b> Target<'b> {
    fn parse(
        target: &'b str,
        method: Method<'_>,
        host: Option<Host<'b>>,
    ) -> Result<Self, Violation> {
        if target.starts_with('/') {
            return Ok(Self::from_path(target, None));
        }
        if target == "*" {
            return if method == Method::Options {
                Ok(Self::from_path(target, None))
            } else {
                Err(Violation::bad(
                    "RFC 9112 §3.2.4",
                    "only OPTIONS has the target `*`",
                ))
            };
        }
        let Some((_, rest)) = target.split_once("://").filter(|(scheme, _)| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        }) else {
            return Err(Violation::bad(
                "RFC 9112 §3.2",
                "the target does not begin with `/`",
            ));
        };
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let own = Host::parse(authority.as_bytes())?;
        if host.is_some_and(|host| !host.is(authority, target)) {
            return Err(Violation::bad(
                "RFC 9112 §3.2.2",
                "the target names another host than the Host field",
            ));
        }
        Ok(Self::from_path(&rest[authority.len()..], Some(own)))
    }

    /// An absolute form may leave its path out, which is `/` (RFC 9110 §4.2.3).
    fn from_path(target: &'b str, host: Option<Host<'b>>) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Self {
            path: if path.is_empty() { "/" } else { path },
            query,
            host,
        }
    }
}

/// The one Host field that HTTP/1.1 must have; two are refused even when they are alike (RFC 9112 §3.2).
fn find_host<'b>(headers: &Headers<'b>, version: Version) -> Result<Option<Host<'b>>, Violation> {
    let mut found = None;
    for (name, value) in headers.fields() {
        if name.eq_ignore_ascii_case(b"host") {
            if found.is_some() {
                return Err(Violation::bad(
                    "RFC 9112 §3.2",
                    "Host is given more than once",
                ));
            }
            found = Some(Host::parse(value)?);
        }
    }
    if found.is_none() && version >= Version::Http11 {
        return Err(Violation::bad("RFC 9112 §3.2", "the Host field is missing"));
    }
    Ok(found)
}

/// An expectation but `100-continue` cannot be met; HTTP/1.0 has none, and without a body there is nothing to wait for.
fn expects_continue(
    headers: &Headers<'_>,
    version: Version,
    framing: Option<Framing>,
) -> Result<bool, Violation> {
    if version == Version::Http10 {
        return Ok(false);
    }
    let mut expects = false;
    for value in headers.all("expect") {
        if !value.eq_ignore_ascii_case("100-continue") {
            return Err(Violation::new(
                417,
                "RFC 9110 §10.1.1",
                "the only expectation here is `100-continue`",
            ));
        }
        expects = true;
    }
    Ok(expects && !matches!(framing, None | Some(Framing::Length(0))))
}

/// Whether the connection goes on after this message (RFC 9112 §9.3).
pub(super) fn keeps_alive(headers: &Headers<'_>, version: Version) -> bool {
    if headers.has_token("connection", "close") {
        return false;
    }
    version >= Version::Http11 || headers.has_token("connection", "keep-alive")
}
