//! How an answer is written: its head, the length of its body, and whether the connection goes on.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use taut_wire::http::{date, encode_chunk, encode_last_chunk, encode_response_head};
use tokio::io::{AsyncRead, AsyncWrite};

use super::asked::Asked;
use super::wire::Wire;
use crate::listen::clients::Client;
use crate::listen::house::House;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            fields: vec![
                ("Content-Type".to_owned(), content_type.to_owned()),
                // What a client says must not become a page by guessing.
                ("X-Content-Type-Options".to_owned(), "nosniff".to_owned()),
            ],
            body: body.into(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes; for HEAD those that GET would have had.
    Known(u64),
    /// No body and no word of one: 204 and 304.
    None,
    /// In chunks, or for HTTP/1.0 until the connection ends.
    Stream,
}

/// Answers one request.
pub(super) struct Responder<'a, S> {
    pub(super) wire: &'a mut Wire<S>,
    pub(super) asked: &'a Asked,
    /// Whether another request may follow.
    pub(super) keeps_alive: bool,
    house: &'a House,
    number: u64,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Responder<'a, S> {
    pub(super) fn new(
        house: &'a House,
        client: &Client,
        wire: &'a mut Wire<S>,
        asked: &'a Asked,
    ) -> Self {
        Self {
            wire,
            asked,
            keeps_alive: asked.keep_alive && !house.plan.once,
            house,
            number: client.number,
        }
    }

    /// Sends a whole answer.
    pub(super) async fn send(&mut self, reply: &Reply) -> io::Result<()> {
        let fields: Vec<(&str, &str)> = reply
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let length = match reply.status {
            204 | 304 => Length::None,
            _ => Length::Known(reply.body.len() as u64),
        };
        let mut out = self.head(reply.status, &fields, length).await;
        if !self.asked.is_head() && length != Length::None {
            out.extend_from_slice(&reply.body);
        }
        self.wire.write(&out).await
    }

    /// Sends a head; the body follows by [`Responder::piece`], unless there is none.
    pub(super) async fn begin(
        &mut self,
        status: u16,
        fields: &[(&str, &str)],
        length: Length,
    ) -> io::Result<()> {
        let out = self.head(status, fields, length).await;
        self.wire.write(&out).await
    }

    /// Sends a piece of a body whose length was not known at its beginning.
    pub(super) async fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.asked.is_head() || piece.is_empty() {
            return Ok(());
        }
        if self.asked.is_1_0() {
            return self.wire.write(piece).await;
        }
        let mut out = Vec::with_capacity(piece.len() + 16);
        encode_chunk(&mut out, piece);
        self.wire.write(&out).await
    }

    /// Ends such a body.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        if self.asked.is_head() || self.asked.is_1_0() {
            return Ok(());
        }
        let mut out = Vec::new();
        encode_last_chunk(&mut out);
        self.wire.write(&out).await
    }

    async fn head(&mut self, status: u16, fields: &[(&str, &str)], length: Length) -> Vec<u8> {
        let date = date::imf_fixdate(unix_now_s());
        let mut all = vec![("Date", date.as_str())];
        all.extend_from_slice(fields);
        let digits;
        match length {
            Length::Known(bytes) => {
                digits = bytes.to_string();
                all.push(("Content-Length", &digits));
            }
            Length::None => {}
            Length::Stream if self.asked.is_1_0() => self.keeps_alive = false,
            Length::Stream => all.push(("Transfer-Encoding", "chunked")),
        }
        match (self.keeps_alive, self.asked.is_1_0()) {
            (false, _) => all.push(("Connection", "close")),
            (true, true) => all.push(("Connection", "keep-alive")),
            (true, false) => {}
        }
        let mut out = Vec::new();
        encode_response_head(&mut out, status, &all);
        let told = || {
            let line = out.split(|byte| *byte == b'\r').next().unwrap_or_default();
            format!("> {}", String::from_utf8_lossy(line))
        };
        self.house.report.tell(self.number, told).await;
        out
    }
}

/// The head of a plain text after which the connection ends.
pub(in crate::listen) fn plain_head(
    status: u16,
    fields: &[(&str, &str)],
    body_bytes: usize,
) -> Vec<u8> {
    let (date, length) = (date::imf_fixdate(unix_now_s()), body_bytes.to_string());
    let mut all = vec![
        ("Date", date.as_str()),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", &length),
    ];
    let has_connection = fields.iter().any(|(name, _)| *name == "Connection");
    if !has_connection {
        all.push(("Connection", "close"));
    }
    all.extend_from_slice(fields);
    let mut out = Vec::new();
    encode_response_head(&mut out, status, &all);
    out
}

pub(super) fn unix_now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
