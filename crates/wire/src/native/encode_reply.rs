use super::body::Payload;
use super::delivery::{
    Delivery, delivery_fields, encode_announcement, encode_base64, encode_delivery, place_field,
    text_field,
};
use super::escape::{encode_json, number};
use super::reply::{Member, Message, Recovery, Reply, Roster, Taken};

impl Reply<'_> {
    /// Appends the object, without a line end. [`Reply::Unknown`] is nothing that a server says, and writes `{}`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Joined {
                reference,
                room,
                at,
                recovery,
                who,
                state,
            } => {
                let head = JoinHead {
                    room,
                    at,
                    recovery,
                    who: who.as_ref(),
                };
                let state = state
                    .as_ref()
                    .map(|state| state.iter().map(Message::delivery));
                return encode_joined(out, reference.as_deref(), &head, state);
            }
            Self::Left { reference, room } => {
                open_ok(out, "leave", reference.as_deref());
                text_field(out, b",\"room\":", room);
            }
            Self::Published {
                reference,
                taken,
                at,
                duplicate,
            } => {
                open_ok(out, taken.verb(), reference.as_deref());
                out.push(b',');
                receipt_fields(out, *taken, at.as_deref(), *duplicate);
            }
            Self::Got { reference, message } => {
                return encode_got(out, reference.as_deref(), &message.delivery());
            }
            Self::State {
                reference,
                room,
                at,
                state,
            } => {
                let state = state.iter().map(Message::delivery);
                return encode_state(out, reference.as_deref(), room, at, state);
            }
            Self::History {
                reference,
                room,
                at,
                recovery,
                more,
                messages,
            } => {
                let head = PageHead {
                    room,
                    at,
                    recovery,
                    more: *more,
                };
                let messages = messages.iter().map(Message::delivery);
                return encode_history(out, reference.as_deref(), &head, messages);
            }
            Self::Fetched {
                reference,
                room,
                at,
                offset,
                bytes,
                piece,
            } => {
                let piece = Piece {
                    room,
                    at,
                    offset: *offset,
                    bytes: *bytes,
                    piece,
                };
                return encode_fetched(out, reference.as_deref(), &piece);
            }
            Self::Who {
                reference,
                room,
                roster,
            } => {
                open_ok(out, "who", reference.as_deref());
                text_field(out, b",\"room\":", room);
                out.push(b',');
                roster_fields(out, roster);
            }
            Self::Renamed { reference, name } => {
                open_ok(out, "nick", reference.as_deref());
                text_field(out, b",\"name\":", name);
            }
            Self::Authed {
                reference,
                user,
                expires_s,
            } => {
                open_ok(out, "auth", reference.as_deref());
                if let Some(user) = user {
                    text_field(out, b",\"user\":", user);
                }
                out.extend_from_slice(b",\"expires_s\":");
                number(out, *expires_s);
            }
            Self::Pong { reference, behind } => {
                open_ok(out, "ping", reference.as_deref());
                for (index, (room, messages)) in behind.iter().enumerate() {
                    let opening: &[u8] = if index == 0 { b",\"behind\":{" } else { b"," };
                    text_field(out, opening, room);
                    out.push(b':');
                    number(out, *messages);
                }
                if !behind.is_empty() {
                    out.push(b'}');
                }
            }
            Self::Error {
                code,
                reference,
                text,
                retry_ms,
            } => return encode_error(out, code, reference.as_deref(), text, *retry_ms),
            Self::Message(message) => return encode_delivery(out, &message.delivery()),
            Self::Announced(announced) => {
                let head = Delivery {
                    room: &announced.room,
                    at: announced.at.as_deref(),
                    from: &announced.from,
                    by: announced.by.as_ref(),
                    event: &announced.event,
                    key: None,
                    id: None,
                    time_ms: 0,
                    body: Payload::Text(b""),
                };
                return encode_announcement(out, &head, announced.bytes as usize);
            }
            Self::Prove { challenge } => return encode_prove(out, challenge),
            Self::Expelled { room, code, text } => return encode_expelled(out, room, code, text),
            Self::Gap { room, after, at } => return encode_gap(out, room, after, at),
            Self::Presence {
                room,
                joined,
                left,
                changed,
                count,
                conns,
            } => {
                text_field(out, b"{\"room\":", room);
                out.extend_from_slice(b",\"presence\":{\"joined\":");
                members_list(out, joined);
                out.extend_from_slice(b",\"left\":");
                members_list(out, left);
                if !changed.is_empty() {
                    out.extend_from_slice(b",\"changed\":");
                    members_list(out, changed);
                }
                out.extend_from_slice(b",\"count\":");
                number(out, u64::from(*count));
                conns_field(out, *count, *conns);
                out.push(b'}');
            }
            Self::Bye {
                code,
                text,
                retry_ms,
            } => {
                text_field(out, b"{\"bye\":", code);
                if let Some(text) = text {
                    text_field(out, b",\"text\":", text);
                }
                retry_field(out, *retry_ms);
            }
            Self::Unknown => out.push(b'{'),
        }
        out.push(b'}');
    }
}

