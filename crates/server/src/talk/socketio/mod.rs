//! Socket.IO v5: namespaces over one Engine.IO session. A namespace is a room; `/` is a client that names none.
//!
//! The session is one Conn, a member once of each room that any of its namespaces hears: a [`View`] says which namespace shows a room, and how.
//! [`enter`] is CONNECT, [`recover`] how an earlier session goes on, [`packet`] what a client says, [`answer`] what the hub answers, [`deliver`]
//! how room messages go out, [`moves`] what the server API does to its rooms.
//!
//! Invariants:
//! - While there is one view in all, of the one room that the Conn is in, and nothing is being recovered, the Conn has a shared Format: it is as
//!   cheap as a plain WebSocket.
//! - A namespace is known by its `Arc`: the same name, left and entered again, is another one, and answers to the first mean nothing to it.
//! - A room is left when no view shows it and no join of a namespace that is still there is under way.
//! - What a recovered namespace missed goes out ahead of the answer to its CONNECT; no room message goes out while it is not known
//!   whether everything can be recovered (`held`).

mod answer;
mod deliver;
mod enter;
mod moves;
mod packet;
mod recover;

use std::collections::VecDeque;
use std::sync::Arc;

use taut_gate::Close;
use taut_gate::socketio::{Framing, Way, encode_event};
use taut_hub::{Origin, RoomId, RoomName, Start, Ticket};
use taut_wire::native::Taken;
use taut_wire::socketio::Assembly;

use crate::session::PUBLIC_ID_BYTES;
use enter::Entering;

/// Requests of one Conn that may wait for an answer from another core; beyond it no more are read.
const ASKED_MAX: usize = 1_024;
/// Namespaces that one client may be in: a room has many names, so the bound of rooms does not bound them.
const NAMESPACES_MAX: usize = 256;
/// Earlier lives that a Conn remembers, in all its namespaces. They are the same in all of them, unless a client makes them up.
const EARLIER_MAX: usize = 64;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct SocketIo {
    namespaces: Vec<Namespace>,
    views: Vec<View>,
    /// What an idle session has none of.
    active: Option<Box<Active>>,
}

/// What a session has once it has said more than that it enters, or has come back.
#[derive(Debug, Default)]
struct Active {
    /// The packet whose attachments have not all come.
    assembly: Option<Assembly>,
    /// Whom it was in earlier lives: what they said it must not hear.
    earlier: Vec<Origin>,
    /// Requests without an answer.
    asked: VecDeque<Asked>,
    next_ticket: u32,
    /// A read that has no answer yet. There is one at a time, since each may bring a whole page.
    reading: Option<Ticket>,
}

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
    name: RoomName,
    namespace: Arc<str>,
    way: Way,
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
    Enter(Entry),
    /// Something that a client's event stands for, to be acknowledged where it gave a number.
    Verb { ack: Option<u64>, about: About },
    /// To be out of a room, which nobody waits for.
    Nothing,
}

/// One of the rooms by which a namespace is entered.
#[derive(Debug)]
struct Entry {
    room: RoomName,
    way: Way,
    start: Start,
}

/// What an event of a client asked for.
#[derive(Debug)]
enum About {
    /// To say something.
    Publish(Taken),
    /// To come into a room.
    Join(RoomName),
    /// To go out of one.
    Leave(RoomName),
    /// To be told something.
    Read,
}

impl Active {
    fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.earlier.is_empty() && self.assembly.is_none()
    }
}

impl SocketIo {
    fn namespace(&mut self, name: &str) -> Option<&mut Namespace> {
        self.namespaces
            .iter_mut()
            .find(|namespace| &*namespace.name == name)
    }

    /// The namespace, unless it was left since.
    fn known(&mut self, name: &Arc<str>) -> Option<&mut Namespace> {
        let mut namespaces = self.namespaces.iter_mut();
        namespaces.find(|namespace| Arc::ptr_eq(&namespace.name, name))
    }

    /// Shows a room in a namespace, also where it was shown in another way.
    fn show(&mut self, namespace: &Arc<str>, room: RoomId, name: RoomName, way: Way) {
        let shown = |view: &&mut View| view.namespace == *namespace && view.room == room;
        match self.views.iter_mut().find(shown) {
            Some(view) => view.way = way,
            None => {
                self.views.reserve_exact(1);
                self.views.push(View {
                    room,
                    name,
                    namespace: Arc::clone(namespace),
                    way,
                });
            }
        }
    }

