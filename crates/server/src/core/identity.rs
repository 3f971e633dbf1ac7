//! Who each Conn is: badges, when they end, and tokens that wait to be judged.
//!
//! Invariants:
//! - A Conn has a badge only while it has an identity; one on an open server costs nothing. The table is as large as there are Conns with one.
//! - A turn judges at most [`JUDGEMENTS_PER_TURN`] tokens: a signature costs 50 to 200 µs, and tokens are what a stranger sends.
//! - What a Conn says behind a token that waits is not read before the token is judged.
//! - A Conn stays the same user as long as it lives; only HTTP requests stand each for itself.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use taut_auth::{AuthError, Identity, Proof, Verifier};
use taut_gate::http::Problem;
use taut_gate::socketio::Auth;
use taut_gate::{Close, display_name, native, text};
use taut_hub::{ConnId, Grant, Input, Right, RoomName};
use taut_wire::http::Headers;

use super::doorstep::Doorstep;
use super::{Core, Flag, Stream};
use crate::identity::{Doorman, Judged};
use crate::limits::Over;
use crate::talk::Talk;

/// Signatures that one turn checks; the rest come in the next one.
const JUDGEMENTS_PER_TURN: u32 = 32;
/// How long a Conn waits for a key that is fetched, in milliseconds.
const FETCH_MS_MAX: u64 = 5_000;
/// Judgements that a core remembers, so that a client that shows its token with each request costs little. They are forgotten together.
const KNOWN_MAX: usize = 256;
/// How often an identity's end is looked at again at most, in milliseconds: the clock may be set meanwhile.
const LOOK_MS_MAX: u64 = 3_600_000;

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

/// A token that is not judged yet. There is one at a time of a Conn, which is paused.
struct Waiting {
    conn: ConnId,
    token: Box<str>,
    asker: Asker,
    until_ms: u64,
    /// It was too many for its turn; otherwise it waits for a key.
    is_surplus: bool,
    /// What the doorman knew when it was looked at last.
    revision: u64,
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

/// Whom to answer.
#[derive(Debug)]
pub(crate) enum Asker {
    /// A request; its head is read again.
    Request,
    /// `{"auth":…}`, with its `ref`.
    Native(Option<Box<str>>),
    /// `/auth`.
    Text,
    /// Nobody: it has just come, and may have brought a datagram.
    Newcomer(Option<Box<[u8]>>),
    /// A CONNECT of Socket.IO: the namespace and what it brought; where the application is asked, also as it came.
    Enter(Box<str>, Box<Auth>, Box<str>),
    /// `emit("auth", …)`: the namespace and the acknowledgement.
    Verb(Arc<str>, Option<u64>),
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

impl Core {
    /// Once a turn: tokens that wait, identities that end, and what was taken back.
    pub(super) fn look_after_identities(&mut self) {
        self.identities.judged = 0;
        if !self.identities.waiting.is_empty() {
            let revision = self.identities.doorman.revision();
            for waiting in std::mem::take(&mut self.identities.waiting) {
                let is_new = waiting.is_surplus || waiting.revision != revision;
                if is_new || self.now.mono_ms >= waiting.until_ms {
                    self.judge_waiting(waiting);
                } else {
                    self.identities.waiting.push(waiting);
                }
            }
        }
        if self.has_doorstep() {
            self.end_questions();
        }
        let revocations = self.identities.doorman.revocations();
        if revocations != self.identities.revocations {
            self.identities.revocations = revocations;
            self.end_revoked();
        }
        while let Some((due_ms, id)) = self.identities.alarms.first().copied()
            && due_ms <= self.now.mono_ms
        {
            self.identities.alarms.pop_first();
            self.identity_alarm(id);
        }
    }

    /// A Conn shows a token by a message of its own; it is judged at once, or as soon as it can be.
    pub(crate) fn show_token(&mut self, id: ConnId, token: Box<str>, asker: Asker) {
        if !self.identities.asks {
            // It means something to the application alone.
            return self.ask_for_entry(id, asker, Some(&token), None);
        }
        let until_ms = self.now.mono_ms + FETCH_MS_MAX;
        self.judge_waiting(Waiting {
            conn: id,
            token,
            asker,
            until_ms,
            is_surplus: false,
            revision: 0,
        });
    }

