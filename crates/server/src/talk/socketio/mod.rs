//! Socket.IO v5: namespaces over one Engine.IO session. A namespace is a room; `/` is a client that names none.
//!
//! The session is one Conn, a member once of each room that any of its namespaces hears: a [`View`] says which namespace shows a room, and how.
//! [`enter`] is CONNECT and recovery, [`packet`] what a client says, [`answer`] what the hub answers, [`deliver`] how room messages go out.
//!
//! Invariants:
//! - While there is one view in all, of one room, and nothing is being recovered, the Conn has a shared Format: it is as cheap as a plain WebSocket.
//! - What a recovered namespace missed goes out ahead of the answer to its CONNECT; no room message goes out while it is not known
//!   whether everything can be recovered (`held`).

mod answer;
mod deliver;
mod enter;
mod packet;

use std::collections::VecDeque;
use std::sync::Arc;

use taut_gate::Close;
use taut_gate::socketio::{Framing, Way, encode_event};
use taut_hub::{Origin, RoomId, RoomName, Ticket};
use taut_wire::native::Taken;
use taut_wire::socketio::Assembly;

use crate::session::PUBLIC_ID_BYTES;
use enter::Entering;

/// Requests of one Conn that may wait for an answer from another core; beyond it no more are read.
const ASKED_MAX: usize = 1_024;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct SocketIo {
    namespaces: Vec<Namespace>,
    views: Vec<View>,
    /// The packet whose attachments have not all come.
    assembly: Option<Box<Assembly>>,
    /// Its requests, once it has made any but to enter.
    requests: Option<Box<Requests>>,
    /// Whom it was in earlier lives: what they said it must not hear.
    earlier: Option<Box<Earlier>>,
}

/// What a session has asked the hub.
#[derive(Debug, Default)]
struct Requests {
    /// Those without an answer.
    asked: VecDeque<Asked>,
    next_ticket: u32,
    /// A read that has no answer yet. There is one at a time, since each may bring a whole page.
    reading: Option<Ticket>,
}

/// See [`SocketIo::earlier`].
#[derive(Debug, Default)]
struct Earlier(Vec<Origin>);

/// A namespace that the client has entered, or is about to.
#[derive(Debug)]
struct Namespace {
    /// As the client calls it.
    name: Arc<str>,
    /// The room that it is; `None` for `/`.
    room: Option<RoomName>,
    public_id: [u8; PUBLIC_ID_BYTES],
    /// `Some` until its CONNECT is answered.
    entering: Option<Box<Entering>>,
}

/// A room that a namespace shows.
#[derive(Debug)]
struct View {
    room: RoomId,
    way: Way,
    namespace: Arc<str>,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    /// In which namespace.
    namespace: Arc<str>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// To enter the namespace.
    Enter,
    /// Something that a client's event stands for, to be acknowledged where it gave a number.
    Verb {
        ack: Option<u64>,
        taken: Taken,
        /// It is a join or a leave of this room by the verb.
        room: Option<RoomName>,
    },
    /// To be out of a room, which nobody waits for.
    Nothing,
}

impl SocketIo {
    fn namespace(&mut self, name: &str) -> Option<&mut Namespace> {
        self.namespaces
            .iter_mut()
            .find(|namespace| &*namespace.name == name)
    }

    /// A ticket for a request.
    fn ask(&mut self, namespace: &Arc<str>, what: What) -> Ticket {
        let requests = self.requests.get_or_insert_default();
        requests.next_ticket = requests.next_ticket.wrapping_add(1);
        let ticket = Ticket(requests.next_ticket);
        requests.asked.push_back(Asked {
            ticket,
            namespace: Arc::clone(namespace),
            what,
        });
        ticket
    }

    /// The same for a question of whose answer there is one at a time.
    fn read(&mut self, namespace: &Arc<str>, what: What) -> Ticket {
        let ticket = self.ask(namespace, what);
        if let Some(requests) = &mut self.requests {
            requests.reading = Some(ticket);
        }
        ticket
    }

    /// The request that `ticket` was given to.
    fn settle(&mut self, ticket: Ticket) -> Option<Asked> {
        let requests = self.requests.as_mut()?;
        let asked = requests.asked.iter();
        let index = asked.clone().position(|asked| asked.ticket == ticket)?;
        requests.reading = requests.reading.filter(|reading| *reading != ticket);
        let asked = requests.asked.remove(index)?;
        if requests.asked.is_empty() && matches!(asked.what, What::Enter) {
            // Many enter and never ask again.
            self.requests = None;
        }
        Some(asked)
    }

    /// Whether no more may be asked for the moment.
    fn is_full(&self) -> bool {
        let full = |r: &Requests| r.asked.len() >= ASKED_MAX || r.reading.is_some();
        self.requests.as_deref().is_some_and(full)
    }

    /// Whether requests wait for answers.
    pub(super) fn is_waiting(&self) -> bool {
        let requests = self.requests.as_deref();
        requests.is_some_and(|requests| !requests.asked.is_empty())
    }

    /// Whether an earlier life of it said that.
    fn said_earlier(&self, origin: &Origin) -> bool {
        let earlier = self.earlier.as_deref();
        earlier.is_some_and(|earlier| earlier.0.contains(origin))
    }

    fn is_shown(&self, room: RoomId) -> bool {
        self.views.iter().any(|view| view.room == room)
    }

    /// Tells every namespace why the session ends.
    pub(super) fn farewell(
        &self,
        out: &mut Vec<u8>,
        framing: Framing,
        close: Close,
        text: Option<&str>,
        seed: u32,
    ) {
        if matches!(close, Close::Asked) {
            return;
        }
        let mut bye = Vec::new();
        super::native::farewell(&mut bye, close, text, seed);
        for namespace in &self.namespaces {
            if namespace.entering.is_none() {
                encode_event(out, framing, &namespace.name, "taut:bye", &bye, None);
            }
        }
    }
}
