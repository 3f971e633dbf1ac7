//! Who each Conn is: badges, when they end, and tokens that wait to be judged.
//!
//! Invariants:
//! - A Conn has a badge only while it has an identity; one on an open server costs nothing. The table is as large as there are Conns with one.
//! - A turn judges at most [`JUDGEMENTS_PER_TURN`] tokens: a signature costs 50 to 200 µs, and tokens are what a stranger sends.
//! - What a Conn says behind a token that waits is not read before the token is judged.
//! - A Conn stays the same user as long as it lives; only HTTP requests stand each for itself.

mod badges;
mod requests;
mod tokens;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use taut_auth::Identity;
use taut_hub::ConnId;

use super::doorstep::Doorstep;
use crate::identity::{Doorman, Judged};

pub(crate) use tokens::Asker;
pub(crate) use tokens::Told;
use tokens::Waiting;

/// Signatures that one turn checks; the rest come in the next one.
const JUDGEMENTS_PER_TURN: u32 = 32;
/// How long a Conn waits for a key that is fetched, in milliseconds.
const FETCH_MS_MAX: u64 = 5_000;
/// Judgements that a core remembers, so that a client that shows its token with each request costs little. They are forgotten together.
const KNOWN_MAX: usize = 256;

/// See the [module](self).
pub(crate) struct Identities {
    pub(crate) doorman: Arc<Doorman>,
    /// Whether anybody is asked, so that tokens mean something.
    asks: bool,
    /// How far clocks may differ.
    leeway_s: u64,
    /// Whether any proxy may say whose its connections and requests are; else none is looked for, which every request would pay.
    pub(crate) has_proxies: bool,
    badges: HashMap<ConnId, Badge>,
    /// When badges end, and until when who has none must have got one.
    alarms: BTreeSet<(u64, ConnId)>,
    waiting: Vec<Waiting>,
    judged: u32,
    revision: u64,
    revocations: u64,
    known: HashMap<Box<str>, Arc<Identity>>,
    /// Where the application is asked about newcomers.
    pub(crate) doorstep: Option<Box<Doorstep>>,
    /// Whose connections of `proxy://` listeners are: `None` until the proxy has said it. Others have no entry.
    clients: HashMap<ConnId, Option<IpAddr>>,
    /// Whose the requests are that proxies hand on, as their headers say.
    clients_of_requests: HashMap<ConnId, IpAddr>,
    /// Whose Conns are that a front hands in for streams of HTTP/2. Others have no entry.
    origins: HashMap<ConnId, Arc<Origin>>,
}

/// A Conn's identity.
struct Badge {
    identity: Arc<Identity>,
    /// The display name that goes with it.
    name: Option<Arc<str>>,
    /// Its entry among the alarms.
    due_ms: u64,
}

/// At the other end of a connection that is not the Conn's own socket: what all streams of one HTTP/2 connection have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Its address; `None` for a Unix socket.
    pub(crate) address: Option<SocketAddr>,
    /// Whose it is, where that is a proxy's and the PROXY protocol says so.
    pub(crate) client: Option<IpAddr>,
    /// Whom its certificate names, where it showed one that the configured authorities vouch for.
    pub(crate) certificate: Option<Arc<str>>,
}

impl Origin {
    /// Whose it is, for a log line.
    #[cfg(feature = "http2")]
    pub(crate) fn who(&self) -> String {
        match (self.client, self.address) {
            (Some(client), _) => client.to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "unix".to_owned(),
        }
    }
}

impl Identities {
    pub(crate) fn new(doorman: Arc<Doorman>) -> Self {
        let mut identities = Self {
            asks: false,
            leeway_s: 0,
            has_proxies: false,
            revision: doorman.revision(),
            revocations: doorman.revocations(),
            doorman,
            badges: HashMap::new(),
            alarms: BTreeSet::new(),
            waiting: Vec::new(),
            judged: 0,
            known: HashMap::new(),
            doorstep: None,
            clients: HashMap::new(),
            origins: HashMap::new(),
            clients_of_requests: HashMap::new(),
        };
        identities.follow();
        identities
    }

    /// Goes by what the doorman has now.
    pub(crate) fn follow(&mut self) {
        let auth = self.doorman.auth();
        self.asks = auth.as_ref().is_some_and(|auth| auth.is_restricted);
        self.leeway_s = auth.map_or(0, |auth| auth.verifier.demands.leeway_s);
        self.has_proxies = self.doorman.has_proxies();
    }

