//! HTTP/2 over TLS (RFC 9113), in front of the cores: each stream becomes a request of HTTP/1.1 on a Conn of its own.
//!
//! A TLS connection that has agreed on `h2` (ALPN) goes to a [`Front`] and not to a core. There the `h2` crate reads its frames; a stream's head is
//! [translated](request) and goes down a [lane](lane::Lane), a pair of sockets whose other end a core has as a Conn. So there is one parser of requests, one strictness
//! and one set of features, whatever the version, and flow control goes through: a client that takes nothing lets its window, then the lane, then its Conn fill.
//!
//! Invariants:
//! - What a Conn knows of its peer (address, certificate, bill) comes with it as its [`Origin`](crate::core::Origin), never in a field that a client could write.
//! - A lane serves one stream at a time, and another one only when request and answer before it were whole. Its Conn counts in every limit as if it were a
//!   connection of its address; the HTTP/2 connection counts as one, too.
//! - No byte of a request reaches a lane that [`request::translate`] has not judged.
//!
//! Absent on purpose: clear text (`h2c`), which no browser speaks; server push; trailers; WebSockets in streams (RFC 8441), since a browser that is offered them would
//! bring each of its sockets this way round, where by HTTP/1.1 it has a connection of its own at a core.

mod answer;
mod calm;
mod connection;
mod exchange;
mod front;
mod lane;
mod request;
mod response;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::config::Limits;
use crate::core::Alert;
use crate::health::Health;
use crate::limits::{Limits as SharedLimits, Seats};
use crate::metrics::Acceptance;
use crate::stop::Stop;
use crate::tls::{Destination, Tunnel};

pub(crate) use front::Front;

/// The name by which TLS agrees on it (RFC 9113 §3.2).
pub(crate) const ALPN: &[u8] = b"h2";

/// Where handshakes hand connections in that have agreed on HTTP/2.
#[derive(Debug)]
pub(crate) struct Fronts {
    inboxes: Vec<Inbox>,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Debug)]
struct Inbox {
    arrivals: Sender<Arrival>,
    alert: Arc<Alert>,
    load: Arc<AtomicUsize>,
}

/// A connection on its way to a front.
#[derive(Debug)]
struct Arrival {
    tunnel: Box<Tunnel>,
    counted: [Counted; 2],
}

/// What all fronts have done, and have under way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections that are open.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Lanes that are open: the ends of theirs that are no Conn's.
    pub(crate) lanes: Arc<AtomicUsize>,
    /// Streams that came, over all.
    pub(crate) streams: AtomicU64,
    /// Connections that were ended because they kept the server busy with nothing.
    pub(crate) calmed: AtomicU64,
}

/// One of something that is counted; given up when it is dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// By what it is judged whether another Conn may come in, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    pub(crate) destinations: Vec<Destination>,
    pub(crate) limits: Arc<SharedLimits>,
    pub(crate) seats: Seats,
    pub(crate) conns_max: Arc<AtomicUsize>,
    pub(crate) health: Arc<Health>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) acceptance: Arc<Acceptance>,
    pub(crate) clocks: Clocks,
}

/// The clocks of a connection: those of any other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    handshake: Duration,
    keep_alive: Duration,
    ping: Duration,
    pong: Duration,
    drain: Duration,
}

impl Clocks {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            handshake: Duration::from_millis(limits.handshake_ms_max),
            keep_alive: Duration::from_millis(limits.keep_alive_ms_max),
            ping: Duration::from_millis(limits.ping_ms),
            pong: Duration::from_millis(limits.pong_ms_max),
            drain: Duration::from_millis(limits.drain_ms_max),
        }
    }
}

impl Fronts {
    /// Makes the values of so many threads; they run when the server does.
    pub(crate) fn open(
        threads: usize,
        entrance: &Entrance,
        stop: &Arc<Stop>,
    ) -> (Arc<Self>, Vec<Front>) {
        let mut inboxes = Vec::new();
        let mut fronts = Vec::new();
        for _ in 0..threads {
            let (sender, arrivals) = channel();
            let alert = Alert::of_task();
            inboxes.push(Inbox {
                arrivals: sender,
                alert: Arc::clone(&alert),
                load: Arc::default(),
            });
            fronts.push(Front {
                alert,
                arrivals,
                entrance: entrance.clone(),
                stop: Arc::clone(stop),
            });
        }
        let counts = Arc::clone(&entrance.counts);
        (Arc::new(Self { inboxes, counts }), fronts)
    }

    /// Hands a connection in.
    pub(crate) fn hand_in(&self, tunnel: Box<Tunnel>) {
        let least = self
            .inboxes
            .iter()
            .min_by_key(|inbox| inbox.load.load(Ordering::Relaxed));
        let Some(inbox) = least else {
            return;
        };
        let counted = [&self.counts.connections, &inbox.load].map(Counted::one_more);
        // A front that has ended takes nobody in any more.
        if inbox.arrivals.send(Arrival { tunnel, counted }).is_ok() {
            inbox.alert.raise();
        }
    }
}

impl Counts {
    /// Descriptors that are no Conn's: two of each connection, one of each lane.
    pub(crate) fn sockets(&self) -> usize {
        2 * self.connections.load(Ordering::Relaxed) + self.lanes.load(Ordering::Relaxed)
    }
}
