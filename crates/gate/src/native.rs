//! The native dialect: requests become commands, and what the hub says becomes replies.

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    Body, Draft, Join, Page, Position, PresenceChange, Present, Range, Recovery, Refusal, RoomName,
    Roster, Start,
};
use taut_wire::native::{self, Lane, Rejected, Reply, Verb};

use crate::close::Close;
use crate::command::{Command, Speaker};
use crate::datagram::Fetch;
use crate::format::{delivery, origin_id};
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
        } => Command::Join {
            room: room(&name)?,
            join: Join {
                name: named(display.as_deref())?,
                door: speaker.door,
                start: start(since.as_deref(), rewind, Start::Now),
                presence,
                state: false,
            },
        },
        Verb::Leave { room: name } => Command::Leave { room: room(&name)? },
        Verb::Publish {
            lane: Lane::Latest, ..
        } => {
            return Err(refused(
                "bad-field",
                "the lane \"latest\" is not open yet; leave \"lane\" out".to_owned(),
            ));
        }
        Verb::Publish {
            room: name,
            body,
            event,
            key,
            id,
            name: display,
            lane: Lane::Reliable,
        } => Command::Publish {
            room: room(&name)?,
            draft: Draft {
                event: arc(event.filter(|event| event != "message")),
                key: arc(key),
                id: arc(id),
                ..Draft::new(named(display.as_deref())?, speaker.door, own(body))
            },
        },
        Verb::History {
            room: name,
            since,
            limit,
            rewind,
        } => {
            let limit = limit.unwrap_or(LIMIT_DEFAULT);
            Command::Read {
                room: room(&name)?,
                range: Range::from(start(since.as_deref(), rewind, Start::Rewind(limit)), limit),
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
        Verb::Who { room: name } => Command::Who { room: room(&name)? },
        Verb::Nick { name } => Command::Rename {
            name: named(Some(&name))?,
        },
        Verb::Ping => Command::Ping,
    };
    Ok((command, reference.map(serde_json::value::RawValue::get)))
}

fn start(since: Option<&str>, rewind: Option<u32>, otherwise: Start) -> Start {
    match (since, rewind) {
        (Some(since), _) => Start::After(read_position(since)),
        (None, Some(count)) => Start::Rewind(count),
        (None, None) => otherwise,
    }
}

fn arc(text: Option<std::borrow::Cow<'_, str>>) -> Option<Arc<str>> {
    text.map(|text| Arc::from(&*text))
}

fn own(body: native::Body<'_>) -> Body {
    match body {
        native::Body::Text(text) => Body::Text(Bytes::copy_from_slice(text.as_bytes())),
        native::Body::Json(json) => Body::Json(Bytes::copy_from_slice(json.as_bytes())),
        native::Body::Binary(bytes) => Body::Binary(bytes.into_owned().into()),
    }
}

/// `{"ok":"join",…}`.
pub fn encode_joined(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    room: &RoomName,
    at: Position,
    recovery: Recovery,
    roster: Option<&Roster>,
) {
    Reply::Joined {
        reference: reference.map(Into::into),
        room: room.as_str().into(),
        at: at.to_string().into(),
        recovery: self::recovery(recovery),
        who: roster.map(self::roster),
    }
    .encode(out);
}

/// What an NDJSON stream opens with, for each of its rooms.
pub fn encode_streaming(
    out: &mut Vec<u8>,
    room: &RoomName,
    at: Option<Position>,
    whole_from: Option<Position>,
) {
    let recovery = whole_from.map_or(Recovery::Complete, Recovery::From);
    let at = at.unwrap_or(Position::UNKNOWN);
    encode_joined(out, None, room, at, recovery, None);
}

/// `{"ok":"leave",…}`.
pub fn encode_left(out: &mut Vec<u8>, reference: Option<&str>, room: &RoomName) {
    Reply::Left {
        reference: reference.map(Into::into),
        room: room.as_str().into(),
    }
    .encode(out);
}

/// `{"ok":"publish",…}`.
pub fn encode_published(out: &mut Vec<u8>, reference: Option<&str>, at: Position, duplicate: bool) {
    Reply::Published {
        reference: reference.map(Into::into),
        at: at.to_string().into(),
        duplicate,
    }
    .encode(out);
}

