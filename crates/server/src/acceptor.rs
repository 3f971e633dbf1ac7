//! The acceptor: one thread takes every new connection and hands it to the core with the fewest Conns.
//!
//! When the process runs out of file descriptors it gives up its spare one to take the waiting connection and close it at once, so that
//! the peer learns it now and the listener does not spin; then it rests for a moment.
//!
//! It is the one who says whether there is room: for anybody ([`Guard`]), and for one more from this address ([`Limits`]). Who is turned away is told so where there is a
//! seat for it, else its connection closes; nothing was allocated for it then.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use rtrb::Producer;

use crate::core::{Alert, Origin, Stream};
use crate::error::Fault;
#[cfg(feature = "http2")]
use crate::http2::Fronts;
use crate::limits::{Bill, Guard, LOOK_LATEST, Limits, Seats, Why};
use crate::listen::{Acceptable, Listener, Speaks};
use crate::metrics::Acceptance;
use crate::stop::Stop;
use crate::tls::Handshakes;

/// Sockets that may wait for a core to take them in; when all cores' lines are full, the kernel's own line keeps the rest.
pub(crate) const INTAKE_SOCKETS: usize = 1_024;
/// Connections accepted before the cores that got them are woken: in a flood that never ends, too, a core that sleeps learns of its own.
const ACCEPTED_PER_WAKE: usize = 64;
/// How long the acceptor rests when it can take nobody in.
const REST: Duration = Duration::from_millis(50);
/// The token of the [`Alert`] that tells the acceptor to stop.
pub(crate) const ALERT: Token = Token(usize::MAX);

/// A socket on its way to a core.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) stream: Stream,
    pub(crate) speaks: Speaks,
    /// What it holds of the limits.
    pub(crate) bill: Option<Box<Bill>>,
    /// Whose it is, where its socket does not tell.
    pub(crate) origin: Option<Arc<Origin>>,
}

/// The acceptor's end of one core.
pub(crate) struct Intake {
    pub(crate) ring: Producer<Newcomer>,
    pub(crate) alert: Arc<Alert>,
    /// How many Conns the core has or is about to have; the core counts down.
    pub(crate) conns: Arc<AtomicUsize>,
    /// Whether it has got something since it was last woken.
    pub(crate) is_owed: bool,
}

/// See the [module](self).
pub(crate) struct Acceptor {
    pub(crate) poll: Poll,
    pub(crate) listeners: Vec<Acceptable>,
    pub(crate) intakes: Vec<Intake>,
    pub(crate) guard: Guard,
    pub(crate) limits: Arc<Limits>,
    /// A reload changes it.
    pub(crate) requires_tls: Arc<AtomicBool>,
    /// For those who are turned away and told so.
    pub(crate) seats: Seats,
    pub(crate) acceptance: Arc<Acceptance>,
    pub(crate) stop: Arc<Stop>,
    /// Connections there count as well.
    pub(crate) handshakes: Option<Arc<Handshakes>>,
    /// So do connections of HTTP/2, and their ends of lanes.
    #[cfg(feature = "http2")]
    pub(crate) fronts: Option<Arc<Fronts>>,
    pub(crate) spare: Option<File>,
    pub(crate) refused: u64,
}

