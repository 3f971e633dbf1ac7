//! What a server prints: what arrives on stdout, what happens on stderr.
//!
//! Invariants that a reader could break:
//!
//! - Nothing that a peer said reaches stderr unescaped, nor a terminal's stdout (see [`Rendering`]).
//! - When stdout takes no more, printing does nothing: the command's own loop notices and ends.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cutter::without_end;
use super::plan::{Plan, Shows};
use crate::screen::Screen;
use crate::show::{Renderer, Rendering};

/// Bytes of a payload that `-v` shows.
const PREVIEW_BYTES_MAX: usize = 80;

/// Prints for everybody.
#[derive(Debug)]
pub(super) struct Report {
    screen: Screen,
    shows: Shows,
    rendering: Rendering,
    tells_comings: bool,
    verbose: bool,
    begun: Instant,
}

/// What a whole payload was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A line of a stream, with its line end if it had one.
    Line,
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A datagram.
    Datagram,
}

impl Report {
    pub(super) fn new(plan: &Plan, screen: Screen) -> Self {
        Self {
            screen,
            shows: plan.shows,
            rendering: plan.rendering,
            tells_comings: plan.tells_comings,
            verbose: plan.verbose,
            begun: Instant::now(),
        }
    }

    /// Whether a stream is printed line by line, with [`Report::unit`], and not piece by piece, with [`Report::piece`].
    pub(super) fn is_by_line(&self) -> bool {
        matches!(self.shows, Shows::Prefixed | Shows::Json)
            && matches!(self.rendering, Rendering::Raw | Rendering::Escaped)
    }

    /// Whether anything that arrives is printed.
    pub(super) fn shows(&self) -> bool {
        self.shows != Shows::Nothing
    }

    /// How a stream's pieces are rendered.
    pub(super) fn renderer(&self) -> Renderer {
        Renderer::new(self.rendering)
    }

    /// Prints a piece of a stream.
    pub(super) async fn piece(&self, number: u64, renderer: &mut Renderer, piece: &[u8]) {
        if self.shows == Shows::Bare {
            let mut out = Vec::with_capacity(piece.len());
            renderer.piece(&mut out, piece);
            self.print(out).await;
        } else {
            self.unit(number, Unit::Line, piece).await;
        }
    }

    /// Prints what a renderer kept, when its stream ends.
    pub(super) async fn piece_end(&self, renderer: &mut Renderer) {
        let mut out = Vec::new();
        renderer.end(&mut out);
        self.print(out).await;
    }

    /// Prints something whole.
    pub(super) async fn unit(&self, number: u64, unit: Unit, payload: &[u8]) {
        match self.shows {
            Shows::Nothing => {}
            Shows::Json => {
                let mut object = event("data", number);
                if unit != Unit::Line {
                    let kind = match unit {
                        Unit::Text => "text",
                        Unit::Binary => "binary",
                        Unit::Datagram | Unit::Line => "datagram",
                    };
                    object.push(("type", json!(kind)));
                }
                insert_payload(&mut object, payload);
                self.print_object(object).await;
            }
            Shows::Prefixed => self.print(self.prefixed(number, payload)).await,
            Shows::Bare => {
                let mut out = Vec::with_capacity(payload.len() + 1);
                self.rendering.message(&mut out, payload);
                // Bytes stay as they are where a program reads them; what is text ends in a newline.
                let is_text = unit == Unit::Text || self.rendering != Rendering::Raw;
                if is_text && unit != Unit::Line && out.last() != Some(&b'\n') {
                    out.push(b'\n');
                }
                self.print(out).await;
            }
        }
    }

