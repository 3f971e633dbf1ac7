//! Requests become commands.

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{Batch, Body, Door, Draft, Expect, Join, Lane, Range, RoomName, Start, Watch, Wish};
use taut_wire::native::{self, Rejected, Rewind, Taken, Verb};

use crate::command::{Command, Speaker};
use crate::datagram::Fetch;
use crate::http::position as read_position;
use crate::name::display_name;

/// Messages that `history` answers with when it says no `limit`.
const LIMIT_DEFAULT: u32 = 1_000;

/// Reads one unit. Gives the command and its `ref`, as it came.
///
/// # Errors
/// What to answer instead; the Conn lives.
pub fn command<'a>(
    unit: &'a [u8],
    speaker: &Speaker,
) -> Result<(Command, Option<&'a str>), Rejected<'a>> {
    of_request(native::decode_request(unit)?, speaker)
}

/// The same for a request that is decoded already.
///
/// # Errors
/// What to answer instead; the Conn lives.
pub fn of_request<'a>(
    request: native::Request<'a>,
    speaker: &Speaker,
) -> Result<(Command, Option<&'a str>), Rejected<'a>> {
    let reference = request.reference;
    let refused = |code, text: String| Rejected {
        code,
        text: text.into(),
        reference,
    };
    let room =
        |name: &str| RoomName::parse(name).map_err(|error| refused("bad-room", error.to_string()));
    let named = |name: Option<&str>| match name {
        Some(name) => display_name(name).map_err(|error| refused("bad-name", error.to_string())),
        None => Ok(Arc::clone(&speaker.name)),
    };
    let command = match request.verb {
        Verb::Join {
            room: name,
            since,
            rewind,
            name: display,
            presence,
            data,
            state,
        } => Command::Join {
            room: room(&name)?,
            join: Join {
                name: named(display.as_deref())?,
                door: speaker.door,
                start: start(since.as_deref(), rewind, Start::Now),
                presence: watch(presence),
                data: data.map(|data| Bytes::copy_from_slice(data.as_bytes())),
                state,
            },
        },
        Verb::Leave { room: name } => Command::Leave { room: room(&name)? },
        Verb::Publish {
            room: name,
            body,
            event,
            key,
            id,
            name: display,
            lane,
            expect,
            ttl_ms,
        } => Command::Publish {
            room: room(&name)?,
            draft: Draft {
                event: self::event(event),
                key: arc(key),
                id: arc(id),
                wish: Wish::Set { ttl_ms },
                expect: expect.as_ref().map(self::expect),
                lane: self::lane(lane),
                ..Draft::new(named(display.as_deref())?, speaker.door, own(body))
            },
            taken: Taken::Publish,
        },
        Verb::Batch {
            room: name,
            messages,
            id,
            name: display,
        } => Command::PublishBatch {
            room: room(&name)?,
            batch: batch(messages, arc(id), &named(display.as_deref())?, speaker.door),
        },
        Verb::Set {
            room: name,
            key,
            body,
            event,
            id,
            name: display,
            expect,
            ttl_ms,
        } => Command::Publish {
            room: room(&name)?,
            draft: Draft {
                event: self::event(event),
                key: arc(Some(key)),
                id: arc(id),
                wish: Wish::Set { ttl_ms },
                expect: expect.as_ref().map(self::expect),
                ..Draft::new(named(display.as_deref())?, speaker.door, own(body))
            },
            taken: Taken::Set,
        },
        Verb::Delete {
            room: name,
            key,
            id,
            name: display,
            expect,
        } => Command::Publish {
            room: room(&name)?,
            draft: Draft {
                id: arc(id),
                expect: expect.as_ref().map(self::expect),
                ..deletion(named(display.as_deref())?, speaker.door, Arc::from(&*key))
            },
            taken: Taken::Delete,
        },
        Verb::Get { room: name, key } => Command::ReadState {
            room: room(&name)?,
            key: arc(Some(key)),
        },
        Verb::State { room: name } => Command::ReadState {
            room: room(&name)?,
            key: None,
        },
        Verb::History {
            room: name,
            since,
            until,
            rewind,
            limit,
            reverse,
        } => {
            let limit = limit.unwrap_or(LIMIT_DEFAULT);
            let otherwise = everything(until.is_some() || reverse, limit);
            Command::Read {
                room: room(&name)?,
                range: Range {
                    start: start(since.as_deref(), rewind, otherwise),
                    until: until.as_deref().map(read_position),
                    limit,
                    reverse,
                },
            }
        }
        Verb::Fetch {
            room: name,
            at,
            offset,
        } => Command::Fetch {
            room: room(&name)?,
            fetch: Fetch {
                at: read_position(&at),
                offset,
            },
        },
        Verb::Who { room: name, counts } => Command::Who {
            room: room(&name)?,
            counts,
        },
        Verb::Nick { name } => Command::Rename {
            name: named(Some(&name))?,
        },
        Verb::Auth { token } => Command::Auth {
            token: token.into(),
        },
        Verb::Ping => Command::Ping,
    };
    Ok((command, reference.map(serde_json::value::RawValue::get)))
}

/// What of who comes and goes is to be heard.
pub(crate) fn watch(watch: native::Watch) -> Watch {
    match watch {
        native::Watch::Nothing => Watch::Nothing,
        native::Watch::Counts => Watch::Counts,
        native::Watch::Users => Watch::Users,
    }
}

fn start(since: Option<&str>, rewind: Option<Rewind>, otherwise: Start) -> Start {
    match (since, rewind) {
        (Some(since), _) => Start::After(read_position(since)),
        (None, Some(rewind)) => rewound(rewind),
        (None, None) => otherwise,
    }
}

/// Where a reader begins that looks so far back.
pub(crate) fn rewound(rewind: Rewind) -> Start {
    match rewind {
        Rewind::Count(count) => Start::Rewind(count),
        Rewind::Ms(ms) => Start::RewindMs(ms),
    }
}

/// Where a read begins that does not say: with the last messages, as many as the answer holds; where `until` or `reverse` says which those
/// are, with the first one that there is.
pub(crate) fn everything(is_bounded: bool, limit: u32) -> Start {
    Start::Rewind(if is_bounded { u32::MAX } else { limit })
}

/// `message` is what no event says.
fn event(event: Option<std::borrow::Cow<'_, str>>) -> Option<Arc<str>> {
    arc(event.filter(|event| event != "message"))
}

/// What must hold of a key. A position that is none is nobody's, so it never does.
pub(crate) fn expect(expect: &native::Expect<'_>) -> Expect {
    match expect {
        native::Expect::Absent => Expect::Absent,
        native::Expect::At(at) => Expect::At(read_position(at)),
    }
}

fn lane(lane: native::Lane) -> Lane {
    match lane {
        native::Lane::Reliable => Lane::Reliable,
        native::Lane::Latest => Lane::Latest,
    }
}

/// The end of a key.
#[must_use]
pub fn deletion(from: Arc<str>, door: Door, key: Arc<str>) -> Draft {
    Draft {
        key: Some(key),
        wish: Wish::Delete,
        ..Draft::new(from, door, Body::Text(Bytes::new()))
    }
}

/// Messages that are said together.
pub(crate) fn batch(
    messages: Vec<native::BatchMessage<'_>>,
    id: Option<Arc<str>>,
    from: &Arc<str>,
    door: Door,
) -> Batch {
    let drafts = messages
        .into_iter()
        .map(|message| Draft {
            event: event(message.event),
            key: arc(message.key),
            wish: Wish::Set {
                ttl_ms: message.ttl_ms,
            },
            expect: message.expect.as_ref().map(expect),
            ..Draft::new(Arc::clone(from), door, own(message.body))
        })
        .collect();
    Batch { id, drafts }
}

fn arc(text: Option<std::borrow::Cow<'_, str>>) -> Option<Arc<str>> {
    text.map(|text| Arc::from(&*text))
}

fn own(body: native::Body<'_>) -> Body {
    match body {
        native::Body::Text(text) => Body::Text(Bytes::copy_from_slice(text.as_bytes())),
        native::Body::Json(json) => Body::Json(Bytes::copy_from_slice(json.as_bytes())),
        native::Body::Binary(bytes) => Body::Binary(bytes.into_owned().into()),
        native::Body::Args(packed) => Body::Args(packed.into_owned().into()),
    }
}
