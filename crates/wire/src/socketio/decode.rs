use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::list::List;
use super::packet::{ACK_ID_MAX, Content, Event, Packet};
use crate::Violation;

const CLAUSE: &str = "Socket.IO v5, packet encoding";

/// How much a packet may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most attachments of one packet.
    pub attachments_max: u32,
    /// The longest namespace in bytes, its query not counted.
    pub namespace_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attachments_max: 64,
            // `/r/` and a room's name of 255 bytes, each percent-encoded.
            namespace_bytes_max: 800,
        }
    }
}

/// Reads the text of one message packet.
///
/// # Errors
/// A violation for everything that the official parser refuses, but for events with a
/// [reserved](crate::native::SOCKET_IO_EVENTS) name, which whoever hears them can refuse with a reason; and also for
/// an event, ack or CONNECT_ERROR without data, an ack without an id, an id above [`ACK_ID_MAX`], white space or signs in numbers,
/// white space ahead of the JSON, and an event's name that is no text (half of a surrogate pair).
pub fn decode<'a>(text: &'a str, limits: &Limits) -> Result<Packet<'a>, Violation> {
    let (kind, rest) = match text.as_bytes().first() {
        Some(kind @ b'0'..=b'6') => (*kind, text.get(1..).unwrap_or_default()),
        _ => return Err(wrong("a packet has no known type")),
    };
    let (attachments, rest) = match kind {
        b'5' | b'6' => attachments(rest, limits)?,
        _ => (0, rest),
    };
    let (namespace, rest) = namespace(rest, limits)?;
    let (id, data) = id(rest)?;
    let content = match kind {
        b'0' => Content::Connect(connect(data)?),
        b'1' if data.is_empty() => Content::Disconnect,
        b'1' => return Err(wrong("a DISCONNECT packet has data")),
        b'2' | b'5' => Content::Event(event(data)?),
        b'4' => Content::ConnectError(connect_error(data)?),
        _ if id.is_none() => return Err(wrong("an ACK packet has no id")),
        _ => Content::Ack(list(data)?),
    };
    Ok(Packet {
        namespace,
        id,
        attachments,
        content,
    })
}

fn wrong(text: impl Into<Cow<'static, str>>) -> Violation {
    Violation::new(CLAUSE, text)
}

/// `N-`.
fn attachments<'a>(text: &'a str, limits: &Limits) -> Result<(u32, &'a str), Violation> {
    let (digits, rest) = digits(text);
    let (Ok(count @ 1..), Some(rest)) = (digits.parse::<u32>(), rest.strip_prefix('-')) else {
        return Err(wrong("a binary packet has no number of attachments"));
    };
    if count > limits.attachments_max {
        return Err(wrong(format!(
            "a packet has {count} attachments, at most {} are taken",
            limits.attachments_max
        )));
    }
    Ok((count, rest))
}

/// `/name,`, or at the end `/name`. The query is what clients of Socket.IO v2 sent; it means nothing here.
fn namespace<'a>(text: &'a str, limits: &Limits) -> Result<(&'a str, &'a str), Violation> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    let namespace = namespace
        .split_once('?')
        .map_or(namespace, |(path, _query)| path);
    if namespace.len() > limits.namespace_bytes_max {
        return Err(wrong(format!(
            "a namespace has {} bytes, at most {} are taken",
            namespace.len(),
            limits.namespace_bytes_max
        )));
    }
    Ok((namespace, rest))
}

fn id(text: &str) -> Result<(Option<u64>, &str), Violation> {
    let (digits, rest) = digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(id @ 0..=ACK_ID_MAX) => Ok((Some(id), rest)),
        _ => Err(wrong("an ack id is above 9007199254740991")),
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// An object or nothing.
fn connect(data: &str) -> Result<&str, Violation> {
    if data.is_empty() {
        Ok(data)
    } else {
        object(data)
    }
}

/// An object or a string.
fn connect_error(data: &str) -> Result<&str, Violation> {
    if data.starts_with('"') {
        json(data)
    } else {
        object(data)
    }
}

fn object(data: &str) -> Result<&str, Violation> {
    if data.starts_with('{') {
        json(data)
    } else {
        Err(wrong("a packet's data is no object"))
    }
}

fn json(data: &str) -> Result<&str, Violation> {
    // Unlike a map's visitor, this looks into no key, where half of a surrogate pair may stand.
    serde_json::from_str::<IgnoredAny>(data).map_err(not_json)?;
    Ok(data)
}

// By value, because that is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn not_json(error: serde_json::Error) -> Violation {
    wrong(format!("a packet's data is not JSON: {error}"))
}

/// `["name",…]`.
fn event(data: &str) -> Result<Event<'_>, Violation> {
    let (first, all) = array(data)?;
    let Some(first) = first else {
        return Err(wrong("an event has no name"));
    };
    let name = match first.as_bytes().first() {
        Some(b'"') => name(first)?,
        Some(b'-' | b'0'..=b'9') => Cow::Borrowed(first),
        _ => return Err(wrong("an event's name is neither a string nor a number")),
    };
    let behind = trim(all.json.get(first.len()..).unwrap_or_default());
    let arguments = List {
        json: trim(behind.strip_prefix(',').unwrap_or_default()),
        count: all.count.saturating_sub(1),
    };
    Ok(Event { name, arguments })
}

fn name(json: &str) -> Result<Cow<'_, str>, Violation> {
    let inner = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => match serde_json::from_str(json) {
            Ok(name) => Ok(Cow::Owned(name)),
            Err(_) => Err(wrong("an event's name holds half of a surrogate pair")),
        },
    }
}

/// `[…]`.
fn list(data: &str) -> Result<List<'_>, Violation> {
    array(data).map(|(_first, all)| all)
}

/// The first value of an array, if it has one, and all of them.
fn array(data: &str) -> Result<(Option<&str>, List<'_>), Violation> {
    if !data.starts_with('[') {
        return Err(wrong("a packet's data is no array"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(data);
    let (first, count) = deserializer
        .deserialize_seq(Elements)
        .and_then(|elements| deserializer.end().map(|()| elements))
        .map_err(not_json)?;
    let inside = trim(data)
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or_default();
    let json = trim(inside);
    Ok((first.map(RawValue::get), List { json, count }))
}

/// Without JSON's white space around it (RFC 8259 §2).
fn trim(json: &str) -> &str {
    json.trim_matches([' ', '\t', '\n', '\r'])
}

/// The first value of an array and how many there are.
struct Elements;

impl<'a> Visitor<'a> for Elements {
    type Value = (Option<&'a RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let first = array.next_element::<&RawValue>()?;
        let mut count = usize::from(first.is_some());
        while first.is_some() && array.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((first, count))
    }
}
