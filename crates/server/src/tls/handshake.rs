//! Handshakes, beside the cores: a few threads, each with an event queue over many handshakes, so that a slow one holds no thread.
//!
//! A core that sees the first bytes of TLS hands its socket in; when the handshake is done, socket and keys go to the core with the fewest Conns, where the
//! clear text is sniffed as any other. The threads run at a lower priority than the cores, since a handshake costs as much as a thousand messages and
//! strangers choose how many there are.
//!
//! Bounds: [`ARRIVALS_MAX`] sockets wait to be taken in, more are closed. A thread has [`SHAKES_MAX`] handshakes under way; for another one the oldest gives
//! way, because an honest client needs two round trips and only a dishonest one grows old here. A handshake has `limits.handshake_ms_max` and [`SHAKE_BYTES_MAX`];
//! one that failed is heard out within the same bounds, so that the alert which says why is not lost.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::current::Current;
use super::tunnel::{Luggage, Shaken, Tunnel};
use crate::core::{Alert, Secured, Stream};
use crate::error::Fault;
#[cfg(feature = "http2")]
use crate::http2::Fronts;
use crate::stop::Stop;

/// Sockets that may wait for a thread to take them in.
const ARRIVALS_MAX: usize = 1_024;
/// Handshakes that a thread has under way.
const SHAKES_MAX: usize = 4_096;
/// Bytes that a client may send in its handshake: room for a chain of certificates.
const SHAKE_BYTES_MAX: usize = 64 << 10;
/// Bytes that one read may bring.
const READ_BYTES: usize = 16 << 10;
/// Sockets taken in, and events looked at, in one turn.
const PER_TURN: usize = 64;
/// How much less urgent than the cores handshakes are (nice(2)).
const NICE: i32 = 5;
/// Threads at most.
const THREADS_MAX: usize = 4;

/// The token of a thread's [`Alert`].
pub(crate) const ALERT: Token = Token(usize::MAX);

/// How many threads shake hands for so many cores.
pub(crate) fn threads_for(cores: usize) -> usize {
    cores.div_ceil(2).min(THREADS_MAX)
}

/// A socket that begins to speak TLS.
struct Arrival {
    socket: Stream,
    /// What it has brought.
    first: Vec<u8>,
    luggage: Option<Box<Luggage>>,
}

/// Where cores hand sockets in.
#[derive(Debug)]
pub(crate) struct Handshakes {
    inboxes: Vec<Inbox>,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Inbox {
    arrivals: Sender<Arrival>,
    alert: Arc<Alert>,
    load: Arc<Load>,
}

/// How much a thread has to do.
#[derive(Debug, Default)]
struct Load {
    /// Sockets that wait to be taken in.
    waiting: AtomicUsize,
    /// Those, and handshakes under way.
    all: AtomicUsize,
}

/// A core, as a thread of handshakes sees it.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) secured: Sender<Secured>,
    pub(crate) alert: Arc<Alert>,
    pub(crate) conns: Arc<AtomicUsize>,
}

/// One thread. See the [module](self).
pub(crate) struct Shaker {
    poll: Poll,
    alert: Arc<Alert>,
    arrivals: Receiver<Arrival>,
    load: Arc<Load>,
    current: Arc<Current>,
    destinations: Vec<Destination>,
    stop: Arc<Stop>,
    patience: Duration,
    #[cfg(feature = "http2")]
    fronts: Arc<Fronts>,
    shakes: Slab<Shake>,
    /// Slot and number of each handshake in the order of their beginning; some have ended.
    ages: VecDeque<(usize, u64)>,
    begun: u64,
    buffer: Vec<u8>,
}

/// A handshake under way.
struct Shake {
    tunnel: Tunnel,
    /// Asked for at its beginning: whoever is gone has none any more.
    address: Option<SocketAddr>,
    number: u64,
    began: Instant,
    received: usize,
    watches_writes: bool,
    /// It has failed, and the client has been told why.
    is_over: bool,
}

/// What the threads are made of.
pub(crate) struct Parts {
    pub(crate) polls: Vec<(Poll, Arc<Alert>)>,
    pub(crate) current: Arc<Current>,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) handshake_ms_max: u64,
    #[cfg(feature = "http2")]
    pub(crate) fronts: Arc<Fronts>,
}

impl Destination {
    /// The core with the fewest Conns.
    pub(crate) fn fewest(all: &[Self]) -> Option<&Self> {
        all.iter()
            .min_by_key(|core| core.conns.load(Ordering::Relaxed))
    }
}

