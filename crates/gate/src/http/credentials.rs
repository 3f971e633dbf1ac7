//! Tokens in requests: every place where one may stand, in the order in which they count.

use std::borrow::Cow;

use taut_wire::http::{Request, target};

use super::Site;

/// What a subprotocol begins with that is none but holds a token.
const PROTOCOL_PREFIX: &str = "taut.token.";

/// A token as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'r> {
    /// The token, not judged.
    pub token: Cow<'r, str>,
    /// Where it stood.
    pub place: Place,
}

/// Where a token stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer`.
    Header,
    /// `Sec-WebSocket-Protocol`, as `taut.token.TOKEN` or behind `bearer`: browsers can set no other header of a WebSocket.
    Subprotocol,
    /// `?token=`.
    Query,
    /// The cookie, of a request that no foreign page can have caused.
    Cookie,
}

/// The token of a request: the first of `Authorization`, `Sec-WebSocket-Protocol`, `?token=` and the cookie that is there. An empty one is none: so
/// an application takes a cookie back.
#[must_use]
pub fn shown<'r>(request: &Request<'r>, site: &Site) -> Option<Shown<'r>> {
    let at = |place| move |token| Shown { token, place };
    in_header(request)
        .map(at(Place::Header))
        .or_else(|| in_subprotocols(request).map(at(Place::Subprotocol)))
        .or_else(|| in_query(request).map(at(Place::Query)))
        .or_else(|| in_cookie(request, site).map(at(Place::Cookie)))
}

/// RFC 6750 §2.1. Another scheme is not for us.
fn in_header<'r>(request: &Request<'r>) -> Option<Cow<'r, str>> {
    let (scheme, token) = request.headers.first("authorization")?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(Cow::Borrowed(token))
}

fn in_subprotocols<'r>(request: &Request<'r>) -> Option<Cow<'r, str>> {
    let lists = request.headers.all("sec-websocket-protocol");
    let mut names = lists.flat_map(|list| list.split(',').map(str::trim));
    let mut after_bearer = false;
    names.find_map(|name| {
        if let Some(token) = name.strip_prefix(PROTOCOL_PREFIX) {
            return (!token.is_empty()).then_some(Cow::Borrowed(token));
        }
        if after_bearer && !name.starts_with("taut") {
            return Some(Cow::Borrowed(name));
        }
        after_bearer = name == "bearer";
        None
    })
}

fn in_query<'r>(request: &Request<'r>) -> Option<Cow<'r, str>> {
    let pairs = target::query_pairs(request.query?).flatten();
    let mut tokens = pairs.filter(|(name, token)| name.as_ref() == "token" && !token.is_empty());
    tokens.next().map(|(_, token)| token)
}

fn in_cookie<'r>(request: &Request<'r>, site: &Site) -> Option<Cow<'r, str>> {
    if site.cookie.is_empty() {
        return None;
    }
    let pairs = request
        .headers
        .all("cookie")
        .flat_map(|list| list.split(';'));
    let named = pairs.filter_map(|pair| pair.split_once('='));
    // RFC 6265 section 5.2: white space around a name and a value is none of it.
    let mut tokens = named
        .filter(|(name, _)| name.trim() == site.cookie)
        .map(|(_, token)| token.trim().trim_matches('"'));
    let token = tokens.find(|token| !token.is_empty())?;
    site.trusts_cookie_of(request)
        .then_some(Cow::Borrowed(token))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use taut_wire::http::{Limits, parse_request};

    use super::*;

    const LIMITS: Limits = Limits {
        head_bytes_max: 4_096,
        headers_max: 50,
        target_bytes_max: 1_024,
    };

    fn found(head: &str) -> Option<(String, Place)> {
        let site = Site {
            loopback_only: true,
            hosts: Vec::new(),
            origins: vec!["https://app.example".into()],
            wait_ms_max: 0,
            compression: false,
            files: false,
            engines: Vec::new(),
            cookie: "t".into(),
        };
        let text = format!("{head}\r\nHost: localhost:8080\r\n\r\n");
        let (request, _) = parse_request(text.as_bytes(), &LIMITS).unwrap().unwrap();
        shown(&request, &site).map(|shown| (shown.token.into_owned(), shown.place))
    }

    fn is(token: &str, place: Place) -> Option<(String, Place)> {
        Some((token.to_owned(), place))
    }

    #[test]
    fn a_token_is_found_wherever_it_may_stand_and_the_header_counts_most() {
        assert_eq!(found("GET /r/a HTTP/1.1"), None);
        assert_eq!(
            found("GET /r/a?token=q HTTP/1.1\r\nAuthorization: bearer h"),
            is("h", Place::Header)
        );
        assert_eq!(
            found("GET /r/a?token=q%2E HTTP/1.1"),
            is("q.", Place::Query)
        );
        assert_eq!(
            found("GET /r/a?token=q HTTP/1.1\r\nAuthorization: Basic eA=="),
            is("q", Place::Query)
        );
        // What is empty is none.
        let logged_out = "GET /r/a?token=&token=q HTTP/1.1\r\nAuthorization: Bearer \r\nCookie: t=";
        assert_eq!(found(logged_out), is("q", Place::Query));
        assert_eq!(
            found("GET /r/a?token= HTTP/1.1\r\nCookie: t=; t = \"c\" "),
            is("c", Place::Cookie)
        );
        assert_eq!(found("GET /r/a HTTP/1.1\r\nCookie: t=\"\""), None);
        let socket = |list: &str| {
            found(&format!(
                "GET /r/a HTTP/1.1\r\nSec-WebSocket-Protocol: {list}"
            ))
        };
        assert_eq!(
            socket("taut, taut.token.a.b.c"),
            is("a.b.c", Place::Subprotocol)
        );
        assert_eq!(socket("bearer, a.b.c"), is("a.b.c", Place::Subprotocol));
        assert_eq!(socket("taut, taut.token., bearer"), None);
        assert_eq!(socket("bearer, taut"), None);
        assert_eq!(socket("taut, other"), None);
    }

    #[test]
    fn a_cookie_counts_only_where_no_foreign_page_can_have_sent_it() {
        let with = |method: &str, more: &str| {
            found(&format!("{method} /r/a HTTP/1.1\r\nCookie: x=1; t=c{more}"))
        };
        let counts = is("c", Place::Cookie);
        assert_eq!(with("GET", ""), counts);
        assert_eq!(with("POST", ""), None);
        assert_eq!(with("POST", "\r\nOrigin: http://localhost:8080"), counts);
        assert_eq!(with("POST", "\r\nOrigin: https://app.example"), counts);
        // Another port of this machine is another site, whose page gets the same cookies.
        assert_eq!(with("POST", "\r\nOrigin: http://localhost:9999"), None);
        assert_eq!(with("GET", "\r\nOrigin: null"), None);
        assert_eq!(with("GET", "\r\nUpgrade: websocket"), None);
        assert_eq!(with("GET", "\r\nSec-Fetch-Site: cross-site"), None);
        assert_eq!(with("POST", "\r\nSec-Fetch-Site: same-origin"), counts);
    }
}