/// Appends an `{"error":…}`. `reference` is JSON as it came.
pub fn encode_error(
    out: &mut Vec<u8>,
    code: &str,
    reference: Option<&str>,
    text: &str,
    retry_ms: Option<u64>,
) {
    text_field(out, b"{\"error\":", code);
    reference_field(out, reference);
    text_field(out, b",\"text\":", text);
    retry_field(out, retry_ms);
    out.push(b'}');
}

/// Appends an `{"error":…}` without its text, for where there is no space for it.
pub fn encode_bare_error(out: &mut Vec<u8>, code: &str, reference: Option<&str>) {
    text_field(out, b"{\"error\":", code);
    reference_field(out, reference);
    out.push(b'}');
}

/// Appends an `{"ok":…}` to what was taken without the position, for where there is no space for it.
pub fn encode_taken(out: &mut Vec<u8>, taken: Taken, reference: Option<&str>) {
    open_ok(out, taken.verb(), reference);
    out.push(b'}');
}

/// What stands before the state in the answer to a join.
#[derive(Debug, Clone, Copy)]
pub struct JoinHead<'a> {
    /// The room.
    pub room: &'a str,
    /// The room's head.
    pub at: &'a str,
    /// Whether everything asked for comes.
    pub recovery: &'a Recovery<'a>,
    /// Who is there, when presence was asked for.
    pub who: Option<&'a Roster<'a>>,
}

/// Appends an `{"ok":"join",…}`.
pub fn encode_joined<'m>(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    head: &JoinHead<'_>,
    state: Option<impl IntoIterator<Item = Delivery<'m>>>,
) {
    open_ok(out, "join", reference);
    text_field(out, b",\"room\":", head.room);
    text_field(out, b",\"at\":", head.at);
    recovery_fields(out, head.recovery);
    if let Some(roster) = head.who {
        out.extend_from_slice(b",\"who\":{");
        roster_fields(out, roster);
        out.push(b'}');
    }
    if let Some(state) = state {
        out.extend_from_slice(b",\"state\":");
        encode_list(out, state);
    }
    out.push(b'}');
}

/// Appends an `{"ok":"get",…}`.
pub fn encode_got(out: &mut Vec<u8>, reference: Option<&str>, message: &Delivery<'_>) {
    open_ok(out, "get", reference);
    out.push(b',');
    delivery_fields(out, message);
    out.push(b'}');
}

/// Appends an `{"ok":"state",…}`.
pub fn encode_state<'m>(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    room: &str,
    at: &str,
    state: impl IntoIterator<Item = Delivery<'m>>,
) {
    open_ok(out, "state", reference);
    out.push(b',');
    state_fields(out, room, at, state);
    out.push(b'}');
}

