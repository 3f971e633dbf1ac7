//! Questions that wait for the store, and their answers.

use crate::message::Draft;
use crate::name::RoomName;
use crate::refusal::Refusal;
use crate::room::{Asker, Parked, Role, Stage};

use super::durable::unavailable;
use super::{Answer, Ask, LinkMessage, Output, Shard};

/// What a question costs that waits, beside what is said in it, in bytes.
const PARKED_BYTES: u64 = 256;

impl Ask {
    /// What it costs to let this wait, in bytes.
    pub(super) fn waiting_bytes(&self) -> u64 {
        let said = match self {
            Self::Publish { draft } => draft.cost_bytes(),
            Self::PublishBatch { batch } => batch.drafts.iter().map(Draft::cost_bytes).sum(),
            _ => 0,
        };
        PARKED_BYTES + said
    }
}

impl Shard {
    /// Lets a question wait where its room is not open. Gives it back where it can be answered now.
    pub(super) fn park(
        &mut self,
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) -> Result<Ask, Refusal> {
        if !self.has_store {
            return Ok(ask);
        }
        let id = match self.rooms.find(name) {
            Some(id) => id,
            // Who was never in a room has nothing to leave.
            None if matches!(
                ask,
                Ask::Leave { .. } | Ask::Rename { .. } | Ask::Verify { .. }
            ) =>
            {
                return Ok(ask);
            }
            None if !self.keeps(self.policies.for_room(name).durability) => return Ok(ask),
            None => self.home_room(name, out)?,
        };
        let parked_max = self.limits.parked_max as usize;
        let Some(room) = self.rooms.at_mut(id) else {
            return Ok(ask);
        };
        let Role::Home(home) = &mut room.role else {
            return Ok(ask);
        };
        let Some(durable) = &mut home.durable else {
            return Ok(ask);
        };
        let publishes = matches!(ask, Ask::Publish { .. } | Ask::PublishBatch { .. });
        let waits = match &durable.stage {
            Stage::Opening => true,
            Stage::Reopening | Stage::Broken(_) => publishes,
            Stage::Open => false,
        };
        let broken = matches!(durable.stage, Stage::Broken(_));
        if !waits {
            return Ok(self.queue_behind(id, asker, ask).unwrap_or(Ask::Parked));
        }
        if broken {
            self.reopen(id, out);
        }
        // A leave must not be lost. What waits is bounded in bytes as well, since no more requests are read then.
        let must = matches!(
            ask,
            Ask::Leave { .. } | Ask::Rename { .. } | Ask::Verify { .. }
        );
        let Some(durable) = self.durable(id) else {
            return Ok(ask);
        };
        if durable.parked.len() >= parked_max && !must {
            return Err(unavailable("too many requests wait for the disk"));
        }
        let bytes = ask.waiting_bytes();
        durable.parked.push(Parked { asker, ask });
        self.pending_bytes += bytes;
        Ok(Ask::Parked)
    }

    /// Questions wait no longer: their bytes are free again.
    pub(super) fn unpark(&mut self, parked: &[Parked]) {
        let bytes: u64 = parked.iter().map(|parked| parked.ask.waiting_bytes()).sum();
        self.pending_bytes -= bytes;
    }

    /// Answers a question that waited, as if it came now.
    pub(super) fn answer_again(
        &mut self,
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) {
        if let Some(answer) = self.at_home(asker, name, ask, out) {
            self.reply(asker, name, answer, out);
        }
        // Each is told before the next is answered, as if they had come one by one.
        if let Some(id) = self.rooms.find(name) {
            self.announce(id, out);
        }
    }

    pub(super) fn refuse_parked(
        &mut self,
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        reason: &str,
        out: &mut Vec<Output>,
    ) {
        let answer = match ask {
            Ask::Pull { after } => Answer::NotPulled { asked: after },
            Ask::Leave { .. } | Ask::Rename { .. } | Ask::Verify { .. } => {
                return self.answer_again(asker, name, ask, out);
            }
            ask => Answer::Refused {
                refusal: unavailable(reason),
                join: matches!(ask, Ask::Join { .. }),
            },
        };
        self.reply(asker, name, answer, out);
    }

    /// Brings an answer to whoever asked, on this core or another.
    pub(super) fn reply(
        &mut self,
        asker: Asker,
        name: &RoomName,
        answer: Answer,
        out: &mut Vec<Output>,
    ) {
        let (conn, ticket) = (asker.origin.conn, asker.ticket);
        if asker.origin.core == self.core {
            return self.answered(conn, ticket, name, answer, out);
        }
        out.push(Output::Link {
            to: asker.origin.core,
            message: LinkMessage::Answer {
                conn,
                ticket,
                room: name.clone(),
                answer,
            },
        });
    }
}