/// `{"ok":"history",…}`.
pub fn encode_history(out: &mut Vec<u8>, reference: Option<&str>, page: &Page) {
    with_page(page, |head, messages| {
        native::encode_history(out, reference, head, messages.iter().copied());
    });
}

/// Hands out a page as the native protocol writes it, with its head.
pub(crate) fn with_page(
    page: &Page,
    write: impl FnOnce(&native::PageHead<'_>, &[native::Delivery<'_>]),
) {
    let positions: Vec<String> = page
        .messages
        .iter()
        .map(|message| {
            Position {
                epoch: page.at.epoch,
                offset: message.offset,
            }
            .to_string()
        })
        .collect();
    let messages: Vec<native::Delivery<'_>> = page
        .messages
        .iter()
        .zip(&positions)
        .map(|(message, at)| delivery(page.room.as_str(), at, message))
        .collect();
    let at = page.at.to_string();
    let recovery = recovery(page.recovery);
    let head = native::PageHead {
        room: page.room.as_str(),
        at: &at,
        recovery: &recovery,
        more: page.more,
    };
    write(&head, &messages);
}

/// `{"error":CODE,…}` for what no [`Refusal`] of the hub says.
pub fn encode_error(out: &mut Vec<u8>, code: &str, reference: Option<&str>, text: &str) {
    native::encode_error(out, code, reference, text, None);
}

/// `{"ok":"who",…}`.
pub fn encode_who(out: &mut Vec<u8>, reference: Option<&str>, room: &RoomName, roster: &Roster) {
    Reply::Who {
        reference: reference.map(Into::into),
        room: room.as_str().into(),
        roster: self::roster(roster),
    }
    .encode(out);
}

/// `{"ok":"nick",…}`.
pub fn encode_renamed(out: &mut Vec<u8>, reference: Option<&str>, name: &str) {
    Reply::Renamed {
        reference: reference.map(Into::into),
        name: name.into(),
    }
    .encode(out);
}

/// `{"ok":"ping"}`.
pub fn encode_pong(out: &mut Vec<u8>, reference: Option<&str>) {
    Reply::Pong {
        reference: reference.map(Into::into),
    }
    .encode(out);
}

/// `{"error":…}`.
pub fn encode_refused(out: &mut Vec<u8>, reference: Option<&str>, refusal: &Refusal) {
    native::encode_error(
        out,
        refusal.code(),
        reference,
        &refusal.to_string(),
        refusal.retry_ms(),
    );
}

/// `{"room":…,"gap":…}`; without a room where the stream has only one.
pub fn encode_gap(out: &mut Vec<u8>, room: Option<&RoomName>, after: Position, at: Position) {
    match room {
        Some(room) => native::encode_gap(out, room.as_str(), &after.to_string(), &at.to_string()),
        // Positions need no escaping.
        None => {
            out.extend_from_slice(format!("{{\"after\":\"{after}\",\"at\":\"{at}\"}}").as_bytes());
        }
    }
}

/// `{"room":…,"presence":…}`.
pub fn encode_presence(out: &mut Vec<u8>, room: &RoomName, change: &PresenceChange) {
    Reply::Presence {
        room: room.as_str().into(),
        joined: change.joined.iter().map(member).collect(),
        left: change.left.iter().map(member).collect(),
        count: change.count,
    }
    .encode(out);
}

/// `{"bye":…}`.
pub fn encode_bye(out: &mut Vec<u8>, close: Close, text: Option<&str>, retry_ms: Option<u32>) {
    let words = close.words();
    Reply::Bye {
        code: words.word.into(),
        text: Some(text.unwrap_or(words.text).into()),
        retry_ms: retry_ms.map(u64::from),
    }
    .encode(out);
}

pub(crate) fn roster(roster: &Roster) -> native::Roster<'_> {
    native::Roster {
        count: roster.count,
        members: roster.members.iter().map(member).collect(),
    }
}

pub(crate) fn member(present: &Present) -> native::Member<'_> {
    native::Member {
        name: (&*present.name).into(),
        door: present.door.0.into(),
        id: origin_id(present.origin).into(),
    }
}

fn recovery(recovery: Recovery) -> native::Recovery<'static> {
    match recovery {
        Recovery::Complete => native::Recovery::Complete,
        Recovery::From(from) => native::Recovery::From(from.to_string().into()),
    }
}