impl Handshakes {
    /// Makes the threads' values; they run when the server does.
    pub(crate) fn open(parts: Parts) -> (Arc<Self>, Vec<Shaker>) {
        let mut inboxes = Vec::new();
        let mut shakers = Vec::new();
        for (poll, alert) in parts.polls {
            let (sender, arrivals) = channel();
            let load = Arc::new(Load::default());
            inboxes.push(Inbox {
                arrivals: sender,
                alert: Arc::clone(&alert),
                load: Arc::clone(&load),
            });
            shakers.push(Shaker {
                poll,
                alert,
                arrivals,
                load,
                current: Arc::clone(&parts.current),
                destinations: parts.destinations.clone(),
                stop: Arc::clone(&parts.stop),
                patience: Duration::from_millis(parts.handshake_ms_max),
                #[cfg(feature = "http2")]
                fronts: Arc::clone(&parts.fronts),
                shakes: Slab::new(),
                ages: VecDeque::new(),
                begun: 0,
                buffer: vec![0; READ_BYTES],
            });
        }
        let handshakes = Self {
            inboxes,
            refused: AtomicU64::new(0),
        };
        (Arc::new(handshakes), shakers)
    }

    /// Hands a socket in with what it has brought. Where too many wait it is closed.
    pub(crate) fn hand_in(&self, socket: Stream, first: Vec<u8>, luggage: Option<Box<Luggage>>) {
        let Some(inbox) = self.inboxes.iter().min_by_key(|inbox| inbox.load.all()) else {
            return;
        };
        if inbox.load.waiting.load(Ordering::Relaxed) >= ARRIVALS_MAX {
            let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
            if refused.is_power_of_two() {
                tracing::warn!(
                    refused,
                    "a connection was turned away: too many TLS handshakes wait to begin"
                );
            }
            return;
        }
        inbox.load.waiting.fetch_add(1, Ordering::Relaxed);
        inbox.load.all.fetch_add(1, Ordering::Relaxed);
        // A thread that has ended ends the server.
        let arrival = Arrival {
            socket,
            first,
            luggage,
        };
        if inbox.arrivals.send(arrival).is_ok() {
            inbox.alert.raise();
        }
    }

    /// Connections whose handshake is under way or waits.
    pub(crate) fn count(&self) -> usize {
        self.inboxes.iter().map(|inbox| inbox.load.all()).sum()
    }
}

