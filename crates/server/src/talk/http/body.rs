//! Requests with a body: what is said in it, and what it is said to.

use std::sync::Arc;

use taut_gate::http::{Deletion, Publish};
use taut_gate::native;
use taut_hub::{ConnId, Door, Draft, Input, Wish};
use taut_wire::http::{BodyDecoder, Framing};
use taut_wire::native::Taken;

use super::super::{Step, Talk};
use super::{Phase, Question, THE_REQUEST, guest};
use crate::core::Core;

impl Core {
    pub(super) fn expect_body(
        &mut self,
        id: ConnId,
        publish: Publish,
        framing: Framing,
        expects: bool,
    ) {
        let bytes_max = self.limits.message_bytes_max;
        let decoder = match BodyDecoder::new(framing, bytes_max as u64) {
            Ok(decoder) => decoder,
            Err(error) => {
                // Say so now rather than after the client has sent it all.
                self.http_violation_now(id, &error);
                return;
            }
        };
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if expects {
            conn.answers()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if let Talk::Http(talk) = &mut conn.talk {
            talk.phase = Phase::Body {
                decoder,
                publish: Box::new(publish),
                bytes: Vec::new(),
            };
        }
        if expects {
            self.touch(id.slot);
        }
        self.finish_body(id);
    }

    pub(super) fn body(&mut self, id: ConnId, data: &[u8]) -> Step {
        let Some(talk) = self.http_talk(id) else {
            return Step::More;
        };
        let Phase::Body { decoder, bytes, .. } = &mut talk.phase else {
            return Step::More;
        };
        match decoder.decode(data) {
            Err(error) => self.http_violation(id, &error),
            Ok(step) => {
                bytes.extend_from_slice(step.data);
                let consumed = step.consumed;
                if consumed == 0 && !step.done {
                    return Step::More;
                }
                self.finish_body(id);
                Step::Took(consumed)
            }
        }
    }

    /// Goes on when the body is whole.
    pub(super) fn finish_body(&mut self, id: ConnId) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        if !matches!(&talk.phase, Phase::Body { decoder, .. } if decoder.is_done()) {
            return;
        }
        let phase = std::mem::take(&mut talk.phase);
        if let Phase::Body { publish, bytes, .. } = phase {
            self.publish(id, *publish, bytes);
        }
    }

    /// As who a request speaks: the name that it gives, that of its identity, or nobody's.
    fn named(&self, id: ConnId, given: Option<Arc<str>>) -> Arc<str> {
        let name = given.or_else(|| self.identities.name(id));
        name.unwrap_or_else(guest)
    }

    pub(super) fn publish(&mut self, id: ConnId, publish: Publish, bytes: Vec<u8>) {
        let from = self.named(id, publish.name.clone());
        if matches!(publish.taken, Taken::Batch(_)) {
            return self.publish_batch(id, &publish, &bytes, &from);
        }
        let body = match publish.kind.body(bytes) {
            Ok(body) => body,
            Err(problem) => return self.answer_problem(id, &problem),
        };
        self.ask_hub(id, Question::Take(publish.taken), |conn, door| {
            Input::Publish {
                conn,
                ticket: THE_REQUEST,
                room: publish.room,
                draft: Draft {
                    event: publish.event,
                    key: publish.key,
                    id: publish.id,
                    wish: Wish::Set {
                        ttl_ms: publish.ttl_ms,
                    },
                    expect: publish.expect,
                    lane: publish.lane,
                    ..Draft::new(from, door, body)
                },
            }
        });
    }

    pub(super) fn publish_batch(
        &mut self,
        id: ConnId,
        publish: &Publish,
        bytes: &[u8],
        from: &Arc<str>,
    ) {
        let batch = match publish.batch(bytes, from, Door("http")) {
            Ok(batch) => batch,
            Err(problem) => return self.answer_problem(id, &problem),
        };
        let count = u32::try_from(batch.drafts.len()).unwrap_or(u32::MAX);
        self.ask_hub(id, Question::Take(Taken::Batch(count)), |conn, _| {
            Input::PublishBatch {
                conn,
                ticket: THE_REQUEST,
                room: publish.room.clone(),
                batch,
            }
        });
    }

    pub(super) fn delete(&mut self, id: ConnId, deletion: Deletion) {
        let from = self.named(id, deletion.name.clone());
        self.ask_hub(id, Question::Take(Taken::Delete), |conn, door| {
            Input::Publish {
                conn,
                ticket: THE_REQUEST,
                room: deletion.room,
                draft: Draft {
                    id: deletion.id,
                    expect: deletion.expect,
                    ..native::deletion(from, door, deletion.key)
                },
            }
        });
    }
}
