//! Log lines that peers can cause: they say whose Conn it is, and a flood of peers is no flood of lines.
//!
//! Every line about a Conn has the fields `conn`, `door` and `peer`, and where they apply `room` and `reason`. At `info` and above each place in the code writes at
//! most ten lines a second; the next one says how many were left out. `debug` and `trace` are for who wants them all. No line holds what a peer shows to
//! be let in: no query of a URL, no cookie, no `Authorization`; what else a peer says is escaped where lines are written, in the binary.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use taut_hub::ConnId;

use crate::core::{Core, Stream};

/// Lines that one place may write in a second.
const LINES_PER_S: u32 = 10;

/// What one place has written lately.
#[derive(Debug)]
pub(crate) struct Often {
    second: AtomicU64,
    lines: AtomicU32,
    left_out: AtomicU64,
}

impl Often {
    pub(crate) const fn new() -> Self {
        Self {
            second: AtomicU64::new(0),
            lines: AtomicU32::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written now, and how many were left out since the last one, where there were any. Threads that ask at once may get a line too many
    /// or too few; none is miscounted for good.
    pub(crate) fn admits(&self, unix_ms: u64) -> Option<Option<u64>> {
        let second = unix_ms / 1_000;
        if self.second.swap(second, Relaxed) != second {
            self.lines.store(0, Relaxed);
        }
        if self.lines.load(Relaxed) >= LINES_PER_S {
            self.left_out.fetch_add(1, Relaxed);
            return None;
        }
        self.lines.fetch_add(1, Relaxed);
        let left_out = self.left_out.swap(0, Relaxed);
        Some((left_out > 0).then_some(left_out))
    }
}

/// Whose Conn a line is about.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) conn: String,
    pub(crate) door: &'static str,
    pub(crate) peer: String,
}

impl Core {
    /// Whose Conn that is, for a log line. Asks the system for the address, so only for lines that are written.
    pub(crate) fn who(&mut self, id: ConnId) -> Who {
        let client = self.identities.client(id);
        let found = self.conns.find(id);
        let (door, peer) = match found.map(|conn| (conn.door(), &conn.stream)) {
            Some((door, Stream::Tcp(stream))) => (door.0, stream.peer_addr().ok()),
            Some((door, Stream::Datagrams(key))) => (door.0, self.datagrams.address(*key)),
            Some((door, Stream::Tunnel(key))) => {
                let key = *key;
                (door.0, self.tunnels.peer_address(key))
            }
            Some((door, Stream::Unix(_))) if self.identities.origin(id).is_some() => {
                let origin = self.identities.origin(id);
                (door.0, origin.and_then(|origin| origin.address))
            }
            Some((door, Stream::Unix(_))) => {
                return Who {
                    conn: taut_gate::conn_id(self.id, id).to_string(),
                    door: door.0,
                    peer: "unix".to_owned(),
                };
            }
            Some((door, _)) => (door.0, None),
            None => ("none", None),
        };
        Who {
            conn: taut_gate::conn_id(self.id, id).to_string(),
            door,
            peer: match (client, peer) {
                (Some(client), _) => client.to_string(),
                (None, Some(address)) => address.to_string(),
                (None, None) => "-".to_owned(),
            },
        }
    }
}

/// Writes a line that is no Conn's and that peers can cause: level, then what `tracing` takes.
macro_rules! tell_often {
    ($level:ident, $($line:tt)+) => {{
        static OFTEN: $crate::often::Often = $crate::often::Often::new();
        if tracing::enabled!(tracing::Level::$level)
            && let Some(left_out) = OFTEN.admits($crate::core::unix_ms())
        {
            tracing::event!(tracing::Level::$level, left_out, $($line)+);
        }
    }};
}

/// Writes a line about a Conn: core, Conn, level, then what `tracing` takes. Those for debugging are not counted.
macro_rules! tell {
    ($core:expr, $id:expr, $level:ident, $($line:tt)+) => {{
        static OFTEN: $crate::often::Often = $crate::often::Often::new();
        if tracing::enabled!(tracing::Level::$level) {
            let admitted = if tracing::Level::$level >= tracing::Level::DEBUG {
                Some(None)
            } else {
                OFTEN.admits($core.now.unix_ms)
            };
            if let Some(left_out) = admitted {
                let $crate::often::Who { conn, door, peer } = $core.who($id);
                tracing::event!(tracing::Level::$level, %conn, door, %peer, left_out, $($line)+);
            }
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_writes_so_many_lines_a_second_and_says_what_it_left_out() {
        let often = Often::new();
        for _ in 0..LINES_PER_S {
            assert_eq!(often.admits(5_000), Some(None));
        }
        for _ in 0..90 {
            assert_eq!(often.admits(5_999), None);
        }
        assert_eq!(often.admits(6_000), Some(Some(90)));
        assert_eq!(often.admits(6_001), Some(None));
    }
}
