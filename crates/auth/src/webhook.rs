//! Signatures of webhooks: who is called can tell that it is we who call, and when.

use std::fmt;

use aws_lc_rs::hmac;

/// A secret that both sides know.
pub struct WebhookKey {
    key: hmac::Key,
    /// What tells keys apart without either being shown: a signature of nothing.
    mark: [u8; 32],
}

/// A secret that can be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret has {bytes} bytes, at least 32 are needed; make one with `openssl rand -base64 48`"
)]
pub struct ShortSecret {
    /// How long it is.
    pub bytes: usize,
}

impl WebhookKey {
    /// A key.
    ///
    /// # Errors
    /// The secret is shorter than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Self, ShortSecret> {
        let bytes = secret.len();
        if bytes < 32 {
            return Err(ShortSecret { bytes });
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut mark = [0; 32];
        let tag = hmac::sign(&key, b"");
        mark.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        Ok(Self { key, mark })
    }

    /// Whether this is the same secret.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.mark, &other.mark).is_ok()
    }

    /// The value of the header `Taut-Signature`: `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA-256 of the seconds of Unix time in digits, a dot
    /// and the body. With the time in it, an old call cannot be made again later.
    #[must_use]
    pub fn sign(&self, body: &[u8], now_s: u64) -> String {
        let tag = self.tag(body, now_s);
        let digits: String = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("t={now_s},v1={digits}")
    }

    /// Whether a header is right for a body, and not older or newer than `leeway_s` seconds.
    #[must_use]
    pub fn verifies(&self, header: &str, body: &[u8], leeway_s: u64, now_s: u64) -> bool {
        let Some((time, digits)) = header.strip_prefix("t=").and_then(|h| h.split_once(",v1="))
        else {
            return false;
        };
        let Ok(time_s) = time.parse::<u64>() else {
            return false;
        };
        let expected = self.sign(body, time_s);
        let expected = expected.rsplit('=').next().unwrap_or_default();
        let is_same = aws_lc_rs::constant_time::verify_slices_are_equal(
            digits.as_bytes(),
            expected.as_bytes(),
        );
        is_same.is_ok() && now_s.abs_diff(time_s) <= leeway_s
    }

    fn tag(&self, body: &[u8], time_s: u64) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(time_s.to_string().as_bytes());
        context.update(b".");
        context.update(body);
        context.sign()
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey")
    }
}
