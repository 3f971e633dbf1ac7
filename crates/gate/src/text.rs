//! The text dialect: what a person at a terminal is told. Every line ends here.

use taut_hub::{Page, PresenceChange, Refusal, RoomName, Roster, State};
use taut_wire::text;

use crate::close::Close;
use crate::format::{payload, said};
use crate::native::{EXPELLED, member};

/// In a room with so many members nobody is told who comes and goes.
const PRESENCE_SHOWN_BELOW: u32 = 20;

/// What a `text://` listener says first.
pub fn encode_greeting(out: &mut Vec<u8>, name: &str) {
    line(out, |out| {
        text::encode_notice(
            out,
            &format!("this is Taut; you are {name}; type a line to say it, /help for more"),
        );
    });
}

/// Somebody is in a room now. Without a roster nobody knows, or may know, how many others are.
pub fn encode_joined(out: &mut Vec<u8>, room: &RoomName, name: &str, roster: Option<&Roster>) {
    line(out, |out| {
        let others = roster.map(|roster| roster.count.saturating_sub(1));
        let with = match others {
            None => String::new(),
            Some(0) => "; nobody else is here".to_owned(),
            Some(1) => "; 1 other is here".to_owned(),
            Some(others) => format!("; {others} others are here"),
        };
        text::encode_notice(
            out,
            &format!("you are {name} in {room}{with}; /help for more"),
        );
    });
}

/// The last messages, as if they were said now.
pub fn encode_history(out: &mut Vec<u8>, page: &Page) {
    if page.messages.is_empty() {
        line(out, |out| {
            text::encode_notice(out, "nothing has been said here");
        });
    }
    for message in &page.messages {
        line(out, |out| said(message, out));
    }
}

/// What is set.
pub fn encode_state(out: &mut Vec<u8>, state: &State) {
    if state.entries.is_empty() {
        line(out, |out| text::encode_notice(out, "nothing is set here"));
    }
    for message in &state.entries {
        let key = message.key.as_deref().unwrap_or_default();
        line(out, |out| {
            text::encode_entry(out, key, payload(&message.body));
        });
    }
}

/// What was asked for is done.
pub fn encode_done(out: &mut Vec<u8>) {
    line(out, |out| text::encode_notice(out, "done"));
}

/// Who is there.
pub fn encode_who(out: &mut Vec<u8>, room: &RoomName, roster: &Roster) {
    let members: Vec<_> = roster.members.iter().map(member).collect();
    line(out, |out| {
        text::encode_who(out, room.as_str(), roster.count, &members);
    });
}

/// Who came and went; nothing in a large room.
pub fn encode_presence(out: &mut Vec<u8>, change: &PresenceChange) {
    if change.count >= PRESENCE_SHOWN_BELOW || (change.joined.is_empty() && change.left.is_empty())
    {
        return;
    }
    let joined: Vec<_> = change.joined.iter().map(member).collect();
    let left: Vec<_> = change.left.iter().map(member).collect();
    line(out, |out| text::encode_presence(out, &joined, &left));
}

/// Somebody is out of a room that it may not be in any more.
pub fn encode_expelled(out: &mut Vec<u8>, room: &RoomName) {
    encode_error(out, &format!("{room}: {EXPELLED}"));
}

/// Somebody else has taken one out of a room.
pub fn encode_taken_out(out: &mut Vec<u8>, room: &RoomName) {
    line(out, |out| {
        text::encode_notice(
            out,
            &format!("you were taken out of {room}; /join to go elsewhere"),
        );
    });
}

/// A new name.
pub fn encode_renamed(out: &mut Vec<u8>, name: &str) {
    line(out, |out| {
        text::encode_notice(out, &format!("you are {name} now"));
    });
}

/// The token is good.
pub fn encode_authed(out: &mut Vec<u8>, user: Option<&str>) {
    line(out, |out| {
        let text = match user {
            Some(user) => format!("the token is good; you are the user {user}"),
            None => "the token is good".to_owned(),
        };
        text::encode_notice(out, &text);
    });
}

/// Nobody may be in the lobby without a token.
pub fn encode_asked(out: &mut Vec<u8>) {
    line(out, |out| {
        text::encode_notice(out, "this server asks who you are; say /auth TOKEN");
    });
}

/// No.
pub fn encode_refused(out: &mut Vec<u8>, refusal: &Refusal) {
    match refusal {
        // Nothing is wrong with it but its time.
        Refusal::RateLimited { retry_ms, .. } => encode_wait(out, *retry_ms, "that was too fast"),
        refusal => encode_error(out, &refusal.to_string()),
    }
}

/// `* wait 3 s: …`.
fn encode_wait(out: &mut Vec<u8>, retry_ms: u64, why: &str) {
    let text = format!("wait {} s: {why}", retry_ms.div_ceil(1_000));
    line(out, |out| text::encode_notice(out, &text));
}

/// Something is wrong.
pub fn encode_error(out: &mut Vec<u8>, error: &str) {
    line(out, |out| text::encode_error(out, error));
}

/// Said by somebody who is in no room.
pub fn encode_nowhere(out: &mut Vec<u8>) {
    encode_error(out, "you are in no room; /join lobby");
}

/// A command that is none.
pub fn encode_unknown(out: &mut Vec<u8>, command: &str) {
    line(out, |out| text::encode_unknown(out, command));
}

/// The commands.
pub fn encode_help(out: &mut Vec<u8>) {
    line(out, text::encode_help);
}

/// Messages are lost to this reader.
pub fn encode_gap(out: &mut Vec<u8>) {
    line(out, |out| {
        text::encode_notice(out, "you fell behind: some messages are missing here");
    });
}

/// Goodbye, and why.
pub fn farewell(out: &mut Vec<u8>, close: Close, why: Option<&str>) {
    match close {
        Close::Asked => line(out, |out| text::encode_notice(out, "goodbye")),
        Close::Violation(_) | Close::Refused => {
            encode_error(out, why.unwrap_or(close.words().text));
        }
        Close::RateLimited(retry_ms) => {
            encode_wait(out, u64::from(retry_ms), close.words().text);
        }
        _ => line(out, |out| text::encode_notice(out, close.words().text)),
    }
}

fn line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    if out.len() > start {
        out.push(b'\n');
    }
}