    fn judge_waiting(&mut self, waiting: Waiting) {
        let id = waiting.conn;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering) {
            return;
        }
        let patient = self.now.mono_ms < waiting.until_ms;
        if let Asker::Request = waiting.asker {
            if !patient && let Some(talk) = self.http_talk(id) {
                talk.is_impatient = true;
            }
            // Its head is read again, and judged anew.
            return self.resume_input(id.slot);
        }
        match self.identities.judge(&waiting.token, patient) {
            Judged::Later => self.wait_with(waiting),
            Judged::In(identity) if self.has_doorstep() => {
                self.ask_for_entry(id, waiting.asker, Some(&waiting.token), Some(identity));
            }
            Judged::In(identity) => {
                self.resume_input(id.slot);
                let outcome = self.renew(id, identity).map(Some);
                self.answer_asker(id, waiting.asker, outcome);
            }
            Judged::No(error) => {
                self.resume_input(id.slot);
                let told = self.told(id, &error);
                self.answer_asker(id, waiting.asker, Err(told));
            }
        }
    }

    /// A token is judged later; until then nothing else of its Conn is read.
    fn wait_with(&mut self, waiting: Waiting) {
        if let Some(conn) = self.conns.find(waiting.conn) {
            conn.flags.set(Flag::Paused, true);
        }
        let waiting = Waiting {
            is_surplus: self.identities.is_spent(),
            revision: self.identities.doorman.revision(),
            ..waiting
        };
        self.identities.waiting.push(waiting);
    }

    /// Gives a Conn that lives on a new identity, which must be the same user's.
    pub(super) fn renew(
        &mut self,
        id: ConnId,
        identity: Arc<Identity>,
    ) -> Result<Arc<Identity>, Told> {
        if let Some(before) = self.identities.of(id)
            && before.user.is_some()
            && before.user != identity.user
        {
            tracing::info!(conn = %taut_gate::conn_id(self.id, id), "refused a token of another user on a connection that has one");
            return Err(Told::Token(
                "unauthorized",
                "the token is another user's; a connection stays the same user, so open a new one"
                    .into(),
            ));
        }
        self.check_revoked(id, &identity)?;
        self.take_place(id, &identity).map_err(Told::Over)?;
        self.admit(id, Arc::clone(&identity));
        Ok(identity)
    }

    /// Whether an identity still counts that nobody has judged just now: a proxy or a certificate vouches for it, or the application was asked meanwhile.
    fn check_revoked(&self, id: ConnId, identity: &Identity) -> Result<(), Told> {
        match self.identities.doorman.revoked(identity) {
            Some(why) => Err(self.told(id, &AuthError::Revoked(why))),
            None => Ok(()),
        }
    }

    /// Takes a place for a Conn among those of the user that it is about to be.
    fn take_place(&mut self, id: ConnId, identity: &Identity) -> Result<(), Over> {
        let took = self.limiter.belong(id.slot, identity.user.as_ref(), false);
        took.inspect_err(|over| {
            tell!(
                self,
                id,
                INFO,
                "refused a connection of a user: {}",
                over.text
            );
            self.counts.refusals.count(over.refusal().code());
        })
    }

    /// Notes who a Conn is from now on, and tells the hub.
    pub(crate) fn admit(&mut self, id: ConnId, identity: Arc<Identity>) {
        self.open(id);
        // Whoever comes here without a place is let in for a reason of its own, and counts all the same.
        let _ = self.limiter.belong(id.slot, identity.user.as_ref(), true);
        self.identities.take_badge(id);
        let suggested = identity.name.as_deref().or(identity.user.as_deref());
        let granted = Input::Granted {
            conn: id,
            user: identity.user.clone(),
            grant: Arc::clone(&identity.grant),
        };
        let badge = Badge {
            name: suggested.and_then(|name| display_name(name).ok()),
            due_ms: self.end_of(&identity),
            identity,
        };
        self.identities.alarms.insert((badge.due_ms, id));
        self.identities.badges.insert(id, badge);
        self.hub(granted);
        self.count_user_rooms(id);
    }

