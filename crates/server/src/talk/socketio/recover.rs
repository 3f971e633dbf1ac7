//! How a namespace goes on from where an earlier session stood: what it missed goes out ahead of the answer to its CONNECT, or it is entered anew.

use std::sync::Arc;

use taut_gate::native;
use taut_gate::socketio::{Auth, Offset, Stand};
use taut_hub::{ConnId, Farewell, Origin, Position, RoomId, RoomName, Start};

use crate::core::{Core, Flag, Parcel};
use crate::session::Pass;

/// The session that a client comes back to.
#[derive(Debug)]
pub(super) struct Comeback {
    pub(super) pass: Pass,
    /// Where it stood in each of its rooms; `None` is the lobby, for want of another room.
    pub(super) stands: Vec<(Option<RoomName>, Start)>,
}

impl Core {
    /// The session that the client comes back to, and where it stood in each of its rooms.
    pub(super) fn comeback(
        &self,
        id: ConnId,
        auth: &Auth,
        namespace: &str,
        room: Option<&RoomName>,
    ) -> Option<Comeback> {
        let place = self.place_of(id, namespace);
        let pass = Pass::decode(auth.pass.as_deref()?, &self.sessions.seal, &place)?;
        // A client keeps its offset for ever: one that stands before the pass is of an earlier session.
        // Where nothing was ever said, the room may have got its epoch since.
        let later = |at: Position| {
            let offset = at.offset.max(pass.at.offset);
            let follows = at.epoch == pass.at.epoch || pass.at.offset == 0;
            follows.then_some(Start::After(Position { offset, ..at }))
        };
        let stands = match (room, &auth.offset) {
            // It has heard nothing since it came.
            (room, None) => vec![(room.cloned(), Start::After(pass.at))],
            (Some(room), Some(offset)) if !offset.contains(':') => {
                vec![(Some(room.clone()), later(native::position(offset))?)]
            }
            (own, Some(offset)) => {
                let Offset(stands) = Offset::decode(offset)?;
                if own.is_some() && !stands.iter().any(|stand| stand.room.is_none()) {
                    // A namespace that is a room is always in it.
                    return None;
                }
                let stands = stands.into_iter().map(|Stand { room, at }| match room {
                    None => Some((own.cloned(), later(at)?)),
                    room => Some((room, Start::After(at))),
                });
                stands.collect::<Option<_>>()?
            }
        };
        Some(Comeback { pass, stands })
    }

    /// Where a pass of this client is good: in its namespace, and as the same user only. No namespace holds a line end.
    pub(super) fn place_of(&self, id: ConnId, namespace: &str) -> String {
        let identity = self.identities.of(id);
        match identity.and_then(|identity| identity.user.as_deref()) {
            Some(user) => format!("{namespace}\n{user}"),
            None => namespace.to_owned(),
        }
    }

    /// A session has begun another life: its last one ends, wherever it was, and what all of them said is its own.
    pub(super) fn begin_life(&mut self, id: ConnId, pass: &Pass) {
        let now = Origin {
            core: self.id,
            conn: id,
        };
        let earlier = self.sessions.lives.begin(pass, now);
        if let Some(last) = earlier.last()
            && *last != now
        {
            if last.core == self.id {
                self.supersede(last.conn);
            } else if last.core < self.cores {
                self.links.send(last.core, Parcel::Superseded(last.conn));
            }
        }
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Held, true);
        }
        if let Some(socketio) = self.socketio(id) {
            socketio.remember(earlier);
        }
    }

    /// Whatever cannot be recovered whole is not: the client enters as if for the first time, with another id, and knows by that.
    pub(super) fn enter_anew(&mut self, id: ConnId, namespace: &Arc<str>) {
        let public_id = self.sessions.secret();
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(found) = socketio.known(namespace) else {
            return;
        };
        found.public_id = public_id;
        let room = found.room.clone();
        if let Some(entering) = &mut found.entering {
            entering.forget();
        }
        let gone: Vec<RoomName> = socketio
            .views
            .extract_if(.., |view| view.namespace == *namespace)
            .map(|view| view.name)
            .collect();
        for name in gone {
            self.leave_room(id, namespace, name, Farewell::Vanished);
        }
        self.release(id);
        self.join_entering(id, namespace, room, Start::Now);
    }

    /// Lets room messages out again, unless another namespace is still being recovered.
    pub(super) fn release(&mut self, id: ConnId) {
        let waits = self.socketio(id).is_some_and(|socketio| {
            socketio.namespaces.iter().any(|namespace| {
                let entering = namespace.entering.as_deref();
                entering.is_some_and(|e| e.pass.is_some() && e.awaited > 0)
            })
        });
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Held, waits);
        }
    }

    /// Something is lost of a room that was being recovered: the client will know by another id.
    pub(super) fn lost_while_entering(&mut self, id: ConnId, room: RoomId) {
        let public_id = self.sessions.secret();
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        for namespace in &mut socketio.namespaces {
            if let Some(entering) = &mut namespace.entering
                && entering.rooms.iter().any(|(of, _)| *of == room)
            {
                entering.is_whole = false;
                namespace.public_id = public_id;
            }
        }
    }

    /// Namespaces that have now read all that they missed get the answer to their CONNECT.
    pub(crate) fn settle_recoveries(&mut self, id: ConnId, out: &mut Vec<u8>) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let waiting: Vec<Waiting> = socketio
            .namespaces
            .iter()
            .filter_map(|namespace| {
                let entering = namespace.entering.as_deref()?;
                let reads = entering.pass.is_some() && entering.awaited == 0;
                reads.then(|| (Arc::clone(&namespace.name), entering.rooms.clone()))
            })
            .collect();
        for (namespace, rooms) in waiting {
            let done = rooms.iter().all(|(room, at)| {
                self.stand(id, *room)
                    .is_none_or(|stand| stand.offset >= at.offset)
            });
            if done {
                self.answer_entering(id, &namespace, out);
                self.choose_format(id);
            }
        }
    }

    /// How far the Conn has heard in a room.
    pub(super) fn stand(&self, id: ConnId, room: RoomId) -> Option<Position> {
        let memberships = self.shard.memberships(id).iter();
        let index = memberships
            .filter(|membership| membership.room == room)
            .map(|membership| membership.index)
            .next()?;
        let room = self.shard.room(room)?;
        let member = room.members().get(index as usize)?;
        Some(room.position(member.cursor))
    }
}

/// A namespace that waits for its answer, and how far its rooms must be read before.
type Waiting = (Arc<str>, Vec<(RoomId, Position)>);
