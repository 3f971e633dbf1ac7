use std::fmt::Debug;

/// A program of its own behind the Socket.IO door, in the place of rooms: what a namespace says to who enters it, and to each event.
///
/// It runs on the cores, so it must not wait. The official protocol suite is served this way (`socketio_conformance` among the examples of `taut`).
pub trait Application: Debug + Send + Sync {
    /// What `namespace` says first to a client that enters with `auth` (a JSON object, or nothing); `None` where there is no such namespace.
    fn enter(&self, namespace: &str, auth: &str) -> Option<Vec<Say>>;

    /// What `namespace` says to an event.
    fn hear(&self, namespace: &str, event: &Heard<'_>) -> Vec<Say>;
}

/// An event that a client emitted.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its arguments, as they stood between the brackets; attachments are placeholders.
    pub arguments: &'a str,
    /// The attachments.
    pub attachments: &'a [Vec<u8>],
    /// Whether the client waits for an acknowledgement.
    pub wants_ack: bool,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// The name of the event; `None` for the acknowledgement of the event heard.
    pub event: Option<String>,
    /// The arguments, as they stand between the brackets.
    pub arguments: String,
    /// What the placeholders in them stand for.
    pub attachments: Vec<Vec<u8>>,
}
