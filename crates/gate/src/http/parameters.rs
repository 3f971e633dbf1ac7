use std::sync::Arc;

use taut_hub::{Expect, Lane, Position, RoomName, Start, Watch};
use taut_wire::http::{Request, target};
use taut_wire::native::{self, Rewind};

use super::Problem;
use super::excerpt::excerpt;
use crate::name::display_name;
use crate::native::rewound;

/// The query of a request, decoded; each parameter at most once, except `room`.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) rewind: Option<Rewind>,
    pub(super) reverse: bool,
    pub(super) limit: Option<u32>,
    pub(super) wait_s: Option<u32>,
    pub(super) name: Option<Arc<str>>,
    pub(super) event: Option<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
    /// Empty: the key is not set.
    pub(super) expect: Option<String>,
    pub(super) ttl_ms: Option<u64>,
    pub(super) batch: bool,
    pub(super) lane: Lane,
    pub(super) rooms: Vec<String>,
    pub(super) presence: Watch,
    pub(super) who: bool,
    /// With `who`: only how many.
    pub(super) counts: bool,
    pub(super) history: bool,
    pub(super) state: bool,
}

const NAME_THE_KEY: &str = "name the key, for example /r/lobby?key=price";

/// Rooms that `/events` streams at once: the default of rooms per Conn would make a URL of 64 KiB.
const EVENTS_ROOMS_MAX: usize = 32;

impl Parameters {
    /// Reads the query; unknown parameters are ignored, so that links may carry more.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut read = Self::default();
        for pair in target::query_pairs(query.unwrap_or_default()) {
            let (name, value) =
                pair.map_err(|error| Problem::new(400, "bad-query", error.to_string()))?;
            match name.as_ref() {
                "since" => read.since = Some(value.into_owned()),
                "until" => read.until = Some(value.into_owned()),
                "rewind" => read.rewind = Some(rewind(&value)?),
                "reverse" => read.reverse = is_on(&value),
                "limit" => read.limit = Some(number("limit", &value)?),
                "wait" => read.wait_s = Some(number("wait", &value)?),
                "as" => {
                    read.name = Some(display_name(&value).map_err(|error| {
                        Problem::new(400, "bad-name", format!("?as={}: {error}", excerpt(&value)))
                    })?);
                }
                "event" if value == "message" => read.event = None,
                "event" => read.event = Some(label(&value, native::check_event)?),
                "key" => read.key = Some(label(&value, native::check_key)?),
                "expect" => read.expect = Some(value.into_owned()),
                "ttl" => read.ttl_ms = Some(ttl(&value)?),
                "batch" => read.batch = is_on(&value),
                "lane" => read.lane = lane(&value)?,
                "room" => read.rooms.push(value.into_owned()),
                "presence" if value == "counts" => read.presence = Watch::Counts,
                "presence" if is_on(&value) => read.presence = Watch::Users,
                "presence" => read.presence = Watch::Nothing,
                "who" => read.who = is_on(&value),
                "counts" => read.counts = is_on(&value),
                "history" => read.history = is_on(&value),
                "state" => read.state = is_on(&value),
                _ => {}
            }
        }
        if read.rooms.len() > EVENTS_ROOMS_MAX {
            return Err(Problem::new(
                400,
                "bad-query",
                format!(
                    "{} rooms asked for, at most {EVENTS_ROOMS_MAX} at once; open a second stream, or use the WebSocket /ws",
                    read.rooms.len()
                ),
            ));
        }
        Ok(read)
    }

    /// Where to begin: `Last-Event-ID`, else `since`, else `rewind`, else now.
    pub(super) fn start(&self, request: &Request<'_>) -> Start {
        let resumed = request
            .headers
            .first("last-event-id")
            .filter(|id| !id.is_empty());
        match (resumed.or(self.since.as_deref()), self.rewind) {
            (Some(since), _) => Start::After(position(since)),
            (None, Some(rewind)) => rewound(rewind),
            (None, None) => Start::Now,
        }
    }

    /// What must hold of the key: `If-Match`, `If-None-Match` or `?expect=`. Any of them needs a key.
    pub(super) fn expect(&self, request: &Request<'_>) -> Result<Option<Expect>, Problem> {
        let headers = &request.headers;
        let expect = match (headers.first("if-match"), headers.first("if-none-match")) {
            (None, None) => self.expect.as_deref().map(|at| match at {
                "" => Expect::Absent,
                at => Expect::At(position(at)),
            }),
            (Some(tag), None) => Some(Expect::At(tag_position(tag)?)),
            (None, Some("*")) => Some(Expect::Absent),
            _ => {
                return Err(Problem::new(
                    400,
                    "bad-field",
                    "say If-Match: \"POSITION\" for a key that is set, or If-None-Match: * for one that is not",
                ));
            }
        };
        if self.key.is_none() && (expect.is_some() || self.ttl_ms.is_some()) {
            return Err(Problem::new(400, "bad-query", NAME_THE_KEY));
        }
        Ok(expect)
    }

    /// The key that a request cannot do without.
    pub(super) fn key(&self) -> Result<Arc<str>, Problem> {
        let missing = || Problem::new(400, "bad-query", NAME_THE_KEY);
        self.key.clone().ok_or_else(missing)
    }

    /// Where to begin in each of several rooms: the positions stand in the order of the rooms, joined by commas.
    pub(super) fn starts(&self, request: &Request<'_>, rooms: usize) -> Vec<Start> {
        let resumed = request
            .headers
            .first("last-event-id")
            .filter(|id| !id.is_empty());
        match resumed.or(self.since.as_deref()) {
            Some(list) => {
                let mut parts = list.split(',');
                (0..rooms)
                    .map(|_| Start::After(position(parts.next().unwrap_or_default())))
                    .collect()
            }
            None => vec![self.rewind.map_or(Start::Now, rewound); rooms],
        }
    }
}

