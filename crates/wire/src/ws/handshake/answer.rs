//! The server's side: is this a handshake, and what to answer.

use super::super::deflate::{self, Params};
use super::super::extension::is_token_byte;
use super::{accept_key, list_members};
use crate::http::{Framing, Headers, Method, Request, Version};

/// What we would agree to.
#[derive(Debug, Clone, Copy)]
pub struct AnswerSettings<'s> {
    /// Our subprotocols, the preferred one first; the first that the client names too is chosen.
    pub protocols: &'s [&'s str],
    /// Whether to accept permessage-deflate where it is offered.
    pub deflate: bool,
}

/// What was agreed; [`encode_answer`] writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The proof that we understood the key.
    pub accept: String,
    /// The chosen subprotocol, one of ours; `None` when the client named none that we have.
    pub protocol: Option<String>,
    /// The terms of permessage-deflate; `None` when it was not offered, not wanted or not possible as offered.
    pub deflate: Option<Params>,
}

/// Why there will be no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status: 400, 405 or 426.
    pub status: u16,
    /// Where the rule stands.
    pub clause: &'static str,
    /// What is wrong, in one sentence.
    pub text: &'static str,
}

impl Refused {
    /// Header fields that the error response has to carry.
    ///
    /// 426 names the one version that we speak (RFC 6455 §4.4) and the protocol to upgrade to (RFC 9110 §15.5.22), 405
    /// the one method (RFC 9110 §15.5.6).
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.status {
            426 => &[
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Version", "13"),
            ],
            405 => &[("Allow", "GET")],
            _ => &[],
        }
    }

    fn bad(clause: &'static str, text: &'static str) -> Self {
        let status = 400;
        Self {
            status,
            clause,
            text,
        }
    }

    fn upgrade_required(clause: &'static str, text: &'static str) -> Self {
        let status = 426;
        Self {
            status,
            clause,
            text,
        }
    }
}

/// Whether the request asks for a WebSocket at all, so that [`answer`] is the one to answer it.
///
/// An HTTP/1.0 request cannot (RFC 9110 §7.8).
pub fn wants_upgrade(request: &Request<'_>) -> bool {
    request.version == Version::Http11 && request.headers.has_token("upgrade", "websocket")
}

/// Judges a handshake by its parsed head.
///
/// # Errors
///
/// 426 for a request without the upgrade, for one who comes to a socket-only URL by plain HTTP, and for other
/// versions than 13; 405 for other methods than GET; 400 for everything else that RFC 6455 §4.2.1 asks for.
pub fn answer(request: &Request<'_>, settings: &AnswerSettings<'_>) -> Result<Answer, Refused> {
    check_upgrade(request)?;
    let key = read_key(&request.headers)?;
    check_version(&request.headers)?;
    let protocol = choose_protocol(&request.headers, settings.protocols)?;
    let offers = deflate::accept_offer(request.headers.all("sec-websocket-extensions"))
        .map_err(|text| Refused::bad("RFC 6455 §9.1", text))?;
    Ok(Answer {
        accept: accept_key(key),
        protocol,
        deflate: offers.filter(|_| settings.deflate),
    })
}

fn check_upgrade(request: &Request<'_>) -> Result<(), Refused> {
    if !wants_upgrade(request) {
        return Err(Refused::upgrade_required(
            "RFC 6455 §4.2.1",
            "this URL speaks WebSocket only: the request has no \"Upgrade: websocket\" in HTTP/1.1",
        ));
    }
    if request.method != Method::Get {
        return Err(Refused {
            status: 405,
            clause: "RFC 6455 §4.1",
            text: "a WebSocket handshake is a GET",
        });
    }
    if !request.headers.has_token("connection", "upgrade") {
        return Err(Refused::bad(
            "RFC 6455 §4.2.1",
            "the request has \"Upgrade: websocket\" but no \"Connection: Upgrade\"",
        ));
    }
    if !matches!(request.framing, Framing::None | Framing::Length(0)) {
        return Err(Refused::bad(
            "RFC 6455 §4.1",
            "a WebSocket handshake has no body",
        ));
    }
    Ok(())
}

/// The only key, which must be 16 bytes in base64; it is hashed as it stands and never decoded.
fn read_key<'b>(headers: &Headers<'b>) -> Result<&'b str, Refused> {
    let mut keys = headers.all("sec-websocket-key");
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(Refused::bad(
            "RFC 6455 §4.2.1",
            "the request has not exactly one Sec-WebSocket-Key",
        ));
    };
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    match key.strip_suffix("==") {
        Some(digits) if digits.len() == 22 && digits.bytes().all(is_base64) => Ok(key),
        _ => Err(Refused::bad(
            "RFC 6455 §4.2.1",
            "the Sec-WebSocket-Key is not 16 bytes in base64",
        )),
    }
}

fn check_version(headers: &Headers<'_>) -> Result<(), Refused> {
    let mut versions = headers.all("sec-websocket-version");
    match (versions.next(), versions.next()) {
        (Some("13"), None) => Ok(()),
        (None, _) => Err(Refused::bad(
            "RFC 6455 §4.2.1",
            "the request has no Sec-WebSocket-Version",
        )),
        _ => Err(Refused::upgrade_required(
            "RFC 6455 §4.4",
            "the only Sec-WebSocket-Version spoken here is 13",
        )),
    }
}

/// The first of ours that the client names.
fn choose_protocol(headers: &Headers<'_>, ours: &[&str]) -> Result<Option<String>, Refused> {
    let offered = || list_members(headers.all("sec-websocket-protocol"));
    if !offered().all(|name| name.bytes().all(is_token_byte)) {
        return Err(Refused::bad(
            "RFC 6455 §4.1",
            "a subprotocol's name is not a token",
        ));
    }
    let chosen = ours.iter().find(|our| offered().any(|name| name == **our));
    Ok(chosen.map(|name| (*name).to_owned()))
}

/// Appends the 101 response, after which the connection speaks frames.
pub fn encode_answer(out: &mut Vec<u8>, answer: &Answer) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(answer.accept.as_bytes());
    if let Some(protocol) = &answer.protocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(protocol.as_bytes());
    }
    if let Some(params) = answer.deflate {
        out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        deflate::encode_params(out, params);
    }
    out.extend_from_slice(b"\r\n\r\n");
}
