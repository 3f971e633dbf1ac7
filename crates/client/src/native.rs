//! Between this library's words and the native protocol's.

use std::borrow::Cow;

use serde_json::value::RawValue;
use taut_wire::native::{self, BatchMessage, Recovery, Reply, Rewind, Verb};

use crate::error::Error;
use crate::exchange::Request;
use crate::message::{
    Arguments, Body, Joined, Latest, Message, Page, Position, Present, Published, Roster, Stamp,
    State,
};
use crate::request::{Content, Expect, History, Join, Publish, Start};

/// What a request was answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Joined(Joined),
    Left,
    Published(Published),
    Said,
    Page(Page),
    State(State),
    Got(Box<Message>),
    Roster(Roster),
    Pong,
}

impl Answer {
    /// The error of an answer that belongs to another verb.
    pub(crate) fn misplaced(&self, verb: &str) -> Error {
        Error::Violation(format!("another answer came to a `{verb}`"))
    }
}

/// Something that the server said.
pub(crate) enum Incoming {
    Answer {
        reference: Option<u64>,
        answer: Answer,
    },
    Refused {
        reference: Option<u64>,
        error: Error,
    },
    Message(Message),
    Latest(Latest),
    Gap {
        room: String,
        after: Position,
        at: Position,
    },
    Presence {
        room: String,
        joined: Vec<Present>,
        left: Vec<Present>,
        changed: Vec<Present>,
        count: u32,
    },
    Bye {
        code: String,
        text: String,
        retry_ms: Option<u64>,
    },
    /// Out of a room that one may not be in any more.
    Expelled {
        room: String,
        error: Error,
    },
    /// Of a kind that this version does not know, from a newer server.
    Unknown,
}

/// Appends the unit of a request.
pub(crate) fn encode(request: &Request, reference: u64, out: &mut Vec<u8>) {
    let verb = match request {
        Request::Join(join) => join_verb(join),
        Request::Publish(publish) => publish_verb(publish),
        Request::History(history) => history_verb(history),
        Request::Leave(room) => Verb::Leave {
            room: Cow::Borrowed(room),
        },
        Request::State(room) => Verb::State {
            room: Cow::Borrowed(room),
        },
        Request::Get { room, key } => Verb::Get {
            room: Cow::Borrowed(room),
            key: Cow::Borrowed(key),
        },
        Request::Who(room) => Verb::Who {
            room: Cow::Borrowed(room),
            counts: false,
        },
        Request::Ping => Verb::Ping,
    };
    verb.encode(Some(&reference.to_string()), out);
}

/// Appends the unit that shows a token. It bears the reference that no request has.
pub(crate) fn encode_auth(token: &str, out: &mut Vec<u8>) {
    let token = Cow::Borrowed(token);
    Verb::Auth { token }.encode(Some("0"), out);
}

fn join_verb(join: &Join) -> Verb<'_> {
    let (since, rewind) = start_fields(&join.start);
    Verb::Join {
        room: Cow::Borrowed(&join.room),
        since,
        rewind,
        name: borrowed(join.name.as_ref()),
        presence: join.presence,
        data: borrowed(join.data.as_ref()),
        state: join.state,
    }
}

fn history_verb(history: &History) -> Verb<'_> {
    let (since, rewind) = start_fields(&history.start);
    Verb::History {
        room: Cow::Borrowed(&history.room),
        since,
        until: history
            .until
            .as_ref()
            .map(|until| Cow::Borrowed(until.as_str())),
        rewind,
        limit: history.limit,
        reverse: history.reverse,
    }
}

fn publish_verb(publish: &Publish) -> Verb<'_> {
    let room = Cow::Borrowed(publish.room.as_str());
    let id = borrowed(publish.id.as_ref());
    let name = borrowed(publish.name.as_ref());
    let expect = publish.expect.as_ref().map(as_wire);
    match &publish.content {
        Content::One(body) => Verb::Publish {
            room,
            body: body.as_wire(),
            event: borrowed(publish.event.as_ref()),
            key: borrowed(publish.key.as_ref()),
            id,
            name,
            lane: publish.lane,
            expect,
            ttl_ms: publish.ttl_ms,
        },
        Content::Batch(messages) => Verb::Batch {
            room,
            messages: messages.iter().filter_map(batch_message).collect(),
            id,
            name,
        },
        Content::Deletion => Verb::Delete {
            room,
            key: borrowed(publish.key.as_ref()).unwrap_or_default(),
            id,
            name,
            expect,
        },
    }
}

