//! One connection: a socket, what has been read from it and not understood yet, and what waits to be written.
//!
//! Nothing here waits but [`Carrier::progress`], so whoever drives it may cancel it anywhere and lose nothing.
//! Pings are answered here and never shown.
//!
//! Limits: a unit larger than `unit_bytes_max` ends the connection; the bytes that wait to be written are bounded by
//! [`Carrier::is_full`], above which the session takes no new requests and decodes nothing (so pings cannot pile up pongs).
//! One unit may pass that bound.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use taut_dial::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};

use crate::connect::lost;
use crate::error::Error;
use crate::lines::Lines;
use crate::random::Random;
use crate::websocket::WebSocket;

/// Bytes that may wait to be written before nothing more is taken on.
const OUTPUT_BYTES_MAX: usize = 256 << 10;

/// Bytes asked of the socket at once.
const READ_BYTES: usize = 64 << 10;

/// A connection that carries units: JSON texts of the native protocol.
pub(crate) struct Carrier {
    stream: Stream,
    /// The server, for errors.
    place: String,
    framing: Framing,
    /// What was read; `input[used..]` is not decoded yet.
    input: Vec<u8>,
    used: usize,
    /// What is to be written; `output[written..]` has not been.
    output: Vec<u8>,
    written: usize,
    /// What was written may still wait in the TLS layer.
    is_withheld: bool,
    /// The peer has sent its last byte.
    ended: bool,
}

/// How units are told apart.
pub(crate) enum Framing {
    /// A line each.
    Lines(Lines),
    /// A WebSocket message each.
    WebSocket(Box<WebSocket>),
}

/// What the front of the input held.
pub(crate) struct Step<'a> {
    /// The bytes that are done with; 0: more are needed.
    pub(crate) consumed: usize,
    /// The unit that they completed.
    pub(crate) unit: Option<Unit<'a>>,
}

/// One unit: borrowed from the input, or assembled from fragments.
pub(crate) type Unit<'a> = std::borrow::Cow<'a, [u8]>;

impl Carrier {
    /// A carrier over a connected socket. `rest` is what came behind the handshake.
    pub(crate) fn new(stream: Stream, place: String, framing: Framing, rest: Vec<u8>) -> Self {
        Self {
            stream,
            place,
            framing,
            input: rest,
            used: 0,
            output: Vec::new(),
            written: 0,
            is_withheld: false,
            ended: false,
        }
    }

    /// The next unit of what was read, as `read` makes it; `None`: more bytes are needed.
    pub(crate) fn next<T>(
        &mut self,
        random: &mut Random,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Error> {
        loop {
            let input = &mut self.input[self.used..];
            let step = match &mut self.framing {
                Framing::Lines(lines) => lines.step(input)?,
                Framing::WebSocket(socket) => socket.step(input, &mut self.output, random)?,
            };
            self.used += step.consumed;
            if let Some(unit) = step.unit {
                return Ok(Some(read(&unit)));
            }
            if step.consumed == 0 {
                break;
            }
        }
        self.input.drain(..self.used);
        self.used = 0;
        if self.input.is_empty() {
            // One large unit must not hold its memory for ever.
            self.input.shrink_to(2 * READ_BYTES);
        }
        if self.ended {
            return Err(Error::Lost {
                text: "the server closed the connection".into(),
            });
        }
        Ok(None)
    }

    /// Queues one unit.
    pub(crate) fn send(&mut self, unit: &[u8], random: &mut Random) -> Result<(), Error> {
        match &mut self.framing {
            Framing::Lines(_) => {
                self.output.extend_from_slice(unit);
                self.output.push(b'\n');
                Ok(())
            }
            Framing::WebSocket(socket) => socket.send(unit, &mut self.output, random),
        }
    }

    /// Queues the goodbye that the carrier has, if it has one.
    pub(crate) fn send_close(&mut self, random: &mut Random) -> Result<(), Error> {
        match &mut self.framing {
            Framing::Lines(_) => Ok(()),
            Framing::WebSocket(_) => WebSocket::send_close(&mut self.output, random),
        }
    }

    /// Whether so much waits to be written that nothing more should be taken on.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() - self.written >= OUTPUT_BYTES_MAX
    }

    /// Whether everything was handed to the system.
    pub(crate) fn is_flushed(&self) -> bool {
        self.written == self.output.len() && !self.is_withheld
    }

    /// Writes what waits and, if input is wanted, reads once, as soon as the socket can do either; waits for ever when nothing is wanted.
    /// True: something came. Cancel-safe.
    pub(crate) async fn progress(&mut self, wants_input: bool) -> Result<bool, Error> {
        poll_fn(|context| {
            let was_flushed = self.is_flushed();
            let flushed = self.poll_flush(context)?;
            if wants_input && !self.ended {
                self.input.reserve(READ_BYTES);
                let read = pin!(self.stream.read_buf(&mut self.input));
                match read.poll(context) {
                    Poll::Ready(Ok(count)) => {
                        self.ended = count == 0;
                        return Poll::Ready(Ok(true));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(&error, &self.place))),
                    Poll::Pending => {}
                }
            }
            if flushed.is_ready() && !was_flushed {
                return Poll::Ready(Ok(false));
            }
            Poll::Pending
        })
        .await
    }

    /// Writes what the socket takes now.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        // Whoever waits for the rest does so in `progress`, which leaves its own waker.
        match self.poll_flush(&mut Context::from_waker(Waker::noop()))? {
            Poll::Ready(()) | Poll::Pending => Ok(()),
        }
    }

    /// Ends our direction: over TLS with words that tell the end from a cut.
    pub(crate) async fn shut_down(&mut self) {
        // A server that has gone already needs no goodbye.
        let _ = self.stream.shutdown().await;
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Error> {
        match self.poll_write(context) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(error)) => Err(lost(&error, &self.place)),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.written < self.output.len() {
            let bytes = &self.output[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
            if count == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.is_withheld = true;
        }
        if self.is_withheld {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.is_withheld = false;
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_BYTES_MAX);
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}