impl Acceptor {
    /// Accepts until the server stops.
    pub(crate) fn run(mut self) -> Result<(), Fault> {
        let mut events = Events::with_capacity(64);
        for (index, acceptable) in self.listeners.iter_mut().enumerate() {
            let registry = self.poll.registry();
            let watched = match &mut acceptable.listener {
                Listener::Tcp(listener) => {
                    registry.register(listener, Token(index), Interest::READABLE)
                }
                Listener::Unix { listener, .. } => {
                    registry.register(listener, Token(index), Interest::READABLE)
                }
            };
            watched.map_err(fault)?;
        }
        let mut resting = false;
        while !self.stop.is_stopping() {
            let timeout = if resting { REST } else { LOOK_LATEST };
            let timeout = Some(timeout);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(fault)?,
            }
            let conns = self.conns();
            self.guard.look(conns);
            resting = (0..self.listeners.len())
                .map(|index| self.accept_from(index))
                .fold(false, |rest, waits| rest | waits);
        }
        Ok(())
    }

    /// Accepts what waits on one listener, and wakes each core once for what it gets; true when some must wait for room.
    fn accept_from(&mut self, index: usize) -> bool {
        loop {
            let ended = (0..ACCEPTED_PER_WAKE).find_map(|_| self.accept_one(index));
            for intake in &mut self.intakes {
                if std::mem::take(&mut intake.is_owed) {
                    intake.alert.raise();
                }
            }
            if let Some(waits) = ended {
                return waits;
            }
        }
    }

    /// Accepts one connection. `Some` when there is none, or (true) when it must wait for room.
    fn accept_one(&mut self, index: usize) -> Option<bool> {
        if self.intakes.iter().all(|intake| intake.ring.is_full()) {
            return Some(true);
        }
        match self.listeners[index].listener.accept() {
            Ok((stream, address)) => {
                let speaks = self.speaks(index);
                self.hand_over(stream, address, speaks);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(false),
            Err(error) if is_out_of_files(&error) => {
                if !self.turn_away(index, &error) {
                    return Some(true);
                }
            }
            // The peer went before we looked; the next one is unharmed.
            Err(error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
            }
        }
        None
    }

    /// What is spoken at a listener, where TLS may be required of all that take anything.
    fn speaks(&self, index: usize) -> Speaks {
        let acceptable = &self.listeners[index];
        let speaks = acceptable.speaks;
        if !self.requires_tls.load(Ordering::Relaxed) {
            return speaks;
        }
        match (&acceptable.listener, speaks) {
            (Listener::Tcp(_), Speaks::Anything) => Speaks::Tls,
            (Listener::Tcp(_), Speaks::Proxied) => Speaks::ProxiedTls,
            (_, speaks) => speaks,
        }
    }

    fn hand_over(&mut self, stream: Stream, address: Option<SocketAddr>, speaks: Speaks) {
        self.acceptance.accepted.fetch_add(1, Ordering::Relaxed);
        let conns = self.conns();
        let refused = if self.guard.lets_in(conns) {
            match self.limits.admit(address) {
                Ok(bill) => return self.give(stream, speaks, bill),
                Err(over) => Why::Over(over),
            }
        } else {
            self.acceptance.full.fetch_add(1, Ordering::Relaxed);
            Why::Full
        };
        self.say_refused(match refused {
            Why::Over(over) => over.text,
            Why::Full => "there is no room for it",
        });
        if let Some(turned) = self.seats.take(refused, self.limits.is_exempt(address)) {
            self.give(stream, speaks, Some(Box::new(Bill::of_turned(turned))));
        }
    }

    /// Gives a socket to the core with the fewest Conns.
    fn give(&mut self, stream: Stream, speaks: Speaks, bill: Option<Box<Bill>>) {
        let fewest = self
            .intakes
            .iter_mut()
            .filter(|intake| !intake.ring.is_full())
            .min_by_key(|intake| intake.count());
        if let Some(intake) = fewest {
            intake.conns.fetch_add(1, Ordering::Relaxed);
            let newcomer = Newcomer {
                stream,
                speaks,
                bill,
                origin: None,
            };
            if intake.ring.push(newcomer).is_err() {
                intake.conns.fetch_sub(1, Ordering::Relaxed);
            }
            intake.is_owed = true;
        }
    }

    /// How many Conns there are, or are about to be.
    fn conns(&self) -> usize {
        let shaking = self.handshakes.as_ref().map_or(0, |all| all.count());
        #[cfg(feature = "http2")]
        let shaking = shaking
            + self
                .fronts
                .as_ref()
                .map_or(0, |fronts| fronts.counts.sockets());
        shaking + self.intakes.iter().map(Intake::count).sum::<usize>()
    }

    /// Takes one waiting connection in with the spare descriptor, only to close it; false when even that failed.
    fn turn_away(&mut self, index: usize, error: &io::Error) -> bool {
        self.spare = None;
        let taken = self.listeners[index].listener.accept().is_ok();
        self.spare = open_spare();
        if taken {
            self.acceptance.open_files.fetch_add(1, Ordering::Relaxed);
            self.say_refused(&format!(
                "out of file descriptors ({error}); raise the open-file limit (`ulimit -n`)"
            ));
        }
        taken
    }

    /// Logs the first refusal and then each power of two, so that a flood does not flood the log.
    fn say_refused(&mut self, why: &str) {
        self.refused += 1;
        if self.refused.is_power_of_two() {
            tracing::warn!(
                refused = self.refused,
                reason = why,
                "a connection was turned away"
            );
        }
    }
}

impl Intake {
    fn count(&self) -> usize {
        self.conns.load(Ordering::Relaxed)
    }
}

/// The descriptor kept back for [`Acceptor::turn_away`].
pub(crate) fn open_spare() -> Option<File> {
    File::open("/dev/null").ok()
}

fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

fn fault(source: io::Error) -> Fault {
    Fault::Poll {
        thread: "the acceptor".to_owned(),
        source,
    }
}
