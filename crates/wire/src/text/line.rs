use crate::Violation;
use crate::native::nearest;

/// What a person typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// An empty line: nothing.
    Nothing,
    /// A message for the room. `//x` says `/x`.
    Say(&'a str),
    /// `/join ROOM`: the rest of the line is the room's name, spaces and all; empty where none was given.
    Join(&'a str),
    /// `/leave`: out of the room.
    Leave,
    /// `/who`: who is in the room.
    Who,
    /// `/history [N]`: the last so many messages; `None` where no number was given.
    History(Option<u32>),
    /// `/state`: what is set in the room.
    State,
    /// `/get KEY`: what is set under one key, the rest of the line; empty where none was given.
    Get(&'a str),
    /// `/set KEY VALUE`: the key ends at the first space; either is empty where it was not given.
    Set(&'a str, &'a str),
    /// `/delete KEY`, the rest of the line; empty where none was given.
    Delete(&'a str),
    /// `/nick NAME`; empty where none was given.
    Nick(&'a str),
    /// `/auth TOKEN`; empty where none was given.
    Auth(&'a str),
    /// `/help`.
    Help,
    /// `/quit`.
    Quit,
    /// No such command: what was typed after the slash, up to the first space. [`meant`] guesses what was wanted.
    Unknown(&'a str),
}

/// The commands, for `/help`.
pub const HELP: [(&str, &str); 13] = [
    ("TEXT", "say it to the room"),
    ("//TEXT", "say what begins with a slash"),
    ("/join ROOM", "go to another room"),
    ("/who", "who is here"),
    ("/history [N]", "the last messages"),
    ("/state", "what is set in the room"),
    ("/get KEY", "what is set under a key"),
    ("/set KEY VALUE", "set a key"),
    ("/delete KEY", "delete a key"),
    ("/nick NAME", "take another name"),
    ("/auth TOKEN", "show who you are"),
    ("/leave", "leave the room"),
    ("/quit", "end the connection"),
];

const COMMANDS: [&str; 12] = [
    "join", "leave", "who", "history", "state", "get", "set", "delete", "nick", "auth", "help",
    "quit",
];

/// Decodes a line, given without its line end.
///
/// # Errors
/// A [`Violation`] when it is not UTF-8.
pub fn decode_line(line: &[u8]) -> Result<Line<'_>, Violation> {
    let text = simdutf8::basic::from_utf8(line)
        .map_err(|_| Violation::new("PROTOCOL.md, Text", "the line is not UTF-8"))?;
    let Some(typed) = text.strip_prefix('/') else {
        return Ok(if text.is_empty() {
            Line::Nothing
        } else {
            Line::Say(text)
        });
    };
    if typed.starts_with('/') {
        return Ok(Line::Say(typed));
    }
    let (command, rest) = typed.split_once([' ', '\t']).unwrap_or((typed, ""));
    Ok(decode_command(command, rest.trim()))
}

fn decode_command<'a>(command: &'a str, rest: &'a str) -> Line<'a> {
    match command {
        "join" => Line::Join(rest),
        "leave" => Line::Leave,
        "who" => Line::Who,
        "history" => Line::History(rest.parse().ok()),
        "state" => Line::State,
        "get" => Line::Get(rest),
        "set" => {
            let (key, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            Line::Set(key, value.trim_start())
        }
        "delete" => Line::Delete(rest),
        "nick" => Line::Nick(rest),
        "auth" => Line::Auth(rest),
        "help" => Line::Help,
        "quit" => Line::Quit,
        _ => Line::Unknown(command),
    }
}

/// The command that `command`, which is none, was probably meant to be.
#[must_use]
pub fn meant(command: &str) -> Option<&'static str> {
    nearest(command, &COMMANDS)
}

/// Appends the line that says `text`, without a line end: a slash in front is doubled. Line ends in `text` would end it early; what
/// stands after the first is left out.
pub fn encode_say(out: &mut Vec<u8>, text: &str) {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    if line.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(line.as_bytes());
}
