use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use taut_hub::{Body, Draft, RoomName};
use taut_wire::arguments;
use taut_wire::native::{self, Rejected, Taken};

use crate::command::{Command, Speaker};

/// The verbs of the namespace `/`, and how each is called.
const VERBS: [(&str, &str); 6] = [
    (
        "join",
        "emit(\"join\", room[, {since, rewind, as, presence, state}][, ack])",
    ),
    ("leave", "emit(\"leave\", room[, ack])"),
    (
        "publish",
        "emit(\"publish\", room, data[, {event, key, id}][, ack])",
    ),
    (
        "history",
        "emit(\"history\", room[, {since, until, rewind, limit, reverse}], ack)",
    ),
    ("who", "emit(\"who\", room[, {counts}], ack)"),
    ("auth", "emit(\"auth\", token[, ack])"),
];

/// An event that a client has emitted, whole.
#[derive(Debug)]
pub struct Emitted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its arguments, as they came; attachments are placeholders.
    pub arguments: Vec<&'a RawValue>,
    /// What the placeholders stand for.
    pub attachments: &'a [Vec<u8>],
}

/// What an event asks for.
#[derive(Debug)]
pub enum Heard {
    /// A verb of the namespace `/`.
    Verb(Command),
    /// To be said in the room of its namespace.
    Said(Command),
}

/// Reads an event. `room` is that of the namespace; `None` for `/`, where verbs are verbs and everything else goes to the lobby, and for a token, wherever
/// it is shown.
///
/// # Errors
/// What to answer instead; the Conn lives.
pub fn emitted(
    event: &Emitted<'_>,
    room: Option<&RoomName>,
    speaker: &Speaker,
) -> Result<Heard, Rejected<'static>> {
    let verb = VERBS.iter().find(|(verb, _)| *verb == event.name);
    match (room, verb) {
        (None, Some((verb, usage))) => self::verb(verb, usage, event, speaker).map(Heard::Verb),
        (room, _) => said(event, room, speaker).map(Heard::Said),
    }
}

/// A verb is the native request of that name: its rules, its defaults and its errors hold here as they are.
fn verb(
    verb: &str,
    usage: &str,
    event: &Emitted<'_>,
    speaker: &Speaker,
) -> Result<Command, Rejected<'static>> {
    let misused = |what: &str| refused("bad-field", format!("{what}; call it as {usage}"));
    let publishes = verb == "publish";
    let mut arguments = event.arguments.iter().map(|argument| argument.get());
    let room = arguments.next().filter(|room| room.starts_with('"'));
    let room = room.ok_or_else(|| {
        misused(match verb {
            "auth" => "the first argument is the token",
            _ => "the first argument names the room",
        })
    })?;
    let mut unit = format!("{{\"{verb}\":{room}");
    let mut body = None;
    if publishes {
        let data = arguments.next();
        let data = data.ok_or_else(|| misused("there is nothing to publish"))?;
        if event.attachments.is_empty() {
            unit.push_str(",\"data\":");
            unit.push_str(data);
        } else {
            // Binary never goes through JSON: the body is put in afterwards.
            unit.push_str(",\"data\":null");
            body = Some(body_of(&[data], event.attachments)?);
        }
    } else if !event.attachments.is_empty() {
        return Err(misused("binary is only for what is published"));
    }
    if let Some(options) = arguments.next().filter(|options| *options != "null") {
        let inner = options.strip_prefix('{').and_then(|o| o.strip_suffix('}'));
        let inner = inner.ok_or_else(|| misused("options are an object"))?;
        if !inner.trim().is_empty() {
            unit.push(',');
            unit.push_str(inner);
        }
    }
    if arguments.next().is_some() {
        return Err(misused("there are too many arguments"));
    }
    unit.push('}');
    let (command, _) = crate::native::command(unit.as_bytes(), speaker).map_err(owned)?;
    Ok(match (command, body) {
        (Command::Publish { room, draft, taken }, Some(body)) => Command::Publish {
            room,
            draft: Draft { body, ..draft },
            taken,
        },
        (command, _) => command,
    })
}

fn said(
    event: &Emitted<'_>,
    room: Option<&RoomName>,
    speaker: &Speaker,
) -> Result<Command, Rejected<'static>> {
    native::check_event(event.name).map_err(|error| refused("bad-field", error.to_string()))?;
    let arguments: Vec<&str> = event
        .arguments
        .iter()
        .map(|argument| argument.get())
        .collect();
    let body = body_of(&arguments, event.attachments)?;
    Ok(Command::Publish {
        room: room.cloned().unwrap_or_else(RoomName::lobby),
        draft: Draft {
            event: (event.name != "message").then(|| event.name.into()),
            ..Draft::new(Arc::clone(&speaker.name), speaker.door, body)
        },
        taken: Taken::Publish,
    })
}

/// One argument is what it is at every other door: a string text, a buffer binary, anything else JSON. All else is a list of arguments.
fn body_of(arguments: &[&str], attachments: &[Vec<u8>]) -> Result<Body, Rejected<'static>> {
    if let ([only], []) = (arguments, attachments) {
        if let Some(text) = plain_string(only) {
            return Ok(Body::Text(Bytes::from(text.into_bytes())));
        }
        native::check_json(only.as_bytes())
            .map_err(|error| refused("bad-json", format!("the argument is {error}")))?;
        return Ok(Body::Json(Bytes::copy_from_slice(only.as_bytes())));
    }
    if let ([only], [attachment]) = (arguments, attachments)
        && is_placeholder(only)
    {
        return Ok(Body::Binary(Bytes::copy_from_slice(attachment)));
    }
    let list = format!("[{}]", arguments.join(","));
    arguments::check(&list, attachments.len()).map_err(|error| refused("bad-json", error))?;
    Ok(Body::Args(arguments::pack(&list, attachments).into()))
}

/// The text of a JSON string; `None` where it is none, or holds half a surrogate pair, which no text can.
fn plain_string(json: &str) -> Option<String> {
    json.starts_with('"')
        .then(|| serde_json::from_str(json).ok())?
}

fn is_placeholder(argument: &str) -> bool {
    let found: Option<serde_json::Value> = serde_json::from_str(argument).ok();
    found.is_some_and(|found| found.get("_placeholder") == Some(&serde_json::Value::Bool(true)))
}

fn refused(code: &'static str, text: String) -> Rejected<'static> {
    Rejected {
        code,
        text: text.into(),
        reference: None,
    }
}

fn owned(rejected: Rejected<'_>) -> Rejected<'static> {
    refused(rejected.code, rejected.text.into_owned())
}
