//! The one table of why a Conn ends: how each protocol says it, and whether to come back.

use taut_wire::ws::CloseCode;

/// Why a Conn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The peer asked for it.
    Asked,
    /// The server is shutting down or restarting.
    Restart,
    /// The peer broke its protocol; the text of the Violation goes with it.
    Violation(CloseCode),
    /// It did not read, and its room's lag policy is `disconnect`.
    Slow,
    /// A payload-only door lost messages that history no longer holds, and has no other way to say so.
    Gap,
    /// It fell silent: no pong, or a handshake or request that never ended.
    Silent,
    /// It was refused on a door that cannot say no and live.
    Refused,
    /// What it showed of itself has expired: a new token lets it in again.
    Expired,
    /// What it showed of itself was taken back.
    Revoked,
    /// The server has no room for it now.
    Full,
    /// It cannot be known now whether it may come in.
    Unavailable,
    /// Its address has as many Conns as it may, or opens them too fast: it may come back after so many milliseconds.
    RateLimited(u32),
}

/// How a [`Close`] is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The WebSocket close code.
    pub code: CloseCode,
    /// The word for it: `bye` of the native protocol, the reason of a WebSocket close.
    pub word: &'static str,
    /// A sentence for people.
    pub text: &'static str,
    /// Come back after this many milliseconds (more, by the jitter that each Conn adds); `None`: coming back as before would not help.
    pub retry_ms: Option<u32>,
}

impl Close {
    /// How to say it.
    #[must_use]
    pub fn words(self) -> Words {
        let (code, word, text, retry_ms) = match self {
            Self::Asked => (CloseCode::NORMAL, "bye", "goodbye", None),
            Self::Restart => (
                CloseCode::RESTART,
                "restart",
                "the server restarts; come back in a moment",
                Some(1_000),
            ),
            Self::Violation(code) => (code, "violation", "your client broke the protocol", None),
            Self::Slow => (
                CloseCode(4009),
                "slow",
                "you read too slowly for this room; come back and resume",
                Some(1_000),
            ),
            Self::Gap => (
                CloseCode(4008),
                "gap",
                "messages were lost that history no longer holds; come back and read anew",
                Some(0),
            ),
            Self::Silent => (
                CloseCode(4010),
                "silent",
                "you did not answer in time; come back",
                Some(1_000),
            ),
            Self::Refused => (
                CloseCode::POLICY,
                "refused",
                "this is not allowed here",
                None,
            ),
            Self::Expired => (
                CloseCode(4001),
                "expired",
                "your token has expired; come back with a new one",
                Some(0),
            ),
            Self::Revoked => (
                CloseCode(4003),
                "revoked",
                "your token was revoked; ask for a new one",
                None,
            ),
            Self::Full => (
                CloseCode::TRY_AGAIN,
                "full",
                "the server has no room now; come back later",
                Some(10_000),
            ),
            Self::Unavailable => (
                CloseCode::TRY_AGAIN,
                "unavailable",
                "the server cannot find out now whether you may come in; come back in a moment",
                Some(1_000),
            ),
            Self::RateLimited(retry_ms) => (
                CloseCode(4029),
                "rate-limited",
                "your address opens more connections than this server allows; come back later",
                Some(retry_ms),
            ),
        };
        Words {
            code,
            word,
            text,
            retry_ms,
        }
    }

    /// The come-back hint with jitter: `retry_ms` to twice that, spread by `seed`, so that a crowd does not return in one wave.
    #[must_use]
    pub fn retry_ms(self, seed: u32) -> Option<u32> {
        self.words().retry_ms.map(|base| match base {
            0 => 0,
            base => base + seed.wrapping_mul(2_654_435_761) % base,
        })
    }
}
