//! Answers to HTTP requests.

use taut_gate::http::{self as gate_http, Problem, Reply};
use taut_hub::{ConnId, Page, Position, Start, State, Ticket};
use taut_wire::http::{self};
use taut_wire::native::Taken;

use super::super::Step;
use super::{Phase, Question, THE_WAIT};
use crate::core::{Core, Flag};

impl Core {
    /// The hub's page for a read: the answer, or the beginning of a wait.
    pub(crate) fn http_history(&mut self, id: ConnId, page: &Page) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        let waits = match &talk.phase {
            Phase::Asked(Question::Page(poll)) => {
                poll.wait_ms > 0
                    && page.messages.is_empty()
                    && page.recovery == taut_hub::Recovery::Complete
            }
            _ => false,
        };
        if !waits {
            return self.answer(id, |responder, out, reply| {
                responder.history(out, reply, page);
            });
        }
        if let Phase::Asked(Question::Page(mut poll)) = std::mem::take(&mut talk.phase) {
            poll.range.start = Start::After(page.at);
            self.wait(id, poll);
        }
    }

    /// The hub has taken what was sent.
    pub(crate) fn http_published(&mut self, id: ConnId, at: Position, duplicate: bool) {
        let taken = match self.http_talk(id).map(|talk| &talk.phase) {
            Some(Phase::Asked(Question::Take(taken))) => *taken,
            _ => Taken::Publish,
        };
        self.answer(id, |responder, out, reply| {
            responder.published(out, reply, taken, at, duplicate);
        });
    }

    /// The hub has said it, on the lane `latest`.
    pub(crate) fn http_said(&mut self, id: ConnId) {
        self.answer(id, |responder, out, reply| responder.said(out, reply));
    }

    /// What is set in a room, or under the key that was asked for.
    pub(crate) fn http_state(&mut self, id: ConnId, state: &State) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        let one_key = match &mut talk.phase {
            Phase::Asked(Question::Key(known)) => Some(known.take()),
            _ => None,
        };
        self.answer(id, |responder, out, reply| match one_key {
            Some(known) => responder.got(out, reply, state, known.as_deref()),
            None => responder.state(out, reply, state),
        });
    }

    /// Writes the answer to the request under way and turns to the next one.
    pub(crate) fn answer(
        &mut self,
        id: ConnId,
        write: impl FnOnce(&mut gate_http::Responder, &mut Vec<u8>, &Reply),
    ) {
        self.post_given_up(id);
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        let reply = talk.reply.clone();
        let mut answer = Vec::new();
        write(self.responder(), &mut answer, &reply);
        if let Some(conn) = self.conns.find(id) {
            conn.answers().extend_from_slice(&answer);
        }
        self.end_answer(id);
    }

    /// The answer to the request under way is written: turns to the next one, or ends.
    pub(crate) fn end_answer(&mut self, id: ConnId) {
        self.lower(id);
        let keep_alive_ms = self.limits.keep_alive_ms_max;
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        talk.phase = Phase::Head;
        talk.served = true;
        talk.is_impatient = false;
        let keep_alive = talk.reply.keep_alive;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if keep_alive && !conn.flags.has(Flag::Ended) {
            self.touch(id.slot);
            self.set_alarm(id.slot, keep_alive_ms);
            self.resume_input(id.slot);
        } else {
            self.close_after_output(id);
        }
    }

    pub(crate) fn answer_problem(&mut self, id: ConnId, problem: &Problem) {
        self.counts.refusals.count(problem.code);
        self.say_problem(id, problem);
    }

    fn say_problem(&mut self, id: ConnId, problem: &Problem) {
        self.answer(id, |responder, out, reply| {
            responder.problem(out, reply, problem);
        });
    }

    /// A request that breaks HTTP gets its status, and the connection ends: nothing after it can be trusted.
    pub(in super::super) fn http_violation(&mut self, id: ConnId, error: &http::Violation) -> Step {
        self.http_violation_now(id, error);
        Step::More
    }

    pub(in super::super) fn http_violation_now(&mut self, id: ConnId, error: &http::Violation) {
        tell!(
            self,
            id,
            INFO,
            reason = "violation",
            status = error.status,
            violation = %error.violation,
            "a peer broke HTTP"
        );
        if let Some(talk) = self.http_talk(id) {
            // Nothing of the request before it holds for this answer.
            talk.reply = Reply::last();
            talk.phase = Phase::Head;
        }
        let code = match error.status {
            413 => "message-too-large",
            _ => "bad-request",
        };
        let problem = Problem::new(error.status, code, error.violation.to_string());
        self.answer_problem(id, &problem);
    }

    pub(super) fn answer_ready(&mut self, id: ConnId) {
        let trouble = if self.is_draining() {
            Some((
                "restart",
                "the server is shutting down; another one will come".to_owned(),
            ))
        } else {
            let kept = self.health.trouble();
            let kept =
                kept.map(|reason| ("unavailable", format!("rooms cannot be kept: {reason}")));
            let full = || self.health.fullness();
            kept.or_else(|| full().map(|why| ("full", format!("nobody new is let in: {why}"))))
        };
        match trouble {
            None => self.answer(id, |responder, out, reply| responder.well(out, reply)),
            Some((code, text)) => {
                let problem = Problem {
                    retry_s: Some(1),
                    ..Problem::new(503, code, text)
                };
                // Who asks how the server is gets an answer, and is refused nothing.
                self.say_problem(id, &problem);
            }
        }
    }

    /// The hub said no: to the request, or to the wait that it turned into.
    pub(crate) fn http_refused(&mut self, id: ConnId, ticket: Ticket, refusal: &taut_hub::Refusal) {
        // The wait's own leave may be refused when its join was; the read behind it answers.
        if ticket == THE_WAIT && !self.is_waiting(id) {
            return;
        }
        let problem = gate_http::refused(refusal);
        // It was counted when the hub said it.
        self.say_problem(id, &problem);
    }
}
