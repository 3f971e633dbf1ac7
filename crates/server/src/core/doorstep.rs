//! Newcomers that the application is asked about before they may do anything.
//!
//! Invariants:
//! - Who stands on the doorstep is paused: nothing that it says is read, and no unit of it is handled. A datagram that comes meanwhile is lost.
//! - A Conn has one question under way at most, with a number, so that an answer that is late meets none but its own.
//! - The desk answers each question it takes; should it hang (a host name is looked up without a deadline of ours), the question ends [`LATE_MS`] past the deadline.
//! - The table has as many entries as questions wait and are asked at the desk, which are bounded; beyond that `on_failure` holds at once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use taut_auth::{Identity, Token};
use taut_gate::Close;
use taut_gate::http::{Action, Problem, Shown, Streaming};
use taut_hub::ConnId;
use taut_wire::http::Request;

use super::identity::Told;
use super::terms::identity_of;
use super::{Asker, Conn, Core, Flag, unix_ms};
use crate::hooks::{Answer, Counter, Declined, Entry, Head, Job, Newcomer, OnFailure, Topic};

/// How long past its deadline a question is waited for, in milliseconds.
const LATE_MS: u64 = 1_000;
/// How long a decision holds for later requests of the same connection that ask the same, in milliseconds.
const KEPT_MS: u64 = 60_000;

/// What the word for programs is where nobody could be asked.
const UNAVAILABLE: &str = "unavailable";
const NOT_ASKED: &str =
    "the application could not be asked whether to let you in; try again in a moment";

/// See the [module](self).
pub(crate) struct Doorstep {
    /// Which webhook it is.
    hook: usize,
    deadline_ms: u64,
    on_failure: OnFailure,
    waiting: HashMap<ConnId, Waiting>,
    /// When questions end that nobody has answered, in their order.
    ends: VecDeque<(u64, ConnId, u32)>,
    /// What was said of HTTP connections, until their head is read again and for a while after.
    decided: HashMap<ConnId, Decided>,
    /// What sessions of Socket.IO came with; each namespace is asked about with it.
    heads: HashMap<ConnId, Box<Head>>,
    questions: u32,
}

struct Waiting {
    number: u32,
    asker: Asker,
    /// Who it is as far as the server knows, where that is more than what it was.
    shown: Option<Arc<Identity>>,
    gist: Gist,
}

/// Which question it was, of a request.
type Gist = [u8; 16];

struct Decided {
    gist: Gist,
    entry: Entry,
    until_ms: u64,
}

impl Doorstep {
    /// Where a webhook is asked about newcomers.
    pub(crate) fn of(desk: &Counter) -> Option<Box<Self>> {
        let (hook, webhook) = desk.of_newcomers()?;
        Some(Box::new(Self {
            hook,
            deadline_ms: webhook.deadline_ms,
            on_failure: webhook.on_failure,
            waiting: HashMap::new(),
            ends: VecDeque::new(),
            decided: HashMap::new(),
            heads: HashMap::new(),
            questions: 0,
        }))
    }

    /// Whether a Conn waits for the application.
    pub(super) fn awaits(&self, id: ConnId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// A Conn is gone.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.waiting.remove(&id);
        self.decided.remove(&id);
        self.heads.remove(&id);
    }

    /// When the first question ends that nobody has answered.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.ends.front().map(|(until_ms, ..)| *until_ms)
    }

    /// Somebody was revoked: what the application said before that is asked again.
    pub(super) fn forget_decided(&mut self) {
        self.decided.clear();
    }

    /// The first question whose time is up; those that were answered are let go.
    fn overdue(&mut self, now_ms: u64) -> Option<(ConnId, u32)> {
        while let Some((until_ms, id, number)) = self.ends.front().copied() {
            let waits = self.waiting.get(&id).is_some_and(|w| w.number == number);
            if waits && until_ms > now_ms {
                return None;
            }
            self.ends.pop_front();
            if waits {
                return Some((id, number));
            }
        }
        None
    }
}

impl Core {
    /// Whether the application is asked about newcomers.
    pub(crate) fn has_doorstep(&self) -> bool {
        self.identities.doorstep.is_some()
    }