    /// Whether anybody is asked who they are.
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }

    /// Who a Conn is.
    pub(crate) fn of(&self, id: ConnId) -> Option<&Arc<Identity>> {
        self.badges.get(&id).map(|badge| &badge.identity)
    }

    /// The display name that goes with a Conn's identity.
    pub(crate) fn name(&self, id: ConnId) -> Option<Arc<str>> {
        self.badges.get(&id)?.name.clone()
    }

    /// A Conn is gone.
    pub(crate) fn forget(&mut self, id: ConnId) {
        if let Some(doorstep) = &mut self.doorstep {
            doorstep.forget(id);
        }
        // An empty table hashes what it is asked to take out.
        if !self.clients.is_empty() {
            self.clients.remove(&id);
        }
        if !self.clients_of_requests.is_empty() {
            self.clients_of_requests.remove(&id);
        }
        if !self.origins.is_empty() {
            self.origins.remove(&id);
        }
        self.take_badge(id);
    }

    fn take_badge(&mut self, id: ConnId) {
        if self.badges.is_empty() {
            return;
        }
        if let Some(badge) = self.badges.remove(&id) {
            self.alarms.remove(&(badge.due_ms, id));
        }
    }

    /// A proxy says first whose a Conn is.
    pub(crate) fn await_client(&mut self, id: ConnId) {
        self.clients.insert(id, None);
    }

    /// Whether a proxy has not said yet whose a Conn is.
    pub(crate) fn awaits_client(&self, id: ConnId) -> bool {
        self.clients.get(&id) == Some(&None)
    }

    /// A proxy has said whose a Conn is.
    pub(crate) fn set_client(&mut self, id: ConnId, client: IpAddr) {
        self.clients.insert(id, Some(client));
    }

    /// Whose a proxy has said that a Conn is, by a header of HTTP or by the PROXY protocol.
    pub(crate) fn client(&self, id: ConnId) -> Option<IpAddr> {
        self.client_of_request(id)
            .or_else(|| self.client_of_conn(id))
    }

    /// The same by the PROXY protocol alone: who that is may be a proxy itself.
    pub(crate) fn client_of_conn(&self, id: ConnId) -> Option<IpAddr> {
        self.clients.get(&id).copied().flatten()
    }

    /// The same by a header alone.
    pub(crate) fn client_of_request(&self, id: ConnId) -> Option<IpAddr> {
        self.clients_of_requests.get(&id).copied()
    }

    /// A proxy has said whose a request is, or nothing.
    pub(crate) fn set_client_of_request(&mut self, id: ConnId, client: Option<IpAddr>) {
        match client {
            Some(client) => self.clients_of_requests.insert(id, client),
            None => self.clients_of_requests.remove(&id),
        };
    }

    /// Notes whose a Conn is whose socket does not tell.
    pub(crate) fn set_origin(&mut self, id: ConnId, origin: Arc<Origin>) {
        self.origins.insert(id, origin);
    }

    /// Whose a Conn is that a front handed in.
    pub(crate) fn origin(&self, id: ConnId) -> Option<&Arc<Origin>> {
        self.origins.get(&id)
    }

    /// Whether it is not known yet whether a Conn is let in: its token waits to be judged, or the application is asked.
    pub(crate) fn awaits(&self, id: ConnId) -> bool {
        let asked = self.doorstep.as_deref();
        self.waiting.iter().any(|waiting| waiting.conn == id)
            || asked.is_some_and(|doorstep| doorstep.awaits(id))
    }

    /// Milliseconds until something is to be done.
    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        let alarm = self.alarms.first().map(|(due_ms, _)| *due_ms);
        // One that waits for a key is woken by its coming; one that waits for its turn has it in the next one.
        let waiting = self.waiting.iter().map(|waiting| waiting.until_ms).min();
        if self.waiting.iter().any(|waiting| waiting.is_surplus) {
            return Some(0);
        }
        let asked = self.doorstep.as_deref().and_then(Doorstep::next_ms);
        let first = alarm.into_iter().chain(waiting).chain(asked).min()?;
        Some(first.saturating_sub(now_ms))
    }

    /// Judges a token, or says that it has to wait.
    pub(crate) fn judge(&mut self, token: &str, patient: bool) -> Judged {
        let now_s = super::unix_ms() / 1_000;
        if self.doorman.revision() != self.revision {
            self.revision = self.doorman.revision();
            self.known.clear();
        }
        if let Some(identity) = self.known.get(token)
            && now_s < identity.expires_s.saturating_add(self.leeway_s)
        {
            return Judged::In(Arc::clone(identity));
        }
        if self.judged >= JUDGEMENTS_PER_TURN {
            return Judged::Later;
        }
        self.judged += 1;
        let judged = self.doorman.judge(token, patient);
        if let Judged::In(identity) = &judged {
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(token.into(), Arc::clone(identity));
        }
        judged
    }

    /// When an identity is over, in milliseconds of Unix time.
    fn end_ms(&self, identity: &Identity) -> u64 {
        let end_s = identity.expires_s.saturating_add(self.leeway_s);
        end_s.saturating_mul(1_000)
    }

    /// Whether no more is judged in this turn.
    fn is_spent(&self) -> bool {
        self.judged >= JUDGEMENTS_PER_TURN
    }
}
