//! Graceful shutdown: everybody is told to come back, in paced batches; what does not end by itself is closed at the deadline.

use taut_gate::Close;
use taut_hub::Farewell;

use super::Core;
use crate::talk::Talk;

/// Conns told per turn; a turn of a draining core lasts at least a millisecond.
const BATCH: usize = 256;

/// How long a Conn whose requests are under way gets their answers before it is told, in milliseconds.
const ANSWERS_MS: u64 = 2_000;

/// A core on its way out.
#[derive(Debug)]
pub(crate) struct Drain {
    /// Who has not been told.
    waiting: Vec<u32>,
    begun_ms: u64,
    deadline_ms: u64,
}

impl Core {
    /// Goes on with the shutdown, if there is one; true when this core is done.
    pub(super) fn drained(&mut self) -> bool {
        if self.drain.is_none() {
            if !self.stop.is_stopping() {
                return false;
            }
            tracing::debug!(core = self.id, conns = self.conns.len(), "draining");
            self.drain = Some(Drain {
                waiting: self.conns.slots(),
                begun_ms: self.now.mono_ms,
                deadline_ms: self.now.mono_ms + self.limits.drain_ms_max,
            });
        }
        let Some(mut drain) = self.drain.take() else {
            return false;
        };
        // Who asks without end is not waited for.
        let patient = self.now.mono_ms < drain.begun_ms + ANSWERS_MS;
        let mut later = Vec::new();
        for _ in 0..BATCH {
            let Some(slot) = drain.waiting.pop() else {
                break;
            };
            if !self.tell(slot, patient) {
                later.push(slot);
            }
        }
        drain.waiting.extend(later);
        let late = self.now.mono_ms >= drain.deadline_ms || self.stop.is_urgent();
        self.drain = Some(drain);
        // What was taken in is kept before the core ends, whoever still waits for the answer.
        let kept = self.shard.pending_bytes() == 0;
        (self.conns.len() == 0 && kept) || late
    }

    /// Tells a Conn to come back; false when it must finish something first.
    fn tell(&mut self, slot: u32, patient: bool) -> bool {
        let Some(id) = self.conns.id(slot) else {
            return true;
        };
        let Some(conn) = self.conns.at(slot) else {
            return true;
        };
        let http = match conn.talk {
            Talk::Undecided | Talk::Secret | Talk::Unproven(_) => {
                self.remove(slot, Farewell::Said);
                return true;
            }
            Talk::Http(_) => true,
            _ => false,
        };
        if !http {
            if patient && self.awaits_answer(id) {
                return false;
            }
            self.close(id, Close::Restart, None);
            return true;
        }
        self.last_request(id);
        if self.is_waiting(id) {
            self.end_wait(id);
            true
        } else if self.is_between_requests(id) {
            self.close_after_output(id);
            true
        } else {
            false
        }
    }
}