/// Appends the answer to `?state`: the same without `ok` and `ref`.
pub fn encode_set_keys<'m>(
    out: &mut Vec<u8>,
    room: &str,
    at: &str,
    state: impl IntoIterator<Item = Delivery<'m>>,
) {
    out.push(b'{');
    state_fields(out, room, at, state);
    out.push(b'}');
}

/// Appends messages as a list.
pub fn encode_list<'m>(out: &mut Vec<u8>, messages: impl IntoIterator<Item = Delivery<'m>>) {
    out.push(b'[');
    for (index, message) in messages.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode_delivery(out, &message);
    }
    out.push(b']');
}

/// Appends a `{"room":…,"left":…}`: the Conn is out of the room without having asked for it.
pub fn encode_expelled(out: &mut Vec<u8>, room: &str, code: &str, text: &str) {
    text_field(out, b"{\"room\":", room);
    text_field(out, b",\"left\":", code);
    text_field(out, b",\"text\":", text);
    out.push(b'}');
}

/// Appends a `{"room":…,"gap":…}`.
pub fn encode_gap(out: &mut Vec<u8>, room: &str, after: &str, at: &str) {
    text_field(out, b"{\"room\":", room);
    text_field(out, b",\"gap\":{\"after\":", after);
    text_field(out, b",\"at\":", at);
    out.extend_from_slice(b"}}");
}

/// What stands before the messages of a page of history.
#[derive(Debug, Clone, Copy)]
pub struct PageHead<'a> {
    /// The room.
    pub room: &'a str,
    /// Where to go on.
    pub at: &'a str,
    /// Whether everything asked for is there.
    pub recovery: &'a Recovery<'a>,
    /// There is more after `at` already.
    pub more: bool,
}

/// A piece of a message.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The room.
    pub room: &'a str,
    /// The message's position.
    pub at: &'a str,
    /// Where the piece begins in the object that the message is, in bytes.
    pub offset: u32,
    /// How many bytes the whole object has.
    pub bytes: u32,
    /// The piece.
    pub piece: &'a [u8],
}

/// Appends an `{"ok":"fetch",…}`.
pub fn encode_fetched(out: &mut Vec<u8>, reference: Option<&str>, piece: &Piece<'_>) {
    open_ok(out, "fetch", reference);
    text_field(out, b",\"room\":", piece.room);
    text_field(out, b",\"at\":", piece.at);
    out.extend_from_slice(b",\"offset\":");
    number(out, u64::from(piece.offset));
    out.extend_from_slice(b",\"bytes\":");
    number(out, u64::from(piece.bytes));
    out.extend_from_slice(b",\"base64\":\"");
    encode_base64(out, piece.piece);
    out.extend_from_slice(b"\"}");
}

/// Appends a `{"prove":…}`.
pub fn encode_prove(out: &mut Vec<u8>, challenge: &str) {
    text_field(out, b"{\"prove\":", challenge);
    out.push(b'}');
}

/// Appends an `{"ok":"history",…}`.
pub fn encode_history<'m>(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    head: &PageHead<'_>,
    messages: impl IntoIterator<Item = Delivery<'m>>,
) {
    open_ok(out, "history", reference);
    out.push(b',');
    page_fields(out, head, messages);
    out.push(b'}');
}

/// Appends a page of history as `GET` answers it: the same without `ok` and `ref`.
pub fn encode_page<'m>(
    out: &mut Vec<u8>,
    head: &PageHead<'_>,
    messages: impl IntoIterator<Item = Delivery<'m>>,
) {
    out.push(b'{');
    page_fields(out, head, messages);
    out.push(b'}');
}

/// Appends the answer to `?who`: the same as to `who`, without `ok` and `ref`.
pub fn encode_roster(out: &mut Vec<u8>, room: &str, roster: &Roster<'_>) {
    text_field(out, b"{\"room\":", room);
    out.push(b',');
    roster_fields(out, roster);
    out.push(b'}');
}

