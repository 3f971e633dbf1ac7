//! How a client behaves, and the pauses between its attempts to come back.

use std::time::Duration;

use taut_dial::{Proxy, Tls};

/// How a client behaves. The defaults suit a program that wants to stay connected.
#[derive(Debug, Clone)]
pub struct Options {
    /// The display name, sent with every join and publish that names no other. Without one the server calls each connection otherwise, so
    /// a publish whose connection broke cannot be recognised when it comes again, and is not sent again.
    pub name: Option<String>,
    /// The token by which a server that asks knows who we are. It is shown first on each connection.
    pub token: Option<Token>,
    /// Come back by itself when the connection breaks or the server says so. Default true.
    pub reconnect: bool,
    /// Milliseconds for one attempt to connect, resolving and handshake included. Default 10,000.
    pub connect_ms_max: u64,
    /// Milliseconds to wait for an answer. For a publish the time counts that it is under way on one connection, for everything else all
    /// time, reconnecting included. Default 30,000.
    pub answer_ms_max: u64,
    /// Requests that may wait for a connection while there is none; further ones are refused with [`Error::Full`](crate::Error::Full).
    /// Default 1,000. With 0 nothing waits, and no publish is ever sent a second time.
    pub offline_messages_max: usize,
    /// Bytes of publishes that may wait for a connection while there is none, each counted with 64 bytes more than it holds. Default 1 MiB.
    pub offline_bytes_max: usize,
    /// Milliseconds that a publish may wait for a connection. Default 300,000.
    pub offline_ms_max: u64,
    /// Milliseconds without a byte after which the server is asked for a sign of life. Default 40,000, above the server's own ping of 25,000.
    pub quiet_ms_max: u64,
    /// Milliseconds in which that sign must come, or the connection counts as lost. Default 10,000.
    pub pong_ms_max: u64,
    /// Bytes of one inbound unit (a WebSocket message or a line), after inflation; a greater one ends the connection.
    /// Default 16 MiB: history comes as one unit.
    pub unit_bytes_max: usize,
    /// Offer permessage-deflate (RFC 7692). Default false.
    pub compression: bool,
    /// The pauses between attempts to come back.
    pub backoff: Backoff,
    /// Whom to trust and who we are, for `https://`, `wss://` and `tls://`. Default: the system's authorities.
    pub tls: Tls,
    /// Through whom to go. Default: nobody; the environment is not asked.
    pub proxy: Option<Proxy>,
}

/// A token, which is not shown when it is printed for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// A token as it was made.
    pub fn new(token: impl Into<Box<str>>) -> Self {
        Self(token.into())
    }

    /// As it goes out.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            token: None,
            reconnect: true,
            connect_ms_max: 10_000,
            answer_ms_max: 30_000,
            offline_messages_max: 1_000,
            offline_bytes_max: 1 << 20,
            offline_ms_max: 300_000,
            quiet_ms_max: 40_000,
            pong_ms_max: 10_000,
            unit_bytes_max: 16 << 20,
            compression: false,
            backoff: Backoff::default(),
            tls: Tls::default(),
            proxy: None,
        }
    }
}

/// The pauses between attempts: doubling from the first to the greatest, each drawn between its half and its whole.
///
/// The draw keeps a thousand clients of a restarted server from coming back in one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Milliseconds before the first attempt. Default 250.
    pub first_ms: u64,
    /// Milliseconds between attempts at most. Default 30,000.
    pub most_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first_ms: 250,
            most_ms: 30_000,
        }
    }
}

impl Backoff {
    /// The pause before attempt number `attempt` (0 is the first). `draw` is any random number.
    ///
    /// A pause that the server asked for is never cut short, only drawn out by up to a half, and a minute is the most it may ask.
    #[must_use]
    pub fn pause(&self, attempt: u32, asked_ms: Option<u64>, draw: u32) -> Duration {
        let draw = u64::from(draw);
        let whole_ms = self
            .first_ms
            .saturating_mul(1 << attempt.min(20))
            .clamp(1, self.most_ms.max(1));
        let half_ms = whole_ms / 2;
        let own_ms = whole_ms - half_ms + draw % (half_ms + 1);
        let Some(asked_ms) = asked_ms else {
            return Duration::from_millis(own_ms);
        };
        let asked_ms = asked_ms.min(ASKED_MS_MAX);
        let asked_ms = asked_ms + draw % (asked_ms / 2 + 1);
        // A server that says goodbye at once, again and again, is not asked more often than one that is away.
        let least_ms = if attempt == 0 { 0 } else { own_ms };
        Duration::from_millis(asked_ms.max(least_ms))
    }
}

/// Milliseconds that a server may ask a client to stay away.
const ASKED_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_keep_at_least_half() {
        let backoff = Backoff::default();
        for (attempt, whole_ms) in [(0, 250), (1, 500), (2, 1_000), (7, 30_000), (4_000, 30_000)] {
            for draw in [0, 1, 77_777, u32::MAX] {
                let pause = backoff.pause(attempt, None, draw);
                assert!(pause <= Duration::from_millis(whole_ms), "{attempt} {draw}");
                assert!(
                    pause >= Duration::from_millis(whole_ms / 2),
                    "{attempt} {draw}"
                );
            }
        }
    }

    #[test]
    fn the_servers_own_pause_is_never_cut_short() {
        for draw in [0, 1, 77_777, u32::MAX] {
            let pause = Backoff::default().pause(0, Some(1_500), draw);
            assert!(pause >= Duration::from_millis(1_500));
            assert!(pause <= Duration::from_millis(2_250));
        }
        let absurd = Backoff::default().pause(0, Some(u64::MAX), u32::MAX);
        assert!(absurd <= Duration::from_secs(90));
        let again = Backoff::default().pause(9, Some(0), 0);
        assert!(again >= Duration::from_secs(15));
    }

    #[test]
    fn odd_settings_do_no_harm() {
        let none = Backoff {
            first_ms: 0,
            most_ms: 0,
        };
        assert!(none.pause(3, Some(0), 9) <= Duration::from_millis(1));
        let huge = Backoff {
            first_ms: u64::MAX,
            most_ms: u64::MAX,
        };
        assert!(huge.pause(50, None, u32::MAX) >= Duration::from_millis(u64::MAX / 2));
    }
}
