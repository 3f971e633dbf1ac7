//! A connection that speaks HTTP: what has arrived and is not used yet, and bounds on waiting.

use std::io;
use std::time::Duration;

use taut_wire::http::{self, Limits, parse_request};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use crate::listen::carry::linger;
use crate::listen::clients::STALL;

/// How much of a request's head is read.
pub(in crate::listen) const LIMITS: Limits = Limits {
    head_bytes_max: 32 << 10,
    headers_max: http::HEADERS_MAX,
    target_bytes_max: 8 << 10,
};
/// How long a head may take from its first byte.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be open without a request under way; browsers open some ahead of need.
const IDLE_TIME_MAX: Duration = Duration::from_secs(300);
/// How long a body may stand still.
const BODY_STALL: Duration = Duration::from_secs(30);
/// Bytes of a read.
const READ_BYTES_MAX: usize = 64 << 10;

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub(in crate::listen) enum HeadError {
    #[error(transparent)]
    Violation(http::Violation),
    #[error("its request was not whole within {} s", HEAD_TIME_MAX.as_secs())]
    Slow,
    #[error("it closed its side in the middle of a request")]
    CutShort,
    #[error("reading from it failed: {0}")]
    Lost(io::Error),
}

/// A connection.
#[derive(Debug)]
pub(in crate::listen) struct Wire<S> {
    stream: S,
    /// What has arrived and is not used yet; at most a head's limit and one read.
    input: Vec<u8>,
    pub(in crate::listen) bytes_in: u64,
    pub(in crate::listen) bytes_out: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(in crate::listen) fn new(stream: S) -> Self {
        Self {
            stream,
            input: Vec::new(),
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The socket and what has arrived on it already.
    pub(in crate::listen) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.input)
    }

    /// Waits for a whole head and gives its length; `None` when the client ends or stays idle instead of beginning one.
    pub(in crate::listen) async fn head(&mut self) -> Result<Option<usize>, HeadError> {
        let mut deadline = None;
        // A head is looked at again only when a line end has come, so that one byte at a time costs no more.
        let mut is_worth_a_look = !self.input.is_empty();
        loop {
            if is_worth_a_look {
                match parse_request(&self.input, &LIMITS) {
                    Ok(Some((_, head_bytes))) => return Ok(Some(head_bytes)),
                    Ok(None) => {}
                    Err(violation) => return Err(HeadError::Violation(violation)),
                }
            }
            let begun = !self.input.is_empty();
            if begun {
                deadline.get_or_insert_with(|| Instant::now() + HEAD_TIME_MAX);
            }
            let until = deadline.unwrap_or_else(|| Instant::now() + IDLE_TIME_MAX);
            let before = self.input.len();
            match timeout_at(until, self.fill()).await {
                Err(_) if begun => return Err(HeadError::Slow),
                Err(_) => return Ok(None),
                Ok(Ok(0)) if begun => return Err(HeadError::CutShort),
                Ok(Ok(0)) => return Ok(None),
                Ok(Ok(_)) => {}
                Ok(Err(error)) if begun => return Err(HeadError::Lost(error)),
                Ok(Err(_)) => return Ok(None),
            }
            is_worth_a_look = self.input[before..].contains(&b'\n')
                || self.input.len() >= LIMITS.target_bytes_max;
        }
    }

    /// Takes the first `count` bytes of what has arrived.
    pub(in crate::listen) fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.input.split_off(count);
        std::mem::replace(&mut self.input, rest)
    }

    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.input.drain(..count);
    }

    /// Whether everything that has arrived is used.
    pub(super) fn is_drained(&self) -> bool {
        self.input.is_empty()
    }

    /// Reads more of a body, which must not stand still for ever.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        match timeout(BODY_STALL, self.fill()).await {
            Ok(read) => read,
            Err(_) => Err(stood_still("nothing came for 30 s")),
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_BYTES_MAX);
        let count = self.stream.read_buf(&mut self.input).await?;
        self.bytes_in += count as u64;
        Ok(count)
    }

    /// Waits until the client has gone or ended its side. What it sends meanwhile is kept, until it is too much.
    pub(super) async fn client_end(&mut self) {
        while self.input.len() < READ_BYTES_MAX {
            if !matches!(self.fill().await, Ok(1..)) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Writes all of `out`. A client that takes nothing for [`STALL`] is given up.
    pub(in crate::listen) async fn write(&mut self, out: &[u8]) -> io::Result<()> {
        let mut rest = out;
        while !rest.is_empty() {
            match timeout(STALL, self.stream.write(rest)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(count)) => {
                    rest = &rest[count..];
                    self.bytes_out += count as u64;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(stood_still("it did not read for 10 s")),
            }
        }
        self.stream.flush().await
    }

    /// Ends our side, and waits for the other.
    pub(in crate::listen) async fn end(&mut self) {
        if self.stream.shutdown().await.is_ok() {
            linger(&mut self.stream).await;
        }
    }
}

fn stood_still(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}
