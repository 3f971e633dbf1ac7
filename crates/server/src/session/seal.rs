use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a tag: 128 bits of HMAC-SHA-256 (RFC 2104 §5).
pub(crate) const TAG_BYTES: usize = 16;

/// What the server marks its own words with, so that it knows them when a client brings them back.
#[derive(Clone)]
pub(crate) struct Seal {
    key: Hmac<Sha256>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// The seal of that key. Whoever has the same key takes what the other one sealed.
    pub(crate) fn new(key: &[u8; 32]) -> Option<Self> {
        // HMAC takes keys of any length; the type does not say so.
        Hmac::new_from_slice(key).ok().map(|key| Self { key })
    }

    /// The tag of `parts`, for one `purpose`: a word that is sealed for one is worth nothing for another.
    pub(crate) fn tag(&self, purpose: &str, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        let mac = self.over(purpose, parts).finalize().into_bytes();
        tag.copy_from_slice(&mac[..TAG_BYTES]);
        tag
    }

    /// Whether `tag` is that of `parts`, in a time that does not say how much of it is right.
    pub(crate) fn holds(&self, tag: &[u8], purpose: &str, parts: &[&[u8]]) -> bool {
        tag.len() == TAG_BYTES && self.over(purpose, parts).verify_truncated_left(tag).is_ok()
    }

    fn over(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            // Lengths first, so that no two lists of parts look alike.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_tag_holds_for_its_parts_its_purpose_and_its_key_only() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let tag = seal.tag("pass", &[b"ab", b"c"]);
        assert!(seal.holds(&tag, "pass", &[b"ab", b"c"]));
        assert!(!seal.holds(&tag, "pass", &[b"a", b"bc"]));
        assert!(!seal.holds(&tag, "session", &[b"ab", b"c"]));
        assert!(!seal.holds(&tag[..15], "pass", &[b"ab", b"c"]));
        assert!(!seal.holds(&[], "pass", &[b"ab", b"c"]));
        assert!(
            !Seal::new(&[8; 32])
                .unwrap()
                .holds(&tag, "pass", &[b"ab", b"c"])
        );
    }
}
