use std::sync::Arc;

use taut_hub::{Position, RoomName, Start};
use taut_wire::http::{Request, target};
use taut_wire::native;

use super::Problem;
use crate::name::display_name;

/// The query of a request, decoded; each parameter at most once, except `room`.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) since: Option<String>,
    pub(super) rewind: Option<u32>,
    pub(super) limit: Option<u32>,
    pub(super) wait_s: Option<u32>,
    pub(super) name: Option<Arc<str>>,
    pub(super) event: Option<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
    pub(super) rooms: Vec<String>,
    pub(super) presence: bool,
    pub(super) who: bool,
    pub(super) history: bool,
}

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
                "rewind" => read.rewind = Some(number("rewind", &value)?),
                "limit" => read.limit = Some(number("limit", &value)?),
                "wait" => read.wait_s = Some(number("wait", &value)?),
                "as" => {
                    read.name = Some(display_name(&value).map_err(|error| {
                        Problem::new(400, "bad-name", format!("?as={value}: {error}"))
                    })?);
                }
                "event" if value == "message" => read.event = None,
                "event" => read.event = Some(label(&value, native::check_event)?),
                "key" => read.key = Some(label(&value, native::check_key)?),
                "room" => read.rooms.push(value.into_owned()),
                "presence" => read.presence = value != "0" && value != "false",
                "who" => read.who = true,
                "history" => read.history = true,
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
            (None, Some(rewind)) => Start::Rewind(rewind),
            (None, None) => Start::Now,
        }
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
            None => vec![self.rewind.map_or(Start::Now, Start::Rewind); rooms],
        }
    }
}

/// A position as a client sent it. One that is not ours is nobody's: the hub answers with a gap, never with an error.
pub(crate) fn position(text: &str) -> Position {
    text.trim().parse().unwrap_or(Position::UNKNOWN)
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
            format!("?{name}={value} is not a whole number; for example ?{name}=25"),
        )
    })
}

/// An event name, key or id, by the rules that hold at every door.
pub(crate) fn label(
    value: &str,
    check: fn(&str) -> Result<(), native::BadLabel>,
) -> Result<Arc<str>, Problem> {
    check(value).map_err(|error| Problem::new(400, "bad-field", error.to_string()))?;
    Ok(value.into())
}
