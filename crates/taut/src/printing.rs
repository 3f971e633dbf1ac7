//! Messages as `taut sub` prints them: for people with control characters escaped, for programs as the native protocol has them.

use taut_client::{Body, Latest, Message};
use taut_wire::native::{Delivery, Payload, Stamp, encode_delivery};
use taut_wire::text::{Said, encode_entry, encode_message, encode_notice, escape, known_as};

/// A message as lines for people, each with the room before it where one is given.
pub(crate) fn text(message: &Message, room: Option<&str>) -> Vec<u8> {
    let mut lines = Vec::new();
    match (&message.key, message.event.as_str()) {
        (Some(key), "taut:deleted") => encode_notice(&mut lines, &format!("{key} deleted")),
        (Some(key), "taut:expired") => encode_notice(&mut lines, &format!("{key} expired")),
        _ => encode_message(
            &mut lines,
            &Said {
                from: &speaker(&message.from, message.by.as_ref()),
                event: &message.event,
                body: payload(&message.body),
            },
        ),
    }
    in_room(&lines, room)
}

/// The same of what was said on the lane `latest`.
pub(crate) fn latest(said: &Latest, room: Option<&str>) -> Vec<u8> {
    let mut lines = Vec::new();
    encode_message(
        &mut lines,
        &Said {
            from: &speaker(&said.from, said.by.as_ref()),
            event: &said.event,
            body: payload(&said.body),
        },
    );
    in_room(&lines, room)
}

fn in_room(lines: &[u8], room: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() + 1);
    for line in lines.split(|byte| *byte == b'\n') {
        if let Some(room) = room {
            out.push(b'[');
            escape(&mut out, room.as_bytes());
            out.extend_from_slice(b"] ");
        }
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

/// What is set under a key, as lines for people: `price = 42`.
pub(crate) fn entry(message: &Message) -> Vec<u8> {
    let mut lines = Vec::new();
    let key = message.key.as_deref().unwrap_or_default();
    encode_entry(&mut lines, key, payload(&message.body));
    let mut out = Vec::with_capacity(lines.len() + 1);
    for line in lines.split(|byte| *byte == b'\n') {
        // The mark of a server's own lines means nothing where there are no others.
        out.extend_from_slice(line.strip_prefix(b"* ").unwrap_or(line));
        out.push(b'\n');
    }
    out
}

/// A message as a line for programs.
pub(crate) fn json(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    let by = message.by.as_ref().map(stamp);
    let delivery = Delivery {
        room: &message.room,
        at: Some(message.at.as_str()),
        from: &message.from,
        by: by.as_ref(),
        event: &message.event,
        key: message.key.as_deref(),
        id: message.id.as_deref(),
        time_ms: message.time_ms,
        body: payload(&message.body),
    };
    encode_delivery(&mut out, &delivery);
    out.push(b'\n');
    out
}

/// What was said on the lane `latest`, as a line for programs.
pub(crate) fn latest_json(said: &Latest) -> Vec<u8> {
    let mut out = Vec::new();
    let by = said.by.as_ref().map(stamp);
    let delivery = Delivery {
        room: &said.room,
        at: None,
        from: &said.from,
        by: by.as_ref(),
        event: &said.event,
        key: said.key.as_deref(),
        id: None,
        time_ms: said.time_ms,
        body: payload(&said.body),
    };
    encode_delivery(&mut out, &delivery);
    out.push(b'\n');
    out
}

fn stamp(by: &taut_client::Stamp) -> Stamp<'_> {
    Stamp {
        user: by.user.as_str().into(),
        door: by.door.as_str().into(),
        conn: by.conn.as_deref().map(Into::into),
    }
}

/// The name, and the verified user behind it.
fn speaker(from: &str, by: Option<&taut_client::Stamp>) -> String {
    known_as(from, by.map(|by| by.user.as_str())).into_owned()
}

fn payload(body: &Body) -> Payload<'_> {
    match body {
        Body::Text(text) => Payload::Text(text.as_bytes()),
        Body::Json(json) => Payload::Json(json.get().as_bytes()),
        Body::Binary(bytes) => Payload::Binary(bytes),
        Body::Args(arguments) => Payload::Args(arguments.packed()),
    }
}

/// A name on one line of a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut out = Vec::new();
    escape(&mut out, text.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use taut_client::{Arguments, Position};

    use super::*;

    fn said(body: Body) -> Message {
        Message {
            room: "games/42".into(),
            at: Position::new("e-1"),
            from: "ana".into(),
            by: None,
            event: "message".into(),
            key: None,
            id: None,
            time_ms: 7,
            body,
        }
    }

    #[test]
    fn nothing_that_was_said_moves_the_cursor() {
        let message = said(Body::from("a\x1b[2Jb\nbo: c\u{202e}"));
        let shown = String::from_utf8(text(&message, Some("games/42"))).unwrap();
        assert_eq!(
            shown,
            "[games/42] ana: a\\x1b[2Jb\n[games/42] ana| bo: c\\u{202e}\n"
        );
    }

    #[test]
    fn arguments_are_one_line_of_json_with_their_attachments() {
        let array = "[\"a\\nb\",{\"base64\":\"AAH/\"},\"\u{202e}\"]";
        let message = said(Body::Args(Arguments::from_json(array).unwrap()));
        let shown = String::from_utf8(text(&message, None)).unwrap();
        assert_eq!(
            shown,
            "ana: [\"a\\nb\",{\"base64\":\"AAH/\"},\"\\u{202e}\"]\n"
        );
        let line = String::from_utf8(json(&message)).unwrap();
        assert!(line.ends_with(&format!("\"args\":{array}}}\n")), "{line}");
    }

    #[test]
    fn a_line_for_programs_keeps_json_as_it_came() {
        let message = said(Body::json("{\"b\":1.50,\n\"a\":[]}").unwrap());
        let line = String::from_utf8(json(&message)).unwrap();
        assert!(line.contains("\"data\":{\"b\":1.50,"), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
    }
}
