//! What the hub says becomes replies.

use std::sync::Arc;

use taut_hub::{
    Door, Message, Origin, Page, Position, PresenceChange, Recovery, Refusal, RoomName, Roster,
    State, User,
};
use taut_wire::native::{self, Reply, Taken};

use crate::close::Close;
use crate::format::{delivery, origin_id, stamp};

/// What is said of a key that is not set.
pub(crate) const NO_KEY: &str = "nothing is set under this key";

/// Why somebody is out of a room who did not ask for it.
pub const EXPELLED: &str = "you may not be in this room any more";

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

/// `{"ok":"publish",…}`, or what else was taken. On the lane `latest` it has no position.
pub fn encode_published(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    taken: Taken,
    at: Option<Position>,
    duplicate: bool,
) {
    Reply::Published {
        reference: reference.map(Into::into),
        taken,
        at: at.map(|at| at.to_string().into()),
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
    let stamps: Vec<Option<native::Stamp<'_>>> =
        messages.iter().map(|message| stamp(message)).collect();
    let deliveries: Vec<native::Delivery<'_>> = messages
        .iter()
        .zip(positions.iter().zip(&stamps))
        .map(|(message, (at, by))| delivery(room.as_str(), at, by.as_ref(), message))
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

/// `{"ok":"auth",…}`.
pub fn encode_authed(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    user: Option<&str>,
    expires_s: u64,
) {
    Reply::Authed {
        reference: reference.map(Into::into),
        user: user.map(Into::into),
        expires_s,
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

/// `{"room":…,"left":"forbidden"}`: the Conn may not be there any more.
pub fn encode_expelled(out: &mut Vec<u8>, room: &RoomName) {
    native::encode_expelled(out, room.as_str(), "forbidden", EXPELLED);
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

/// The same for who watches only the counts.
pub fn encode_counts(out: &mut Vec<u8>, room: &RoomName, change: &PresenceChange) {
    Reply::Presence {
        room: room.as_str().into(),
        joined: Vec::new(),
        left: Vec::new(),
        changed: Vec::new(),
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
        name: user.name.name().into(),
        user: user.name.user().map(Into::into),
        door,
        id,
        conns: match user.conns.as_slice() {
            [_, _, ..] => user.conns.iter().map(place).collect(),
            _ => Vec::new(),
        },
        conns_count: user.conns_count,
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
