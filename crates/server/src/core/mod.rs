//! A core: one thread, its epoll loop, its Conns and its Shard. No lock, no channel per Conn.
//!
//! The turn: (1) wake; (2) take in newcomers and what other cores and the readers of files sent; (3) each ready Conn decodes what has arrived, bounded, and the Shard
//! handles each input; (4) deadlines; (5) hand the keeper what is to be kept, flush every dirty room and Conn once; (6) wake the other cores that got something.
//! Data flows one way: sockets → `receive` → [`talk`](crate::talk) → Shard → `settle` → `flush` → sockets.

mod again;
mod conn;
mod datagram;
mod deadline;
mod doors;
mod doorstep;
mod drain;
mod flush;
mod haste;
mod hold;
mod hooked;
mod identity;
mod latest;
mod link;
mod listing;
mod receive;
mod settle;
mod survey;
mod tunnels;
mod unheard;
mod wheel;
mod window;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll, Token};
use rtrb::Consumer;
use taut_auth::Auth;
use taut_gate::http::{Responder, Site};
use taut_gate::{Close, Encoder};
use taut_hub::{ConnId, Input, Now, Output, RoomId, Shard, StoreAnswer};
use taut_wire::ws;

pub(crate) use again::Again;
pub(crate) use conn::{Conn, Conns, Flag, Name, Output as Waiting, Stream, Wrote, wrapped};
pub(crate) use datagram::{Datagrams, Peer};
pub(crate) use doorstep::Doorstep;
pub(crate) use drain::Drain;
pub(crate) use hooked::Hooked;
pub(crate) use identity::{Asker, Identities, Origin};
pub(crate) use link::{Alert, Links, Parcel};
pub(crate) use listing::Kept;
pub(crate) use settle::ticket_of;
pub(crate) use survey::{Survey, Surveys, What, nothing_found};
pub(crate) use tunnels::{Secured, Tunnels};
pub(crate) use wheel::Wheel;

use crate::acceptor::Newcomer;
use crate::application::Application;
use crate::config::Limits;
use crate::error::Fault;
use crate::files::Counter;
use crate::health::Health;
use crate::identity::Doorman;
use crate::keeper::Safe;
use crate::limits::Limiter;
use crate::metrics::Counts;
use crate::orders::Order;
use crate::reload::{Answered, ReloadLine};
use crate::session::Sessions;
use crate::stop::Stop;
use crate::talk::Proofs;
use crate::tls::Handshakes;
use haste::Haste;
use latest::LatestWindows;
use unheard::Unheard;
use window::Windows;

/// The token of the core's [`Alert`].
pub(crate) const ALERT: Token = Token(usize::MAX);
/// Bytes one read may bring. One buffer per core serves all its Conns.
const READ_BYTES: usize = 128 << 10;
/// Events one turn looks at; the rest come in the next one.
const EVENTS_PER_TURN: usize = 1_024;
/// Link messages one turn handles, so that a busy neighbour does not starve the sockets.
const LINKS_PER_TURN: usize = 8_192;

/// Nanoseconds of a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// The reason of a close that nobody was told of: the peer had gone.
const VANISHED: &str = "vanished";

