//! By which door each Conn is in, and how it ended: counted, and said to who listens to everything.

use taut_hub::ConnId;

use super::Core;
use crate::metrics::DoorAt;

impl Core {
    /// Notes by which door a Conn is in, after anything that may have changed it.
    pub(crate) fn note_door(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id) {
            let door = conn.talk.door_at();
            if door != conn.door_at && door != DoorAt::NONE {
                conn.door_at = door;
                self.counts.door(door).opened += 1;
                tell!(self, id, DEBUG, "came in");
            }
        }
    }

    /// Counts a Conn's end, and says it to who listens to everything.
    pub(crate) fn note_close(&mut self, id: ConnId, reason: &'static str) {
        tell!(self, id, DEBUG, reason, "closed");
        if let Some(conn) = self.conns.find(id) {
            let door = conn.door_at;
            self.counts.door(door).closes.count(reason);
        }
    }
}
