//! Deadlines of Conns: handshakes, requests, waits, heartbeats, stalls, farewells. One alarm each.

use taut_gate::Close;
use taut_gate::http::Problem;
use taut_hub::{ConnId, Farewell};

use super::wheel::Entry;
use super::{Core, Flag, Stream, Wheel};
use crate::talk::Talk;

/// How long a Conn that has said farewell is listened to, in milliseconds, so that the farewell is not lost to a reset.
const LINGER_MS: u64 = 2_000;

impl Core {
    /// Sets a Conn's alarm to so many milliseconds from now.
    pub(crate) fn set_alarm(&mut self, slot: u32, delay_ms: u64) {
        let entry = Entry { slot };
        if let Some(conn) = self.conns.at(slot) {
            self.wheel
                .arm(&mut conn.alarm, entry, self.now.mono_ms, delay_ms);
        }
    }

    /// Takes a Conn's alarm away.
    pub(crate) fn set_alarm_off(&mut self, slot: u32) {
        if let Some(conn) = self.conns.at(slot) {
            Wheel::disarm(&mut conn.alarm);
        }
    }

    /// Everything whose time has come, of Conns and of rooms.
    pub(super) fn meet_deadlines(&mut self) {
        if self
            .shard
            .deadline_ms()
            .is_some_and(|at| at <= self.hub_now().mono_ms)
        {
            self.hub(taut_hub::Input::Tick);
        }
        self.release_held();
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(self.now.mono_ms, &mut fired);
        for (entry, tick) in fired.drain(..) {
            if let Some(conn) = self.conns.at(entry.slot)
                && self.wheel.is_due(&mut conn.alarm, entry, tick)
                && let Some(id) = self.conns.id(entry.slot)
            {
                self.alarm(id);
            }
        }
        self.fired = fired;
    }

    fn alarm(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering) {
            return self.remove(id.slot, Farewell::Said);
        }
        if conn.flags.has(Flag::Blocked) && conn.flags.replace(Flag::Stalling, false) {
            return self.stalled(id);
        }
        match conn.talk {
            Talk::Undecided | Talk::Secret | Talk::Done => self.drop_silently(id),
            Talk::Http(_) => self.http_alarm(id),
            Talk::Stream(_) => self.stream_alarm(id),
            Talk::Payload(..) | Talk::Native(..) => self.socket_alarm(id),
            Talk::Datagrams(_) => self.datagram_alarm(id),
            Talk::Engine(_) => self.engine_alarm(id),
            // The move took too long; the session goes on without it.
            Talk::Probe(_) => self.close(id, Close::Silent, None),
            Talk::Lines(_) | Talk::Text(_) | Talk::Unproven(_) => {}
        }
    }

    /// It took nothing for too long: the lag policies of its rooms apply.
    fn stalled(&mut self, id: ConnId) {
        let mut outputs = Vec::new();
        self.shard.stalled(id, self.hub_now(), &mut outputs);
        for output in outputs {
            self.settle(output);
        }
        self.hear_it_again(id.slot);
        let patience_ms = self.file_patience_ms(id).unwrap_or(self.limits.ping_ms);
        self.set_alarm(id.slot, patience_ms);
    }

    fn http_alarm(&mut self, id: ConnId) {
        if self.file_alarm(id) {
            return;
        }
        if self.is_waiting(id) {
            self.end_wait(id);
        } else if self.is_between_requests(id) {
            self.remove(id.slot, Farewell::Said);
        } else {
            let detail = "the request did not arrive in time; send it at once, or less of it";
            self.last_request(id);
            self.answer_problem(id, &Problem::new(408, "timeout", detail));
        }
    }

    fn stream_alarm(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id)
            && !conn.flags.has(Flag::Blocked)
            && let Talk::Stream(stream) = &conn.talk
        {
            let mut comment = Vec::new();
            stream.comment(&mut comment);
            conn.answers().extend_from_slice(&comment);
            self.touch(id.slot);
        }
        self.set_alarm(id.slot, self.limits.ping_ms);
    }

    fn socket_alarm(&mut self, id: ConnId) {
        let (now_ms, ping_ms, pong_ms) = (
            self.now.mono_ms,
            self.limits.ping_ms,
            self.limits.pong_ms_max,
        );
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let unread = [Flag::Throttled, Flag::Hooked, Flag::Unheard];
        let unread = unread.into_iter().any(|flag| conn.flags.has(flag));
        if unread || self.identities.awaits(id) {
            // It may have answered: we are not reading.
            return self.set_alarm(id.slot, ping_ms);
        }
        let silent_ms = conn.silent_ms(now_ms);
        if silent_ms < ping_ms {
            return self.set_alarm(id.slot, ping_ms - silent_ms);
        }
        if conn.flags.has(Flag::Pinged) || conn.flags.has(Flag::Blocked) {
            return self.close(id, Close::Silent, None);
        }
        conn.flags.set(Flag::Pinged, true);
        taut_wire::ws::encode_frame(
            conn.answers(),
            true,
            false,
            taut_wire::ws::Opcode::Ping,
            &[],
            None,
        );
        self.touch(id.slot);
        self.set_alarm(id.slot, pong_ms);
    }

    /// The last byte is out: says FIN and listens a little for the peer's.
    pub(super) fn finish(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.has(Flag::Ended) || !conn.has_stream() {
            return self.remove(id.slot, Farewell::Said);
        }
        match conn.stream {
            Stream::Tunnel(key) => self.tunnels.finish(key),
            _ => conn.stream.finish(),
        }
        conn.flags.set(Flag::Closing, false);
        conn.flags.set(Flag::Lingering, true);
        self.set_alarm(id.slot, LINGER_MS);
    }
}