    /// Counts for its user in how many rooms a Conn is, where that matters.
    pub(super) fn count_user_rooms(&mut self, id: ConnId) {
        if self.limiter.counts_rooms(id.slot) && self.conns.find(id).is_some() {
            let bound = self.shard.bound_for(id);
            self.limiter.count_rooms(id.slot, bound);
        }
    }

    /// When to look at the end of an identity, in milliseconds of the core's clock.
    fn end_of(&self, identity: &Identity) -> u64 {
        let left_ms = self
            .identities
            .end_ms(identity)
            .saturating_sub(super::unix_ms());
        self.now.mono_ms + left_ms.clamp(1, LOOK_MS_MAX)
    }

    /// A Conn is nobody again.
    pub(crate) fn dismiss(&mut self, id: ConnId) {
        let _ = self.limiter.belong(id.slot, None, true);
        if self.identities.of(id).is_none() {
            return;
        }
        self.identities.take_badge(id);
        let grant = self.anonymous();
        self.hub(Input::Granted {
            conn: id,
            user: None,
            grant,
        });
    }

    /// Who may do nothing without a token has to show one soon.
    pub(crate) fn await_token(&mut self, id: ConnId) {
        if !self.identities.asks || self.identities.of(id).is_some() {
            return;
        }
        let auth = self.identities.doorman.auth();
        if auth.is_some_and(|auth| auth.anonymous.rules().is_empty()) {
            let due_ms = self.now.mono_ms + self.limits.handshake_ms_max;
            self.identities.alarms.insert((due_ms, id));
        }
    }

    /// Whether a Conn may be in the lobby.
    pub(crate) fn may_enter(&self, id: ConnId, room: &RoomName) -> bool {
        self.shard.allows(id, room, Right::Join)
    }

    fn identity_alarm(&mut self, id: ConnId) {
        let Some(identity) = self.identities.of(id).cloned() else {
            if self.conns.find(id).is_some() && !self.identities.awaits(id) {
                self.close(
                    id,
                    Close::Refused,
                    Some("nobody may do anything here without a token, and none came in time"),
                );
            }
            return;
        };
        if super::unix_ms() < self.identities.end_ms(&identity) {
            let due_ms = self.end_of(&identity);
            if let Some(badge) = self.identities.badges.get_mut(&id) {
                // This may have been the alarm of who has no badge yet: then the badge's own is still there.
                let own_ms = std::mem::replace(&mut badge.due_ms, due_ms);
                self.identities.alarms.remove(&(own_ms, id));
                self.identities.alarms.insert((due_ms, id));
            }
            return;
        }
        self.end_identity(id, Close::Expired);
    }

