//! The one table of what a server says when it refuses or ends: the same words in native replies, problem JSON and close frames.

/// A refusal: `{"error":CODE}` in the native protocol, `code` in problem JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// The word.
    pub code: &'static str,
    /// The HTTP status that goes with it.
    pub status: u16,
}

/// A farewell: `{"bye":CODE}` in the native protocol, the reason of a WebSocket close frame, `taut:bye` on an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByeCode {
    /// The word.
    pub code: &'static str,
    /// The WebSocket close codes that go with it.
    pub closes: &'static [u16],
    /// Whether coming back helps; a `retry_ms` says when.
    pub comes_back: bool,
}

/// All refusals, by status. A breach of HTTP itself is `bad-request` with the status that RFC 9110 gives it.
pub const ERRORS: &[ErrorCode] = &[
    refusal("bad-json", 400),
    refusal("no-verb", 400),
    refusal("two-verbs", 400),
    refusal("bad-field", 400),
    refusal("bad-room", 400),
    refusal("bad-name", 400),
    refusal("bad-text", 400),
    refusal("bad-query", 400),
    refusal("bad-handshake", 400),
    refusal("bad-request", 400),
    refusal("unexpected-body", 400),
    refusal("label-too-long", 400),
    refusal("unauthorized", 401),
    refusal("expired", 401),
    refusal("reserved-name", 403),
    refusal("presence-off", 403),
    refusal("state-off", 403),
    refusal("host-refused", 403),
    refusal("origin-refused", 403),
    refusal("forbidden", 403),
    refusal("not-found", 404),
    refusal("no-key", 404),
    refusal("too-long-for-datagram", 413),
    refusal("method-not-allowed", 405),
    refusal("timeout", 408),
    refusal("not-joined", 409),
    refusal("id-conflict", 409),
    refusal("unexpected", 412),
    refusal("message-too-large", 413),
    refusal("unsupported-type", 415),
    refusal("bad-configuration", 422),
    refusal("upgrade-required", 426),
    refusal("too-many-rooms-per-conn", 429),
    refusal("rate-limited", 429),
    refusal("fault", 500),
    refusal("unknown-method", 501),
    refusal("too-many-rooms", 503),
    refusal("full", 503),
    refusal("unavailable", 503),
    refusal("restart", 503),
    refusal("state-full", 507),
];

/// All farewells, by close code.
pub const BYES: &[ByeCode] = &[
    farewell("bye", &[1000], false),
    farewell("violation", &[1002, 1003, 1007, 1009], false),
    farewell("refused", &[1008], false),
    farewell("fault", &[1011], true),
    farewell("restart", &[1012], true),
    farewell("full", &[1013], true),
    farewell("unavailable", &[1013], true),
    farewell("expired", &[4001], true),
    farewell("revoked", &[4003], false),
    farewell("gap", &[4008], true),
    farewell("slow", &[4009], true),
    farewell("silent", &[4010], true),
    farewell("rate-limited", &[4029], true),
];

/// The HTTP status of a refusal; 400 for a word that is not in the table.
#[must_use]
pub fn status(code: &str) -> u16 {
    ERRORS
        .iter()
        .find(|error| error.code == code)
        .map_or(400, |error| error.status)
}

const fn refusal(code: &'static str, status: u16) -> ErrorCode {
    ErrorCode { code, status }
}

const fn farewell(code: &'static str, closes: &'static [u16], comes_back: bool) -> ByeCode {
    ByeCode {
        code,
        closes,
        comes_back,
    }
}
