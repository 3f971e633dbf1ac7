use std::sync::Arc;

use taut_hub::{Lane, Range, RoomName, Start};
use taut_wire::http::{Method, Request, accepts};
use taut_wire::native::Taken;
use taut_wire::ws::handshake;

use super::api::api;
use super::engine;
use super::parameters::{Parameters, label, parse_room, position, room};
use super::{
    Action, BodyKind, Deletion, FileAsked, Get, Otherwise, Poll, Problem, Publish, Site, Socket,
    Streaming, Streams,
};
use crate::native::everything;

/// The subprotocol of the native dialect.
const NATIVE_SUBPROTOCOL: &str = "taut";
/// What we answer to, the preferred one first. A browser that offers any needs one chosen; those beside the first mean payload only.
const SUBPROTOCOLS: [&str; 3] = [NATIVE_SUBPROTOCOL, "taut.payload", "bearer"];
/// Messages a read answers with when `?limit=` says nothing.
const LIMIT_DEFAULT: u32 = 1_000;

/// Rooms whose state one stream of `/events` begins with: each may be as large as a page of history, and all are written at once.
const EVENTS_STATES_MAX: usize = 4;

const ROOM_METHODS: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS";
const READ_METHODS: &str = "GET, HEAD, OPTIONS";
const ALL_METHODS: &str = ROOM_METHODS;
/// First names of paths that no folder answers: they are doors, or shall be able to become some without taking a file's place.
const RESERVED: [&str; 6] = ["r", "api", "health", "metrics", "socket.io", "yjs"];

/// A request, understood.
#[derive(Debug)]
pub struct Routed {
    /// What it asks for.
    pub action: Action,
    /// The page that asks, where it may: echoed in `Access-Control-Allow-Origin`.
    pub origin: Option<String>,
    /// Answer with the head alone.
    pub head_only: bool,
    /// The page may send its cookies along.
    pub credentials: bool,
}

/// Says what a request asks for. The Host and Origin rules of `site` come first, on every path alike.
#[must_use]
pub fn route(request: &Request<'_>, site: &Site) -> Routed {
    let head_only = matches!(request.method, Method::Head);
    let refused = |problem| Routed {
        action: Action::Refuse(problem),
        origin: None,
        head_only,
        credentials: false,
    };
    if let Err(problem) = site.admit(request) {
        return refused(problem);
    }
    let action = action(request, site).unwrap_or_else(Action::Refuse);
    Routed {
        action,
        origin: request.headers.first("origin").map(str::to_owned),
        head_only,
        credentials: site
            .engines
            .iter()
            .any(|engine| request.path.starts_with(engine.path.trim_end_matches('/'))),
    }
}

fn action(request: &Request<'_>, site: &Site) -> Result<Action, Problem> {
    if let Some(action) = engine_or_library(request, site) {
        return Ok(action);
    }
    if request.path == "/api" || request.path.starts_with("/api/") {
        return api(request, site);
    }
    match request.method {
        Method::Get | Method::Head | Method::Post | Method::Options => {}
        Method::Put | Method::Delete if request.path.starts_with("/r/") => {}
        Method::Put | Method::Patch | Method::Delete | Method::Connect | Method::Trace => {
            let is_room = request.path == "*" || request.path.starts_with("/r/");
            return Err(method_refused(if site.files && !is_room {
                READ_METHODS
            } else {
                ALL_METHODS
            }));
        }
        Method::Other(_) => {
            return Err(Problem::new(
                501,
                "unknown-method",
                "this server knows GET, HEAD, POST, PUT, DELETE and OPTIONS",
            ));
        }
    }
    match request.path {
        "*" => Ok(Action::Preflight { allow: ALL_METHODS }),
        "/" => {
            let page = below(request, site, Otherwise::Page).unwrap_or(Action::Page);
            fixed(request, site, Some(RoomName::lobby()), page)
        }
        "/ws" => fixed(request, site, None, Action::Refuse(socket_only())),
        "/favicon.ico" | "/favicon.svg" => read_only(request)
            .map(|()| below(request, site, Otherwise::Icon).unwrap_or(Action::Icon)),
        "/events" => events(request),
        "/health/live" => read_only(request).map(|()| Action::Live),
        "/health/ready" => read_only(request).map(|()| Action::Ready),
        path => match path.strip_prefix("/r/") {
            Some(encoded) => in_room(request, site, room(encoded)?),
            None => match below(request, site, Otherwise::Nothing) {
                Some(_) if matches!(request.method, Method::Options) => Ok(Action::Preflight {
                    allow: READ_METHODS,
                }),
                Some(file) => read_only(request).map(|()| file),
                None => Err(Problem::new(
                    404,
                    "not-found",
                    "nothing is here; rooms are at /r/ROOM, for example /r/lobby",
                )),
            },
        },
    }
}

