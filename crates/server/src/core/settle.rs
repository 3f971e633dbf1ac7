//! What the Shard says, carried out: answers in each Conn's own dialect, rooms to walk, links to feed.

use taut_gate::http::Problem;
use taut_gate::{Close, native, text};
use taut_hub::{
    CloseReason, ConnId, Output, PresenceChange, Right, RoomId, RoomName, Ticket, Watch,
};
use taut_wire::native::Taken;

use super::flush::Due;
use super::{Core, Parcel};
use crate::talk::{Asked, Talk, UNASKED, Wants};

impl Core {
    /// Carries out one output.
    pub(crate) fn settle(&mut self, output: Output) {
        match output {
            Output::Deliver { room } => self.dirty_rooms.push(Due::now(room, self.turn_ns)),
            Output::Link { to, message } => self.links.send(to, Parcel::Hub(message)),
            Output::Store { request } => {
                if let Some(safe) = &mut self.safe {
                    safe.ask(request);
                }
            }
            Output::Presence { room, change } => self.say_presence(room, &change),
            Output::Gap {
                conn,
                room,
                after,
                at,
            } => self.say_gap_now(conn, room, after, at),
            Output::Expelled { conn, room } => self.expelled(conn, &room),
            Output::Close {
                conn,
                reason: CloseReason::Slow,
            } => self.close(conn, Close::Slow, None),
            Output::Joined { conn, .. }
            | Output::Left { conn, .. }
            | Output::Published { conn, .. }
            | Output::Said { conn, .. }
            | Output::History { conn, .. }
            | Output::State { conn, .. }
            | Output::Who { conn, .. }
            | Output::Refused { conn, .. } => {
                if let Output::Refused { refusal, .. } = &output {
                    self.counts.refusals.count(refusal.code());
                }
                self.count_rooms(conn);
                self.answer_conn(conn, output);
            }
        }
    }

    /// A Conn is out of a room that it may not be in any more. A door with no words for it ends.
    fn expelled(&mut self, id: ConnId, room: &RoomName) {
        self.count_rooms(id);
        let waits = self.is_waiting(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match &conn.talk {
            Talk::Lines(_) | Talk::Datagrams(_) | Talk::Native(..) => {
                self.say_native(id, |out| native::encode_expelled(out, room));
            }
            Talk::Text(_) => self.say_text(id, |out| text::encode_expelled(out, room)),
            Talk::Engine(_) => self.expel_socketio(id, room),
            Talk::Http(_) if waits => {
                // As when its token ends: it is told, and comes back with its next request.
                self.last_request(id);
                let problem = Problem::new(403, "forbidden", native::EXPELLED);
                self.answer_problem(id, &problem);
            }
            Talk::Undecided | Talk::Probe(_) | Talk::Done => {}
            _ => self.close(id, Close::Refused, Some("forbidden")),
        }
    }

    fn count_rooms(&mut self, id: ConnId) {
        let rooms = self.shard.memberships(id).len();
        if let Some(conn) = self.conns.find(id) {
            conn.rooms = u16::try_from(rooms).unwrap_or(u16::MAX);
        }
        self.count_user_rooms(id);
    }

    fn answer_conn(&mut self, id: ConnId, output: Output) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match &conn.talk {
            Talk::Lines(_) | Talk::Datagrams(_) | Talk::Native(..) => {
                self.answer_native(id, output);
            }
            Talk::Unproven(_) => self.answer_unproven(id, &output),
            Talk::Text(_) => self.answer_text(id, output),
            Talk::Payload(..) => self.answer_payload(id, output),
            Talk::Http(_) => self.answer_http(id, output),
            Talk::Stream(_) => self.answer_stream(id, output),
            Talk::Engine(_) => self.answer_socketio(id, output),
            Talk::Undecided | Talk::Secret | Talk::Probe(_) | Talk::Done => {}
        }
    }

