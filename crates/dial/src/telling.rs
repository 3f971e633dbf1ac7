//! What is under way, for the story and for the error of whoever runs out of time.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use taut_wire::text::escape;
use tokio::time::timeout;

use crate::error::{DialError, plain};
use crate::story::{Scene, Story};
use crate::tls;

/// Bytes of a foreign answer that an error shows at most.
const SHOWN_BYTES_MAX: usize = 80;

/// One way to one place, with its listener.
pub(crate) struct Telling<'a> {
    story: &'a dyn Story,
    /// The host and port, or the socket's path.
    pub(crate) place: String,
    during: Mutex<String>,
}

impl<'a> Telling<'a> {
    pub(crate) fn new(story: &'a dyn Story, place: String) -> Self {
        Self {
            story,
            place,
            during: Mutex::new(String::new()),
        }
    }

    pub(crate) fn tell(&self, scene: &Scene<'_>) {
        self.story.tell(scene);
    }

    /// Notes what begins now, as it stands behind "while".
    pub(crate) fn begin(&self, during: impl Into<String>) {
        *self.during.lock().unwrap_or_else(PoisonError::into_inner) = during.into();
    }

    fn during(&self) -> String {
        self.during
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Runs `way`, and says what was under way when the time is over. Cancel-safe.
    pub(crate) async fn within<T>(
        &self,
        ms_max: u64,
        way: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        match timeout(Duration::from_millis(ms_max), way).await {
            Ok(result) => result,
            Err(_) => Err(DialError::TimedOut {
                place: self.place.clone(),
                during: self.during(),
                waited_ms: ms_max,
            }),
        }
    }

    /// A read or write that failed. Over TLS it may be the peer's judgement of us that comes late.
    pub(crate) fn broken(&self, error: &io::Error) -> DialError {
        tls::late_fault(error, &self.place).unwrap_or_else(|| DialError::Lost {
            place: self.place.clone(),
            during: self.during(),
            text: plain(error),
        })
    }

    /// The peer hung up.
    pub(crate) fn hung_up(&self, how: &str) -> DialError {
        DialError::Lost {
            place: self.place.clone(),
            during: self.during(),
            text: how.to_owned(),
        }
    }

    /// The peer's first bytes are of another protocol.
    pub(crate) fn wrong_protocol(&self, expected: &'static str, bytes: &[u8]) -> DialError {
        DialError::WrongProtocol {
            place: self.place.clone(),
            expected,
            got: shown(bytes),
            looks_like: looks_like(bytes),
        }
    }
}

/// What a read or write of an open stream has failed with, in plain words; TLS alerts of the peer among them.
///
/// In TLS 1.3 a peer that does not accept our certificate says so only after the handshake, so the first read may bring it.
#[must_use]
pub fn broken(error: &io::Error, place: &str, during: &str) -> DialError {
    tls::late_fault(error, place).unwrap_or_else(|| DialError::Lost {
        place: place.to_owned(),
        during: during.to_owned(),
        text: plain(error),
    })
}

/// The first bytes on one line, escaped: text as text, anything else in hexadecimal.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let more = if bytes.len() > cut.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_ascii())
}

/// Text of a peer on one line for a terminal, at most `characters_max` long.
pub(crate) fn escaped(text: &[u8], characters_max: usize) -> String {
    let mut out = Vec::new();
    escape(&mut out, text);
    let text = String::from_utf8_lossy(&out);
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// Protocols that show themselves in their first bytes.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    const GREETINGS: [(&[u8], &str); 12] = [
        (b"SSH-", "SSH"),
        (b"HTTP/", "HTTP"),
        (b"GET ", "an HTTP client, or an echo of our request"),
        (b"CONNECT ", "an echo of our request"),
        (b"220", "FTP or mail (SMTP)"),
        (b"+OK", "mail (POP3) or Redis"),
        (b"* OK", "mail (IMAP)"),
        (b"-ERR", "Redis"),
        (b"RFB ", "a remote desktop (VNC)"),
        (b"INFO {", "NATS"),
        (b"{", "JSON lines"),
        (b"AMQP", "AMQP"),
    ];
    if let [0x14..=0x17, 3, 0..=4, ..] = bytes {
        return Some("TLS");
    }
    GREETINGS
        .iter()
        .find(|(greeting, _)| bytes.starts_with(greeting))
        .map(|(_, name)| *name)
}
