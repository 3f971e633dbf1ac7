//! One connection: its streams, its clocks and its end.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::Request;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::exchange::exchange;
use super::lane::Lanes;
use super::wire::{Pulse, Wire};
use super::{Arrival, Counted, Entrance};
use crate::core::Origin;
use crate::limits::Bill;
use crate::tls::Buffers;

/// Streams that may be open at once.
const STREAMS_MAX: u32 = 128;
/// Streams whose tasks may be there: those open, and those that the client has reset and that are not cleared away yet.
const TASKS_MAX: usize = 2 * STREAMS_MAX as usize;
/// Bytes of a request's fields, as HTTP/2 counts them (RFC 9113 §6.5.2): as many as a head of HTTP/1.1 may have.
const FIELDS_BYTES_MAX: u32 = 16 << 10;
/// Bytes of bodies that a client may send ahead: of one stream, and of all.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const WINDOW_BYTES: u32 = 512 << 10;
/// Bytes of an answer that wait for the socket.
const SEND_BYTES_MAX: usize = 32 << 10;
/// Streams that the client has reset and that nobody has looked at; more end the connection (CVE-2023-44487).
const RESETS_WAITING_MAX: usize = 20;
/// Streams that we have reset for mistakes of the client; more end the connection.
const ERRORS_MAX: usize = 128;
/// How long a connection that has said GOAWAY and has no streams any more may take to end.
const LAST: Duration = Duration::from_secs(2);

/// See the [module](self).
pub(super) struct Connection {
    wire: h2::server::Connection<Wire, Bytes>,
    ping_pong: Option<PingPong>,
    pulse: Rc<Pulse>,
    lanes: Rc<Lanes>,
    tasks: JoinSet<()>,
    /// When the last stream ended.
    rests_since: Instant,
    /// When a PING went out that is not answered.
    pinged: Option<Instant>,
    /// It has said GOAWAY, and ends at the latest then.
    ends: Option<Instant>,
    is_told: bool,
    /// What the connection itself holds of the limits, and of the counts.
    _bill: Option<Box<Bill>>,
    _counted: [Counted; 2],
}