    fn answer_native(&mut self, id: ConnId, output: Output) {
        let Some(Asked {
            reference, wants, ..
        }) = self.native_asked(id, &output)
        else {
            return;
        };
        let reference = reference.as_deref();
        match output {
            Output::Joined {
                name,
                at,
                recovery,
                roster,
                state,
                ..
            } => {
                self.say_joined(id, reference, |out, reference, whole| {
                    let state = state.as_deref().filter(|_| whole);
                    let roster = roster.as_ref();
                    native::encode_joined(out, reference, &name, at, recovery, roster, state);
                });
            }
            Output::Left { room, .. } => {
                self.say_native(id, |out| native::encode_left(out, reference, &room));
            }
            // Fire and forget.
            Output::Published { .. } | Output::Said { .. }
                if reference.is_none() && self.is_datagram(id) => {}
            Output::Published { at, duplicate, .. } => {
                let taken = match wants {
                    Wants::Receipt(taken) => taken,
                    _ => Taken::Publish,
                };
                self.say_native(id, |out| {
                    native::encode_published(out, reference, taken, Some(at), duplicate);
                });
            }
            Output::Said { .. } => self.say_native(id, |out| {
                native::encode_published(out, reference, Taken::Publish, None, false);
            }),
            Output::History { page, .. } => match wants {
                Wants::Piece(fetch) => self.say_piece(id, reference, &page, &fetch),
                _ => self.say_history(id, reference, &page),
            },
            Output::State { state, .. } => {
                self.say_state(id, reference, &state, matches!(wants, Wants::Key));
            }
            Output::Who { room, roster, .. } => self.say_who(id, reference, &room, &roster),
            Output::Refused { refusal, .. } => {
                self.say_native(id, |out| native::encode_refused(out, reference, &refusal));
            }
            _ => {}
        }
        self.end_if_done(id);
    }

    fn answer_text(&mut self, id: ConnId, output: Output) {
        if let Some(ticket) = ticket_of(&output)
            && let Some(conn) = self.conns.find(id)
            && let Talk::Text(state) = &mut conn.talk
        {
            state.settle(ticket);
            if !state.is_waiting() {
                self.resume_input(id.slot);
            }
        }
        match output {
            Output::Joined { name, roster, .. } => {
                let display = self.name_of(id);
                self.say_text(id, |out| {
                    text::encode_joined(out, &name, &display, roster.as_ref());
                });
            }
            Output::History { page, .. } => {
                self.say_text(id, |out| text::encode_history(out, &page));
            }
            // A line that is said is not acknowledged.
            Output::Published { ticket, .. } if ticket != UNASKED => {
                self.say_text(id, text::encode_done);
            }
            Output::State { state, .. } => {
                self.say_text(id, |out| text::encode_state(out, &state));
            }
            Output::Who { room, roster, .. } => {
                self.say_text(id, |out| text::encode_who(out, &room, &roster));
            }
            Output::Refused { refusal, .. } => {
                self.say_text(id, |out| text::encode_refused(out, &refusal));
            }
            _ => {}
        }
        self.end_if_done(id);
    }

    /// A payload-only door cannot say no and live.
    fn answer_payload(&mut self, id: ConnId, output: Output) {
        match output {
            Output::Refused { refusal, .. } => {
                tell!(self, id, INFO, reason = refusal.code(), %refusal, "refused on a payload-only WebSocket, which ends");
                match refusal {
                    taut_hub::Refusal::RateLimited { retry_ms, .. } => {
                        let text = format!("rate-limited; wait {} s", retry_ms.div_ceil(1_000));
                        let retry_ms = u32::try_from(retry_ms).unwrap_or(u32::MAX);
                        self.close(id, Close::RateLimited(retry_ms), Some(&text));
                    }
                    taut_hub::Refusal::Declined { reason } => {
                        self.close(id, Close::Refused, Some(&reason));
                    }
                    taut_hub::Refusal::NotAsked => self.close(id, Close::Unavailable, None),
                    refusal => self.close(id, Close::Refused, Some(refusal.code())),
                }
            }
            Output::Joined {
                recovery: taut_hub::Recovery::From(_),
                ..
            } => self.close(id, Close::Gap, None),
            Output::Joined { .. } => self.payload_joined(id),
            Output::Published { at, .. } => self.echo_placed(id, Some(at.offset)),
            Output::Said { .. } => self.echo_placed(id, None),
            _ => {}
        }
    }