    /// Ends every Conn whose identity was taken back.
    fn end_revoked(&mut self) {
        let doorman = Arc::clone(&self.identities.doorman);
        let badges = self.identities.badges.iter();
        let revoked: Vec<ConnId> = badges
            .filter(|(_, badge)| doorman.revoked(&badge.identity).is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in revoked {
            self.end_identity(id, Close::Revoked);
        }
        if let Some(doorstep) = &mut self.identities.doorstep {
            doorstep.forget_decided();
        }
    }

    pub(super) fn end_identity(&mut self, id: ConnId, close: Close) {
        tracing::info!(conn = %taut_gate::conn_id(self.id, id), reason = close.words().word, "the identity of a connection has ended");
        let is_request = self
            .conns
            .find(id)
            .is_some_and(|conn| matches!(conn.talk, Talk::Http(_)));
        if !is_request {
            return self.close(id, close, None);
        }
        // Each request has its own; only one that waits still has it.
        if self.is_waiting(id) {
            self.last_request(id);
            let (code, text) = match close {
                Close::Revoked => ("unauthorized", close.words().text),
                _ => ("expired", close.words().text),
            };
            self.answer_problem(id, &invalid(code, text));
        } else {
            self.dismiss(id);
        }
    }

    /// Logs why a token is not taken, and says what the peer may know.
    fn told(&self, id: ConnId, error: &AuthError) -> Told {
        tracing::info!(conn = %taut_gate::conn_id(self.id, id), %error, "refused a token");
        Told::Token(error.code(), error.said().into())
    }

    pub(super) fn answer_asker(
        &mut self,
        id: ConnId,
        asker: Asker,
        outcome: Result<Option<Arc<Identity>>, Told>,
    ) {
        match (asker, outcome) {
            (Asker::Request, _) => {}
            (Asker::Newcomer(first), Ok(_)) => self.come_in(id, first),
            (Asker::Newcomer(_), Err(told)) => match told {
                Told::Token(_, said) => self.close(id, Close::Refused, Some(&said)),
                Told::Over(over) => {
                    let retry_ms = u32::try_from(over.retry_ms()).unwrap_or(u32::MAX);
                    self.close(id, Close::RateLimited(retry_ms), None);
                }
            },
            (Asker::Native(reference), Ok(identity)) => self.say_native(id, |out| {
                let (user, expires_s) = facts(identity.as_deref());
                native::encode_authed(out, reference.as_deref(), user, expires_s);
            }),
            (Asker::Native(reference), Err(told)) => {
                self.say_native(id, |out| told.encode(out, reference.as_deref()));
            }
            (Asker::Text, Ok(identity)) => {
                self.say_text(id, |out| {
                    text::encode_authed(out, facts(identity.as_deref()).0);
                });
                self.enter_if_nowhere(id);
            }
            (Asker::Text, Err(told)) => self.say_text(id, |out| match told {
                Told::Token(_, said) => text::encode_error(out, &said),
                Told::Over(over) => text::encode_refused(out, &over.refusal()),
            }),
            (Asker::Enter(namespace, auth, _), Ok(_)) => self.enter_known(id, &namespace, *auth),
            (Asker::Enter(namespace, ..), Err(told)) => match told {
                Told::Token(code, said) => {
                    self.refuse_namespace(id, &namespace, code, code, &said);
                }
                Told::Over(over) => self.refuse_entering(id, &namespace, &over.refusal()),
            },
            (Asker::Verb(namespace, ack), outcome) => {
                let mut unit = Vec::new();
                match outcome {
                    Ok(identity) => {
                        let (user, expires_s) = facts(identity.as_deref());
                        native::encode_authed(&mut unit, None, user, expires_s);
                        self.say_ack(id, &namespace, ack, &unit);
                    }
                    Err(told) => {
                        told.encode(&mut unit, None);
                        self.say_refusal(id, &namespace, ack, &unit);
                    }
                }
            }
        }
        self.end_if_done(id);
    }

    /// A Conn that speaks no HTTP is whoever its certificate names, until it shows a token.
    /// False where it has ended, since its user has too many.
    pub(crate) fn identify_peer(&mut self, id: ConnId) -> bool {
        match self.vouched(id, None) {
            Ok(Some(identity)) => {
                if self.check_revoked(id, &identity).is_err() {
                    self.close(id, Close::Revoked, None);
                    return false;
                }
                if let Err(over) = self.take_place(id, &identity) {
                    let retry_ms = u32::try_from(over.retry_ms()).unwrap_or(u32::MAX);
                    self.close(id, Close::RateLimited(retry_ms), Some(over.text));
                    return false;
                }
                self.admit(id, Arc::new(identity));
            }
            Ok(None) => {}
            Err(error) => {
                self.told(id, &error);
            }
        }
        true
    }

    /// Whom the proxy or the certificate vouches for: the user of its header where the proxy is one that is listed, else the certificate's name.
    fn vouched(
        &mut self,
        id: ConnId,
        headers: Option<&Headers<'_>>,
    ) -> Result<Option<Identity>, AuthError> {
        let Some(auth) = self
            .identities
            .doorman
            .auth()
            .filter(|_| self.identities.asks)
        else {
            return Ok(None);
        };
        if let (Some(headers), Some(proxy)) = (headers, &auth.by_proxy)
            && let Some(user) = headers.first(&proxy.user_header)
            && let Some(address) = self.peer_address(id)
            && proxy
                .networks
                .iter()
                .any(|network| network.contains(address))
        {
            // Two of them could be read in two ways.
            return match headers.all(&proxy.user_header).count() {
                1 => vouched(user, &proxy.grant, Proof::Proxy).map(Some),
                _ => Err(AuthError::Malformed("the proxy's header stands twice")),
            };
        }
        match (&auth.by_certificate, self.certificate_name(id)) {
            (Some(grant), Some(name)) => vouched(name, grant, Proof::Certificate).map(Some),
            _ => Ok(None),
        }
    }

    /// The address at the other end: as the proxy of a `proxy://` listener says, else that of the socket, where it is one of TCP.
    pub(crate) fn peer_address(&mut self, id: ConnId) -> Option<IpAddr> {
        if let Some(client) = self.identities.client_of_conn(id) {
            return Some(client);
        }
        if let Some(origin) = self.identities.origin(id) {
            return Some(origin.address?.ip());
        }
        match &self.conns.find(id)?.stream {
            Stream::Tcp(stream) => Some(stream.peer_addr().ok()?.ip()),
            Stream::Tunnel(key) => self.tunnels.address(*key),
            _ => None,
        }
    }

    /// Lets somebody in for the request under way, as [`Core::identify_request`] says it.
    pub(super) fn admit_request(
        &mut self,
        id: ConnId,
        identity: Arc<Identity>,
    ) -> Option<Option<Problem>> {
        let may = self.check_revoked(id, &identity);
        let may = may.and_then(|()| self.take_place(id, &identity).map_err(Told::Over));
        if let Err(told) = may {
            return Some(Some(told.problem()));
        }
        self.admit(id, identity);
        None
    }

    /// Who stands behind an HTTP request. `None`: it goes on. `Some(None)`: its head is to be read again later.
    pub(crate) fn identify_request(
        &mut self,
        id: ConnId,
        token: Option<&str>,
        headers: &Headers<'_>,
    ) -> Option<Option<Problem>> {
        if !self.identities.asks {
            return None;
        }
        let Some(token) = token else {
            return match self.vouched(id, Some(headers)) {
                Ok(Some(identity))
                    if self.identities.of(id).map(|one| &**one) == Some(&identity) =>
                {
                    None
                }
                Ok(Some(identity)) => self.admit_request(id, Arc::new(identity)),
                Ok(None) => {
                    self.dismiss(id);
                    None
                }
                Err(error) => Some(Some(self.told(id, &error).problem())),
            };
        };
        let patient = self.http_talk(id).is_none_or(|talk| !talk.is_impatient);
        match self.identities.judge(token, patient) {
            Judged::In(identity) => {
                let is_same = self.identities.of(id) == Some(&identity);
                match is_same {
                    true => None,
                    false => self.admit_request(id, identity),
                }
            }
            Judged::No(error) => Some(Some(self.told(id, &error).problem())),
            Judged::Later => {
                let until_ms = self.now.mono_ms + FETCH_MS_MAX;
                self.wait_with(Waiting {
                    conn: id,
                    token: "".into(),
                    asker: Asker::Request,
                    until_ms,
                    is_surplus: false,
                    revision: 0,
                });
                Some(None)
            }
        }
    }
}

/// The user that somebody is told to be, and until when, in seconds of Unix time; 0 for ever.
fn facts(identity: Option<&Identity>) -> (Option<&str>, u64) {
    let ends_s = identity.map_or(0, |identity| match identity.expires_s {
        u64::MAX => 0,
        ends_s => ends_s,
    });
    let user = identity.and_then(|identity| identity.user.as_deref());
    (user, ends_s)
}

/// Why somebody is not let in.
pub(super) enum Told {
    /// Its token is not taken: the word and the sentence.
    Token(&'static str, Cow<'static, str>),
    /// Its user has too many connections, or opens them too fast.
    Over(Over),
}

impl Told {
    /// As native units say it.
    fn encode(&self, out: &mut Vec<u8>, reference: Option<&str>) {
        match self {
            Self::Token(code, said) => native::encode_error(out, code, reference, said),
            Self::Over(over) => native::encode_refused(out, reference, &over.refusal()),
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Token(code, said) => invalid(code, said),
            Self::Over(over) => taut_gate::http::refused(&over.refusal()),
        }
    }
}

/// The identity of somebody whom a certificate or a proxy vouches for.
fn vouched(name: &str, grant: &Arc<Grant>, proof: Proof) -> Result<Identity, AuthError> {
    Ok(Identity {
        proof,
        ..Verifier::vouched(name, grant)?
    })
}

/// A 401 for a token that is not taken (RFC 6750 §3.1).
fn invalid(code: &'static str, said: &str) -> Problem {
    Problem {
        challenge: Some("invalid_token"),
        ..Problem::new(401, code, said)
    }
}
