use std::sync::Arc;

use serde_json::Value;
use taut_hub::{RoomName, Start, Watch};
use taut_wire::http::target;
use taut_wire::native;

use crate::http::position as read_position;
use crate::name::display_name;
use crate::native::rewound;

/// What a client says with its CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// `as`: its display name.
    pub name: Option<Arc<str>>,
    /// `since` or `rewind`: where it wants to begin.
    pub start: Start,
    /// `presence`: what it wants to hear of who comes and goes.
    pub presence: Watch,
    /// `state`: whether it wants what is set in the room.
    pub state: bool,
    /// The pass of an earlier session: the client library sends it by itself.
    pub pass: Option<String>,
    /// `token`: who it says it is.
    pub token: Option<Box<str>>,
    /// Where that session had come to, where it had heard anything.
    pub offset: Option<String>,
}

impl Auth {
    /// Reads the payload of a CONNECT, checked JSON or nothing. Fields of other types than ours are the application's own and are left alone.
    ///
    /// # Errors
    /// The code and the sentence for a name that is none, or a rewind that is none.
    pub fn read(payload: &str) -> Result<Self, (&'static str, String)> {
        let given: Value = serde_json::from_str(payload).unwrap_or_default();
        let text = |field: &str| given.get(field).and_then(Value::as_str);
        let name = text("as")
            .map(|name| display_name(name).map_err(|error| ("bad-name", error.to_string())))
            .transpose()?;
        let rewind = given.get("rewind").map(rewind).transpose()?.flatten();
        let start = match (text("since"), rewind) {
            (Some(since), _) => Start::After(read_position(since)),
            (None, Some(start)) => start,
            (None, None) => Start::Now,
        };
        Ok(Self {
            name,
            start,
            presence: match given.get("presence") {
                Some(Value::Bool(true)) => Watch::Users,
                Some(Value::String(counts)) if counts == "counts" => Watch::Counts,
                _ => Watch::Nothing,
            },
            state: given.get("state") == Some(&Value::Bool(true)),
            pass: text("pid").map(str::to_owned),
            // An empty one is none, as in a request: a page sends what it has.
            token: text("token")
                .filter(|token| !token.is_empty())
                .map(Into::into),
            offset: text("offset").map(str::to_owned),
        })
    }
}

fn rewind(given: &Value) -> Result<Option<Start>, (&'static str, String)> {
    let bad = || {
        (
            "bad-field",
            "rewind is a number of messages or a time like \"10m\"".to_owned(),
        )
    };
    match given {
        Value::Number(count) => {
            let count = count.as_u64().and_then(|count| u32::try_from(count).ok());
            count
                .map(|count| Some(Start::Rewind(count)))
                .ok_or_else(bad)
        }
        Value::String(span) => {
            let ms = native::decode_duration(span);
            ms.map(|ms| Some(rewound(native::Rewind::Ms(ms))))
                .ok_or_else(bad)
        }
        _ => Ok(None),
    }
}

/// The room that a namespace is; `None` for `/`, which names none.
///
/// # Errors
/// Why it is no room's name.
pub fn namespace_room(namespace: &str) -> Result<Option<RoomName>, String> {
    if namespace == "/" {
        return Ok(None);
    }
    let name = namespace
        .strip_prefix("/r/")
        .or(namespace.strip_prefix('/'))
        .unwrap_or(namespace);
    match target::decode_path(name) {
        Ok(name) => RoomName::parse(&name)
            .map(Some)
            .map_err(|error| error.to_string()),
        // A `%` that escapes nothing is one: namespaces are not always taken from URLs.
        Err(target::DecodeError::BadPercent) => RoomName::parse(name)
            .map(Some)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
