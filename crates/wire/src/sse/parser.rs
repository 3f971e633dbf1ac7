use memchr::{memchr, memchr2};

use crate::Violation;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The event name of an event that names none.
const EVENT_DEFAULT: &str = "message";

/// One event as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name; `message` when the stream named none.
    pub event: String,
    /// Its data, lines joined by LF. Bytes that are not UTF-8 are replaced, as the standard demands.
    pub data: String,
    /// The last `id` that the stream gave, in this event or an earlier one; empty when there was none.
    pub id: String,
}

/// Reads an event stream (HTML Standard §9.2.6); the client's side.
#[derive(Debug)]
pub struct Parser {
    event_bytes_max: usize,
    /// A line whose end has not come.
    line: Vec<u8>,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// No line has been read: the first one may begin with a byte order mark.
    at_start: bool,
    block: Block,
    /// The last `id` field.
    id: String,
    /// The `id` as of the last block that ended: one of a block that is cut short would skip its event.
    last_id: String,
    retry_ms: Option<u64>,
}

/// The event that is being read.
#[derive(Debug, Default)]
struct Block {
    event: String,
    data: String,
    has_data: bool,
}

impl Parser {
    /// A parser for a new stream. Neither an event (name and data) nor a line has more than `event_bytes_max` bytes.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            block: Block::default(),
            id: String::new(),
            last_id: String::new(),
            retry_ms: None,
        }
    }

    /// Takes the front of `input` with at most one event: how many bytes are done with, and the event.
    ///
    /// Without an event all of `input` is done with, and more bytes are needed.
    ///
    /// # Errors
    /// A violation when an event or a line is larger than the limit; the stream is then to be closed.
    pub fn decode(&mut self, input: &[u8]) -> Result<(usize, Option<Event>), Violation> {
        let mut consumed = 0;
        while consumed < input.len() {
            let rest = &input[consumed..];
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                consumed += 1;
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.check(self.line.len() + rest.len())?;
                self.line.extend_from_slice(rest);
                break;
            };
            self.check(self.line.len() + end)?;
            self.after_cr = rest[end] == b'\r';
            consumed += end + 1;
            if let Some(event) = self.join_line(&rest[..end])? {
                return Ok((consumed, Some(event)));
            }
        }
        Ok((input.len(), None))
    }

    /// The last `id` of a whole block, also of one without data: what `Last-Event-ID` says after a reconnect.
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// The last `retry` so far, in milliseconds.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// A whole line, of which `end` is what came last.
    fn join_line(&mut self, end: &[u8]) -> Result<Option<Event>, Violation> {
        if self.line.is_empty() {
            return self.receive_line(end);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        let received = self.receive_line(&line);
        line.clear();
        self.line = line;
        received
    }

    /// An empty line ends the block, which is an event if it has data.
    fn receive_line(&mut self, line: &[u8]) -> Result<Option<Event>, Violation> {
        let line = if std::mem::take(&mut self.at_start) {
            line.strip_prefix(BOM).unwrap_or(line)
        } else {
            line
        };
        if !line.is_empty() {
            self.receive_field(line);
            self.check(self.block.event.len() + self.block.data.len())?;
            return Ok(None);
        }
        let block = std::mem::take(&mut self.block);
        self.last_id.clone_from(&self.id);
        Ok(block.has_data.then(|| Event {
            event: if block.event.is_empty() {
                EVENT_DEFAULT.to_owned()
            } else {
                block.event
            },
            data: block.data,
            id: self.id.clone(),
        }))
    }

    /// One `name: value` line. Unknown names, and lines that begin with a colon, mean nothing.
    fn receive_field(&mut self, line: &[u8]) {
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match name {
            b"data" => {
                if std::mem::replace(&mut self.block.has_data, true) {
                    self.block.data.push('\n');
                }
                self.block.data.push_str(&value);
            }
            b"event" => self.block.event = value.into_owned(),
            b"id" if !value.contains('\0') => self.id = value.into_owned(),
            // A number beyond 64 bits is no time to wait; a sign is none of the standard's digits.
            b"retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            _ => {}
        }
    }

    fn check(&self, bytes: usize) -> Result<(), Violation> {
        if bytes <= self.event_bytes_max {
            return Ok(());
        }
        Err(Violation::new(
            "HTML Standard §9.2.6",
            format!("an event is longer than {} bytes", self.event_bytes_max),
        ))
    }
}