/// One message of a batch. What is no message has been refused by then.
fn batch_message(publish: &Publish) -> Option<BatchMessage<'_>> {
    let Content::One(body) = &publish.content else {
        return None;
    };
    Some(BatchMessage {
        body: body.as_wire(),
        event: borrowed(publish.event.as_ref()),
        key: borrowed(publish.key.as_ref()),
        expect: publish.expect.as_ref().map(as_wire),
        ttl_ms: publish.ttl_ms,
    })
}

fn as_wire(expect: &Expect) -> native::Expect<'_> {
    match expect {
        Expect::Absent => native::Expect::Absent,
        Expect::At(position) => native::Expect::At(Cow::Borrowed(position.as_str())),
    }
}

fn start_fields(start: &Start) -> (Option<Cow<'_, str>>, Option<Rewind>) {
    match start {
        Start::Now => (None, None),
        Start::After(position) => (Some(Cow::Borrowed(position.as_str())), None),
        Start::Rewind(messages) => (None, Some(Rewind::Count(*messages))),
        Start::RewindMs(ms) => (None, Some(Rewind::Ms(*ms))),
    }
}

fn borrowed(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| Cow::Borrowed(text.as_str()))
}

impl Body {
    /// The same body as the codecs have it.
    fn as_wire(&self) -> native::Body<'_> {
        match self {
            Self::Text(text) => native::Body::Text(Cow::Borrowed(text)),
            Self::Json(json) => native::Body::Json(Cow::Borrowed(json.get())),
            Self::Binary(bytes) => native::Body::Binary(Cow::Borrowed(bytes)),
            Self::Args(arguments) => native::Body::Args(Cow::Borrowed(arguments.packed())),
        }
    }
}

/// Reads one unit.
pub(crate) fn decode(unit: &[u8]) -> Result<Incoming, Error> {
    let reply =
        native::decode_reply(unit).map_err(|violation| Error::Violation(violation.to_string()))?;
    Ok(match reply {
        Reply::Joined {
            reference,
            room,
            at,
            recovery,
            who,
            state,
        } => answered(
            reference.as_deref(),
            Answer::Joined(Joined {
                room: room.into_owned(),
                at: position(at),
                incomplete_from: incomplete_from(recovery),
                roster: who.map(roster),
                state: state.map(messages).transpose()?,
            }),
        ),
        Reply::Left { reference, .. } => answered(reference.as_deref(), Answer::Left),
        Reply::Published {
            reference,
            at,
            duplicate,
            ..
        } => {
            let answer = match at.map(position) {
                Some(at) => Answer::Published(Published { at, duplicate }),
                None => Answer::Said,
            };
            answered(reference.as_deref(), answer)
        }
        Reply::History {
            reference,
            room,
            at,
            recovery,
            more,
            messages: said,
        } => answered(
            reference.as_deref(),
            Answer::Page(Page {
                room: room.into_owned(),
                at: position(at),
                incomplete_from: incomplete_from(recovery),
                more,
                messages: messages(said)?,
            }),
        ),
        Reply::State {
            reference,
            room,
            at,
            state,
        } => answered(
            reference.as_deref(),
            Answer::State(State {
                room: room.into_owned(),
                at: position(at),
                entries: messages(state)?,
            }),
        ),
        Reply::Got {
            reference,
            message: said,
        } => {
            let got = Answer::Got(Box::new(message(said)?));
            answered(reference.as_deref(), got)
        }
        Reply::Who {
            reference,
            roster: who,
            ..
        } => answered(reference.as_deref(), Answer::Roster(roster(who))),
        Reply::Pong { reference, .. } => answered(reference.as_deref(), Answer::Pong),
        Reply::Error {
            code,
            reference,
            text,
            retry_ms,
        } => Incoming::Refused {
            reference: number(reference.as_deref()),
            error: Error::Refused {
                code: code.into_owned(),
                text: text.into_owned(),
                retry_ms: retry_ms.filter(|ms| *ms > 0),
            },
        },
        Reply::Message(said) if said.at.is_none() => Incoming::Latest(latest(said)?),
        Reply::Message(said) => Incoming::Message(message(said)?),
        Reply::Expelled { room, code, text } => Incoming::Expelled {
            room: room.into_owned(),
            error: Error::Refused {
                code: code.into_owned(),
                text: text.into_owned(),
                retry_ms: None,
            },
        },
        Reply::Gap { room, after, at } => Incoming::Gap {
            room: room.into_owned(),
            after: position(after),
            at: position(at),
        },
        Reply::Presence {
            room,
            joined,
            left,
            changed,
            count,
            ..
        } => Incoming::Presence {
            room: room.into_owned(),
            joined: joined.into_iter().map(present).collect(),
            left: left.into_iter().map(present).collect(),
            changed: changed.into_iter().map(present).collect(),
            count,
        },
        Reply::Bye {
            code,
            text,
            retry_ms,
        } => Incoming::Bye {
            text: text.map_or_else(|| "it gave no reason".to_owned(), Cow::into_owned),
            code: code.into_owned(),
            retry_ms,
        },
        // Nothing here asks for another name by itself, or speaks in datagrams.
        Reply::Renamed { .. }
        | Reply::Authed { .. }
        | Reply::Fetched { .. }
        | Reply::Announced(_)
        | Reply::Prove { .. }
        | Reply::Unknown => Incoming::Unknown,
    })
}