    /// Shows a room no more in a namespace; whether it was.
    fn hide(&mut self, namespace: &Arc<str>, name: &RoomName) -> bool {
        let before = self.views.len();
        self.views
            .retain(|view| view.namespace != *namespace || view.name != *name);
        self.views.len() < before
    }

    /// Whether a room is shown, or about to be, in any namespace but `aside`.
    fn hears(&self, room: &RoomName, aside: Option<&Arc<str>>) -> bool {
        let counts = |namespace: &Arc<str>| {
            let is_known = |known: &Namespace| Arc::ptr_eq(&known.name, namespace);
            aside.is_none_or(|aside| !Arc::ptr_eq(aside, namespace))
                && self.namespaces.iter().any(is_known)
        };
        let shown = |view: &View| view.name == *room && counts(&view.namespace);
        let awaited = |asked: &Asked| match &asked.what {
            What::Enter(Entry { room: of, .. })
            | What::Verb {
                about: About::Join(of),
                ..
            } => of == room && counts(&asked.namespace),
            _ => false,
        };
        self.views.iter().any(shown) || self.asked().any(awaited)
    }

    /// Notes whom it was before.
    fn remember(&mut self, earlier: Vec<Origin>) {
        let known = &mut self.active.get_or_insert_default().earlier;
        for origin in earlier {
            if known.contains(&origin) {
                continue;
            }
            if known.len() == EARLIER_MAX {
                known.remove(0);
            }
            known.push(origin);
        }
    }

    /// Whether an earlier life of it was that Conn.
    fn was(&self, origin: &Origin) -> bool {
        let active = self.active.as_deref();
        active.is_some_and(|active| active.earlier.contains(origin))
    }

    /// Requests without an answer.
    fn asked(&self) -> impl Iterator<Item = &Asked> {
        let active = self.active.iter();
        active.flat_map(|active| &active.asked)
    }

    /// The name of a namespace that is entered now: one that others may have too, unless an answer to it is under way.
    fn name_anew(&self, shared: Arc<str>) -> Arc<str> {
        let is_it = |asked: &Asked| Arc::ptr_eq(&asked.namespace, &shared);
        if self.asked().any(is_it) {
            return Arc::from(&*shared);
        }
        shared
    }

    /// A ticket for a request.
    fn ask(&mut self, namespace: &Arc<str>, what: What) -> Ticket {
        let active = self.active.get_or_insert_default();
        active.next_ticket = active.next_ticket.wrapping_add(1);
        let ticket = Ticket(active.next_ticket);
        active.asked.push_back(Asked {
            ticket,
            namespace: Arc::clone(namespace),
            what,
        });
        ticket
    }

    /// The same for what is answered before anything more is asked.
    fn read(&mut self, namespace: &Arc<str>, what: What) -> Ticket {
        let ticket = self.ask(namespace, what);
        if let Some(active) = &mut self.active {
            active.reading = Some(ticket);
        }
        ticket
    }

    /// The request that `ticket` was given to.
    fn settle(&mut self, ticket: Ticket) -> Option<Asked> {
        let index = self.asked().position(|asked| asked.ticket == ticket)?;
        let active = self.active.as_mut()?;
        active.reading = active.reading.filter(|reading| *reading != ticket);
        let asked = active.asked.remove(index)?;
        if matches!(asked.what, What::Enter(_)) && active.is_empty() {
            // Many enter and never say a word.
            self.active = None;
        }
        Some(asked)
    }

    /// Whether attachments are awaited.
    fn is_assembling(&self) -> bool {
        let active = self.active.as_deref();
        active.is_some_and(|active| active.assembly.is_some())
    }

    /// Whether no more may be asked for the moment.
    fn is_full(&self) -> bool {
        let is_full = |a: &Active| a.asked.len() >= ASKED_MAX || a.reading.is_some();
        self.active.as_deref().is_some_and(is_full)
    }

    /// Whether requests wait for answers.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked().next().is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_left_and_entered_again_is_another_one_while_answers_are_under_way() {
        let mut socketio = SocketIo::default();
        let shared: Arc<str> = "/".into();
        let first = socketio.name_anew(Arc::clone(&shared));
        assert!(Arc::ptr_eq(&first, &shared));
        let ticket = socketio.ask(&first, What::Nothing);
        let second = socketio.name_anew(Arc::clone(&shared));
        assert_eq!(second, shared);
        assert!(!Arc::ptr_eq(&second, &shared));
        assert!(socketio.settle(ticket).is_some());
        let third = socketio.name_anew(Arc::clone(&shared));
        assert!(Arc::ptr_eq(&third, &shared));
    }
}