/// What a look at the connection brought.
enum News {
    Stream(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    /// It sends too many idle frames.
    Wild,
    Ended,
}

impl Connection {
    /// Serves a connection from its preface to its end.
    pub(super) async fn begin(
        arrival: Arrival,
        entrance: Rc<Entrance>,
        buffers: Rc<RefCell<Buffers>>,
        stopping: watch::Receiver<bool>,
    ) {
        let Arrival {
            mut tunnel,
            counted,
        } = arrival;
        let luggage = tunnel.luggage.take();
        let (bill, client) = luggage.map_or((None, None), |l| (l.bill, l.client));
        let origin = Origin {
            address: tunnel.address(),
            client,
            certificate: tunnel.peer().cloned(),
        };
        let (wire, pulse) = match Wire::new(tunnel, buffers) {
            Ok(wire) => wire,
            Err(error) => {
                tell_often!(WARN, %error, "a connection could not be watched and is closed");
                return;
            }
        };
        let begun = timeout(entrance.clocks.handshake, settings().handshake(wire)).await;
        let mut wire = match begun {
            Ok(Ok(wire)) => wire,
            Ok(Err(error)) => {
                let reason = error.reason();
                return tracing::debug!(
                    peer = origin.who(),
                    ?reason,
                    "a client did not begin HTTP/2"
                );
            }
            Err(_) => {
                return tracing::debug!(
                    peer = origin.who(),
                    "a client took too long to begin HTTP/2"
                );
            }
        };
        tracing::debug!(peer = origin.who(), "an HTTP/2 connection begins");
        let connection = Self {
            ping_pong: wire.ping_pong(),
            wire,
            pulse,
            lanes: Rc::new(Lanes::new(entrance, origin)),
            tasks: JoinSet::new(),
            rests_since: Instant::now(),
            pinged: None,
            ends: None,
            is_told: false,
            _bill: bill,
            _counted: counted,
        };
        connection.run(stopping).await;
    }

    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            let due = self.due();
            let is_told = self.is_told;
            tokio::select! {
                news = poll_fn(|cx| Self::look(&mut self.wire, &mut self.ping_pong, &self.pulse, &self.lanes, cx)) => match news {
                    News::Stream(stream) => self.take_in(*stream),
                    News::Wild => self.calm(),
                    News::Ended => return,
                },
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.rests_since = Instant::now();
                    self.end_at_last();
                }
                () = sleep_until(due) => {
                    if self.is_over() {
                        return;
                    }
                }
                _ = stopping.wait_for(|stopping| *stopping), if !is_told => {
                    // Its streams end as the cores end their Conns; until when is the front's to say.
                    self.is_told = true;
                    self.wire.graceful_shutdown();
                    self.end_at_last();
                }
            }
        }
    }

    /// Waits no longer for a client that was told to go and has nothing left to wait for.
    fn end_at_last(&mut self) {
        if self.is_told && self.tasks.is_empty() {
            self.ends.get_or_insert_with(|| Instant::now() + LAST);
        }
    }

    /// Moves everything on, and takes the next stream.
    fn look(
        wire: &mut h2::server::Connection<Wire, Bytes>,
        ping_pong: &mut Option<PingPong>,
        pulse: &Pulse,
        lanes: &Lanes,
        cx: &mut Context<'_>,
    ) -> Poll<News> {
        if let Some(ping_pong) = ping_pong {
            // When anything came is what counts; this makes place for the next one.
            let _ = ping_pong.poll_pong(cx);
        }
        match wire.poll_accept(cx) {
            Poll::Ready(Some(Ok(stream))) => Poll::Ready(News::Stream(Box::new(stream))),
            Poll::Ready(Some(Err(error))) => {
                let peer = lanes.origin.who();
                match error.reason() {
                    // Not the error itself, which may hold 16 KiB of the client's own words.
                    Some(reason) if error.is_remote() => {
                        tracing::debug!(peer, %reason, "a client ended HTTP/2 with an error");
                    }
                    Some(reason) if reason != Reason::NO_ERROR => {
                        let violation = reason.description();
                        tell_often!(INFO, peer, violation, "a peer broke HTTP/2");
                    }
                    _ => {}
                }
                Poll::Ready(News::Ended)
            }
            Poll::Ready(None) => Poll::Ready(News::Ended),
            Poll::Pending if pulse.is_wild.take() => Poll::Ready(News::Wild),
            Poll::Pending => Poll::Pending,
        }
    }

    fn take_in(&mut self, (request, mut respond): (Request<RecvStream>, SendResponse<Bytes>)) {
        let counts = &self.lanes.entrance.counts;
        counts.streams.fetch_add(1, Ordering::Relaxed);
        if self.tasks.len() >= TASKS_MAX {
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        self.tasks
            .spawn_local(exchange(request, respond, Rc::clone(&self.lanes)));
    }

    /// Ends a connection that keeps the server busy with nothing.
    fn calm(&mut self) {
        let counts = &self.lanes.entrance.counts;
        counts.calmed.fetch_add(1, Ordering::Relaxed);
        tell_often!(
            INFO,
            peer = self.lanes.origin.who(),
            reason = "rate-limited",
            "an HTTP/2 connection is closed: it sends PING, SETTINGS, RST_STREAM or empty frames without end"
        );
        self.tasks.abort_all();
        self.wire.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.ends = Some(Instant::now() + LAST);
        self.is_told = true;
    }

    /// When to look at the clocks again.
    fn due(&self) -> Instant {
        let clocks = &self.lanes.entrance.clocks;
        if let Some(ends) = self.ends {
            return ends;
        }
        if self.tasks.is_empty() {
            let rested = self.rests_since + clocks.keep_alive;
            return self.lanes.tire().map_or(rested, |tired| tired.min(rested));
        }
        match self.pinged {
            Some(pinged) => pinged + clocks.pong,
            None => self.pulse.heard.get() + clocks.ping,
        }
    }

    /// A clock has run down: says what follows; true when the connection is to be dropped.
    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let clocks = self.lanes.entrance.clocks;
        if let Some(ends) = self.ends {
            return now >= ends;
        }
        if self.tasks.is_empty() {
            if now >= self.rests_since + clocks.keep_alive {
                self.wire.graceful_shutdown();
                self.ends = Some(now + LAST);
            }
            return false;
        }
        let heard = self.pulse.heard.get();
        match self.pinged {
            Some(pinged) if heard > pinged => self.pinged = None,
            Some(pinged) if now >= pinged + clocks.pong => {
                let peer = self.lanes.origin.who();
                tracing::debug!(peer, "an HTTP/2 connection is closed: its client is silent");
                return true;
            }
            None if now >= heard + clocks.ping => {
                if let Some(ping_pong) = &mut self.ping_pong {
                    // One is under way at most.
                    let _ = ping_pong.send_ping(Ping::opaque());
                }
                self.pinged = Some(now);
            }
            _ => {}
        }
        false
    }
}

fn settings() -> Builder {
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(FIELDS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_WAITING_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX));
    settings
}