fn answered(reference: Option<&str>, answer: Answer) -> Incoming {
    Incoming::Answer {
        reference: number(reference),
        answer,
    }
}

/// Our references are numbers; whatever else comes back is nobody's.
fn number(reference: Option<&str>) -> Option<u64> {
    reference?.parse().ok()
}

fn position(at: Cow<'_, str>) -> Position {
    Position::new(at.into_owned())
}

fn incomplete_from(recovery: Recovery<'_>) -> Option<Position> {
    match recovery {
        Recovery::Complete => None,
        Recovery::From(from) => Some(position(from)),
    }
}

fn roster(roster: native::Roster<'_>) -> Roster {
    Roster {
        count: roster.count,
        conns: roster.conns,
        members: roster.members.into_iter().map(present).collect(),
    }
}

fn present(member: native::Member<'_>) -> Present {
    Present {
        name: member.name.into_owned(),
        door: member.door.into_owned(),
        id: member.id.into_owned(),
        conns_count: member.conns_count,
        conns: member
            .conns
            .into_iter()
            .map(|(door, id)| (door.into_owned(), id.into_owned()))
            .collect(),
        data: member.data.map(Cow::into_owned),
    }
}

fn messages(said: Vec<native::Message<'_>>) -> Result<Vec<Message>, Error> {
    said.into_iter().map(message).collect()
}

fn message(said: native::Message<'_>) -> Result<Message, Error> {
    let Some(at) = said.at else {
        return Err(Error::Violation(
            "a message of the lane latest is kept, which it is not".into(),
        ));
    };
    Ok(Message {
        room: said.room.into_owned(),
        at: position(at),
        from: said.from.into_owned(),
        by: said.by.map(stamp),
        event: said.event.into_owned(),
        key: said.key.map(Cow::into_owned),
        id: said.id.map(Cow::into_owned),
        time_ms: said.time_ms,
        body: body(said.body)?,
    })
}

fn stamp(by: native::Stamp<'_>) -> Stamp {
    Stamp {
        user: by.user.into_owned(),
        door: by.door.into_owned(),
        conn: by.conn.map(Cow::into_owned),
    }
}

fn latest(said: native::Message<'_>) -> Result<Latest, Error> {
    Ok(Latest {
        room: said.room.into_owned(),
        from: said.from.into_owned(),
        by: said.by.map(stamp),
        event: said.event.into_owned(),
        key: said.key.map(Cow::into_owned),
        time_ms: said.time_ms,
        body: body(said.body)?,
    })
}

fn body(body: native::Body<'_>) -> Result<Body, Error> {
    Ok(match body {
        native::Body::Text(text) => Body::Text(text.into_owned()),
        native::Body::Binary(bytes) => Body::Binary(bytes.into_owned()),
        native::Body::Args(packed) => Body::Args(Arguments::of_packed(packed.into_owned())),
        native::Body::Json(json) => match RawValue::from_string(json.into_owned()) {
            Ok(json) => Body::Json(json),
            Err(error) => return Err(Error::Violation(format!("a body is no JSON: {error}"))),
        },
    })
}
