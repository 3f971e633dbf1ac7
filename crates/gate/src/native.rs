//! The native dialect: requests become commands, and what the hub says becomes replies.

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    Batch, Body, Door, Draft, Expect, Join, Message, Origin, Page, Position, PresenceChange, Range,
    Recovery, Refusal, RoomName, Roster, Start, State, User, Wish,
};
use taut_wire::native::{self, Lane, Rejected, Reply, Rewind, Taken, Verb};

use crate::close::Close;
use crate::command::{Command, Speaker};
use crate::datagram::Fetch;
use crate::format::{delivery, origin_id};
use crate::http::position as read_position;
use crate::name::display_name;

/// What is said of a key that is not set.
pub(crate) const NO_KEY: &str = "nothing is set under this key";

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
                presence,
                data: data.map(|data| Bytes::copy_from_slice(data.as_bytes())),
                state,
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
        Verb::Ping => Command::Ping,
    };
    Ok((command, reference.map(serde_json::value::RawValue::get)))
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
    state: Option<&[Arc<Message>]>,
) {
    let position = at.to_string();
    let who = roster.map(self::roster);
    let head = native::JoinHead {
        room: room.as_str(),
        at: &position,
        recovery: &self::recovery(recovery),
        who: who.as_ref(),
    };
    let mut write = |deliveries: Option<&[native::Delivery<'_>]>| {
        let state = deliveries.map(|deliveries| deliveries.iter().copied());
        native::encode_joined(out, reference, &head, state);
    };
    match state {
        Some(state) => with_deliveries(room, at, state, |deliveries| write(Some(deliveries))),
        None => write(None),
    }
}

/// What an NDJSON stream opens with, for each of its rooms.
pub fn encode_streaming(
    out: &mut Vec<u8>,
    room: &RoomName,
    at: Option<Position>,
    whole_from: Option<Position>,
    state: Option<&[Arc<Message>]>,
) {
    let recovery = whole_from.map_or(Recovery::Complete, Recovery::From);
    let at = at.unwrap_or(Position::UNKNOWN);
    encode_joined(out, None, room, at, recovery, None, state);
}

/// `{"ok":"leave",…}`.
pub fn encode_left(out: &mut Vec<u8>, reference: Option<&str>, room: &RoomName) {
    Reply::Left {
        reference: reference.map(Into::into),
        room: room.as_str().into(),
    }
    .encode(out);
}

/// `{"ok":"publish",…}`, or what else was taken.
pub fn encode_published(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    taken: Taken,
    at: Position,
    duplicate: bool,
) {
    Reply::Published {
        reference: reference.map(Into::into),
        taken,
        at: at.to_string().into(),
        duplicate,
    }
    .encode(out);
}

/// `{"ok":"state",…}`.
pub fn encode_state(out: &mut Vec<u8>, reference: Option<&str>, state: &State) {
    let at = state.at.to_string();
    with_deliveries(&state.room, state.at, &state.entries, |deliveries| {
        native::encode_state(
            out,
            reference,
            state.room.as_str(),
            &at,
            deliveries.iter().copied(),
        );
    });
}

/// `{"ok":"get",…}` for the one key that was asked for, or that it is not set.
pub fn encode_got(out: &mut Vec<u8>, reference: Option<&str>, state: &State) {
    with_deliveries(
        &state.room,
        state.at,
        &state.entries,
        |deliveries| match deliveries.first() {
            Some(found) => native::encode_got(out, reference, found),
            None => encode_error(out, "no-key", reference, NO_KEY),
        },
    );
}

/// What is set in a room, as the data of an event stream's `taut:state`: a list, or an object with the room where the stream has several.
pub fn encode_list(
    out: &mut Vec<u8>,
    room: &RoomName,
    at: Position,
    messages: &[Arc<Message>],
    many: bool,
) {
    with_deliveries(room, at, messages, |deliveries| {
        let deliveries = deliveries.iter().copied();
        if many {
            native::encode_set_keys(out, room.as_str(), &at.to_string(), deliveries);
        } else {
            native::encode_list(out, deliveries);
        }
    });
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
    let at = page.at.to_string();
    let recovery = recovery(page.recovery);
    let head = native::PageHead {
        room: page.room.as_str(),
        at: &at,
        recovery: &recovery,
        more: page.more,
    };
    with_deliveries(&page.room, page.at, &page.messages, |messages| {
        write(&head, messages);
    });
}

/// Hands out messages of one room as the native protocol writes them. `at` is any of the room's positions.
pub(crate) fn with_deliveries<R>(
    room: &RoomName,
    at: Position,
    messages: &[Arc<Message>],
    write: impl FnOnce(&[native::Delivery<'_>]) -> R,
) -> R {
    let positions: Vec<String> = messages
        .iter()
        .map(|message| {
            Position {
                epoch: at.epoch,
                offset: message.offset,
            }
            .to_string()
        })
        .collect();
    let deliveries: Vec<native::Delivery<'_>> = messages
        .iter()
        .zip(&positions)
        .map(|(message, at)| delivery(room.as_str(), at, message))
        .collect();
    write(&deliveries)
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

/// `{"ok":"ping"}`, with how far the Conn is behind in its rooms.
pub fn encode_pong(out: &mut Vec<u8>, reference: Option<&str>, behind: &[(RoomName, u64)]) {
    Reply::Pong {
        reference: reference.map(Into::into),
        behind: behind
            .iter()
            .map(|(room, messages)| (room.as_str().into(), *messages))
            .collect(),
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
        changed: change.changed.iter().map(member).collect(),
        count: change.count,
        conns: change.conns,
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
        conns: roster.conns,
        members: roster.members.iter().map(member).collect(),
    }
}

pub(crate) fn member(user: &User) -> native::Member<'_> {
    let place = |(door, origin): &(Door, Origin)| (door.0.into(), origin_id(*origin).into());
    let (door, id) = user.conns.first().map(place).unwrap_or_default();
    native::Member {
        name: (&*user.name).into(),
        door,
        id,
        conns: match user.conns.as_slice() {
            [_, _, ..] => user.conns.iter().map(place).collect(),
            _ => Vec::new(),
        },
        // What the hub keeps was checked when it came in.
        data: user
            .data
            .as_deref()
            .and_then(|data| std::str::from_utf8(data).ok())
            .map(Into::into),
    }
}

fn recovery(recovery: Recovery) -> native::Recovery<'static> {
    match recovery {
        Recovery::Complete => native::Recovery::Complete,
        Recovery::From(from) => native::Recovery::From(from.to_string().into()),
    }
}
