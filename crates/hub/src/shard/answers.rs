//! What a home's answer changes for the Conn that asked, and for this shard's copy of the room.

use std::sync::Arc;

use crate::conn::{ConnId, Ticket};
use crate::grant::Right;
use crate::message::Message;
use crate::name::RoomName;
use crate::refusal::Refusal;
use crate::room::{Member, Role, RoomId};

use super::{Answer, Membership, Output, Shard};

impl Shard {
    /// An answer has come, from this shard or over a link; the Conn may be gone by now.
    pub(super) fn answered(
        &mut self,
        conn: ConnId,
        ticket: Ticket,
        name: &RoomName,
        answer: Answer,
        out: &mut Vec<Output>,
    ) {
        match answer {
            Answer::Joined { .. } => self.joined(conn, ticket, name, answer, out),
            Answer::Refused { refusal, join } => {
                if join {
                    self.settle_join(conn, name);
                }
                self.say(conn, out, || Output::Refused {
                    conn,
                    ticket,
                    refusal,
                });
                self.remove_unused(name);
            }
            Answer::Left => {
                if let Some(room) = self.rooms.find(name) {
                    self.drop_member(conn, room);
                }
                let room = name.clone();
                self.say(conn, out, || Output::Left { conn, ticket, room });
                self.remove_unused(name);
            }
            Answer::Published { at, duplicate } => self.say(conn, out, || Output::Published {
                conn,
                ticket,
                at,
                duplicate,
            }),
            Answer::Said => self.say(conn, out, || Output::Said { conn, ticket }),
            Answer::History(page) => {
                self.say(conn, out, || Output::History { conn, ticket, page });
            }
            Answer::State(state) => {
                self.say(conn, out, || Output::State {
                    conn,
                    ticket,
                    state,
                });
            }
            Answer::NotPulled { asked } => self.not_pulled(conn, name, asked),
            Answer::Who(roster) => {
                let room = name.clone();
                self.say(conn, out, || Output::Who {
                    conn,
                    ticket,
                    room,
                    roster,
                });
            }
            Answer::Pulled {
                asked,
                after,
                messages,
            } => self.pulled(conn, name, asked, (after, messages), out),
        }
    }

    fn joined(
        &mut self,
        conn: ConnId,
        ticket: Ticket,
        name: &RoomName,
        answer: Answer,
        out: &mut Vec<Output>,
    ) {
        let Answer::Joined {
            at,
            mut after,
            recovery,
            presence,
            roster,
            state,
        } = answer
        else {
            return;
        };
        if !self.settle_join(conn, name) {
            // Its leave is on the way behind the join.
            let refusal = Refusal::Forbidden {
                room: name.clone(),
                right: Right::Join,
                has_credentials: true,
            };
            self.say(conn, out, || Output::Refused {
                conn,
                ticket,
                refusal,
            });
            return self.remove_unused(name);
        }
        let Some(id) = self.rooms.find(name) else {
            return;
        };
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Some(entry) = self.conns.find(conn) else {
            // It ended meanwhile; its leave is on the way behind the join.
            return self.remove_unused(name);
        };
        if let Role::Relay(relay) = &mut room.role
            && !std::mem::replace(&mut relay.attached, true)
        {
            room.epoch = at.epoch;
            self.log_bytes -= room.log.reset(at.offset);
            room.lowest = at.offset;
        }
        if let Some(index) = entry.place_in(id) {
            // Joining again changes what it wants, not where it stands.
            let member = &mut room.members[index as usize];
            member.presence = presence;
            after = member.cursor;
        } else {
            entry.add(Membership {
                room: id,
                index: u32::try_from(room.members.len()).unwrap_or(u32::MAX),
            });
            room.members.push(Member {
                conn,
                cursor: after,
                latest: room.latest_newest(),
                presence,
                lagging: false,
                fresh: after < at.offset,
                catching_up: false,
            });
            room.lowest = room.lowest.min(after.max(room.log.first() - 1));
        }
        let (behind, after) = (after < room.log.head(), room.position(after));
        let behind = behind || after.offset < at.offset;
        out.push(Output::Joined {
            conn,
            ticket,
            room: id,
            name: name.clone(),
            at,
            after,
            recovery,
            roster,
            state,
        });
        if behind {
            self.mark_dirty(id, out);
        }
    }

    /// The next message of a room whose home is elsewhere.
    pub(super) fn relay_delivery(
        &mut self,
        name: &RoomName,
        message: Arc<Message>,
        out: &mut Vec<Output>,
    ) {
        let Some(id) = self.rooms.find(name) else {
            return;
        };
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Role::Relay(relay) = &room.role else {
            return;
        };
        if !relay.attached || message.offset <= room.log.head() {
            return;
        }
        if message.offset > room.log.head() + 1 {
            // The home could not keep what lies between: whoever needs it pulls, and hears of the gap.
            self.log_bytes -= room.log.reset(message.offset - 1);
        }
        // Distances are counted from this relay's own first message on.
        self.log_bytes += message.cost_bytes();
        self.heard_bytes = self.heard_bytes.wrapping_add(message.cost_bytes());
        room.log.append(message);
        self.trim(id);
        self.mark_dirty(id, out);
    }

    /// The home has lost messages before they could be sent: the members pull, and hear of the gap.
    pub(super) fn relay_skip(&mut self, name: &RoomName, to: u64, out: &mut Vec<Output>) {
        let Some(id) = self.rooms.find(name) else {
            return;
        };
        if let Some(room) = self.rooms.at_mut(id)
            && matches!(&room.role, Role::Relay(relay) if relay.attached)
            && to > room.log.head()
        {
            self.log_bytes -= room.log.reset(to);
            self.mark_dirty(id, out);
        }
    }

    /// Takes a Conn out of the member array.
    pub(super) fn drop_member(&mut self, conn: ConnId, id: RoomId) {
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Some(entry) = self.conns.find(conn) else {
            return;
        };
        let Some(index) = entry.place_in(id) else {
            return;
        };
        entry.remove(id);
        room.members.swap_remove(index as usize);
        room.moves = room.moves.wrapping_add(1);
        if let Some(moved) = room.members.get(index as usize)
            && let Some(entry) = self.conns.find(moved.conn)
        {
            entry.moved(id, index);
        }
        self.chunks.remove(&(conn, id));
        if room.members.is_empty() {
            if let Role::Relay(relay) = &mut room.role {
                relay.attached = false;
                self.log_bytes -= room.log.reset(room.log.head());
            }
            room.members = Vec::new();
            room.look_for_lowest();
            if matches!(room.role, Role::Relay(_)) {
                self.clear_latest(id);
            }
            self.remove_if_empty(id);
        }
    }

    /// Whether the join still counts.
    fn settle_join(&mut self, conn: ConnId, name: &RoomName) -> bool {
        let counts = match self.conns.find(conn) {
            Some(entry) => entry.settle_join(name),
            None => true,
        };
        if let Some(id) = self.rooms.find(name)
            && let Some(room) = self.rooms.at_mut(id)
            && let Role::Relay(relay) = &mut room.role
        {
            relay.joining = relay.joining.saturating_sub(1);
        }
        counts
    }

    fn remove_unused(&mut self, name: &RoomName) {
        if let Some(id) = self.rooms.find(name) {
            self.remove_if_empty(id);
        }
    }

    /// Says something to a Conn that is still there.
    fn say(&mut self, conn: ConnId, out: &mut Vec<Output>, output: impl FnOnce() -> Output) {
        if self.conns.find(conn).is_some() {
            out.push(output());
        }
    }
}
