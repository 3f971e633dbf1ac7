//! What comes from the peer, on stdout: as it is, rendered, or as an object for each event.

use std::time::Instant;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::Ended;
use crate::screen::Screen;
use crate::show::{Renderer, Rendering};

/// Whether the command goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    /// As many messages have come as were asked for.
    Enough,
}

/// Where everything goes that comes from the peer.
pub(super) struct Output {
    pub(super) screen: Screen,
    rendering: Rendering,
    renderer: Renderer,
    is_json: bool,
    /// Messages that are still wanted; `None`: all.
    left: Option<u64>,
    started: Instant,
}

impl Output {
    pub(super) fn new(
        screen: Screen,
        rendering: Rendering,
        is_json: bool,
        count: Option<u64>,
        started: Instant,
    ) -> Self {
        Self {
            screen,
            rendering,
            renderer: Renderer::new(rendering),
            is_json,
            left: count,
            started,
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether it ends by a number of messages.
    pub(super) fn is_counting(&self) -> bool {
        self.left.is_some()
    }

    /// A piece of a stream; its lines count.
    pub(super) async fn piece(&mut self, mut bytes: &[u8]) -> Result<Goes, Ended> {
        let mut goes = Goes::On;
        if let Some(left) = &mut self.left {
            for end in memchr::memchr_iter(b'\n', bytes) {
                *left -= 1;
                if *left == 0 {
                    bytes = &bytes[..=end];
                    goes = Goes::Enough;
                    break;
                }
            }
        }
        if self.is_json {
            self.event("data", payload(bytes)).await?;
        } else {
            let mut out = Vec::with_capacity(bytes.len());
            self.renderer.piece(&mut out, bytes);
            self.screen.data(out).await?;
        }
        Ok(goes)
    }

    /// A whole message. Text ends its line; binary is left as it is where nothing renders it.
    pub(super) async fn message(&mut self, bytes: &[u8], is_text: bool) -> Result<Goes, Ended> {
        if self.is_json {
            self.event("message", payload(bytes)).await?;
        } else {
            let mut out = Vec::with_capacity(bytes.len() + 1);
            self.rendering.message(&mut out, bytes);
            if is_text || self.rendering != Rendering::Raw {
                out.push(b'\n');
            }
            self.screen.data(out).await?;
        }
        Ok(self.count_one())
    }

    /// Counts a message that was written in another way.
    pub(super) fn count_one(&mut self) -> Goes {
        match &mut self.left {
            Some(left) => {
                *left = left.saturating_sub(1);
                if *left == 0 { Goes::Enough } else { Goes::On }
            }
            None => Goes::On,
        }
    }

    /// The end of a stream: what was held back of a character.
    pub(super) async fn end(&mut self) -> Result<(), Ended> {
        let mut out = Vec::new();
        self.renderer.end(&mut out);
        if !out.is_empty() && !self.is_json {
            self.screen.data(out).await?;
        }
        Ok(())
    }

    /// An object with the event's name, the milliseconds since the start, and `fields`; nothing where objects are not wanted.
    pub(super) async fn event(&self, name: &str, fields: Value) -> Result<(), Ended> {
        if !self.is_json {
            return Ok(());
        }
        let mut object = Map::new();
        object.insert("event".to_owned(), name.into());
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        object.insert("ms".to_owned(), ms.into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        let mut line = Value::Object(object).to_string();
        // serde_json leaves these to the terminal; a terminal obeys them.
        line = line
            .chars()
            .flat_map(|character| match character {
                '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' => {
                    format!("\\u{:04x}", u32::from(character)).chars().collect()
                }
                _ => vec![character],
            })
            .collect();
        line.push('\n');
        Ok(self.screen.data(line.into_bytes()).await?)
    }
}

/// Text as text, anything else as base64.
fn payload(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}
