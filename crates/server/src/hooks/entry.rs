//! What the application is told of who wants in, and what it says.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use taut_wire::http::{Request, target};

use super::words::shorten;

/// Headers that say who asks. Every `X-…` goes along as well; the others are about the transport.
const HEADERS: [&str; 8] = [
    "accept-language",
    "authorization",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "referer",
    "user-agent",
];
/// Bytes of `data` of a refusal.
const DATA_BYTES_MAX: usize = 4 << 10;
/// How long a decision may hold, in seconds: as long as tokens may by default.
const LIFE_S_MAX: u64 = 31 * 86_400;

/// Who wants in.
#[derive(Debug)]
pub(crate) struct Newcomer<'a> {
    pub(crate) conn: String,
    pub(crate) door: &'static str,
    pub(crate) address: Option<IpAddr>,
    /// The request that it came with, where it came with one.
    pub(crate) head: Option<&'a Head>,
    /// Of Socket.IO: the namespace, and the object `auth` as it came.
    pub(crate) namespace: Option<(&'a str, &'a str)>,
    /// A token that the server does not judge itself.
    pub(crate) token: Option<&'a str>,
    /// The verified user.
    pub(crate) user: Option<&'a str>,
    /// The claims of a token that the server has judged.
    pub(crate) claims: Option<&'a Map<String, Value>>,
    pub(crate) rooms: &'a [String],
}

/// What of a request's head the application is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) address: Option<IpAddr>,
    pub(crate) method: String,
    pub(crate) path: String,
    /// As it came, without `token`.
    pub(crate) query: String,
    pub(crate) headers: Map<String, Value>,
    pub(crate) token: Option<String>,
    pub(crate) claims: Option<Map<String, Value>>,
}

impl Head {
    /// `with_cookies`: no page of somebody else can have caused it.
    pub(crate) fn of(request: &Request<'_>, with_cookies: bool) -> Self {
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in request.headers.iter() {
            let name = name.to_ascii_lowercase();
            let says_who = name.starts_with("x-") || HEADERS.contains(&name.as_str());
            if !says_who || (name == "cookie" && !with_cookies) {
                continue;
            }
            let value = String::from_utf8_lossy(value);
            let between = if name == "cookie" { "; " } else { ", " };
            match headers.get_mut(&name) {
                Some(Value::String(before)) => {
                    before.push_str(between);
                    before.push_str(&value);
                }
                _ => {
                    headers.insert(name, value.into());
                }
            }
        }
        Self {
            method: request.method.to_string(),
            path: request.path.to_owned(),
            query: without(request.query.unwrap_or_default(), &["token"]),
            headers,
            ..Self::default()
        }
    }
}

/// A query without the parameters of these names, the rest as it came.
fn without(query: &str, names: &[&str]) -> String {
    let kept = query.split('&').filter(|pair| {
        let read = target::query_pairs(pair).next();
        !matches!(read, Some(Ok((name, _))) if names.contains(&name.as_ref()))
    });
    kept.collect::<Vec<_>>().join("&")
}

impl Newcomer<'_> {
    /// The body of the call.
    pub(crate) fn ask(&self) -> Vec<u8> {
        self.value().to_string().into_bytes()
    }

    /// The same without where in the room's history it wants to read on: who asks the same of somewhere else asks nothing new.
    pub(crate) fn gist(&self) -> Vec<u8> {
        let mut value = self.value();
        if let Some(head) = self.head {
            value["query"] = without(&head.query, &["since", "until", "wait", "limit"]).into();
        }
        value.to_string().into_bytes()
    }

    fn value(&self) -> Value {
        let mut value = json!({
            "event": "connect",
            "conn": self.conn,
            "door": self.door,
            "address": self.address.map(|address| address.to_canonical().to_string()),
            "user": self.user,
            "rooms": self.rooms,
        });
        let Some(fields) = value.as_object_mut() else {
            return value;
        };
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(head) = self.head {
            put("method", head.method.as_str().into());
            put("path", head.path.as_str().into());
            put("query", head.query.as_str().into());
            put("headers", head.headers.clone().into());
        }
        if let Some((namespace, auth)) = self.namespace {
            put("namespace", namespace.into());
            // Checked where it came in; a number that is too large for us goes as its text.
            put(
                "auth",
                match auth {
                    "" => Value::Null,
                    auth => serde_json::from_str(auth).unwrap_or_else(|_| auth.into()),
                },
            );
        }
        if let Some(token) = self.token {
            put("token", token.into());
        }
        if let Some(claims) = self.claims {
            put("claims", claims.clone().into());
        }
        value
    }
}

/// What the application says of who wants in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// It may come in, on these terms.
    Allow(Box<Terms>),
    /// It may come in as if nobody had been asked: nobody could be.
    Unasked,
    /// It may not.
    Decline(Box<Declined>),
    /// Nobody could be asked, and so it may not.
    Failed,
}

/// As whom somebody comes in, and what it may do; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Terms {
    pub(crate) user: Option<String>,
    pub(crate) name: Option<String>,
    /// `roles` and `grants`, where there are any, as the claim `taut` has them.
    pub(crate) rights: Option<Map<String, Value>>,
    /// For how long, in seconds from now.
    pub(crate) life_s: Option<u64>,
}

/// Why somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declined {
    /// 401 or 403.
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// The `data` of a `connect_error`, JSON.
    pub(crate) data: Option<String>,
}

