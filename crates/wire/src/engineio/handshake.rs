use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Violation;

/// What the open packet tells the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake<'a> {
    /// The session's id.
    #[serde(borrow)]
    pub sid: Cow<'a, str>,
    /// The transports that the client may move to: `websocket` or none.
    #[serde(borrow)]
    pub upgrades: Vec<Cow<'a, str>>,
    /// How often the server pings, in milliseconds.
    #[serde(rename = "pingInterval")]
    pub ping_interval_ms: u64,
    /// How long the server waits for a pong, in milliseconds.
    #[serde(rename = "pingTimeout")]
    pub ping_timeout_ms: u64,
    /// The largest payload that a client may post, in bytes.
    #[serde(rename = "maxPayload")]
    pub max_payload_bytes: u64,
}

impl Handshake<'_> {
    /// Appends the JSON object, in the order of the specification.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Writing strings and numbers into a Vec has no way to fail.
        let _ = serde_json::to_writer(out, self);
    }
}

/// Reads the text of an open packet. Fields that are not known are passed over.
///
/// # Errors
/// A violation when it is no such object.
pub fn decode_handshake(text: &str) -> Result<Handshake<'_>, Violation> {
    serde_json::from_str(text).map_err(|error| {
        Violation::new(
            "Engine.IO v4, handshake",
            format!("the open packet is wrong: {error}"),
        )
    })
}
