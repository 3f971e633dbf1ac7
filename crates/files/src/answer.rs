use std::fs::File;
use std::io;
use std::sync::Arc;

use taut_wire::http::{problem, reason_phrase};

use crate::preference::prefers;

/// What to send. The caller adds `Date`, `Connection` and, from [`Answer::content_length`], `Content-Length`.
#[derive(Debug)]
pub struct Answer {
    /// 200, 204, 206, 301, 304, 400, 404, 405, 412, 416 or 500.
    pub status: u16,
    /// Header fields without `Content-Length`. No value holds a control character that came from the request.
    pub fields: Vec<(&'static str, String)>,
    /// How many bytes the body has. For HEAD it is what GET would have sent, while `body` is empty.
    pub length: u64,
    /// The body, piece behind piece; together [`Answer::length`] bytes, or empty for HEAD, 204 and 304.
    pub body: Vec<Piece>,
    /// What went wrong on this side and is worth a line in a log; the peer is not told.
    pub fault: Option<Fault>,
}

/// A part of a body.
#[derive(Debug)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes of an open file. It may shrink before they are read: whoever sends it then has fewer bytes than it promised, and must end the connection
    /// instead of filling up, or the peer would take the next answer for the rest of this one.
    File {
        /// Open for reading, shared by the pieces of one answer: read it at an offset (`pread`, `sendfile`), not from where it stands.
        file: Arc<File>,
        /// The first byte.
        offset: u64,
        /// How many bytes, at least 1.
        length: u64,
    },
}

/// A failure of this side: a file that may not be read, too many open files, a disk that fails.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct Fault {
    /// Below the folder; control characters are escaped.
    pub path: String,
    /// What the system said.
    pub error: io::Error,
}

impl Answer {
    /// The value of `Content-Length`; none where there must not be one (RFC 9110 §8.6) or where it would speak of another answer (304).
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        (!matches!(self.status, 204 | 304)).then_some(self.length)
    }

    /// The first value of a field; names are compared without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value.as_str()))
    }

    /// An answer without a body.
    pub(crate) fn bare(status: u16) -> Self {
        Self {
            status,
            fields: vec![("X-Content-Type-Options", "nosniff".to_owned())],
            length: 0,
            body: Vec::new(),
            fault: None,
        }
    }

    /// A status of 400 or more: a page for browsers, a problem object (RFC 9457) for everybody else.
    pub(crate) fn refusal(status: u16, detail: &str, code: &str, accept: Option<&str>) -> Self {
        let title = reason_phrase(status);
        let mut bytes = Vec::new();
        let kind = match prefers(accept, &[problem::CONTENT_TYPE, "text/html"]) {
            Some(1) => {
                let page = format!(
                    "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{status} {title}</title>\n\
                     <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;margin:4rem auto;max-width:36rem;padding:0 1rem}}</style>\n\
                     <h1>{status} {title}</h1>\n<p>{detail}</p>\n"
                );
                bytes.extend_from_slice(page.as_bytes());
                "text/html; charset=utf-8"
            }
            _ => {
                problem::encode(&mut bytes, status, title, detail, code);
                problem::CONTENT_TYPE
            }
        };
        Self::bare(status)
            .with("Content-Type", kind)
            .with("Vary", "Accept")
            .with_bytes(bytes)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn with_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.push(Piece::Bytes(bytes));
        self
    }

    pub(crate) fn push(&mut self, piece: Piece) {
        let length = match &piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { length, .. } => *length,
        };
        if length > 0 {
            self.length += length;
            self.body.push(piece);
        }
    }
}
