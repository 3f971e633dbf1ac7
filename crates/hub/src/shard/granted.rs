//! What a Conn may do, asked before anything else: [`Shard::passes`] is the one place through which its commands come.
//!
//! It is asked where the Conn is, not at the room's home, which knows nothing of Conns' grants. What a home is asked was allowed then.

use std::slice;
use std::sync::Arc;

use crate::conn::{ConnId, Ticket};
use crate::grant::{Grant, Right, Rights};
use crate::message::{Draft, Lane};
use crate::name::RoomName;
use crate::refusal::Refusal;

use super::{Ask, Farewell, Input, Join, Output, Shard, Start};

impl Shard {
    /// Whether a Conn has a right in a room. A Conn that is not open has what everybody has.
    #[must_use]
    pub fn allows(&self, conn: ConnId, room: &RoomName, right: Right) -> bool {
        if self.standings.is_open() {
            return true;
        }
        let standing = self.standings.at(self.conns.standing(conn));
        standing.grant.allows(room, right, standing.user.as_deref())
    }

    /// As which verified user a Conn is here, and what it may do.
    #[must_use]
    pub fn standing(&self, conn: ConnId) -> (Option<&Arc<str>>, &Arc<Grant>) {
        let standing = self.standings.at(self.conns.standing(conn));
        (standing.user.as_ref(), &standing.grant)
    }

    /// How many different grants and users there are beside the anonymous one.
    #[must_use]
    pub fn standings_len(&self) -> usize {
        self.standings.len()
    }

    /// A Conn has shown new credentials, or lost what it had: it leaves the rooms where it may not be any more.
    pub(super) fn granted(
        &mut self,
        conn: ConnId,
        user: Option<&Arc<str>>,
        grant: Arc<Grant>,
        out: &mut Vec<Output>,
    ) {
        if self.conns.find(conn).is_none() {
            return;
        }
        let before = self.conns.standing(conn);
        let is_other_user = self.standings.at(before).user.as_ref() != user;
        let now = self.standings.take(user.cloned(), grant);
        self.conns.stand(conn, now);
        self.standings.give_back(before);
        for room in self.rooms_of(conn) {
            if !self.allows(conn, &room, Right::Join) {
                self.expel(conn, room, out);
            } else if is_other_user {
                let user = user.cloned();
                self.ask(conn, Ticket(0), room, Ask::Verify { user }, out);
            }
        }
    }

    /// Takes a Conn out of a room at once: it hears nothing more there, whatever is under way to it.
    pub(super) fn expel(&mut self, conn: ConnId, name: RoomName, out: &mut Vec<Output>) {
        let Some(entry) = self.conns.find(conn) else {
            return;
        };
        entry.void_joins(&name);
        let member = self
            .rooms
            .find(&name)
            .filter(|id| entry.place_in(*id).is_some());
        if let Some(id) = member {
            self.drop_member(conn, id);
            let room = name.clone();
            out.push(Output::Expelled { conn, room });
        }
        let ask = Ask::Leave {
            farewell: Farewell::Said,
            ended: true,
        };
        self.ask(conn, Ticket(0), name, ask, out);
    }

    /// Whether a Conn may do what it wants, and its user is put under what it says: no door has to think of it. Says no to it otherwise.
    #[inline]
    pub(super) fn passes(&self, input: &mut Input, out: &mut Vec<Output>) -> bool {
        if self.standings.is_open() {
            stamp(input, None);
            return true;
        }
        self.judge(input, out)
    }

    fn judge(&self, input: &mut Input, out: &mut Vec<Output>) -> bool {
        let Some((conn, ticket, room, rights)) = wants(input) else {
            return true;
        };
        let standing = self.standings.at(self.conns.standing(conn));
        let user = standing.user.as_deref();
        let mut wanted = Right::ALL.into_iter().filter(|right| rights.has(*right));
        let Some(right) = wanted.find(|right| !standing.grant.allows(room, *right, user)) else {
            stamp(input, user);
            return true;
        };
        let refusal = Refusal::Forbidden {
            room: room.clone(),
            right,
            has_credentials: self.conns.standing(conn) != 0,
        };
        out.push(Output::Refused {
            conn,
            ticket,
            refusal,
        });
        false
    }
}

/// Which Conn asks for something that needs rights, where, and which; `None` where it needs none, or is no Conn's.
fn wants(input: &Input) -> Option<(ConnId, Ticket, &RoomName, Rights)> {
    let one = |right| Rights::NONE.with(right);
    let (conn, ticket, room, rights) = match input {
        Input::Join {
            conn,
            ticket,
            room,
            join,
        } => (conn, ticket, room, rights_of_join(join)),
        Input::Publish {
            conn,
            ticket,
            room,
            draft,
        } => (conn, ticket, room, rights_of_drafts(slice::from_ref(draft))),
        Input::PublishBatch {
            conn,
            ticket,
            room,
            batch,
        } => (conn, ticket, room, rights_of_drafts(&batch.drafts)),
        Input::Read {
            conn, ticket, room, ..
        } => (conn, ticket, room, one(Right::History)),
        Input::ReadState {
            conn, ticket, room, ..
        } => (conn, ticket, room, one(Right::State)),
        Input::Who {
            conn, ticket, room, ..
        } => (conn, ticket, room, one(Right::Who)),
        _ => return None,
    };
    Some((*conn, *ticket, room, rights))
}

/// What a join needs. Who comes back where it was needs no more than who comes: what it may not hear then is said to be missing.
fn rights_of_join(join: &Join) -> Rights {
    let asks_back = matches!(join.start, Start::Rewind(_) | Start::RewindMs(_));
    let wants = [
        (true, Right::Join),
        (asks_back, Right::History),
        (join.presence.is_on(), Right::Who),
        (join.state, Right::State),
    ];
    let wanted = wants.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, right)| right).collect()
}

/// What saying this needs. A key changes what is set in the room; on the lane `latest` it is only a label.
fn rights_of_drafts(drafts: &[Draft]) -> Rights {
    let sets = |draft: &Draft| draft.key.is_some() && draft.lane == Lane::Reliable;
    let rights = Rights::NONE.with(Right::Publish);
    match drafts.iter().any(sets) {
        true => rights.with(Right::State),
        false => rights,
    }
}

/// Puts the user, or nobody, under what is said.
#[inline]
fn stamp(input: &mut Input, user: Option<&str>) {
    let drafts = match input {
        Input::Publish { draft, .. } => slice::from_mut(draft),
        Input::PublishBatch { batch, .. } => batch.drafts.as_mut_slice(),
        _ => return,
    };
    for draft in drafts {
        if user.is_some() || !draft.from.is_guest() {
            draft.from = draft.from.verified(user);
        }
    }
}
