use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taut_hub::{ConnId, Epoch, Origin, Position};

use super::seal::{Seal, TAG_BYTES};

/// Bytes of the id by which others may know a session.
pub(crate) const PUBLIC_ID_BYTES: usize = 15;
/// Bytes of the id of a run of a server.
pub(crate) const RUN_BYTES: usize = 8;
/// What a pass is sealed as.
const PURPOSE: &str = "pass";
const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + PUBLIC_ID_BYTES + RUN_BYTES + 2 + 4 + 4 + 4 + 8;

/// What a client that was here before comes back with: the private session id of Socket.IO's recovery. It holds all that must be known of the
/// session, sealed, so nothing is kept for those who never come back, and it is good at any core, and after a restart where the key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The public id, which it keeps.
    pub(crate) public_id: [u8; PUBLIC_ID_BYTES],
    /// The run that made the pass: another one, or another server with the same key, gives the same numbers to other Conns.
    pub(crate) run: [u8; RUN_BYTES],
    /// Which Conn it was when the pass was made.
    pub(crate) origin: Origin,
    /// Where it began to hear: where it goes on if it has heard nothing since.
    pub(crate) at: Position,
}

impl Pass {
    /// As it goes out, good in `place` only.
    pub(crate) fn encode(&self, seal: &Seal, place: &str) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend(self.public_id);
        bytes.extend(self.run);
        bytes.extend(self.origin.core.to_be_bytes());
        bytes.extend(self.origin.conn.slot.to_be_bytes());
        bytes.extend(self.origin.conn.generation.to_be_bytes());
        bytes.extend(self.at.epoch.0.to_be_bytes());
        bytes.extend(self.at.offset.to_be_bytes());
        let tag = seal.tag(PURPOSE, &[&bytes, place.as_bytes()]);
        bytes.extend(tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what a client brings back; `None` where we never said it, or not for this `place`.
    pub(crate) fn decode(text: &str, seal: &Seal, place: &str) -> Option<Self> {
        let mut bytes = [0; BODY_BYTES + TAG_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (body, tag) = bytes.split_at(BODY_BYTES);
        if length != bytes.len() || !seal.holds(tag, PURPOSE, &[body, place.as_bytes()]) {
            return None;
        }
        let (version, rest) = body.split_first()?;
        let (public_id, rest) = rest.split_first_chunk()?;
        let (run, rest) = rest.split_first_chunk()?;
        let (core, rest) = rest.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let offset = rest.first_chunk()?;
        (*version == VERSION).then(|| Self {
            public_id: *public_id,
            run: *run,
            origin: Origin {
                core: u16::from_be_bytes(*core),
                conn: ConnId {
                    slot: u32::from_be_bytes(*slot),
                    generation: u32::from_be_bytes(*generation),
                },
            },
            at: Position {
                epoch: Epoch(u32::from_be_bytes(*epoch)),
                offset: u64::from_be_bytes(*offset),
            },
        })
    }
}

/// A public id as it goes out.
pub(crate) fn encode_public_id(id: &[u8; PUBLIC_ID_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pass_is_good_where_it_was_given_and_nobody_else_makes_one() {
        let seal = Seal::new(&[1; 32]).unwrap();
        let pass = Pass {
            public_id: *b"fifteen letters",
            run: *b"this one",
            origin: Origin {
                core: 1,
                conn: ConnId {
                    slot: 2,
                    generation: 3,
                },
            },
            at: Position {
                epoch: Epoch(4),
                offset: 5,
            },
        };
        let text = pass.encode(&seal, "/den");
        assert_eq!(Pass::decode(&text, &seal, "/den"), Some(pass));
        assert_eq!(Pass::decode(&text, &seal, "/other"), None);
        let other = Seal::new(&[2; 32]).unwrap();
        assert_eq!(Pass::decode(&text, &other, "/den"), None);
        let forged = format!("{}B{}", &text[..10], &text[11..]);
        assert_eq!(Pass::decode(&forged, &seal, "/den"), None);
        assert_eq!(Pass::decode("", &seal, "/den"), None);
        assert_eq!(Pass::decode(&"A".repeat(500), &seal, "/den"), None);
    }
}
