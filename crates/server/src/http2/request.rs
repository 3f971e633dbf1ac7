//! From a request of HTTP/2 to the same of HTTP/1.1, where a field could end a line or a body.
//!
//! The `h2` crate refuses most of what is malformed already. Everything is judged here again, so that what a lane carries does not depend on it: whatever is not plainly one
//! request is refused (RFC 9113 §8.2, §8.3, §10.3). What is left is judged by the core as any request: its Host, its target, its size.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, TE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};
use taut_wire::http::Host;

/// Fields that speak of one connection of HTTP/1.1 (RFC 9113 §8.2.2).
const OF_CONNECTIONS: [&str; 6] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A request as it goes down a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// The request line and the fields, with the empty line.
    pub(super) head: Vec<u8>,
    /// Whether the answer has no body, whatever it says.
    pub(super) is_head: bool,
    /// Whether the body goes in chunks, since its length is not known.
    pub(super) is_chunked: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The status of the answer.
    pub(super) status: u16,
    /// The broken clause.
    pub(super) clause: &'static str,
    /// What is wrong.
    pub(super) text: &'static str,
}

const fn bad(clause: &'static str, text: &'static str) -> Malformed {
    Malformed {
        status: 400,
        clause,
        text,
    }
}

/// Translates the head of a request; `has_body`: it does not end the stream.
pub(super) fn translate(request: &Parts, has_body: bool) -> Result<Translated, Malformed> {
    if request.method == Method::CONNECT {
        return Err(Malformed {
            status: 501,
            clause: "RFC 9110 §9.3.6",
            text: "this server is no proxy: there is no CONNECT",
        });
    }
    if !is_token(request.method.as_str().as_bytes()) {
        return Err(bad("RFC 9110 §9.1", "the method is not a token"));
    }
    // The library keeps no scheme where there is no authority, which stands in Host then (RFC 9113 §8.3.1).
    let is_https = match request.uri.scheme_str() {
        Some(scheme) => scheme == "https",
        None => request.uri.authority().is_none(),
    };
    if !is_https {
        return Err(bad("RFC 9113 §8.3.1", "the :scheme is not https"));
    }
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(request.method.as_str().as_bytes());
    head.push(b' ');
    let path = request
        .uri
        .path_and_query()
        .map_or("", |path| path.as_str());
    head.extend_from_slice(target(path)?.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    put(&mut head, b"host", host(request)?.as_bytes());
    for (name, value) in &request.headers {
        check(name.as_str().as_bytes(), value.as_bytes())?;
        if name == TE && !value.as_bytes().eq_ignore_ascii_case(b"trailers") {
            return Err(bad("RFC 9113 §8.2.2", "TE is anything but `trailers`"));
        }
        // Nothing here has trailers.
        if ![HOST, COOKIE, CONTENT_LENGTH, TE].contains(name) {
            put(&mut head, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    put_cookie(&mut head, &request.headers);
    let length = length(&request.headers, has_body)?;
    let is_chunked = has_body && length.is_none();
    if is_chunked {
        put(&mut head, b"transfer-encoding", b"chunked");
    }
    if let Some(length) = length {
        put(&mut head, b"content-length", length.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    Ok(Translated {
        head,
        is_head: request.method == Method::HEAD,
        is_chunked,
    })
}

/// The target: what `:path` holds.
fn target(target: &str) -> Result<&str, Malformed> {
    let is_whole = target.starts_with('/') || target == "*";
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if is_whole && target.bytes().all(is_plain) {
        return Ok(target);
    }
    Err(bad(
        "RFC 9113 §8.3.1",
        "the :path holds a character that must be percent-encoded, or does not begin with `/`",
    ))
}

/// To whom it is addressed, said once or twice alike. Whoever translates from HTTP/1.1 may leave it in Host (RFC 9113 §8.3.1).
fn host(request: &Parts) -> Result<&str, Malformed> {
    let mut named = request.headers.get_all(HOST).iter();
    let host = match (named.next(), named.next()) {
        (_, Some(_)) => return Err(bad("RFC 9112 §3.2", "Host is given more than once")),
        (Some(host), None) => match host.to_str() {
            Ok(host) => Some(host),
            Err(_) => return Err(bad("RFC 9110 §7.2", "the Host is not ASCII")),
        },
        (None, None) => None,
    };
    let authority = request.uri.authority().map(Authority::as_str);
    let (Some(authority), Some(host)) = (authority, host) else {
        let clause = "RFC 9113 §8.3.1";
        return authority
            .or(host)
            .ok_or(bad(clause, "there is neither :authority nor Host"));
    };
    let agrees = Host::parse(host.as_bytes()).is_ok_and(|host| host.is(authority, "https://"));
    if !agrees {
        return Err(bad(
            "RFC 9113 §8.3.1",
            "the Host field names another host than :authority",
        ));
    }
    Ok(authority)
}

/// Whether a field is one, and means a request and not a connection.
fn check(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    if !is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
        return Err(bad(
            "RFC 9113 §8.2.1",
            "a field's name is not a token in lower case",
        ));
    }
    let is_field_byte = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if !value.iter().all(is_field_byte) {
        return Err(bad(
            "RFC 9113 §8.2.1",
            "a field's value holds a control character",
        ));
    }
    if value.trim_ascii().len() != value.len() {
        return Err(bad(
            "RFC 9113 §8.2.1",
            "a field's value begins or ends with white space",
        ));
    }
    if OF_CONNECTIONS.iter().any(|other| other.as_bytes() == name) {
        return Err(bad(
            "RFC 9113 §8.2.2",
            "a field speaks of a connection of HTTP/1.1",
        ));
    }
    Ok(())
}

/// Several Cookie fields are one (RFC 9113 §8.2.3).
fn put_cookie(head: &mut Vec<u8>, fields: &HeaderMap) {
    let cookies: Vec<&[u8]> = fields
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if !cookies.is_empty() {
        put(head, b"cookie", &cookies.join(&b"; "[..]));
    }
}

/// The announced length of the body, said once or several times alike.
fn length(fields: &HeaderMap, has_body: bool) -> Result<Option<&str>, Malformed> {
    let mut said = fields.get_all(CONTENT_LENGTH).iter();
    let Some(first) = said.next() else {
        return Ok(None);
    };
    let number = first.to_str().ok().filter(|text| {
        (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    let Some(number) = number.filter(|_| said.all(|other| other == first)) else {
        return Err(bad("RFC 9110 §8.6", "the Content-Length is not one number"));
    };
    if !has_body && number.bytes().any(|digit| digit != b'0') {
        return Err(bad(
            "RFC 9113 §8.1.1",
            "a body is announced and there is none",
        ));
    }
    Ok(Some(number))
}

fn put(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

fn is_token(text: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use http::Request;
    use proptest::prelude::*;
    use taut_wire::http::{Framing, Limits, parse_request};

    use super::*;

    fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn translated(method: &str, uri: &str, fields: &[(&str, &str)], has_body: bool) -> String {
        let translated = translate(&request(method, uri, fields), has_body).unwrap();
        String::from_utf8(translated.head).unwrap()
    }

    #[test]
    fn a_request_is_the_same_in_http_1() {
        let fields = [
            ("cookie", "a=1"),
            ("x-mine", "b: c"),
            ("te", "trailers"),
            ("cookie", "b=2"),
            ("host", "EXAMPLE.org:443"),
        ];
        assert_eq!(
            translated("GET", "https://example.org/r/a%20b?since=0", &fields, false),
            "GET /r/a%20b?since=0 HTTP/1.1\r\nhost: example.org\r\nx-mine: b: c\r\ncookie: a=1; b=2\r\n\r\n"
        );
        assert_eq!(
            translated("POST", "https://a/r/b", &[("content-length", "5")], true),
            "POST /r/b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n"
        );
        assert_eq!(
            translated("POST", "https://a/r/b", &[], true),
            "POST /r/b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            translated("GET", "/r/b", &[("host", "a:8080")], false),
            "GET /r/b HTTP/1.1\r\nhost: a:8080\r\n\r\n",
            "what was HTTP/1.1 before may name its host in Host alone"
        );
        let star = translated("OPTIONS", "https://a/", &[], false);
        assert!(star.starts_with("OPTIONS / HTTP/1.1\r\n"), "{star}");
    }

    /// Method, URI, fields, whether there is a body, and the status of the answer.
    type Hostile<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool, u16);

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let hostile: [Hostile<'_>; 19] = [
            ("CONNECT", "a:443", &[], false, 501),
            ("GET", "http://a/", &[], false, 400),
            ("GET", "/", &[], false, 400),
            ("GET", "https://a/", &[("host", "b")], false, 400),
            ("GET", "https://a/", &[("host", "a:8080")], false, 400),
            ("GET", "https://u@a/", &[("host", "a")], false, 400),
            (
                "GET",
                "https://a/",
                &[("host", "a"), ("host", "a")],
                false,
                400,
            ),
            (
                "POST",
                "https://a/",
                &[("transfer-encoding", "chunked")],
                true,
                400,
            ),
            ("POST", "https://a/", &[("connection", "close")], true, 400),
            ("POST", "https://a/", &[("keep-alive", "1")], true, 400),
            ("POST", "https://a/", &[("upgrade", "websocket")], true, 400),
            (
                "POST",
                "https://a/",
                &[("proxy-connection", "x")],
                true,
                400,
            ),
            ("POST", "https://a/", &[("http2-settings", "x")], true, 400),
            ("GET", "https://a/", &[("te", "gzip")], false, 400),
            ("POST", "https://a/", &[("content-length", "+5")], true, 400),
            (
                "POST",
                "https://a/",
                &[("content-length", "5, 5")],
                true,
                400,
            ),
            (
                "POST",
                "https://a/",
                &[("content-length", "5"), ("content-length", "6")],
                true,
                400,
            ),
            ("POST", "https://a/", &[("content-length", "5")], false, 400),
            ("GET", "https://a/\u{e9}", &[], false, 400),
        ];
        for (method, uri, fields, has_body, status) in hostile {
            let Ok(mut parts) = Request::builder().method(method).uri(uri).body(()) else {
                continue;
            };
            for (name, value) in fields {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                parts.headers_mut().append(name, value);
            }
            let refused = translate(&parts.into_parts().0, has_body);
            assert_eq!(
                refused.unwrap_err().status,
                status,
                "{method} {uri} {fields:?}"
            );
        }
    }

    #[test]
    fn names_values_and_targets_that_end_lines_are_refused() {
        let names: [&[u8]; 8] = [
            b"", b":path", b"a:b", b"a b", b"A", b"a\r\nb", b"a\0", b"\xe9",
        ];
        for name in names {
            assert!(check(name, b"x").is_err(), "{name:?}");
        }
        let values: [&[u8]; 8] = [
            b"a\r\nb: c",
            b"a\nb",
            b"a\rb",
            b"a\0b",
            b" a",
            b"a ",
            b"a\t",
            b"a\x7f",
        ];
        for value in values {
            assert!(check(b"x", value).is_err(), "{value:?}");
        }
        for path in [
            "",
            "a",
            "//\r\n",
            "/a b",
            "/a\nb",
            "/a#b",
            "/\u{e9}",
            "https://a/",
            "*x",
        ] {
            assert!(target(path).is_err(), "{path:?}");
        }
    }

    proptest! {
        /// Whatever is let through is one request for the strict parser of the cores, with the same fields, or is refused by it; never two.
        #[test]
        fn one_request_stays_one(
            method in "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}",
            path in "/[!-~]{0,24}",
            fields in prop::collection::vec(("[a-z0-9-]{1,9}", "[ -~\u{80}-\u{ff}\t]{0,12}"), 0..8),
            has_body: bool,
        ) {
            let Ok(request) = Request::builder().method(&*method).uri(format!("https://a{path}")).body(()) else {
                return Ok(());
            };
            let (mut parts, ()) = request.into_parts();
            for (name, value) in &fields {
                let name = http::HeaderName::from_bytes(name.as_bytes());
                if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                    parts.headers.append(name, value);
                }
            }
            let Ok(translated) = translate(&parts, has_body) else {
                return Ok(());
            };
            if let Ok(parsed) = parse_request(&translated.head, &Limits::default()) {
                let (parsed, length) = parsed.unwrap();
                prop_assert_eq!(length, translated.head.len());
                prop_assert_eq!(parsed.method.name(), parts.method.as_str());
                prop_assert_eq!(parsed.framing == Framing::Chunked, translated.is_chunked);
                for (name, value) in parsed.headers.iter() {
                    let own = ["host", "transfer-encoding", "cookie"].contains(&name);
                    let same = parts.headers.get_all(name).iter().any(|other| other.as_bytes() == value);
                    prop_assert!(own || same, "{} {:?}", name, value);
                }
            }
        }
    }
}
