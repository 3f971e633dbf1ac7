use std::borrow::Cow;

use crate::arguments;
use crate::native::{Member, Payload};

use super::escape::escape;
use super::line::{HELP, meant};

/// Lines of one message that are shown. Each repeats the name, so that a message of line ends alone could grow sixty-fold without it.
pub const LINES_MAX: usize = 200;
/// Enough of a command to be recognised.
const COMMAND_SHOWN_BYTES_MAX: usize = 24;

/// A message as a person reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// Who said it, see [`known_as`].
    pub from: &'a str,
    /// What kind of message it is; `message` is not shown.
    pub event: &'a str,
    /// What it says.
    pub body: Payload<'a>,
}

/// Appends a message: `ana: hi`, further lines `ana| more`, another event `ana [move]: …`, Binary `ana: <12 bytes>`, Args as their JSON on one line.
pub fn encode_message(out: &mut Vec<u8>, said: &Said<'_>) {
    escape(out, said.from.as_bytes());
    if said.event != "message" {
        out.extend_from_slice(b" [");
        escape(out, said.event.as_bytes());
        out.push(b']');
    }
    out.extend_from_slice(b": ");
    match said.body {
        Payload::Text(text) | Payload::Json(text) => lines(out, said.from, text),
        Payload::Binary(bytes) => size(out, bytes),
        Payload::Args(packed) => lines(out, said.from, &array(packed)),
    }
}

/// Whom a terminal shows: `ana`, and `ana:u17` where the server has verified the user `u17`. No name holds a `:`, so nobody can call itself that.
///
/// A user with white space stands in quotes, `ana:"bo: I quit"`: what ends a speaker has a space behind it, so without them a user who chose that name
/// would seem to be `bo`.
#[must_use]
pub fn known_as<'a>(name: &'a str, user: Option<&str>) -> Cow<'a, str> {
    let Some(user) = user else {
        return Cow::Borrowed(name);
    };
    let is_plain = !user.starts_with('"') && !user.contains(char::is_whitespace);
    Cow::Owned(match is_plain {
        true => format!("{name}:{user}"),
        false => {
            let user = user.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}:\"{user}\"")
        }
    })
}

/// Appends what is set under a key: `* price = 42`, further lines `* | more`, Binary `* price = <12 bytes>`. The key stands there once: a
/// state of line ends under long keys would grow hundredfold otherwise.
pub fn encode_entry(out: &mut Vec<u8>, key: &str, body: Payload<'_>) {
    encode_notice(out, key);
    out.extend_from_slice(b" = ");
    match body {
        Payload::Text(text) | Payload::Json(text) => lines(out, "* ", text),
        Payload::Binary(bytes) => size(out, bytes),
        Payload::Args(packed) => lines(out, "* ", &array(packed)),
    }
}

/// Arguments as the one line of JSON that every door but Socket.IO's has.
fn array(packed: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    arguments::encode_packed(&mut json, packed);
    json
}

fn size(out: &mut Vec<u8>, bytes: &[u8]) {
    let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
    out.extend_from_slice(format!("<{} {unit}>", bytes.len()).as_bytes());
}

fn lines(out: &mut Vec<u8>, from: &str, text: &[u8]) {
    let mut rest = text;
    let mut shown = 0_usize;
    while let Some((line, after)) = split_line(rest) {
        if shown == LINES_MAX {
            next_line(out, from);
            out.extend_from_slice(format!("… {} more bytes", rest.len()).as_bytes());
            return;
        }
        if shown > 0 {
            next_line(out, from);
        }
        escape(out, line);
        shown += 1;
        rest = after;
    }
}

fn next_line(out: &mut Vec<u8>, from: &str) {
    out.push(b'\n');
    escape(out, from.as_bytes());
    out.extend_from_slice(b"| ");
}

/// The first line and what follows its `\n`, `\r\n` or `\r`; a line end at the very end begins no line of its own.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    let Some(end) = memchr::memchr2(b'\n', b'\r', text) else {
        return Some((text, &[]));
    };
    let (line, after) = text.split_at(end);
    let after = after
        .strip_prefix(b"\r\n")
        .unwrap_or_else(|| after.get(1..).unwrap_or_default());
    Some((line, after))
}

/// Appends what the server tells by itself: `* the last 3 messages`.
pub fn encode_notice(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"* ");
    escape(out, text.as_bytes());
}

/// Appends what went wrong: `! no command /jion; did you mean /join?`.
pub fn encode_error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"! ");
    escape(out, text.as_bytes());
}

/// Appends who came and went, a line each: `* bo joined (mqtt)`, `* bo left`. Nothing where nobody did.
pub fn encode_presence(out: &mut Vec<u8>, joined: &[Member<'_>], left: &[Member<'_>]) {
    let start = out.len();
    for member in joined {
        between(out, start);
        let text = format!(
            "{} joined ({})",
            known_as(&member.name, member.user.as_deref()),
            member.door
        );
        encode_notice(out, &text);
    }
    for member in left {
        between(out, start);
        encode_notice(
            out,
            &format!("{} left", known_as(&member.name, member.user.as_deref())),
        );
    }
}

/// Appends who is in a room: `* 2 in lobby: ana (text), bo (websocket)`; `… and 7 more` where not all are listed.
pub fn encode_who(out: &mut Vec<u8>, room: &str, count: u32, members: &[Member<'_>]) {
    let mut text = format!("{count} in {room}");
    for (index, member) in members.iter().enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        text.push_str(before);
        text.push_str(&known_as(&member.name, member.user.as_deref()));
        text.push_str(" (");
        text.push_str(&member.door);
        if member.conns_count > 1 {
            text.push_str(&format!(", {} connections", member.conns_count));
        }
        text.push(')');
    }
    let listed = u32::try_from(members.len()).unwrap_or(u32::MAX);
    if count > listed {
        text.push_str(&format!(" … and {} more", count - listed));
    }
    encode_notice(out, &text);
}

/// Appends what one can type.
pub fn encode_help(out: &mut Vec<u8>) {
    let start = out.len();
    for (command, does) in HELP {
        between(out, start);
        encode_notice(out, &format!("{command:<14} {does}"));
    }
}

fn between(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b'\n');
    }
}

/// Appends the answer to a command that is none: `! no command /jion; did you mean /join?`.
pub fn encode_unknown(out: &mut Vec<u8>, command: &str) {
    let shown = &command[..command.floor_char_boundary(COMMAND_SHOWN_BYTES_MAX)];
    let text = match meant(command) {
        Some(meant) => format!("no command /{shown}; did you mean /{meant}?"),
        None => format!("no command /{shown}; /help lists them, //{shown} says it"),
    };
    encode_error(out, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_seems_to_be_another_one_that_says_something() {
        assert_eq!(known_as("ana", None), "ana");
        assert_eq!(known_as("ana", Some("u17")), "ana:u17");
        assert_eq!(known_as("ana", Some("auth0|17")), "ana:auth0|17");
        for (user, shown) in [
            ("root: I quit", r#"ana:"root: I quit""#),
            ("root| more", r#"ana:"root| more""#),
            ("root\u{a0}x", "ana:\"root\u{a0}x\""),
            (r#""root""#, r#"ana:"\"root\"""#),
            (r#"a\ "b"#, r#"ana:"a\\ \"b""#),
        ] {
            assert_eq!(known_as("ana", Some(user)), shown);
        }
    }
}