/// What is below a path of Engine.IO: the carrier itself, or the client library beside it.
fn engine_or_library(request: &Request<'_>, site: &Site) -> Option<Action> {
    let (engine, below) = site.engines.iter().find_map(|engine| {
        let below = match request.path.strip_prefix(engine.path.as_str()) {
            // `/socket.io` without its slash is the same (the client's `addTrailingSlash: false`).
            None if Some(request.path) == engine.path.strip_suffix('/') => "",
            below => below?,
        };
        Some((engine, below))
    })?;
    match below {
        "" => Some(engine::engine(request, engine.dialect)),
        name => Some(match read_only(request) {
            Ok(()) => Action::Library(name.to_owned()),
            Err(problem) => Action::Refuse(problem),
        }),
    }
}

/// The file that answers where no door does, if a folder is served and the path may be a file's.
fn below(request: &Request<'_>, site: &Site, otherwise: Otherwise) -> Option<Action> {
    let first = request.path.strip_prefix('/')?.split('/').next()?;
    if !site.files || RESERVED.contains(&first) {
        return None;
    }
    Some(Action::File(FileAsked {
        path: request.path.to_owned(),
        query: request.query.map(str::to_owned),
        otherwise,
    }))
}

/// A path that is either a socket of `room` or, without an upgrade, `otherwise`.
fn fixed(
    request: &Request<'_>,
    site: &Site,
    room: Option<RoomName>,
    otherwise: Action,
) -> Result<Action, Problem> {
    if matches!(request.method, Method::Options) {
        return Ok(Action::Preflight {
            allow: READ_METHODS,
        });
    }
    read_only(request)?;
    if wants_upgrade(request) {
        return socket(request, site, room);
    }
    Ok(otherwise)
}

fn events(request: &Request<'_>) -> Result<Action, Problem> {
    if matches!(request.method, Method::Options) {
        return Ok(Action::Preflight {
            allow: READ_METHODS,
        });
    }
    read_only(request)?;
    let parameters = Parameters::read(request.query)?;
    if parameters.rooms.is_empty() {
        return Err(Problem::new(
            400,
            "bad-query",
            "name the rooms to stream, for example /events?room=lobby&room=news",
        ));
    }
    if parameters.state && parameters.rooms.len() > EVENTS_STATES_MAX {
        let detail = format!(
            "a stream begins with the state of at most {EVENTS_STATES_MAX} rooms; open a second one, or GET /r/ROOM?state"
        );
        return Err(Problem::new(400, "bad-query", detail));
    }
    let mut names = Vec::with_capacity(parameters.rooms.len());
    for room in &parameters.rooms {
        let name = parse_room(room)?;
        if names.contains(&name) {
            return Err(Problem::new(
                400,
                "bad-query",
                format!("the room `{name}` is named twice"),
            ));
        }
        names.push(name);
    }
    let starts = parameters.starts(request, names.len());
    let streaming = match accepts(request, &["text/event-stream", "application/x-ndjson"]) {
        Some(1) => Streaming::Ndjson,
        _ => Streaming::Sse,
    };
    Ok(Action::Stream(Streams {
        rooms: names.into_iter().zip(starts).collect(),
        many: true,
        state: parameters.state,
        streaming,
        name: parameters.name,
    }))
}