    /// Whether tokens mean something: to the server, or to the application.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.identities.asks() || self.has_doorstep()
    }

    /// A Conn without an HTTP request has just come. False: nobody is asked, and it is in.
    pub(crate) fn knock(&mut self, id: ConnId, first: Option<Box<[u8]>>) -> bool {
        if !self.has_doorstep() {
            return false;
        }
        self.ask_for_entry(id, Asker::Newcomer(first), None, None);
        true
    }

    /// A Conn shows something by a message of its own: a token that the server has judged (`shown`) or does not judge, or the `auth` of a namespace.
    pub(crate) fn ask_for_entry(
        &mut self,
        id: ConnId,
        asker: Asker,
        token: Option<&str>,
        shown: Option<Arc<Identity>>,
    ) {
        let number = self.next_question();
        let body = {
            let address = self.client_address(id);
            let door = self.conns.find(id).map_or("", |conn| conn.door().0);
            let head = self.identities.doorstep.as_deref();
            let head = head.and_then(|doorstep| doorstep.heads.get(&id)).cloned();
            let identity = shown.as_ref().or(self.identities.of(id));
            let judged = token.filter(|_| shown.is_some()).and_then(claims_of);
            let known = head.as_deref();
            let (namespace, rooms) = match &asker {
                Asker::Enter(namespace, _, auth) => {
                    let room = taut_gate::socketio::namespace_room(namespace);
                    let room = room.ok().flatten();
                    let rooms: Vec<String> = room.iter().map(ToString::to_string).collect();
                    (Some((&**namespace, &**auth)), rooms)
                }
                _ => (None, Vec::new()),
            };
            Newcomer {
                conn: taut_gate::conn_id(self.id, id),
                door,
                address: known.and_then(|head| head.address).or(address),
                head: known,
                namespace,
                token: match shown {
                    Some(_) => None,
                    None => token.or(known.and_then(|head| head.token.as_deref())),
                },
                user: identity.and_then(|identity| identity.user.as_deref()),
                claims: judged
                    .as_ref()
                    .or(known.and_then(|head| head.claims.as_ref())),
                rooms: &rooms,
            }
            .ask()
        };
        let waiting = Waiting {
            number,
            asker,
            shown,
            gist: Gist::default(),
        };
        self.put_question(id, waiting, body);
    }

    /// Whether the application lets an HTTP request through. `None`: it goes on. `Some(None)`: its head is to be read again later.
    pub(crate) fn ask_about_request(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        action: &Action,
        shown: Option<&Shown<'_>>,
    ) -> Option<Option<Problem>> {
        // A session of Engine.IO may do nothing: its namespaces are asked about.
        if !self.has_doorstep() || matches!(action, Action::Engine(_)) {
            return None;
        }
        if !self.identities.asks() {
            // Each request stands for itself.
            self.dismiss(id);
        }
        let head = self.head_of(id, request, shown);
        let identity = self.identities.of(id).cloned();
        let rooms = rooms_of(action);
        let newcomer = Newcomer {
            conn: taut_gate::conn_id(self.id, id),
            door: door_of(action),
            address: head.address,
            head: Some(&head),
            namespace: None,
            token: head.token.as_deref(),
            user: identity.as_ref().and_then(|one| one.user.as_deref()),
            claims: head.claims.as_ref(),
            rooms: &rooms,
        };
        let gist = self.sessions.seal.tag("connect", &[&newcomer.gist()]);
        let gist: Gist = gist.first_chunk().copied().unwrap_or_default();
        let now_ms = self.now.mono_ms;
        let decided = self.identities.doorstep.as_mut()?.decided.remove(&id);
        if let Some(decided) = decided
            && decided.gist == gist
            && now_ms < decided.until_ms
        {
            return self.go_by(id, decided, identity.as_deref(), is_plain(action));
        }
        let body = newcomer.ask();
        let number = self.next_question();
        let waiting = Waiting {
            number,
            asker: Asker::Request,
            shown: None,
            gist,
        };
        self.set_alarm_off(id.slot);
        self.put_question(id, waiting, body);
        Some(None)
    }

    /// A request may open a session of Socket.IO: what it came with is kept for the session's namespaces.
    pub(crate) fn keep_head(&mut self, id: ConnId, request: &Request<'_>) {
        if !self.has_doorstep() {
            return;
        }
        let site = Arc::clone(&self.site);
        let shown = taut_gate::http::shown(request, &site);
        let head = Box::new(self.head_of(id, request, shown.as_ref()));
        if let Some(doorstep) = &mut self.identities.doorstep {
            doorstep.heads.insert(id, head);
        }
    }

    /// The session that a request has opened is a Conn of its own.
    pub(crate) fn move_head(&mut self, from: ConnId, session: ConnId) {
        if let Some(doorstep) = &mut self.identities.doorstep
            && let Some(head) = doorstep.heads.remove(&from)
        {
            doorstep.heads.insert(session, head);
        }
    }

    fn head_of(&mut self, id: ConnId, request: &Request<'_>, shown: Option<&Shown<'_>>) -> Head {
        let mut head = Head::of(request, self.site.trusts_cookie_of(request));
        head.address = self.client_address(id);
        if let Some(shown) = shown {
            match self.identities.asks() {
                true => head.claims = claims_of(&shown.token),
                false => head.token = Some(shown.token.to_string()),
            }
        }
        head
    }

    fn next_question(&mut self) -> u32 {
        let Some(doorstep) = self.identities.doorstep.as_mut() else {
            return 0;
        };
        doorstep.questions = doorstep.questions.wrapping_add(1);
        doorstep.questions
    }

    /// Hands a question in, and pauses its Conn until it is answered.
    fn put_question(&mut self, id: ConnId, waiting: Waiting, body: Vec<u8>) {
        let until_ms = self.now.mono_ms;
        let Some((doorstep, hooked)) = self.identities.doorstep.as_mut().zip(self.hooked.as_ref())
        else {
            return;
        };
        let job = Job {
            core: self.id,
            conn: id,
            body,
            topic: Topic::Entry(waiting.number),
            asked: Instant::now(),
        };
        let number = waiting.number;
        let outcome = hooked.desk.hand_in(doorstep.hook, job);
        let until_ms = until_ms + doorstep.deadline_ms + LATE_MS;
        doorstep.waiting.insert(id, waiting);
        doorstep.ends.push_back((until_ms, id, number));
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Paused, true);
        }
        if let Err(Answer::Entry(number, entry)) = outcome {
            self.hear_of_newcomer(id, number, entry);
        }
    }

    /// Ends the questions that nobody has answered in time.
    pub(super) fn end_questions(&mut self) {
        let now_ms = self.now.mono_ms;
        while let Some((id, number)) = self
            .identities
            .doorstep
            .as_mut()
            .and_then(|doorstep| doorstep.overdue(now_ms))
        {
            tell_often!(WARN, "a webhook did not answer in time about a newcomer");
            let entry = self.entry_of_failure();
            self.hear_of_newcomer(id, number, entry);
        }
    }

    fn entry_of_failure(&self) -> Entry {
        let doorstep = self.identities.doorstep.as_deref();
        match doorstep.map(|doorstep| doorstep.on_failure) {
            Some(OnFailure::Allow) => Entry::Unasked,
            _ => Entry::Failed,
        }
    }

    /// The application has said whether a Conn may come in.
    pub(super) fn hear_of_newcomer(&mut self, id: ConnId, number: u32, entry: Entry) {
        let Some(doorstep) = self.identities.doorstep.as_mut() else {
            return;
        };
        // The Conn may have gone, or waited long enough.
        if doorstep.waiting.get(&id).is_none_or(|w| w.number != number) {
            return;
        }
        let Some(waiting) = doorstep.waiting.remove(&id) else {
            return;
        };
        let is_over =
            |conn: &mut Conn| conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering);
        if self.conns.find(id).is_none_or(is_over) {
            return;
        }
        if let Asker::Request = waiting.asker {
            let decided = Decided {
                gist: waiting.gist,
                entry,
                until_ms: self.now.mono_ms + KEPT_MS,
            };
            if let Some(doorstep) = &mut self.identities.doorstep {
                doorstep.decided.insert(id, decided);
            }
            self.set_alarm(id.slot, self.limits.handshake_ms_max);
            return self.resume_input(id.slot);
        }
        self.resume_input(id.slot);
        let before = self.identities.of(id).cloned();
        let shown = waiting.shown;
        match self.terms_of(id, entry, shown.as_deref(), before.as_deref()) {
            Err(declined) => self.decline(id, waiting.asker, &declined),
            Ok(decided) => {
                // What it has shown holds, where the application adds nothing.
                let identity = decided.map(Arc::new).or(shown).or(before);
                let outcome = match identity {
                    Some(identity) => self.renew(id, identity).map(Some),
                    None => Ok(None),
                };
                self.answer_asker(id, waiting.asker, outcome);
            }
        }
    }

    /// The head of a request is read again, and it is known what the application says.
    fn go_by(
        &mut self,
        id: ConnId,
        decided: Decided,
        shown: Option<&Identity>,
        is_plain: bool,
    ) -> Option<Option<Problem>> {
        match self.terms_of(id, decided.entry.clone(), shown, None) {
            Err(declined) => Some(Some(declined.problem())),
            Ok(identity) => {
                let ends_ms = identity.as_ref().map_or(u64::MAX, |identity| {
                    let left_s = identity.expires_s.saturating_sub(unix_ms() / 1_000);
                    self.now
                        .mono_ms
                        .saturating_add(left_s.saturating_mul(1_000))
                });
                if let Some(identity) = identity {
                    let refused = self.admit_request(id, Arc::new(identity));
                    if refused.is_some() {
                        return refused;
                    }
                }
                let is_kept = is_plain && matches!(decided.entry, Entry::Allow(_));
                if let Some(doorstep) = self.identities.doorstep.as_mut().filter(|_| is_kept) {
                    let until_ms = decided.until_ms.min(ends_ms);
                    doorstep.decided.insert(
                        id,
                        Decided {
                            until_ms,
                            ..decided
                        },
                    );
                }
                None
            }
        }
    }

    /// What an answer comes to: another identity than what it has `shown` and was `before`, or none; or a refusal. Terms that make no sense are a failure.
    fn terms_of(
        &mut self,
        id: ConnId,
        entry: Entry,
        shown: Option<&Identity>,
        before: Option<&Identity>,
    ) -> Result<Option<Identity>, Refused> {
        let entry = match entry {
            Entry::Allow(terms) => {
                let auth = self.identities.doorman.auth();
                match identity_of(&terms, shown, before, auth.as_deref(), unix_ms() / 1_000) {
                    Ok(identity) => return Ok(identity),
                    Err(text) => {
                        tell_often!(
                            WARN,
                            "the answer of the webhook for connect is refused: {text}"
                        );
                        self.entry_of_failure()
                    }
                }
            }
            entry => entry,
        };
        match entry {
            Entry::Decline(declined) => {
                tell!(self, id, INFO, reason = declined.code(), said = %declined.reason, "the application refused a newcomer");
                Err(Refused::Declined(declined))
            }
            Entry::Failed => Err(Refused::Unavailable),
            Entry::Unasked | Entry::Allow(_) => Ok(None),
        }
    }

    /// Says no in the words of whoever asked; a request is answered where its head is read again.
    fn decline(&mut self, id: ConnId, asker: Asker, refused: &Refused) {
        self.counts.refusals.count(refused.code());
        match asker {
            Asker::Newcomer(_) => {
                let close = match refused {
                    Refused::Declined(_) => Close::Refused,
                    Refused::Unavailable => Close::Unavailable,
                };
                self.close(id, close, Some(refused.reason()));
            }
            Asker::Enter(namespace, ..) => match refused {
                Refused::Declined(declined) if declined.data.is_some() => {
                    let data = declined.data.as_deref().unwrap_or_default();
                    self.say_refused(id, &namespace, &declined.reason, data.as_bytes());
                }
                refused => {
                    let (code, reason) = (refused.code(), refused.reason());
                    self.refuse_namespace(id, &namespace, reason, code, reason);
                }
            },
            asker => {
                let told = Told::Token(refused.code(), refused.reason().to_owned().into());
                self.answer_asker(id, asker, Err(told));
            }
        }
    }
}

