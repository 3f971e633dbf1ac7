//! The rules of the small strings beside a body: `event`, `key`, `id`. They hold at every door.

/// Bytes of an `event`, a `key`, an `id` or an `Idempotency-Key`.
pub const LABEL_BYTES_MAX: usize = 255;

/// A label that breaks its rule; `Display` says which and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLabel {
    /// It is empty.
    #[error("{field} must not be empty; leave it out instead")]
    Empty {
        /// Which label.
        field: &'static str,
    },
    /// It is longer than its limit.
    #[error("{field} has {bytes} bytes, at most {LABEL_BYTES_MAX} are allowed")]
    TooLong {
        /// Which label.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// It holds a control character or a line end, which no event stream could carry.
    #[error("{field} must not hold control characters or line ends")]
    Control {
        /// Which label.
        field: &'static str,
    },
    /// An event of the server's own kind.
    #[error("events that begin with taut: are the server's own; choose another name")]
    Reserved,
    /// An event that Socket.IO clients keep for themselves.
    #[error("Socket.IO clients would take the event {event} for their own; choose another name")]
    SocketIo {
        /// Which event.
        event: &'static str,
    },
}

/// What Socket.IO clients tell their own program under the same names as what they hear.
///
/// Socket.IO protocol v5, `RESERVED_EVENTS` of its clients and servers; `newListener` and `removeListener` are those of Node's emitters.
pub const SOCKET_IO_EVENTS: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Checks an `event`: 1 to [`LABEL_BYTES_MAX`] bytes, no control characters, not the server's own `taut:…`, so that nobody can forge a gap or a
/// bye on an event stream, and none of [`SOCKET_IO_EVENTS`], so that nobody can make others believe that they are connected or not.
///
/// # Errors
/// The rule that it breaks.
pub fn check_event(event: &str) -> Result<(), BadLabel> {
    check("event", event)?;
    if event.starts_with("taut:") {
        return Err(BadLabel::Reserved);
    }
    match SOCKET_IO_EVENTS.into_iter().find(|own| *own == event) {
        Some(event) => Err(BadLabel::SocketIo { event }),
        None => Ok(()),
    }
}

/// Checks a `key`: 1 to [`LABEL_BYTES_MAX`] bytes, no control characters.
///
/// # Errors
/// The rule that it breaks.
pub fn check_key(key: &str) -> Result<(), BadLabel> {
    check("key", key)
}

/// Checks an `id`: 1 to [`LABEL_BYTES_MAX`] bytes, no control characters.
///
/// # Errors
/// The rule that it breaks.
pub fn check_id(id: &str) -> Result<(), BadLabel> {
    check("id", id)
}

fn check(field: &'static str, label: &str) -> Result<(), BadLabel> {
    if label.is_empty() {
        return Err(BadLabel::Empty { field });
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(BadLabel::TooLong {
            field,
            bytes: label.len(),
        });
    }
    if label
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err(BadLabel::Control { field });
    }
    Ok(())
}