fn in_room(request: &Request<'_>, site: &Site, room: RoomName) -> Result<Action, Problem> {
    match request.method {
        Method::Options => Ok(Action::Preflight {
            allow: ROOM_METHODS,
        }),
        Method::Post | Method::Put => publish(request, room, false),
        Method::Delete => delete(request, room),
        _ if wants_upgrade(request) => socket(request, site, Some(room)),
        _ => read(request, site, room),
    }
}

/// `batch`: the request is one whatever its query says.
pub(super) fn publish(
    request: &Request<'_>,
    room: RoomName,
    batch: bool,
) -> Result<Action, Problem> {
    let mut parameters = Parameters::read(request.query)?;
    parameters.batch |= batch;
    let sets = matches!(request.method, Method::Put);
    let taken = match (sets, parameters.batch) {
        (true, false) => Taken::Set,
        (false, false) => Taken::Publish,
        (false, true) => Taken::Batch(0),
        (true, true) => {
            let detail = "PUT sets one key; POST a batch to set several";
            return Err(Problem::new(400, "bad-query", detail));
        }
    };
    if sets {
        parameters.key()?;
    }
    let of_one = parameters.key.is_some() || parameters.event.is_some();
    if parameters.batch && of_one {
        let detail = "of a batch each message has its own key and event; write them into the body";
        return Err(Problem::new(400, "bad-query", detail));
    }
    if taken != Taken::Publish {
        only_reliable(parameters.lane)?;
    }
    only_plain(request)?;
    let expect = parameters.expect(request)?;
    Ok(Action::Publish(Publish {
        room,
        lane: parameters.lane,
        event: parameters.event,
        key: parameters.key,
        id: idempotency_key(request)?,
        name: parameters.name,
        ttl_ms: parameters.ttl_ms,
        expect,
        taken,
        kind: body_kind(request.headers.first("content-type"), parameters.batch),
    }))
}

/// Nobody unpacks a body: it would grow beyond any limit that it was measured by, and readers would be told nothing of its coding.
fn only_plain(request: &Request<'_>) -> Result<(), Problem> {
    let mut codings = request
        .headers
        .all("content-encoding")
        .flat_map(|list| list.split(','));
    if codings.all(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
        return Ok(());
    }
    let detail = "a body with Content-Encoding is not unpacked; send it as it is";
    Err(Problem::new(415, "unsupported-type", detail))
}

pub(super) fn delete(request: &Request<'_>, room: RoomName) -> Result<Action, Problem> {
    let parameters = Parameters::read(request.query)?;
    let key = parameters.key()?;
    only_reliable(parameters.lane)?;
    Ok(Action::Delete(Deletion {
        room,
        key,
        id: idempotency_key(request)?,
        expect: parameters.expect(request)?,
        name: parameters.name,
    }))
}

fn only_reliable(lane: Lane) -> Result<(), Problem> {
    match lane {
        Lane::Reliable => Ok(()),
        Lane::Latest => Err(Problem::new(
            400,
            "bad-query",
            "the lane latest keeps nothing, so there is nothing to set or delete and no batch on it; POST one message",
        )),
    }
}

fn idempotency_key(request: &Request<'_>) -> Result<Option<Arc<str>>, Problem> {
    request
        .headers
        .first("idempotency-key")
        .map(|id| label(id.trim_matches('"'), taut_wire::native::check_id))
        .transpose()
}

fn body_kind(content_type: Option<&str>, batch: bool) -> BodyKind {
    let Some(content_type) = content_type else {
        return BodyKind::Text;
    };
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/x-www-form-urlencoded" => BodyKind::Text,
        "application/json" => BodyKind::Json,
        other if other.starts_with("text/") => BodyKind::Text,
        "application/x-ndjson" if batch => BodyKind::Lines,
        other if other.ends_with("+json") => BodyKind::Json,
        _ => BodyKind::Binary,
    }
}