/// See the [module](self).
pub(crate) struct Core {
    pub(crate) id: u16,
    pub(crate) cores: u16,
    pub(crate) poll: Poll,
    pub(crate) alert: Arc<Alert>,
    pub(crate) intake: Consumer<Newcomer>,
    pub(crate) count: Arc<AtomicUsize>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) site: Arc<Site>,
    pub(crate) limits: Limits,
    pub(crate) limiter: Limiter,
    pub(crate) shard: Shard,
    pub(crate) conns: Conns,
    pub(crate) links: Links,
    pub(crate) wheel: Wheel,
    pub(crate) now: Now,
    pub(crate) responder: Responder,
    pub(crate) encoder: Encoder,
    pub(crate) inflater: ws::deflate::Inflater,
    pub(crate) datagrams: Datagrams,
    pub(crate) proofs: Proofs,
    pub(crate) sessions: Sessions,
    /// Who speaks in the rooms of Socket.IO in the place of rooms, where a program of its own does.
    pub(crate) application: Option<Arc<dyn Application>>,
    pub(crate) identities: Identities,
    /// Where files are read, when a folder is served.
    pub(crate) files: Option<Counter>,
    pub(crate) health: Arc<Health>,
    /// How it is asked who somebody is, where anybody is.
    pub(crate) auth: Option<Arc<Auth>>,
    /// What came of revocations that the API was asked for.
    pub(crate) revoked: (Sender<Revoked>, Receiver<Revoked>),
    pub(crate) surveys: Surveys,
    /// Where the application is asked, when there are webhooks.
    pub(crate) hooked: Option<Hooked>,
    /// This core's way to webhooks that may come, while there are none.
    pub(crate) unhooked: Option<Box<crate::hooks::Counter>>,
    /// Where rooms are kept, when there is a store.
    pub(crate) safe: Option<Safe>,
    /// What other threads ask of this core.
    pub(crate) orders: Option<Receiver<Order>>,
    /// Who is looked at again since the configuration has changed.
    pub(crate) again: Option<Again>,
    /// The way to whoever reads the configuration again, and what came of it.
    pub(crate) reloads: ReloadLine,
    pub(crate) reloaded: (Sender<Answered>, Receiver<Answered>),
    /// What it has done, for who asks.
    pub(crate) counts: Counts,
    /// Where TLS handshakes are shaken, when there is a certificate; and what comes of them.
    pub(crate) handshakes: Option<Arc<Handshakes>>,
    pub(crate) secured: Option<Receiver<Secured>>,
    pub(crate) tunnels: Tunnels,
    /// Guests named so far; numbers their names.
    pub(crate) guests: u64,
    started: Instant,
    started_unix_ms: u64,
    /// When this turn began, in nanoseconds since the core did.
    turn_ns: u64,
    /// The same of when its messages were out; 0 where there were none.
    flushed_ns: u64,
    outputs: Vec<Output>,
    read_buffer: Vec<u8>,
    /// How much a turn hears, so that it can all be said.
    haste: Haste,
    unheard: Unheard,
    /// Units that the Conn being read may still bring in this turn.
    units_left: u32,
    /// Conns that have more to read than a turn's bound let through, or were paused and may go on.
    ready: Vec<u32>,
    /// Sockets whose end waits until they have heard themselves.
    pub(crate) echoing: Vec<ConnId>,
    /// Conns with own output, or with several rooms, to flush this turn.
    dirty: Vec<u32>,
    /// Rooms with something to deliver this turn.
    dirty_rooms: Vec<flush::Due>,
    /// Rooms whose relays could not be served for want of space in a ring.
    owed: Vec<RoomId>,
    windows: Windows,
    latest: LatestWindows,
    /// Bytes gathered for one Conn; kept for the next one.
    gathered: Vec<u8>,
    /// Alarms that went off this turn; kept for the next one.
    fired: Vec<(wheel::Entry, u32)>,
    drain: Option<Drain>,
}

/// Who asked for a revocation, and why it is not for good.
pub(crate) type Revoked = (ConnId, Result<(), String>);

