use std::borrow::Cow;

use serde_json::value::RawValue;

use super::object::{DEPTH_MAX, is_too_deep};

/// What a message says, as a program holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// Text: `"data":"…"`.
    Text(Cow<'a, str>),
    /// A JSON value that is no string, its bytes as they came: `"data":…`.
    Json(Cow<'a, str>),
    /// Any bytes: `"base64":"…"`.
    Binary(Cow<'a, [u8]>),
    /// The arguments of an event, packed as [`crate::arguments`] does: `"args":[…]`.
    Args(Cow<'a, [u8]>),
}

impl Body<'_> {
    /// The same body, borrowed for encoding.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload::Text(text.as_bytes()),
            Self::Json(json) => Payload::Json(json.as_bytes()),
            Self::Binary(bytes) => Payload::Binary(bytes),
            Self::Args(packed) => Payload::Args(packed),
        }
    }

    /// The same body, owning what it borrowed.
    #[must_use]
    pub fn into_owned(self) -> Body<'static> {
        match self {
            Self::Text(text) => Body::Text(Cow::Owned(text.into_owned())),
            Self::Json(json) => Body::Json(Cow::Owned(json.into_owned())),
            Self::Binary(bytes) => Body::Binary(Cow::Owned(bytes.into_owned())),
            Self::Args(packed) => Body::Args(Cow::Owned(packed.into_owned())),
        }
    }
}

/// A body on its way out, as a server stores it: bytes that were checked when they came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// UTF-8. Other bytes would be written as they are and break the peer, not the server.
    Text(&'a [u8]),
    /// One JSON value in UTF-8, likewise.
    Json(&'a [u8]),
    /// Any bytes.
    Binary(&'a [u8]),
    /// Arguments, packed as [`crate::arguments`] does.
    Args(&'a [u8]),
}

/// Checks that `bytes` are one JSON value in UTF-8 that may be published, and gives it without the white space around it.
///
/// For doors where a body is not part of a unit; in units this has been seen to already.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_json(bytes: &[u8]) -> Result<&str, String> {
    let text =
        simdutf8::basic::from_utf8(bytes).map_err(|_| "not JSON: it is not UTF-8".to_owned())?;
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if is_too_deep(value.get().as_bytes()) {
        return Err(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    Ok(value.get())
}