    fn answer_http(&mut self, id: ConnId, output: Output) {
        match output {
            Output::Published { at, duplicate, .. } => self.http_published(id, at, duplicate),
            Output::Said { .. } => self.http_said(id),
            Output::History { page, .. } => self.http_history(id, &page),
            Output::State { state, .. } => self.http_state(id, &state),
            Output::Who { room, roster, .. } => self.answer(id, |responder, out, reply| {
                responder.who(out, reply, &room, &roster);
            }),
            Output::Refused {
                ticket, refusal, ..
            } => self.http_refused(id, ticket, &refusal),
            Output::Joined { .. } => self.touch(id.slot),
            _ => {}
        }
    }

    fn answer_stream(&mut self, id: ConnId, output: Output) {
        match output {
            Output::Joined {
                ticket,
                room,
                after,
                recovery,
                state,
                ..
            } => self.stream_joined(id, ticket, room, after, recovery, state),
            Output::Refused { refusal, .. } => self.stream_refused(id, &refusal),
            _ => {}
        }
    }

    /// Whether more answers wait for a Conn than may.
    fn is_overfull(&mut self, id: ConnId) -> bool {
        let bytes_max = self.limits.answers_bytes_max;
        self.conns
            .find(id)
            .is_some_and(|conn| conn.waiting_bytes() > bytes_max)
    }

    /// Tells the members who asked who came and went.
    fn say_presence(&mut self, id: RoomId, change: &PresenceChange) {
        let Some(room) = self.shard.room(id) else {
            return;
        };
        let name = room.name().clone();
        let watchers: Vec<(ConnId, Watch)> = room
            .members()
            .iter()
            .filter(|member| match member.presence {
                Watch::Nothing => false,
                Watch::Counts => change.counts,
                Watch::Users => true,
            })
            // Who could ask when it joined may have shown a token since that grants less.
            .filter(|member| self.shard.allows(member.conn, &name, Right::Who))
            .map(|member| (member.conn, member.presence))
            .collect();
        let (mut unit, mut counts, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        native::encode_presence(&mut unit, &name, change);
        native::encode_counts(&mut counts, &name, change);
        text::encode_presence(&mut lines, change);
        for (conn, watch) in watchers {
            if is_only_about(self.id, conn, change) {
                continue;
            }
            if self.is_overfull(conn) {
                // It asked to be told and does not listen; coming back it gets the whole picture anew.
                self.close(conn, Close::Slow, None);
                continue;
            }
            let unit = match watch {
                Watch::Counts => &counts,
                _ => &unit,
            };
            if self.is_socketio(conn) {
                self.say_of_room(conn, id, "taut:presence", unit);
                continue;
            }
            self.say_native(conn, |out| out.extend_from_slice(unit));
            self.say_text(conn, |out| out.extend_from_slice(&lines));
        }
    }
}

/// Whether a change says nothing but that this Conn itself came, or took another name.
fn is_only_about(core: u16, conn: ConnId, change: &PresenceChange) -> bool {
    let own = |user: &taut_hub::User| {
        let is_own = |(_, origin): &(taut_hub::Door, taut_hub::Origin)| {
            origin.core == core && origin.conn == conn
        };
        matches!(user.conns.as_slice(), [only] if is_own(only))
    };
    let lists = [&change.joined, &change.left];
    !change.joined.is_empty() && change.changed.is_empty() && lists.into_iter().flatten().all(own)
}

/// The ticket of an answer.
pub(crate) fn ticket_of(output: &Output) -> Option<Ticket> {
    match output {
        Output::Joined { ticket, .. }
        | Output::Left { ticket, .. }
        | Output::Published { ticket, .. }
        | Output::Said { ticket, .. }
        | Output::History { ticket, .. }
        | Output::State { ticket, .. }
        | Output::Who { ticket, .. }
        | Output::Refused { ticket, .. } => Some(*ticket),
        _ => None,
    }
}
