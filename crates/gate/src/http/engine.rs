//! Engine.IO over HTTP: which session a request is for and what it wants of it (Engine.IO protocol v4, “HTTP long-polling”, “WebSocket”).

use std::sync::Arc;

use taut_wire::engineio::RequestError;
use taut_wire::http::{Method, Request, target};
use taut_wire::ws::handshake;

use super::Action;
use crate::name::display_name;

/// The methods that a polling client uses.
const METHODS: &str = "GET, POST, OPTIONS";

/// A path at which Engine.IO is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginePath {
    /// The path, with a slash at its end: `/socket.io/`.
    pub path: String,
    /// What its messages mean.
    pub dialect: EngineDialect,
}

/// What the messages of an Engine.IO session mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineDialect {
    /// Socket.IO.
    SocketIo,
    /// Nothing: each comes back. The official suite of the carrier wants it so.
    Echo,
}

/// A request to an [`EnginePath`].
#[derive(Debug)]
pub struct EngineRequest {
    /// The session that it names; `None` opens one.
    pub sid: Option<String>,
    /// What it wants.
    pub wants: EngineWants,
    /// What the session speaks.
    pub dialect: EngineDialect,
    /// `?as=`, where it is a name.
    pub name: Option<Arc<str>>,
    /// How many packets its answers to polls may have.
    pub payload_packets_max: usize,
}

/// What an Engine.IO request wants.
#[derive(Debug)]
pub enum EngineWants {
    /// Packets, or a session.
    Poll,
    /// To send packets; the body is still to come.
    Post,
    /// To become a WebSocket.
    Socket(handshake::Answer),
}

/// The action for a path of Engine.IO, in the order in which its reference server looks at things, so that each mistake gets the code that
/// clients know.
pub(super) fn engine(request: &Request<'_>, dialect: EngineDialect) -> Action {
    match request.method {
        Method::Options => Action::Preflight { allow: METHODS },
        _ => match asked(request, dialect) {
            Ok(asked) => Action::Engine(asked),
            Err(error) => Action::RefuseEngine(error),
        },
    }
}

fn asked(request: &Request<'_>, dialect: EngineDialect) -> Result<EngineRequest, RequestError> {
    let query = Query::read(request.query);
    let is_socket = match query.transport.as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(RequestError::UnknownTransport),
    };
    let upgrades = handshake::wants_upgrade(request);
    if query.sid.is_none() {
        if !matches!(request.method, Method::Get) {
            return Err(RequestError::BadHandshakeMethod);
        }
        if is_socket && !upgrades {
            return Err(RequestError::BadRequest);
        }
        if query.version.as_deref() != Some("4") {
            return Err(RequestError::UnsupportedVersion);
        }
    }
    let wants = match (&request.method, is_socket) {
        (Method::Get, true) => EngineWants::Socket(socket(request)?),
        (Method::Get, false) if !upgrades => EngineWants::Poll,
        (Method::Post, false) => EngineWants::Post,
        _ => return Err(RequestError::BadRequest),
    };
    Ok(EngineRequest {
        sid: query.sid,
        wants,
        dialect,
        name: query.name,
        payload_packets_max: payload_packets_max(request),
    })
}

/// python-engineio ends a session over a payload of more packets (`Payload.max_decode_packets`); nobody else has such a limit, and over a long
/// way it would make polling slow.
const PYTHON_PACKETS_MAX: usize = 16;

fn payload_packets_max(request: &Request<'_>) -> usize {
    let agent = request.headers.first("user-agent").unwrap_or_default();
    match agent.get(..6) {
        Some(name) if name.eq_ignore_ascii_case("python") => PYTHON_PACKETS_MAX,
        _ => usize::MAX,
    }
}

fn socket(request: &Request<'_>) -> Result<handshake::Answer, RequestError> {
    let settings = handshake::AnswerSettings {
        protocols: &[],
        deflate: false,
    };
    handshake::answer(request, &settings).map_err(|_| RequestError::BadRequest)
}

/// What of the query concerns the carrier; the rest is the application's.
#[derive(Debug, Default)]
struct Query {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    name: Option<Arc<str>>,
}

impl Query {
    fn read(query: Option<&str>) -> Self {
        let mut read = Self::default();
        for (name, value) in target::query_pairs(query.unwrap_or_default()).flatten() {
            match name.as_ref() {
                "EIO" => read.version = Some(value.into_owned()),
                "transport" => read.transport = Some(value.into_owned()),
                "sid" => read.sid = Some(value.into_owned()),
                "as" => read.name = display_name(&value).ok(),
                _ => {}
            }
        }
        read
    }
}
