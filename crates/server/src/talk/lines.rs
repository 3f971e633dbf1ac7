//! Native JSON over TCP: a line each.

use taut_hub::{ConnId, Farewell};
use taut_wire::lines::Splitter;

use super::{Step, Talk};
use crate::core::{Core, Flag};

impl Core {
    /// One line of JSON.
    pub(super) fn json_line(&mut self, id: ConnId, data: &[u8]) -> Step {
        let splitter = Splitter {
            line_bytes_max: self.limits.message_bytes_max,
        };
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        // Who talks and does not listen is still looked at.
        let stalls = conn.flags.has(Flag::Stalling);
        let Talk::Lines(session) = &mut conn.talk else {
            return Step::More;
        };
        match splitter.split_from(data, session.searched) {
            Err(violation) => Step::violation(&violation),
            Ok(None) => {
                session.searched = data.len();
                Step::More
            }
            Ok(Some((line, consumed))) => {
                session.searched = 0;
                if !stalls {
                    self.set_alarm_off(id.slot);
                }
                if !line.iter().all(u8::is_ascii_whitespace) {
                    self.native_unit(id, line);
                }
                Step::Took(consumed)
            }
        }
    }

    /// FIN ends the last line. A joined Conn still receives; one that is in no room has nothing more to wait for.
    pub(super) fn json_end(&mut self, id: ConnId, rest: &[u8]) {
        if !rest.iter().all(u8::is_ascii_whitespace) {
            self.native_unit(id, rest);
        }
        self.stay_if_joined(id);
    }

    /// Keeps a half-closed Conn that is in a room, and ends one that is in none, or whose peer is known to hear nothing any more.
    pub(super) fn stay_if_joined(&mut self, id: ConnId) {
        if self.awaits_answer(id) {
            return;
        }
        if !self.shard.memberships(id).is_empty() {
            if self
                .conns
                .find(id)
                .is_some_and(|conn| conn.flags.has(Flag::Gone))
            {
                self.remove(id.slot, Farewell::Vanished);
            }
            return;
        }
        if self
            .conns
            .find(id)
            .is_some_and(|conn| conn.output.is_some())
        {
            self.close_after_output(id);
        } else {
            self.remove(id.slot, Farewell::Said);
        }
    }

    /// A Conn that has said FIN and waited only for its last answer ends with it.
    pub(crate) fn end_if_done(&mut self, id: ConnId) {
        if self
            .conns
            .find(id)
            .is_some_and(|conn| conn.flags.has(Flag::Ended))
        {
            self.stay_if_joined(id);
        }
    }

    /// Whether a request of the Conn is still under way, at another core or at the keeper of rooms.
    pub(crate) fn awaits_answer(&mut self, id: ConnId) -> bool {
        match self.conns.find(id).map(|conn| &conn.talk) {
            Some(Talk::Lines(session) | Talk::Native(_, session) | Talk::Datagrams(session)) => {
                session.is_waiting()
            }
            Some(Talk::Text(text)) => text.is_waiting(),
            Some(Talk::Engine(engine)) => engine.is_waiting(),
            _ => false,
        }
    }
}
