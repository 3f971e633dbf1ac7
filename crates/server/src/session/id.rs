use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taut_hub::ConnId;

/// Bytes of a session's secret: nobody finds somebody else's session by trying.
pub(crate) const SECRET_BYTES: usize = 12;
/// Bytes of an id: core, slot, generation, secret.
const ID_BYTES: usize = 2 + 4 + 4 + SECRET_BYTES;

/// What a client names its session by. It names the core that has the session, so whoever gets a request knows whose it is, and no proxy needs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId {
    /// The core that has it.
    pub(crate) core: u16,
    /// The Conn there.
    pub(crate) conn: ConnId,
    /// What only its client knows.
    pub(crate) secret: [u8; SECRET_BYTES],
}

impl SessionId {
    /// As it goes out.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(ID_BYTES);
        bytes.extend(self.core.to_be_bytes());
        bytes.extend(self.conn.slot.to_be_bytes());
        bytes.extend(self.conn.generation.to_be_bytes());
        bytes.extend(self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what a client sent; `None` where no session was ever named so.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut bytes = [0; ID_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        if length != ID_BYTES {
            return None;
        }
        let (core, rest) = bytes.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (generation, secret) = rest.split_first_chunk()?;
        Some(Self {
            core: u16::from_be_bytes(*core),
            conn: ConnId {
                slot: u32::from_be_bytes(*slot),
                generation: u32::from_be_bytes(*generation),
            },
            secret: secret.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = SessionId {
            core: 3,
            conn: ConnId {
                slot: 70_000,
                generation: 9,
            },
            secret: *b"twelve bytes",
        };
        let text = id.encode();
        assert_eq!(SessionId::decode(&text), Some(id));
        assert_eq!(SessionId::decode(&text[1..]), None);
        assert_eq!(SessionId::decode(&format!("{text}A")), None);
        assert_eq!(SessionId::decode(""), None);
        assert_eq!(SessionId::decode("näh"), None);
    }
}
