use std::borrow::Cow;

/// What a message says, as a program holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// Text: `"data":"…"`.
    Text(Cow<'a, str>),
    /// A JSON value that is no string, its bytes as they came: `"data":…`.
    Json(Cow<'a, str>),
    /// Any bytes: `"base64":"…"`.
    Binary(Cow<'a, [u8]>),
}

impl Body<'_> {
    /// The same body, borrowed for encoding.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload::Text(text.as_bytes()),
            Self::Json(json) => Payload::Json(json.as_bytes()),
            Self::Binary(bytes) => Payload::Binary(bytes),
        }
    }

    /// The same body, owning what it borrowed.
    #[must_use]
    pub fn into_owned(self) -> Body<'static> {
        match self {
            Self::Text(text) => Body::Text(Cow::Owned(text.into_owned())),
            Self::Json(json) => Body::Json(Cow::Owned(json.into_owned())),
            Self::Binary(bytes) => Body::Binary(Cow::Owned(bytes.into_owned())),
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
}
