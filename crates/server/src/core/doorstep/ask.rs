//! What the application is asked about newcomers, and when.

use std::sync::Arc;

use serde_json::{Map, Value};
use taut_auth::{Identity, Token};
use taut_gate::http::{Action, Problem, Shown, Streaming};
use taut_hub::ConnId;
use taut_wire::http::Request;

use super::super::{Asker, Core};
use super::{Gist, Waiting};
use crate::hooks::{Head, Newcomer};

impl Core {
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