/// A position as a client sent it. One that is not ours is nobody's: the hub answers with a gap, never with an error.
pub fn position(text: &str) -> Position {
    text.trim().parse().unwrap_or(Position::UNKNOWN)
}

/// The position in an entity tag, `"P"`. A weak one never matches (RFC 9110 §13.1.1).
fn tag_position(tag: &str) -> Result<Position, Problem> {
    let quoted = tag
        .trim()
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(at) => Ok(position(at)),
        None if tag.trim().starts_with("W/") => Ok(Position::UNKNOWN),
        None => Err(Problem::new(
            400,
            "bad-field",
            format!(
                "If-Match: {} is no single entity tag; write If-Match: \"POSITION\"",
                excerpt(tag)
            ),
        )),
    }
}

/// The room that a path names, after its prefix.
pub(super) fn room(encoded: &str) -> Result<RoomName, Problem> {
    let decoded = target::decode_path(encoded)
        .map_err(|error| Problem::new(400, "bad-room", error.to_string()))?;
    parse_room(&decoded)
}

pub(super) fn parse_room(name: &str) -> Result<RoomName, Problem> {
    RoomName::parse(name).map_err(|error| Problem::new(400, "bad-room", error.to_string()))
}

fn number(name: &str, value: &str) -> Result<u32, Problem> {
    value.parse().map_err(|_| {
        Problem::new(
            400,
            "bad-query",
            format!(
                "?{name}={} is not a whole number; for example ?{name}=25",
                excerpt(value)
            ),
        )
    })
}

fn rewind(value: &str) -> Result<Rewind, Problem> {
    if let Some(ms) = native::decode_duration(value) {
        return Ok(Rewind::Ms(ms));
    }
    match value.parse() {
        Ok(count) => Ok(Rewind::Count(count)),
        Err(_) => Err(Problem::new(
            400,
            "bad-query",
            format!(
                "?rewind={} is neither a whole number nor a length of time; for example ?rewind=25 or ?rewind=10m",
                excerpt(value)
            ),
        )),
    }
}

fn ttl(value: &str) -> Result<u64, Problem> {
    native::decode_duration(value).ok_or_else(|| {
        Problem::new(
            400,
            "bad-query",
            format!(
                "?ttl={} is no length of time; for example ?ttl=30s",
                excerpt(value)
            ),
        )
    })
}

fn lane(value: &str) -> Result<Lane, Problem> {
    match value {
        "reliable" => Ok(Lane::Reliable),
        "latest" => Ok(Lane::Latest),
        _ => Err(Problem::new(
            400,
            "bad-query",
            format!(
                "?lane={} is no lane; there are reliable and latest",
                excerpt(value)
            ),
        )),
    }
}

/// A switch in a query: there, and not switched off.
pub(super) fn is_on(value: &str) -> bool {
    value != "0" && value != "false"
}

/// An event name, key or id, by the rules that hold at every door.
pub(crate) fn label(
    value: &str,
    check: fn(&str) -> Result<(), native::BadLabel>,
) -> Result<Arc<str>, Problem> {
    check(value).map_err(|error| Problem::new(400, "bad-field", error.to_string()))?;
    Ok(value.into())
}