impl Declined {
    /// The word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self.status {
            401 => "unauthorized",
            _ => "forbidden",
        }
    }
}

impl Entry {
    pub(super) fn of_failure(allows: bool) -> Self {
        match allows {
            true => Self::Unasked,
            false => Self::Failed,
        }
    }
}

/// Reads an answer. Nothing at all is a yes. What is not understood is a failure: leaving out what forbids something would allow it.
pub(super) fn read(body: &[u8]) -> Result<Entry, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Entry::Allow(Box::default()));
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("its answer is no JSON: {error}"))?;
    let fields = value.as_object().ok_or("its answer is no object")?;
    match fields.get("allow") {
        Some(Value::Bool(true)) => terms(fields).map(|terms| Entry::Allow(Box::new(terms))),
        Some(Value::Bool(false)) => declined(fields).map(|no| Entry::Decline(Box::new(no))),
        _ => Err("its answer has no \"allow\": true or false".into()),
    }
}

fn terms(fields: &Map<String, Value>) -> Result<Terms, String> {
    let mut terms = Terms::default();
    let mut rights = Map::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("allow", _) | (_, Value::Null) => {}
            ("user", Value::String(user)) => terms.user = Some(user.clone()),
            ("name", Value::String(name)) => terms.name = Some(name.clone()),
            ("expires_s", value) => {
                let life_s = value.as_u64().filter(|s| (1..=LIFE_S_MAX).contains(s));
                let wrong =
                    || format!("its \"expires_s\" is no whole number from 1 to {LIFE_S_MAX}");
                terms.life_s = Some(life_s.ok_or_else(wrong)?);
            }
            ("roles" | "grants", value) => {
                rights.insert(name.clone(), value.clone());
            }
            ("user" | "name", _) => return Err(format!("its \"{name}\" is no text")),
            _ => {
                return Err(format!(
                    "its answer has \"{}\", which is not known; there are user, name, roles, grants and expires_s",
                    shorten(name)
                ));
            }
        }
    }
    terms.rights = (!rights.is_empty()).then_some(rights);
    Ok(terms)
}

fn declined(fields: &Map<String, Value>) -> Result<Declined, String> {
    let reason = fields.get("reason").and_then(Value::as_str);
    let status = match fields.get("status") {
        None | Some(Value::Null) => 403,
        Some(status) if status.as_u64() == Some(401) => 401,
        Some(status) if status.as_u64() == Some(403) => 403,
        Some(_) => return Err("its \"status\" is neither 401 nor 403".into()),
    };
    let data = fields.get("data").map(Value::to_string);
    if data
        .as_ref()
        .is_some_and(|data| data.len() > DATA_BYTES_MAX)
    {
        return Err(format!(
            "its \"data\" is longer than {DATA_BYTES_MAX} bytes"
        ));
    }
    Ok(Declined {
        status,
        reason: shorten(reason.unwrap_or("the application does not let you in")),
        data,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use taut_wire::http::{Limits, parse_request};

    use super::*;

    #[test]
    fn answers_are_read_strictly() {
        assert_eq!(read(b""), Ok(Entry::Allow(Box::default())));
        let all = br#"{"allow":true,"user":"ana","name":"Ana","roles":["x"],"grants":{"a":"join"},"expires_s":60}"#;
        let Ok(Entry::Allow(terms)) = read(all) else {
            unreachable!("it is a yes");
        };
        assert_eq!(terms.user.as_deref(), Some("ana"));
        assert_eq!(terms.life_s, Some(60));
        assert_eq!(terms.rights.unwrap().len(), 2);
        let no = read(br#"{"allow":false,"reason":"a\u001b[2Jb","status":401,"data":{"n":1}}"#);
        let declined = Declined {
            status: 401,
            reason: "a[2Jb".into(),
            data: Some("{\"n\":1}".into()),
        };
        assert_eq!(no, Ok(Entry::Decline(Box::new(declined))));
        for wrong in [
            "[]",
            "{}",
            "true",
            r#"{"allow":1}"#,
            r#"{"allow":true,"user":7}"#,
            r#"{"allow":true,"expires_s":0}"#,
            r#"{"allow":true,"expires_s":1700000000}"#,
            r#"{"allow":true,"grant":{}}"#,
            r#"{"allow":false,"status":500}"#,
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let long = format!(r#"{{"allow":false,"data":"{}"}}"#, "x".repeat(5_000));
        assert!(read(long.as_bytes()).is_err());
    }

    #[test]
    fn a_head_is_told_without_its_token_and_with_cookies_only_where_they_are_meant() {
        let text = b"GET /r/lobby?a=1&t%6fken=secret&token=x&b HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nX-One: 1\r\nX-One: 2\r\nAccept: */*\r\nCookie: b=2\r\n\r\n";
        let limits = Limits::default();
        let (request, _) = parse_request(text, &limits).unwrap().unwrap();
        let head = Head::of(&request, true);
        assert_eq!(
            (head.query.as_str(), head.path.as_str()),
            ("a=1&b", "/r/lobby")
        );
        assert_eq!(head.headers["cookie"], "a=1; b=2");
        assert_eq!(head.headers["x-one"], "1, 2");
        assert!(!head.headers.contains_key("accept"));
        assert!(!Head::of(&request, false).headers.contains_key("cookie"));
    }
}