/// Appends the answer to a `POST`, `PUT` or `DELETE`: the same as to the verb, without `ok` and `ref`.
pub fn encode_receipt(out: &mut Vec<u8>, taken: Taken, at: Option<&str>, duplicate: bool) {
    out.push(b'{');
    receipt_fields(out, taken, at, duplicate);
    out.push(b'}');
}

fn open_ok(out: &mut Vec<u8>, verb: &str, reference: Option<&str>) {
    text_field(out, b"{\"ok\":", verb);
    reference_field(out, reference);
}

fn reference_field(out: &mut Vec<u8>, reference: Option<&str>) {
    if let Some(reference) = reference {
        out.extend_from_slice(b",\"ref\":");
        encode_json(out, reference.as_bytes());
    }
}

fn retry_field(out: &mut Vec<u8>, retry_ms: Option<u64>) {
    if let Some(retry_ms) = retry_ms {
        out.extend_from_slice(b",\"retry_ms\":");
        number(out, retry_ms);
    }
}

fn receipt_fields(out: &mut Vec<u8>, taken: Taken, at: Option<&str>, duplicate: bool) {
    place_field(out, at);
    if let Taken::Batch(count) = taken {
        out.extend_from_slice(b",\"count\":");
        number(out, u64::from(count));
    }
    if duplicate {
        out.extend_from_slice(b",\"duplicate\":true");
    }
}

fn recovery_fields(out: &mut Vec<u8>, recovery: &Recovery<'_>) {
    match recovery {
        Recovery::Complete => out.extend_from_slice(b",\"complete\":true"),
        Recovery::From(from) => text_field(out, b",\"complete\":false,\"from\":", from),
    }
}

fn page_fields<'m>(
    out: &mut Vec<u8>,
    head: &PageHead<'_>,
    messages: impl IntoIterator<Item = Delivery<'m>>,
) {
    text_field(out, b"\"room\":", head.room);
    text_field(out, b",\"at\":", head.at);
    recovery_fields(out, head.recovery);
    if head.more {
        out.extend_from_slice(b",\"more\":true");
    }
    out.extend_from_slice(b",\"messages\":");
    encode_list(out, messages);
}

fn state_fields<'m>(
    out: &mut Vec<u8>,
    room: &str,
    at: &str,
    state: impl IntoIterator<Item = Delivery<'m>>,
) {
    text_field(out, b"\"room\":", room);
    text_field(out, b",\"at\":", at);
    out.extend_from_slice(b",\"state\":");
    encode_list(out, state);
}

fn roster_fields(out: &mut Vec<u8>, roster: &Roster<'_>) {
    out.extend_from_slice(b"\"count\":");
    number(out, u64::from(roster.count));
    conns_field(out, roster.count, roster.conns);
    out.extend_from_slice(b",\"members\":");
    members_list(out, &roster.members);
}

/// How many connections there are, where that is not as many as users.
fn conns_field(out: &mut Vec<u8>, count: u32, conns: u32) {
    if conns != count {
        out.extend_from_slice(b",\"conns\":");
        number(out, u64::from(conns));
    }
}

fn members_list(out: &mut Vec<u8>, members: &[Member<'_>]) {
    out.push(b'[');
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text_field(out, b"{\"name\":", &member.name);
        if let Some(user) = &member.user {
            text_field(out, b",\"user\":", user);
        }
        text_field(out, b",\"door\":", &member.door);
        text_field(out, b",\"id\":", &member.id);
        for (index, (door, id)) in member.conns.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b",\"conns\":[" } else { b"," });
            text_field(out, b"{\"door\":", door);
            text_field(out, b",\"id\":", id);
            out.push(b'}');
        }
        if !member.conns.is_empty() {
            out.push(b']');
        }
        if member.conns_count as usize > member.conns.len().max(1) {
            out.extend_from_slice(b",\"conns_count\":");
            number(out, u64::from(member.conns_count));
        }
        if let Some(data) = &member.data {
            out.extend_from_slice(b",\"data\":");
            encode_json(out, data.as_bytes());
        }
        out.push(b'}');
    }
    out.push(b']');
}
