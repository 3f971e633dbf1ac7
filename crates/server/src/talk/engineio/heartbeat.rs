//! When a session is looked at: to ping its client, to end it where no pong came, where it never entered a namespace, or where attachments stay out.

use std::num::NonZeroU32;

use taut_gate::Close;
use taut_gate::http::EngineDialect;
use taut_hub::{ConnId, Farewell};
use taut_wire::engineio::Packet;

use super::Carrier;
use crate::core::{Core, Flag, wrapped};

/// The farthest that a moment may lie ahead, in milliseconds: 12 days.
const AHEAD_MS_MAX: u64 = 1 << 30;

/// A time of the core's clock in milliseconds, wrapping after 49 days. Not 0, so that none takes no more.
#[derive(Debug, Clone, Copy)]
struct Moment(NonZeroU32);

impl Moment {
    fn after(now_ms: u64, delay_ms: u64) -> Self {
        let at = wrapped(now_ms + delay_ms.min(AHEAD_MS_MAX));
        Self(NonZeroU32::new(at).unwrap_or(NonZeroU32::MIN))
    }

    fn later(self, delay_ms: u64) -> Self {
        Self::after(u64::from(self.0.get()), delay_ms)
    }

    /// How long it is until then; 0 when it has come.
    fn wait_ms(self, now_ms: u64) -> u64 {
        let ahead = u64::from(self.0.get().wrapping_sub(wrapped(now_ms)));
        // Whatever seems farther ahead than a moment may be is past.
        if ahead > 2 * AHEAD_MS_MAX { 0 } else { ahead }
    }

    fn has_come(self, now_ms: u64) -> bool {
        self.wait_ms(now_ms) == 0
    }
}

/// A session's clock.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Heartbeat {
    /// When the next ping goes out; where one is out, when its pong must be here.
    due: Moment,
    /// A ping is out.
    pinged: bool,
    /// When the client must have entered a namespace, where it has not.
    enter_by: Option<Moment>,
    /// When the attachments of the packet under way must be here, where there is one.
    attach_by: Option<Moment>,
}

impl Heartbeat {
    /// How long it is until something is to be done.
    fn wait_ms(&self, now_ms: u64) -> u64 {
        [Some(self.due), self.enter_by, self.attach_by]
            .into_iter()
            .flatten()
            .map(|moment| moment.wait_ms(now_ms))
            .min()
            .unwrap_or(0)
    }
}

impl Core {
    pub(super) fn first_heartbeat(&self, dialect: EngineDialect) -> Heartbeat {
        let now_ms = self.now.mono_ms;
        Heartbeat {
            due: Moment::after(now_ms, self.limits.engine.ping_ms),
            pinged: false,
            enter_by: match dialect {
                EngineDialect::SocketIo => {
                    Some(Moment::after(now_ms, self.limits.engine.connect_ms_max))
                }
                EngineDialect::Echo => None,
            },
            attach_by: None,
        }
    }

    /// Sets the session's alarm to whatever comes first.
    pub(in super::super) fn beat_on(&mut self, id: ConnId) {
        let now_ms = self.now.mono_ms;
        if self
            .conns
            .find(id)
            .is_some_and(|conn| conn.flags.has(Flag::Closing))
        {
            // It has another alarm: that of its last words.
            return;
        }
        if let Some(engine) = self.engine(id) {
            let wait_ms = engine.heartbeat.wait_ms(now_ms);
            self.set_alarm(id.slot, wait_ms);
        }
    }

    /// The client has entered a namespace.
    pub(in super::super) fn entered(&mut self, id: ConnId) {
        if let Some(engine) = self.engine(id) {
            engine.heartbeat.enter_by = None;
        }
        self.beat_on(id);
    }

    /// Attachments are awaited, or have come.
    pub(in super::super) fn await_attachments(&mut self, id: ConnId, missing: bool) {
        let by = Moment::after(self.now.mono_ms, self.limits.handshake_ms_max);
        if let Some(engine) = self.engine(id) {
            engine.heartbeat.attach_by = missing.then_some(by);
        }
        if missing {
            self.beat_on(id);
        }
    }

    pub(super) fn pong(&mut self, id: ConnId) {
        let due = Moment::after(self.now.mono_ms, self.limits.engine.ping_ms);
        if let Some(engine) = self.engine(id) {
            engine.heartbeat.pinged = false;
            engine.heartbeat.due = due;
        }
        self.beat_on(id);
    }

    /// The session's alarm.
    pub(crate) fn engine_alarm(&mut self, id: ConnId) {
        let (now_ms, pong_ms) = (self.now.mono_ms, self.limits.engine.pong_ms_max);
        let moving = self.is_moving(id);
        let conn = self.conns.find(id);
        let unread = conn.is_some_and(|conn| conn.flags.has(Flag::Unheard));
        let Some(engine) = self.engine(id) else {
            return;
        };
        let beat = &mut engine.heartbeat;
        let late = |by: Option<Moment>| by.is_some_and(|by| by.has_come(now_ms));
        if late(beat.enter_by) || late(beat.attach_by) {
            return self.time_out(id);
        }
        if !beat.due.has_come(now_ms) {
            return self.beat_on(id);
        }
        if moving || unread {
            // No pong would come now.
            beat.due = Moment::after(now_ms, pong_ms);
            return self.beat_on(id);
        }
        if beat.pinged {
            return self.time_out(id);
        }
        beat.pinged = true;
        beat.due = beat.due.later(pong_ms);
        self.say_packet(id, &Packet::Ping(""));
        self.beat_on(id);
    }

    /// Whether the session's time is up, which its alarm is about to find out.
    pub(super) fn is_overdue(&mut self, id: ConnId) -> bool {
        let now_ms = self.now.mono_ms;
        self.engine(id).is_some_and(|engine| {
            let beat = &engine.heartbeat;
            beat.pinged && beat.due.has_come(now_ms)
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