fn read(request: &Request<'_>, site: &Site, room: RoomName) -> Result<Action, Problem> {
    let parameters = Parameters::read(request.query)?;
    if parameters.who {
        return Ok(Action::Who {
            room,
            counts: parameters.counts,
        });
    }
    if let Some(key) = &parameters.key
        && !parameters.history
    {
        return Ok(get(request, room, Arc::clone(key)));
    }
    let kinds = [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
        "text/html",
    ];
    let kind = if parameters.history {
        Some(0)
    } else {
        accepts(request, &kinds)
    };
    let streaming = match kind {
        Some(1) => Streaming::Sse,
        Some(2) => Streaming::Ndjson,
        _ if parameters.state && !parameters.history => return Ok(Action::State(room)),
        Some(3) => return Ok(Action::Page),
        _ => return Ok(Action::Read(poll(request, site, room, parameters))),
    };
    Ok(Action::Stream(Streams {
        rooms: vec![(room, parameters.start(request))],
        many: false,
        state: parameters.state,
        streaming,
        name: parameters.name,
    }))
}

fn get(request: &Request<'_>, room: RoomName, key: Arc<str>) -> Action {
    let known = request.headers.first("if-none-match").map(str::to_owned);
    Action::Get(Get { room, key, known })
}

/// What is set in a room, or under the one key that is named.
pub(super) fn state(request: &Request<'_>, room: RoomName) -> Result<Action, Problem> {
    Ok(match Parameters::read(request.query)?.key {
        Some(key) => get(request, room, key),
        None => Action::State(room),
    })
}

/// A page of history, without a wait.
pub(super) fn history(
    request: &Request<'_>,
    site: &Site,
    room: RoomName,
) -> Result<Action, Problem> {
    let parameters = Parameters::read(request.query)?;
    Ok(Action::Read(poll(request, site, room, parameters)))
}

/// A bare GET shows what the room holds, not the nothing that lies ahead. Only a read that goes on to the end can wait for more.
fn poll(request: &Request<'_>, site: &Site, room: RoomName, parameters: Parameters) -> Poll {
    let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
    let is_bounded = parameters.reverse || parameters.until.is_some();
    let start = match parameters.start(request) {
        Start::Now => everything(is_bounded, limit),
        start => start,
    };
    let wait_ms = u64::from(parameters.wait_s.unwrap_or(0)) * 1_000;
    Poll {
        room,
        range: Range {
            start,
            until: parameters.until.as_deref().map(position),
            limit,
            reverse: parameters.reverse,
        },
        wait_ms: if is_bounded {
            0
        } else {
            wait_ms.min(site.wait_ms_max)
        },
        name: parameters.name,
    }
}

fn socket(request: &Request<'_>, site: &Site, room: Option<RoomName>) -> Result<Action, Problem> {
    let settings = handshake::AnswerSettings {
        protocols: &SUBPROTOCOLS,
        deflate: site.compression,
    };
    let answer = handshake::answer(request, &settings).map_err(|refused| Problem {
        names_websocket: refused.status == 426,
        ..Problem::new(
            refused.status,
            "bad-handshake",
            format!("{} ({})", refused.text, refused.clause),
        )
    })?;
    let parameters = Parameters::read(request.query)?;
    Ok(Action::Socket(Socket {
        native: room.is_none() || answer.protocol.as_deref() == Some(NATIVE_SUBPROTOCOL),
        room,
        start: parameters.start(request),
        name: parameters.name,
        presence: parameters.presence,
        state: parameters.state,
        answer,
    }))
}

/// Whether the client wants to leave HTTP for a WebSocket. Any other protocol in `Upgrade` is not for us and is ignored (RFC 9110 §7.8).
fn wants_upgrade(request: &Request<'_>) -> bool {
    handshake::wants_upgrade(request) || request.headers.first("sec-websocket-key").is_some()
}

fn read_only(request: &Request<'_>) -> Result<(), Problem> {
    match request.method {
        Method::Get | Method::Head => Ok(()),
        _ => Err(method_refused(READ_METHODS)),
    }
}

fn method_refused(allow: &'static str) -> Problem {
    Problem {
        allow: Some(allow),
        ..Problem::new(
            405,
            "method-not-allowed",
            format!("this is for {allow}; to publish, POST to /r/ROOM"),
        )
    }
}

fn socket_only() -> Problem {
    Problem {
        names_websocket: true,
        ..Problem::new(
            426,
            "upgrade-required",
            "this URL is for WebSockets only; open it with `new WebSocket(…)`, or GET /r/ROOM",
        )
    }
}
