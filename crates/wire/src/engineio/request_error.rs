/// Why a request opens or finds no session. The codes and texts are those of the official server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// `transport` is missing or neither `polling` nor `websocket`.
    UnknownTransport,
    /// `sid` names no session.
    UnknownSid,
    /// A handshake is a GET.
    BadHandshakeMethod,
    /// Anything else, such as a second poll or a poll after the upgrade.
    BadRequest,
    /// This peer may not enter.
    Forbidden,
    /// `EIO` is not 4.
    UnsupportedVersion,
}

impl RequestError {
    /// The number in the answer, 0 to 5.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The text in the answer.
    pub fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// The status of the answer: 403 for [`RequestError::Forbidden`], else 400.
    pub fn status(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            _ => 400,
        }
    }

    /// Appends the answer's body, `{"code":0,"message":"Transport unknown"}`.
    pub fn encode_json(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"code\":");
        out.push(b'0' + self.code());
        out.extend_from_slice(b",\"message\":\"");
        out.extend_from_slice(self.message().as_bytes());
        out.extend_from_slice(b"\"}");
    }
}
