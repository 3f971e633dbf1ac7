//! Who is not let in and is told so, in the words of whatever it speaks: see [`Turned`](crate::limits::Turned).

use taut_gate::Close;
use taut_gate::http::{Action, Problem};
use taut_hub::ConnId;
use taut_wire::sniff::Sniffed;

use super::{Step, Talk};
use crate::core::Core;

impl Core {
    /// How a Conn is told that it is not let in; `None` where it is.
    pub(super) fn turned(&self, id: ConnId) -> Option<Close> {
        let turned = self.limiter.bill(id.slot)?.turned.as_ref()?;
        Some(turned.close())
    }

    /// Its first bytes have said what it speaks: tells it, where that needs no request. TLS has no words before a handshake, which would cost more than they are worth.
    pub(super) fn turn_away_by(&mut self, id: ConnId, close: Close, sniffed: &Sniffed) -> Step {
        let talk = match sniffed {
            Sniffed::Json => Talk::Lines(Box::default()),
            Sniffed::Text => Talk::Text(Box::default()),
            _ => Talk::Done,
        };
        if let Some(conn) = self.conns.find(id) {
            conn.talk = talk;
        }
        Step::End(close, None)
    }

    /// Tells somebody who is spoken to first.
    pub(crate) fn turn_away(&mut self, id: ConnId) {
        if let Some(close) = self.turned(id) {
            self.close(id, close, None);
        }
    }

    /// The answer to the one request of who is not let in. Whether the server is well may be asked all the same.
    pub(super) fn turned_problem(&mut self, id: ConnId, action: &Action) -> Option<Problem> {
        let turned = self.limiter.bill(id.slot)?.turned.as_ref()?;
        let problem = turned.problem();
        self.last_request(id);
        (!matches!(action, Action::Live | Action::Ready)).then_some(problem)
    }
}
