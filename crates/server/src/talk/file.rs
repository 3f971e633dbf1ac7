//! Answers that come from the folder: asked for at the [desk](crate::files), and sent chunk by chunk as the peer takes them.

use taut_gate::http::{FileAsked, Otherwise, Problem};
use taut_hub::{ConnId, Farewell};

use super::http::Phase;
use crate::core::{Core, Flag};
use crate::files::{Chunk, Done, Job, Outcome, Rest, Wanted, Work};
use crate::page;

/// How long a peer may take nothing of a file, in milliseconds, beyond the time after which it is first looked at. The kernel tells of room in its
/// buffer only when a third of it is free, which takes a while on a slow line.
const STALL_MS_MAX: u64 = 120_000;

/// How far a file's answer is.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Nothing of it has come from the desk.
    Asked(Otherwise),
    /// The socket takes a chunk; then comes this, or nothing any more.
    Sending(Option<Rest>),
    /// The next chunk is being read.
    Reading,
}

impl Core {
    /// Has a file looked up, and pauses until it has been.
    pub(super) fn ask_for_file(&mut self, id: ConnId, asked: &FileAsked, wanted: Wanted) {
        let work = Work::Answer(Box::new(wanted));
        if !self.hand_in(id, work) {
            let problem = Problem {
                retry_s: Some(1),
                ..Problem::new(503, "full", "too many files are asked for; try again")
            };
            return self.answer_problem(id, &problem);
        }
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.flags.set(Flag::Paused, true);
        self.set_errand(id, Errand::Asked(asked.otherwise));
        self.set_alarm_off(id.slot);
    }

    /// Takes in what the desk has read: at most one thing for each Conn.
    pub(crate) fn hear_files(&mut self) {
        while let Some(done) = self
            .files
            .as_ref()
            .and_then(|desk| desk.done.try_recv().ok())
        {
            self.file_done(done);
        }
    }

    fn file_done(&mut self, done: Done) {
        let Done { conn: id, outcome } = done;
        // The Conn may have gone, and another one may have its slot.
        let otherwise = match self.errand(id) {
            Some(Errand::Asked(otherwise)) => Some(*otherwise),
            Some(Errand::Reading) => None,
            Some(Errand::Sending(_)) | None => return,
        };
        match (outcome, otherwise) {
            (Outcome::Head { status: 404, .. }, Some(Otherwise::Page)) => {
                self.answer(id, |responder, out, reply| {
                    responder.page(out, reply, page::HTML);
                });
            }
            (Outcome::Head { status: 404, .. }, Some(Otherwise::Icon)) => {
                self.answer(id, |responder, out, reply| {
                    responder.icon(out, reply, page::ICON);
                });
            }
            (
                Outcome::Head {
                    status,
                    fields,
                    length,
                    chunk,
                },
                Some(_),
            ) => {
                let reply = self.reply(id);
                let mut head = Vec::new();
                self.responder()
                    .file_head(&mut head, &reply, status, &fields, length);
                self.send_chunk(id, &head, chunk);
            }
            (Outcome::Chunk(chunk), _) => self.send_chunk(id, &[], chunk),
            (Outcome::Broken, Some(_)) => {
                let detail = "The file cannot be read at the moment.";
                self.answer_problem(id, &Problem::new(500, "file-unreadable", detail));
            }
            // The peer was promised more; only the end tells it that it has not got everything.
            (Outcome::Broken | Outcome::Head { .. }, None) => {
                self.remove(id.slot, Farewell::Vanished);
            }
        }
    }

    fn send_chunk(&mut self, id: ConnId, head: &[u8], chunk: Chunk) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let out = conn.answers();
        out.extend_from_slice(head);
        out.extend_from_slice(&chunk.bytes);
        self.set_errand(id, Errand::Sending(chunk.rest));
        self.touch(id.slot);
    }

    /// The socket has taken everything: the next chunk is asked for, or the answer is over.
    pub(crate) fn file_goes_on(&mut self, id: ConnId) {
        let Some(errand) = self.errand(id) else {
            return;
        };
        let Errand::Sending(rest) = errand else {
            return;
        };
        match rest.take() {
            Some(rest) => {
                *errand = Errand::Reading;
                self.hand_in(id, Work::Read(rest));
            }
            None => self.end_answer(id),
        }
    }

    /// The alarm of a Conn that is at a file; false when it is at none.
    pub(crate) fn file_alarm(&mut self, id: ConnId) -> bool {
        if self.errand(id).is_none() {
            return false;
        }
        if self
            .conns
            .find(id)
            .is_some_and(|conn| conn.flags.has(Flag::Blocked))
        {
            tell!(self, id, DEBUG, "a peer stopped taking its file");
            self.remove(id.slot, Farewell::Vanished);
        }
        true
    }

    /// How much longer a Conn that takes nothing may go on so, in milliseconds; `None` when it is at no file.
    pub(crate) fn file_patience_ms(&mut self, id: ConnId) -> Option<u64> {
        self.errand(id).map(|_| STALL_MS_MAX)
    }

    fn hand_in(&self, conn: ConnId, work: Work) -> bool {
        let core = self.id;
        self.files
            .as_ref()
            .is_some_and(|desk| desk.hand_in(Job { core, conn, work }))
    }

    fn errand(&mut self, id: ConnId) -> Option<&mut Errand> {
        match &mut self.http_talk(id)?.phase {
            Phase::File(errand) => Some(errand),
            _ => None,
        }
    }

    fn set_errand(&mut self, id: ConnId, errand: Errand) {
        if let Some(talk) = self.http_talk(id) {
            talk.phase = Phase::File(errand);
        }
    }
}