/// What a core is made of.
pub(crate) struct Parts {
    pub(crate) id: u16,
    pub(crate) cores: u16,
    pub(crate) poll: Poll,
    pub(crate) alert: Arc<Alert>,
    pub(crate) intake: Consumer<Newcomer>,
    pub(crate) count: Arc<AtomicUsize>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) site: Arc<Site>,
    pub(crate) limits: Limits,
    pub(crate) limiter: Limiter,
    pub(crate) shard: Shard,
    pub(crate) links: Links,
    pub(crate) health: Arc<Health>,
    pub(crate) auth: Option<Arc<Auth>>,
    pub(crate) sessions: Sessions,
    pub(crate) application: Option<Arc<dyn Application>>,
    pub(crate) doorman: Arc<Doorman>,
    pub(crate) reloads: ReloadLine,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let encoder = Encoder::new(parts.limits.datagram_bytes_max);
        Self {
            id: parts.id,
            cores: parts.cores,
            poll: parts.poll,
            alert: parts.alert,
            intake: parts.intake,
            count: parts.count,
            stop: parts.stop,
            site: parts.site,
            limits: parts.limits,
            limiter: parts.limiter,
            shard: parts.shard,
            links: parts.links,
            files: None,
            sessions: parts.sessions,
            application: parts.application,
            identities: Identities::new(parts.doorman),
            health: parts.health,
            auth: parts.auth,
            revoked: channel(),
            surveys: Surveys::default(),
            hooked: None,
            unhooked: None,
            safe: None,
            orders: None,
            again: None,
            reloads: parts.reloads,
            reloaded: channel(),
            counts: Counts::default(),
            handshakes: None,
            secured: None,
            tunnels: Tunnels::default(),
            conns: Conns::default(),
            wheel: Wheel::new(),
            now: Now {
                mono_ms: 0,
                unix_ms: unix_ms(),
            },
            responder: Responder::new(),
            encoder,
            datagrams: Datagrams::default(),
            proofs: Proofs::default(),
            inflater: ws::deflate::Inflater::new(),
            guests: 0,
            started: Instant::now(),
            started_unix_ms: unix_ms(),
            turn_ns: 0,
            flushed_ns: 0,
            outputs: Vec::new(),
            read_buffer: vec![0; READ_BYTES],
            haste: Haste::default(),
            unheard: Unheard::default(),
            units_left: 0,
            ready: Vec::new(),
            echoing: Vec::new(),
            dirty: Vec::new(),
            dirty_rooms: Vec::new(),
            owed: Vec::new(),
            windows: Windows::default(),
            latest: LatestWindows::default(),
            gathered: Vec::new(),
            fired: Vec::new(),
            drain: None,
        }
    }

    /// Turns until the server has drained.
    pub(crate) fn run(mut self) -> Result<(), Fault> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Fault::Poll {
                        thread: format!("core {}", self.id),
                        source,
                    });
                }
                Ok(()) => {}
            }
            self.look_at_clock();
            let called = self.alert.lower();
            self.take_in();
            self.hear_links();
            self.hear_files();
            self.hear_keeper();
            if called {
                // Whoever puts something there raises the alert behind it.
                self.hear_orders();
                self.take_in_tunnels();
                self.hear_application();
                self.hear_revoked();
                self.hear_reloaded();
            }
            self.look_around();
            self.settle_echoes();
            self.look_after_identities();
            self.go_on_again();
            self.begin_to_read();
            self.receive_ready();
            for event in &events {
                if event.token() != ALERT {
                    self.receive_event(event);
                }
            }
            self.receive_datagrams();
            self.meet_deadlines();
            if self.drained() {
                return Ok(());
            }
            self.ask_keeper();
            self.flush();
            self.send_datagrams();
            self.links.flush();
            if let Some(safe) = &mut self.safe {
                safe.flush();
            }
        }
    }

    /// Hands one input to the Shard and carries out what it says, so that answers keep the order of the questions. What its Conn does faster than it may is refused
    /// here, as the Shard would.
    pub(crate) fn hub(&mut self, input: Input) {
        if self.limiter.has_bills()
            && let Some(refused) = self.too_fast(&input)
        {
            return self.settle(refused);
        }
        if self.hooked.is_none() {
            return self.hand(input);
        }
        if let Some(input) = self.ask_application(input) {
            self.hand(input);
        }
    }

    /// The same for what has been looked at already.
    #[inline]
    fn hand(&mut self, input: Input) {
        match &input {
            Input::Publish { conn, .. } => self.count_said(*conn, 1),
            Input::PublishBatch { conn, batch, .. } => {
                self.count_said(*conn, batch.drafts.len() as u64);
            }
            _ => {}
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        self.shard.handle(input, self.hub_now(), &mut outputs);
        for output in outputs.drain(..) {
            self.settle(output);
        }
        self.outputs = outputs;
    }

    /// Puts a Conn on the list to be flushed this turn.
    pub(crate) fn touch(&mut self, slot: u32) {
        if let Some(conn) = self.conns.at(slot)
            && !conn.flags.has(Flag::Dirty)
        {
            conn.flags.set(Flag::Dirty, true);
            self.dirty.push(slot);
        }
    }

    /// Puts a Conn on the list to be read in the next round although no event comes for it.
    pub(crate) fn ready_again(&mut self, slot: u32) {
        if let Some(conn) = self.conns.at(slot)
            && !conn.flags.has(Flag::Ready)
        {
            conn.flags.set(Flag::Ready, true);
            self.ready.push(slot);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let congested = self.is_congested();
        let unread = !self.ready.is_empty() || self.datagrams.is_ready();
        let is_busy =
            !self.dirty.is_empty() || !self.dirty_rooms.is_empty() || self.again.is_some();
        if is_busy || (unread && !congested) {
            return Some(Duration::ZERO);
        }
        if congested || !self.owed.is_empty() || self.links.has_backlog() || self.drain.is_some() {
            // Another core has to make room first; nothing tells us when it has.
            return Some(Duration::from_millis(1));
        }
        // Who has just flushed has just looked at the clock.
        let now_ms = match self.flushed_ns {
            0 => self.elapsed_ms(),
            now_ns => now_ns / NS_PER_MS,
        };
        let hub_now_ms = self.started_unix_ms + now_ms;
        let shard = self
            .shard
            .deadline_ms()
            .map(|at| at.saturating_sub(hub_now_ms));
        let wheel = self.wheel.wait_ms(now_ms);
        let identities = self.identities.wait_ms(now_ms);
        let held = self.limiter.next_ms().map(|at| at.saturating_sub(now_ms));
        // Rounded up by the granularity of epoll, so that a deadline is past when we wake for it.
        shard
            .into_iter()
            .chain(wheel)
            .chain(identities)
            .chain(held)
            .min()
            .map(|wait_ms| Duration::from_millis(wait_ms.saturating_add(1)))
    }

    /// The time as the Shard counts it: its clock begins near Unix time, so that messages of an earlier run age on.
    pub(crate) fn hub_now(&self) -> Now {
        Now {
            mono_ms: self.started_unix_ms + self.now.mono_ms,
            unix_ms: self.now.unix_ms,
        }
    }

    /// Whether requests stay unread until other cores, or the store, have caught up.
    pub(crate) fn is_congested(&self) -> bool {
        self.links.is_congested() || self.shard.is_congested() || self.read_enough()
    }

    fn look_at_clock(&mut self) {
        self.turn_ns = self.elapsed_ns();
        self.now = Now {
            mono_ms: self.turn_ns / NS_PER_MS,
            unix_ms: unix_ms(),
        };
        self.limiter.look_at_clock();
    }

    fn elapsed_ms(&self) -> u64 {
        self.elapsed_ns() / NS_PER_MS
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes in the sockets that the acceptor handed over.
    fn take_in(&mut self) {
        while let Ok(newcomer) = self.intake.pop() {
            if self.drain.is_some() {
                self.count.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let _ = self.welcome(newcomer);
        }
    }

    fn hear_links(&mut self) {
        self.begin_to_hear();
        for _ in 0..LINKS_PER_TURN {
            if self.heard_enough() {
                break;
            }
            let Some((from, parcel)) = self.links.receive() else {
                return;
            };
            match parcel {
                Parcel::Hub(message) => self.hub(Input::Link { from, message }),
                Parcel::Socket(handover) => self.take_over(*handover),
                Parcel::Superseded(conn) => self.supersede(conn),
                Parcel::Survey(survey) => self.take_survey(survey),
            }
        }
        // More may wait than this turn took.
        self.hear_more();
    }

    /// Hands the keeper what is to be kept, ahead of the flush. In the midst of a walk it is let through first where it has no processor of its
    /// own: then the walk's next members get in one write what was said meanwhile, and not the rest later in another.
    fn ask_keeper(&mut self) {
        let asked = self.safe.as_mut().is_some_and(Safe::flush);
        if asked && !self.dirty_rooms.is_empty() {
            std::thread::yield_now();
            self.hear_keeper();
        }
    }

    /// What the keeper of rooms says.
    fn hear_keeper(&mut self) {
        self.begin_to_hear();
        loop {
            if self.heard_enough() {
                // More may have been kept than this turn says.
                self.alert.raise();
                return;
            }
            let Some(answer) = self
                .safe
                .as_ref()
                .and_then(|safe| safe.answers.try_recv().ok())
            else {
                return;
            };
            match answer {
                StoreAnswer::Listed { id, result } => self.rooms_listed(id, result),
                answer => self.hub(Input::Stored { answer }),
            }
        }
    }

    /// Where a Conn comes from, where that is an address.
    pub(crate) fn address_of(&mut self, id: ConnId) -> Option<std::net::SocketAddr> {
        match &self.conns.find(id)?.stream {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Tunnel(key) => self.tunnels.peer_address(*key),
            Stream::Datagrams(key) => self.datagrams.address(*key),
            Stream::Unix(_) => self.identities.origin(id)?.address,
            Stream::Nobody => None,
        }
    }

    /// Whose a Conn is: the client that a proxy names, else where it comes from.
    pub(crate) fn client_address(&mut self, id: ConnId) -> Option<std::net::IpAddr> {
        let client = self.identities.client(id);
        client.or_else(|| self.address_of(id).map(|address| address.ip()))
    }

    /// Registers a Conn for what it waits for.
    pub(crate) fn register(
        &mut self,
        slot: u32,
        interest: Interest,
        again: bool,
    ) -> io::Result<()> {
        let Some(conn) = self.conns.at(slot) else {
            return Ok(());
        };
        let token = token_of(slot, conn.generation);
        let registry = self.poll.registry();
        match conn.stream {
            Stream::Tunnel(key) => self.tunnels.watch(key, registry, token, interest, again),
            _ => conn.stream.watch(registry, token, interest, again),
        }
    }

    /// Takes a Conn off the count that left without [`Core::remove`].
    pub(crate) fn uncount(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a Conn that no acceptor handed over.
    pub(crate) fn count_one_more(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the server is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Takes a Conn out of everything and closes its socket.
    pub(crate) fn remove(&mut self, slot: u32, farewell: taut_hub::Farewell) {
        let Some(id) = self.conns.id(slot) else {
            return;
        };
        // Who is closing was counted when that began.
        if self
            .conns
            .at(slot)
            .is_some_and(|conn| !conn.flags.has(Flag::Closing) && !conn.flags.has(Flag::Lingering))
        {
            let reason = match farewell {
                taut_hub::Farewell::Said => Close::Asked.words().word,
                taut_hub::Farewell::Vanished => VANISHED,
            };
            self.note_close(id, reason);
        }
        if self
            .conns
            .at(slot)
            .is_some_and(|conn| conn.flags.has(Flag::Opened))
        {
            self.hub(Input::Close { conn: id, farewell });
        }
        // Dropping the socket takes it off the poll.
        self.identities.forget(id);
        drop(self.limiter.take(slot));
        if let Some(conn) = self.conns.remove(slot) {
            if conn.flags.has(Flag::Unheard) {
                self.unheard.remove(&slot);
            }
            match conn.stream {
                Stream::Datagrams(key) => self.datagrams.forget(key),
                Stream::Tunnel(key) => self.tunnels.close(key),
                _ => {}
            }
            self.uncount();
            self.tell_of_end(id, conn.talk);
        }
    }
}

/// What a Conn's socket is watched by. With the generation, so that an event of a socket that closed earlier in the turn never meets whoever
/// has got its slot.
fn token_of(slot: u32, generation: u32) -> Token {
    let token = u64::from(generation) << u32::BITS | u64::from(slot);
    Token(usize::try_from(token).unwrap_or(slot as usize))
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