/// Why somebody is not let in.
enum Refused {
    Declined(Box<Declined>),
    Unavailable,
}

impl Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Declined(declined) => declined.code(),
            Self::Unavailable => UNAVAILABLE,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Declined(declined) => &declined.reason,
            Self::Unavailable => NOT_ASKED,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Declined(declined) => {
                Problem::new(declined.status, declined.code(), declined.reason.as_str())
            }
            Self::Unavailable => Problem {
                retry_s: Some(1),
                ..Problem::new(503, UNAVAILABLE, NOT_ASKED)
            },
        }
    }
}

/// The claims of a token whose signature has been verified.
fn claims_of(token: &str) -> Option<Map<String, Value>> {
    Token::parse(token).ok().map(|token| token.claims)
}

/// By which door a request comes in, once it is let in.
fn door_of(action: &Action) -> &'static str {
    match action {
        Action::Socket(_) => "websocket",
        Action::Stream(streams) => match streams.streaming {
            Streaming::Ndjson => "ndjson",
            _ => "sse",
        },
        _ => "http",
    }
}

/// Whether the connection goes on with requests afterwards.
fn is_plain(action: &Action) -> bool {
    !matches!(action, Action::Socket(_) | Action::Stream(_))
}

fn rooms_of(action: &Action) -> Vec<String> {
    let one = |room: &taut_hub::RoomName| vec![room.to_string()];
    match action {
        Action::Publish(publish) => one(&publish.room),
        Action::Delete(deletion) => one(&deletion.room),
        Action::State(room) | Action::Who { room, .. } => one(room),
        Action::Get(get) => one(&get.room),
        Action::Read(poll) => one(&poll.room),
        Action::Socket(socket) => socket.room.iter().map(ToString::to_string).collect(),
        Action::Stream(streams) => {
            let rooms = streams.rooms.iter();
            rooms.map(|(room, _)| room.to_string()).collect()
        }
        _ => Vec::new(),
    }
}