impl Load {
    fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Shake {
    /// Whose it is, for a log line: as a proxy says, else by its address.
    fn who(&self) -> String {
        let luggage = self.tunnel.luggage.as_ref();
        let told = luggage.and_then(|luggage| luggage.client);
        match (told, self.address) {
            (Some(client), _) => client.to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "-".to_owned(),
        }
    }
}

impl Shaker {
    /// Shakes hands until the server stops.
    pub(crate) fn run(mut self) -> Result<(), Fault> {
        // A system that does not allow it serves all the same.
        let _ = rustix::process::nice(NICE);
        let mut events = Events::with_capacity(PER_TURN);
        loop {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Fault::Poll {
                        thread: "the TLS handshakes".to_owned(),
                        source,
                    });
                }
                Ok(()) => {}
            }
            self.alert.lower();
            if self.stop.is_stopping() {
                return Ok(());
            }
            for event in &events {
                if event.token() != ALERT {
                    self.go_on(event.token().0);
                }
            }
            self.take_in();
            self.give_up_late();
        }
    }

    fn take_in(&mut self) {
        for _ in 0..PER_TURN {
            let Ok(arrival) = self.arrivals.try_recv() else {
                return;
            };
            let Arrival {
                socket,
                first,
                luggage,
            } = arrival;
            self.load.waiting.fetch_sub(1, Ordering::Relaxed);
            if self.shakes.len() >= SHAKES_MAX {
                self.give_up_oldest();
            }
            let received = first.len();
            let mut tunnel = match Tunnel::begin(socket, first, self.current.config()) {
                Ok(tunnel) => tunnel,
                Err(error) => {
                    tell_often!(ERROR, %error, "a TLS handshake could not begin");
                    self.load.all.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
            };
            tunnel.luggage = luggage;
            self.begun += 1;
            let slot = self.shakes.insert(Shake {
                address: tunnel.address(),
                tunnel,
                number: self.begun,
                began: Instant::now(),
                received,
                watches_writes: false,
                is_over: false,
            });
            self.ages.push_back((slot, self.begun));
            if self.watch(slot, Interest::READABLE, false) {
                self.go_on(slot);
            }
        }
        // More may wait than this turn took.
        self.alert.raise();
    }

    /// Goes on with one handshake.
    fn go_on(&mut self, slot: usize) {
        let Some(shake) = self.shakes.get_mut(slot) else {
            return;
        };
        if shake.is_over {
            return self.hear_out(slot);
        }
        let (tunnel, received) = (&mut shake.tunnel, &mut shake.received);
        match tunnel.shake(&mut self.buffer, received, SHAKE_BYTES_MAX) {
            Shaken::Waits { blocked } => {
                if blocked && !std::mem::replace(&mut shake.watches_writes, true) {
                    self.watch(slot, Interest::READABLE | Interest::WRITABLE, true);
                }
            }
            Shaken::Done => self.hand_on(slot),
            Shaken::Failed(error) => {
                let peer = shake.who();
                if let Some(error) = error {
                    tell_often!(INFO, peer, "a TLS handshake failed: {}", why(&error));
                    (shake.is_over, shake.received) = (true, 0);
                    return self.hear_out(slot);
                }
                tracing::debug!(peer, "a client left in its TLS handshake");
                self.drop_shake(slot);
            }
        }
    }

    /// Reads on until a client leaves that was told why it is refused: to close with something unread resets the connection, which takes the alert back.
    /// In TLS 1.3 a client says its request before it has heard what its certificate came to.
    fn hear_out(&mut self, slot: usize) {
        let Some(shake) = self.shakes.get_mut(slot) else {
            return;
        };
        while shake.received < SHAKE_BYTES_MAX {
            match shake.tunnel.socket().read(&mut self.buffer) {
                Ok(count) if count > 0 => shake.received += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.drop_shake(slot);
    }

    /// Hands a tunnel to the core with the fewest Conns, or to a front where it speaks HTTP/2.
    fn hand_on(&mut self, slot: usize) {
        let Some(mut shake) = self.drop_shake(slot) else {
            return;
        };
        if let Err(error) = shake.tunnel.socket().forget(self.poll.registry()) {
            tell_often!(WARN, %error, "a connection could not be handed to a core and is closed");
            return;
        }
        let tunnel = Box::new(shake.tunnel);
        #[cfg(feature = "http2")]
        if tunnel.speaks_http2() {
            return self.fronts.hand_in(tunnel);
        }
        if let Some(core) = Destination::fewest(&self.destinations) {
            core.conns.fetch_add(1, Ordering::Relaxed);
            // A core that has ended takes nobody in any more.
            if core.secured.send(Secured::Tunnel(tunnel)).is_ok() {
                core.alert.raise();
            }
        }
    }

    /// Watches a socket; one that cannot be watched is given up.
    fn watch(&mut self, slot: usize, interest: Interest, again: bool) -> bool {
        let Some(shake) = self.shakes.get_mut(slot) else {
            return false;
        };
        let socket = shake.tunnel.socket();
        if let Err(error) = socket.watch(self.poll.registry(), Token(slot), interest, again) {
            tell_often!(WARN, %error, "a connection could not be watched and is closed");
            self.drop_shake(slot);
            return false;
        }
        true
    }

    fn give_up_late(&mut self) {
        while let Some((slot, number)) = self.ages.front().copied() {
            match self.shakes.get(slot) {
                Some(shake) if shake.number == number => {
                    if shake.began.elapsed() < self.patience {
                        return;
                    }
                    if let Some(shake) = self.drop_shake(slot)
                        && !shake.is_over
                    {
                        let peer = shake.who();
                        tracing::debug!(peer, "a TLS handshake took too long");
                    }
                }
                _ => {}
            }
            self.ages.pop_front();
        }
    }

    fn give_up_oldest(&mut self) {
        while let Some((slot, number)) = self.ages.pop_front() {
            if self.shakes.get(slot).is_some_and(|s| s.number == number) {
                self.drop_shake(slot);
                return;
            }
        }
    }

    fn drop_shake(&mut self, slot: usize) -> Option<Shake> {
        let shake = self.shakes.try_remove(slot)?;
        self.load.all.fetch_sub(1, Ordering::Relaxed);
        // Those that ended are passed over when they are the oldest; a long line of them is swept.
        if self.ages.len() > 2 * SHAKES_MAX {
            let shakes = &self.shakes;
            self.ages
                .retain(|(slot, number)| shakes.get(*slot).is_some_and(|s| s.number == *number));
        }
        Some(shake)
    }

    /// Until the oldest handshake is too old.
    fn timeout(&self) -> Option<Duration> {
        let (slot, number) = self.ages.front()?;
        let oldest = self.shakes.get(*slot).filter(|s| s.number == *number);
        // One that has ended may hide the next: it is looked at soon.
        let left = oldest.map_or(Duration::ZERO, |shake| {
            self.patience.saturating_sub(shake.began.elapsed())
        });
        Some(left + Duration::from_millis(1))
    }
}

/// What a failure means, with what to do where that is known.
fn why(error: &rustls::Error) -> String {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown,
        ) => "the client does not trust this server's certificate".into(),
        rustls::Error::AlertReceived(Alert::CertificateExpired) => {
            "the client says that this server's certificate has expired".into()
        }
        rustls::Error::NoApplicationProtocol => {
            "the client asks for protocols (ALPN) of which this server speaks none".into()
        }
        rustls::Error::NoCertificatesPresented => {
            "the client showed no certificate, and `tls.clients` is `required`".into()
        }
        rustls::Error::InvalidCertificate(error) => {
            format!("the client's certificate is not to be trusted ({error})")
        }
        rustls::Error::General(text) => text.clone(),
        error => error.to_string(),
    }
}