    /// Prints a request: its head as it came, and its body.
    pub(super) async fn request(
        &self,
        number: u64,
        head: &[u8],
        fields: Vec<(&'static str, Value)>,
        body: &[u8],
    ) {
        match self.shows {
            Shows::Nothing => {}
            Shows::Json => {
                let mut object = event("request", number);
                object.extend(fields);
                insert_payload(&mut object, body);
                self.print_object(object).await;
            }
            Shows::Prefixed => {
                let mut out = self.prefixed(number, head);
                if !body.is_empty() {
                    out.extend_from_slice(&self.prefixed(number, body));
                }
                self.print(out).await;
            }
            Shows::Bare => {
                let mut whole = head.to_vec();
                whole.extend_from_slice(body);
                let mut out = Vec::with_capacity(whole.len() + 1);
                self.rendering.message(&mut out, &whole);
                if out.last() != Some(&b'\n') {
                    out.push(b'\n');
                }
                self.print(out).await;
            }
        }
    }

    fn prefixed(&self, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(payload.len() + 8);
        let prefix = format!("[{number}] ");
        if !matches!(self.rendering, Rendering::Raw | Rendering::Escaped) {
            out.extend_from_slice(prefix.as_bytes());
            self.rendering.message(&mut out, payload);
            out.push(b'\n');
            return out;
        }
        for line in payload
            .strip_suffix(b"\n")
            .unwrap_or(payload)
            .split(|byte| *byte == b'\n')
        {
            out.extend_from_slice(prefix.as_bytes());
            self.rendering.message(&mut out, without_end(line));
            out.push(b'\n');
        }
        out
    }

    /// Tells that a client came.
    pub(super) async fn came(&self, number: u64, peer: &str) {
        if self.shows == Shows::Json {
            let mut object = event("open", number);
            object.push(("peer", json!(peer)));
            self.print_object(object).await;
        }
        if self.tells_comings {
            self.note(&format!("* [{number}] {peer} is here")).await;
        }
    }

    /// Tells that a client went, and why.
    pub(super) async fn went(&self, number: u64, why: &str, bytes_in: u64, bytes_out: u64) {
        if self.shows == Shows::Json {
            let mut object = event("close", number);
            object.push(("why", json!(why)));
            object.push(("bytes_in", json!(bytes_in)));
            object.push(("bytes_out", json!(bytes_out)));
            self.print_object(object).await;
        }
        if self.tells_comings {
            let text =
                format!("* [{number}] is gone: {why} ({bytes_in} bytes in, {bytes_out} out)");
            self.note(&text).await;
        }
    }

    /// Tells what went wrong with a client; also to those who asked for no stories.
    pub(super) async fn wrong(&self, number: u64, text: &str) {
        self.note(&format!("! [{number}] {text}")).await;
    }

    /// Prints a line on stderr, escaped.
    pub(super) async fn note(&self, text: &str) {
        let mut line = Vec::new();
        if self.verbose {
            let at = self.begun.elapsed();
            line.extend_from_slice(
                format!("{:>4}.{:03} ", at.as_secs(), at.subsec_millis()).as_bytes(),
            );
        }
        taut_wire::text::escape(&mut line, text.as_bytes());
        let _ = self.screen.note(String::from_utf8_lossy(&line)).await;
    }

    /// Tells a detail to who wants to know.
    pub(super) async fn tell(&self, number: u64, text: impl FnOnce() -> String) {
        if self.verbose {
            self.note(&format!("  [{number}] {}", text())).await;
        }
    }

    async fn print_object(&self, object: Object) {
        let fields = object
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        let line = format!("{{{}}}\n", fields.collect::<Vec<_>>().join(","));
        self.print(line.into_bytes()).await;
    }

    async fn print(&self, out: Vec<u8>) {
        if !out.is_empty() {
            let _ = self.screen.data(out).await;
        }
    }
}

/// A JSON object whose fields keep their order, so that people find what happened first.
type Object = Vec<(&'static str, Value)>;

fn event(name: &str, number: u64) -> Object {
    vec![("event", json!(name)), ("client", json!(number))]
}

/// `text` where it is UTF-8, else `base64`.
fn insert_payload(object: &mut Object, payload: &[u8]) {
    match std::str::from_utf8(payload) {
        Ok(text) => object.push(("text", json!(text))),
        Err(_) => object.push(("base64", json!(STANDARD.encode(payload)))),
    };
}

/// A payload as `-v` shows it: `"hello\n"`, cut where it is long.
pub(super) fn preview(payload: &[u8]) -> String {
    let shown = &payload[..payload.len().min(PREVIEW_BYTES_MAX)];
    let more = if shown.len() < payload.len() {
        "…"
    } else {
        ""
    };
    match std::str::from_utf8(shown) {
        Ok(text) => format!("{text:?}{more}"),
        Err(error) if more == "…" && error.error_len().is_none() => {
            format!(
                "{:?}{more}",
                String::from_utf8_lossy(&shown[..error.valid_up_to()])
            )
        }
        Err(_) => format!("\"{}\"{more}", shown.escape_ascii()),
    }
}

/// `1 byte`, `2 bytes`.
pub(super) fn bytes(count: usize) -> String {
    counted(count, "byte")
}

/// A count and what it counts, in the plural unless it is one.
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
