//! The client's side: the request, and whether the answer to it holds.

use std::fmt;

use super::super::deflate::{self, Params};
use super::super::extension::is_token_byte;
use super::{accept_key, encode_key};
use crate::Violation;
use crate::http::Response;

/// What a client asks for; kept until the answer is checked against it.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'o> {
    /// The authority for the Host field, with the port unless it is the scheme's own.
    pub host: &'o str,
    /// The request target, percent-encoded, beginning with `/`.
    pub path_and_query: &'o str,
    /// 16 fresh random bytes (RFC 6455 §4.1).
    pub key: &'o [u8; 16],
    /// Subprotocols, the preferred one first.
    pub protocols: &'o [&'o str],
    /// The Origin field, which only browsers have to send.
    pub origin: Option<&'o str>,
    /// Further fields, such as Authorization.
    pub headers: &'o [(&'o str, &'o str)],
    /// Whether to offer permessage-deflate.
    pub deflate: bool,
}

/// An [`Opening`] that would make a malformed request, such as one with a line end in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsendable {
    /// Which part of it.
    pub part: &'static str,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} holds characters that HTTP cannot carry",
            self.part
        )
    }
}

impl std::error::Error for Unsendable {}

/// What the server agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol, one of those asked for; `None` when the server chose none, which the caller may mind.
    pub protocol: Option<String>,
    /// The terms of permessage-deflate; `None` when there is none.
    pub deflate: Option<Params>,
}

/// Appends the GET request.
///
/// # Errors
///
/// Nothing is appended when a part of the opening cannot stand in a request.
pub fn encode_request(out: &mut Vec<u8>, opening: &Opening<'_>) -> Result<(), Unsendable> {
    check_sendable(opening)?;
    let mut field = |name: &str, value: &str, end: &str| {
        for part in [name, value, end] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    field("GET ", opening.path_and_query, " HTTP/1.1\r\n");
    field("Host: ", opening.host, "\r\n");
    field("Upgrade: ", "websocket", "\r\n");
    field("Connection: ", "Upgrade", "\r\n");
    field("Sec-WebSocket-Key: ", &encode_key(opening.key), "\r\n");
    field("Sec-WebSocket-Version: ", "13", "\r\n");
    if !opening.protocols.is_empty() {
        let protocols = opening.protocols.join(", ");
        field("Sec-WebSocket-Protocol: ", &protocols, "\r\n");
    }
    if opening.deflate {
        field("Sec-WebSocket-Extensions: ", deflate::OFFER, "\r\n");
    }
    if let Some(origin) = opening.origin {
        field("Origin: ", origin, "\r\n");
    }
    for (name, value) in opening.headers {
        field(name, ": ", "");
        field("", value, "\r\n");
    }
    field("", "", "\r\n");
    Ok(())
}

fn check_sendable(opening: &Opening<'_>) -> Result<(), Unsendable> {
    let is_visible =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
    let is_value = |text: &str| {
        !text
            .bytes()
            .any(|byte| byte != b'\t' && byte.is_ascii_control())
    };
    let checks = [
        (is_visible(opening.host), "host"),
        (
            is_visible(opening.path_and_query) && opening.path_and_query.starts_with('/'),
            "path",
        ),
        (
            opening.protocols.iter().all(|name| is_token(name)),
            "subprotocol",
        ),
        (opening.origin.is_none_or(is_visible), "origin"),
        (
            opening.headers.iter().all(|(name, _)| is_token(name)),
            "header's name",
        ),
        (
            opening.headers.iter().all(|(_, value)| is_value(value)),
            "header's value",
        ),
    ];
    match checks.iter().find(|(is_sendable, _)| !is_sendable) {
        Some((_, part)) => Err(Unsendable { part }),
        None => Ok(()),
    }
}

/// Checks the response to an opening (RFC 6455 §4.1).
///
/// # Errors
///
/// The server's violation; also a status other than 101, which a caller that wants to read the error's body looks at
/// first. The connection is of no use then.
pub fn check_response(response: &Response<'_>, opening: &Opening<'_>) -> Result<Agreed, Violation> {
    const CLAUSE: &str = "RFC 6455 §4.1";
    if response.status != 101 {
        let text = format!("the server answered {} instead of 101", response.status);
        return Err(Violation::new(CLAUSE, text));
    }
    let headers = &response.headers;
    if !headers.has_token("upgrade", "websocket") || !headers.has_token("connection", "upgrade") {
        return Err(Violation::new(
            CLAUSE,
            "the server's answer does not upgrade to websocket",
        ));
    }
    let mut accepts = headers.all("sec-websocket-accept");
    let accept = accept_key(&encode_key(opening.key));
    if accepts.next() != Some(&accept) || accepts.next().is_some() {
        return Err(Violation::new(
            CLAUSE,
            "the server's Sec-WebSocket-Accept does not belong to our key",
        ));
    }
    let mut protocols = headers.all("sec-websocket-protocol");
    let protocol = protocols.next();
    if protocols.next().is_some() || protocol.is_some_and(|name| !opening.protocols.contains(&name))
    {
        return Err(Violation::new(
            CLAUSE,
            "the server chose a subprotocol that was not asked for",
        ));
    }
    let deflate = check_extensions(headers.all("sec-websocket-extensions"), opening.deflate)?;
    Ok(Agreed {
        protocol: protocol.map(str::to_owned),
        deflate,
    })
}

fn check_extensions<'v>(
    values: impl Iterator<Item = &'v str>,
    offered: bool,
) -> Result<Option<Params>, Violation> {
    let agreed =
        deflate::check_answer(values).map_err(|text| Violation::new("RFC 7692 §7.1", text))?;
    if agreed.is_some() && !offered {
        return Err(Violation::new(
            "RFC 6455 §9.1",
            "the server answered with an extension that was not offered",
        ));
    }
    Ok(agreed)
}
