//! When a session is looked at: to ping its client, to end it where no pong came, where it never entered a namespace, or where attachments stay out.

use taut_gate::Close;
use taut_gate::http::EngineDialect;
use taut_hub::{ConnId, Farewell};
use taut_wire::engineio::Packet;

use super::Carrier;
use crate::core::Core;

/// A session's clock, in milliseconds of the core's.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Heartbeat {
    /// When the next ping goes out; where one is out, when its pong must be here.
    due_ms: u64,
    /// A ping is out.
    pinged: bool,
    /// When the client must have entered a namespace; 0 where it has.
    enter_by_ms: u64,
    /// When the attachments of the packet under way must be here; 0 where there is none.
    attach_by_ms: u64,
}

impl Heartbeat {
    fn next_ms(&self) -> u64 {
        [self.due_ms, self.enter_by_ms, self.attach_by_ms]
            .into_iter()
            .filter(|at| *at > 0)
            .min()
            .unwrap_or(self.due_ms)
    }
}

impl Core {
    pub(super) fn first_heartbeat(&self, dialect: EngineDialect) -> Heartbeat {
        let now_ms = self.now.mono_ms;
        Heartbeat {
            due_ms: now_ms + self.limits.engine.ping_ms,
            pinged: false,
            enter_by_ms: match dialect {
                EngineDialect::SocketIo => now_ms + self.limits.engine.connect_ms_max,
                EngineDialect::Echo => 0,
            },
            attach_by_ms: 0,
        }
    }

    /// Sets the session's alarm to whatever comes first.
    pub(in super::super) fn beat_on(&mut self, id: ConnId) {
        let now_ms = self.now.mono_ms;
        if self.conns.find(id).is_some_and(|conn| conn.flags.closing) {
            // It has another alarm: that of its last words.
            return;
        }
        if let Some(engine) = self.engine(id) {
            let wait_ms = engine.heartbeat.next_ms().saturating_sub(now_ms);
            self.set_alarm(id.slot, wait_ms);
        }
    }

    /// The client has entered a namespace.
    pub(in super::super) fn entered(&mut self, id: ConnId) {
        if let Some(engine) = self.engine(id) {
            engine.heartbeat.enter_by_ms = 0;
        }
        self.beat_on(id);
    }

    /// Attachments are awaited, or have come.
    pub(in super::super) fn await_attachments(&mut self, id: ConnId, missing: bool) {
        let by_ms = self.now.mono_ms + self.limits.handshake_ms_max;
        if let Some(engine) = self.engine(id) {
            engine.heartbeat.attach_by_ms = if missing { by_ms } else { 0 };
        }
        if missing {
            self.beat_on(id);
        }
    }

    pub(super) fn pong(&mut self, id: ConnId) {
        let due_ms = self.now.mono_ms + self.limits.engine.ping_ms;
        if let Some(engine) = self.engine(id) {
            engine.heartbeat.pinged = false;
            engine.heartbeat.due_ms = due_ms;
        }
        self.beat_on(id);
    }

    /// The session's alarm.
    pub(crate) fn engine_alarm(&mut self, id: ConnId) {
        let (now_ms, pong_ms) = (self.now.mono_ms, self.limits.engine.pong_ms_max);
        let moving = self.is_moving(id);
        let Some(engine) = self.engine(id) else {
            return;
        };
        let beat = &mut engine.heartbeat;
        let late = |by_ms: u64| by_ms > 0 && by_ms <= now_ms;
        if late(beat.enter_by_ms) || late(beat.attach_by_ms) {
            return self.time_out(id);
        }
        if beat.due_ms > now_ms {
            return self.beat_on(id);
        }
        if moving {
            // Neither transport would bring a pong now.
            beat.due_ms = now_ms + pong_ms;
            return self.beat_on(id);
        }
        if beat.pinged {
            return self.time_out(id);
        }
        beat.pinged = true;
        beat.due_ms += pong_ms;
        self.say_packet(id, &Packet::Ping(""));
        self.beat_on(id);
    }

    /// Whether the session's time is up, which its alarm is about to find out.
    pub(super) fn is_overdue(&mut self, id: ConnId) -> bool {
        let now_ms = self.now.mono_ms;
        self.engine(id).is_some_and(|engine| {
            let beat = &engine.heartbeat;
            beat.pinged && beat.due_ms <= now_ms
        })
    }

    /// The client has been silent for too long.
    pub(super) fn time_out(&mut self, id: ConnId) {
        match self.engine(id).map(|engine| &engine.carrier) {
            Some(Carrier::Polling(_)) => self.end_session(id, Farewell::Vanished, &Packet::Close),
            Some(Carrier::Socket(_)) => self.close(id, Close::Silent, None),
            None => {}
        }
    }
}
