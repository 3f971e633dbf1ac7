//! Native JSON over UDP: a datagram each.
//!
//! Anybody can write any sender's address on a datagram. So an address is believed only after it has said something that only its owner can know: a
//! challenge that was sent there. Until then nothing longer than what came is ever sent back, and a room's messages are not sent at all;
//! otherwise the server could be made to flood somebody who never asked. Publishing needs no proof.
//!
//! A challenge is a keyed hash of the address and the time, so that nothing is kept for peers that may not exist.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use taut_gate::{Close, Command, Format, Speaker, datagram, native};
use taut_hub::{ConnId, Input, Output, Ticket};
use taut_wire::native::{Rejected, Request, Taken, Verb, decode_request};

use super::{Session, Talk};
use crate::core::{Core, Flag, Peer, Stream, ticket_of};
use crate::limits::Cost;
use crate::metrics::DoorAt;

/// How long a challenge holds at least, in milliseconds; at most twice as long.
const CHALLENGE_MS: u64 = 30_000;
/// Characters of a whole challenge: 64 bits, six a character.
const CHALLENGE_CHARS: usize = 11;
/// A request that leaves no space for so many characters is not answered.
const CHALLENGE_CHARS_MIN: usize = 4;
/// Wrong proofs in [`CHALLENGE_MS`] after which only whole challenges are accepted: shortened ones can be guessed.
const GUESSES_MAX: u32 = 256;
/// Bytes of `{"prove":""}`.
const PROVE_BYTES: usize = 12;
/// Publishes of peers without proof that may wait for their answer; further ones are published and not answered.
const UNPROVEN_PENDING_MAX: usize = 1_024;

/// Challenges, made and checked.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    key: RandomState,
    period: u64,
    wrong: u32,
}

impl Proofs {
    /// The challenge for an address at a time.
    fn challenge(&self, peer: Peer, period: u64) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut hash = self.key.hash_one((peer, period));
        let mut text = String::with_capacity(CHALLENGE_CHARS);
        for _ in 0..CHALLENGE_CHARS {
            text.push(char::from(DIGITS[(hash % 64) as usize]));
            hash /= 64;
        }
        text
    }

    /// The challenge cut to what an answer of `bytes_max` bytes can hold.
    fn fitting(&self, peer: Peer, now_ms: u64, bytes_max: usize) -> Option<String> {
        let chars = bytes_max.checked_sub(PROVE_BYTES)?.min(CHALLENGE_CHARS);
        if chars < CHALLENGE_CHARS_MIN {
            return None;
        }
        let mut challenge = self.challenge(peer, now_ms / CHALLENGE_MS);
        challenge.truncate(chars);
        Some(challenge)
    }

    /// Whether a proof is this address's, of this period or the one before.
    fn holds(&mut self, peer: Peer, now_ms: u64, proof: &str) -> bool {
        let period = now_ms / CHALLENGE_MS;
        if self.period != period {
            self.period = period;
            self.wrong = 0;
        }
        let long_enough = proof.len() == CHALLENGE_CHARS
            || (proof.len() >= CHALLENGE_CHARS_MIN && self.wrong < GUESSES_MAX);
        let periods = [period, period.wrapping_sub(1)];
        let right = periods.map(|period| self.challenge(peer, period).starts_with(proof));
        if !right.contains(&true) {
            self.wrong = self.wrong.saturating_add(1);
        }
        long_enough && right.contains(&true)
    }
}

/// What peers without proof have published and not been answered yet. One Conn of a door speaks for all of them.
#[derive(Debug, Default)]
pub(crate) struct Unproven {
    next_ticket: u32,
    pending: VecDeque<Asked>,
}

#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    peer: Peer,
    reference: Option<Box<str>>,
    /// An answer may be as long as the request, and no longer.
    bytes_max: usize,
    taken: Taken,
}

impl Core {
    /// Makes the Conn that speaks for a door's peers without proof.
    pub(crate) fn nobody(&mut self) -> ConnId {
        let talk = Talk::Unproven(Box::default());
        let id = self.conns.insert(Stream::Nobody, talk, self.now.mono_ms);
        self.count_one_more();
        if let Some(conn) = self.conns.find(id) {
            // It is no peer that opened anything, and what it says comes by this door.
            conn.door_at = DoorAt::UDP;
        }
        id
    }

    /// One datagram.
    pub(crate) fn datagram(&mut self, peer: Peer, data: &[u8]) {
        self.counts.door(DoorAt::UDP).bytes_in += data.len() as u64;
        let unit = data.trim_ascii();
        if unit.is_empty() {
            return;
        }
        match self.datagrams.conn_of(peer) {
            Some(id) => self.datagram_of_conn(id, unit),
            None => self.datagram_of_stranger(peer, unit, data.len()),
        }
    }

    /// Why a datagram is not looked at, where it is longer than a message may be.
    fn too_long(&self, unit: &[u8]) -> Option<Rejected<'static>> {
        let (bytes, max) = (unit.len(), self.limits.message_bytes_max);
        (bytes > max).then(|| Rejected {
            code: "message-too-large",
            text: format!("the datagram has {bytes} bytes, at most {max} are taken").into(),
            reference: None,
        })
    }

    fn datagram_of_conn(&mut self, id: ConnId, unit: &[u8]) {
        let now_ms = self.now.mono_ms;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.hear(now_ms);
        // As on any network, what comes too fast is lost.
        let full = matches!(&conn.talk, Talk::Datagrams(session) if session.is_full());
        let choked = conn.waiting_bytes() > self.limits.answers_bytes_max;
        if full || choked || conn.flags.has(Flag::Closing) || self.identities.awaits(id) {
            return;
        }
        match self.too_long(unit) {
            Some(rejected) => self.say_native(id, |out| rejected.encode(out)),
            None => self.native_unit(id, unit),
        }
    }

    fn datagram_of_stranger(&mut self, peer: Peer, unit: &[u8], bytes_max: usize) {
        let decoded = match self.too_long(unit) {
            Some(rejected) => Err(rejected),
            None => decode_request(unit),
        };
        let request = match decoded {
            Ok(request) => request,
            Err(rejected) => {
                return self.reject(peer, bytes_max, &rejected);
            }
        };
        let now_ms = self.now.mono_ms;
        let proven = match &request.proof {
            Some(proof) => self.proofs.holds(peer, now_ms, proof),
            None => false,
        };
        if proven {
            return self.welcome_peer(peer, unit, &request);
        }
        let reference = request.reference_json();
        match &request.verb {
            // Where the application is asked who comes, nobody says anything who is not there.
            Verb::Publish { .. } | Verb::Batch { .. } | Verb::Set { .. } | Verb::Delete { .. }
                if !self.has_doorstep() =>
            {
                self.publish_for_stranger(peer, request, bytes_max);
            }
            Verb::Ping => {
                self.answer_stranger(peer, bytes_max, |out| {
                    native::encode_pong(out, reference, &[]);
                });
            }
            _ => {
                if let Some(challenge) = self.proofs.fitting(peer, now_ms, bytes_max) {
                    self.answer_stranger(peer, bytes_max, |out| {
                        datagram::encode_prove(out, &challenge);
                    });
                }
            }
        }
    }

    /// The address is believed: from now on it is a Conn, and `unit` its first request.
    fn welcome_peer(&mut self, peer: Peer, unit: &[u8], request: &Request<'_>) {
        let is_full = self.datagrams.peer_count() >= self.limits.datagram_peers_max;
        if is_full || self.health.is_heavy() || self.is_draining() {
            let reference = request.reference_json();
            let code = if self.is_draining() {
                "restart"
            } else {
                "full"
            };
            let text = "come back later";
            return self.answer_stranger(peer, usize::MAX, |out| {
                native::encode_error(out, code, reference, text);
            });
        }
        let bill = match self.limiter.admit(peer.address) {
            Ok(bill) => bill,
            Err(over) => {
                let reference = request.reference_json();
                return self.answer_stranger(peer, usize::MAX, |out| {
                    native::encode_refused(out, reference, &over.refusal());
                });
            }
        };
        let stream = Stream::Datagrams(self.datagrams.admit(peer));
        let talk = Talk::Datagrams(Box::<Session>::default());
        let id = self.conns.insert(stream, talk, self.now.mono_ms);
        self.count_one_more();
        self.limiter.put(id.slot, bill);
        self.datagrams.name(peer, id);
        if let Some(conn) = self.conns.find(id) {
            conn.format = Format::Datagrams;
        }
        self.note_door(id);
        self.set_alarm(id.slot, self.limits.proof_ms_max);
        if !self.knock(id, Some(unit.into())) {
            self.native_unit(id, unit);
        }
    }

    /// The application lets a Conn in that came without an HTTP request: what it was asked for is done now.
    pub(crate) fn come_in(&mut self, id: ConnId, first: Option<Box<[u8]>>) {
        match self.conns.find(id).map(|conn| &conn.talk) {
            Some(Talk::Text(_)) => self.come_in_by_text(id),
            Some(Talk::Datagrams(_)) => self.native_unit(id, &first.unwrap_or_default()),
            _ => {}
        }
    }

    fn publish_for_stranger(&mut self, peer: Peer, request: Request<'_>, bytes_max: usize) {
        let Some(nobody) = self.datagrams.nobody(peer.door) else {
            return;
        };
        let speaker = Speaker {
            name: "guest".into(),
            door: taut_hub::Door("udp"),
        };
        let (command, reference) = match native::of_request(request, &speaker) {
            Ok(understood) => understood,
            Err(rejected) => {
                return self.reject(peer, bytes_max, &rejected);
            }
        };
        self.open(nobody);
        let Some(conn) = self.conns.find(nobody) else {
            return;
        };
        let Talk::Unproven(unproven) = &mut conn.talk else {
            return;
        };
        unproven.next_ticket = unproven.next_ticket.wrapping_add(1);
        let ticket = Ticket(unproven.next_ticket);
        let (input, taken) = match command {
            Command::Publish { room, draft, taken } => {
                let conn = nobody;
                let input = Input::Publish {
                    conn,
                    ticket,
                    room,
                    draft,
                };
                (input, taken)
            }
            Command::PublishBatch { room, batch } => {
                let taken = Taken::Batch(u32::try_from(batch.drafts.len()).unwrap_or(u32::MAX));
                let conn = nobody;
                let input = Input::PublishBatch {
                    conn,
                    ticket,
                    room,
                    batch,
                };
                (input, taken)
            }
            _ => return,
        };
        // Whoever forges an address uses up what strangers there may do, and nothing of its owner's.
        let over = Cost::of(&input).map(|cost| self.limiter.charge_stranger(peer.address, cost));
        if let Some(Err(over)) = over {
            let mut answer = Vec::new();
            native::encode_refused(&mut answer, reference, &over.refusal());
            if answer.len() > bytes_max {
                answer.clear();
                datagram::encode_bare_error(&mut answer, "rate-limited", reference);
            }
            return self.answer_stranger(peer, bytes_max, |out| out.extend_from_slice(&answer));
        }
        if unproven.pending.len() < UNPROVEN_PENDING_MAX {
            unproven.pending.push_back(Asked {
                ticket,
                peer,
                reference: reference.map(Into::into),
                bytes_max,
                taken,
            });
        }
        self.hub(input);
    }

    /// The hub's answer to what a peer without proof published.
    pub(crate) fn answer_unproven(&mut self, id: ConnId, output: &Output) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let (Talk::Unproven(unproven), Some(ticket)) = (&mut conn.talk, ticket_of(output)) else {
            return;
        };
        let found = unproven
            .pending
            .iter()
            .position(|asked| asked.ticket == ticket);
        let Some(asked) = found.and_then(|index| unproven.pending.remove(index)) else {
            return;
        };
        let reference = asked.reference.as_deref();
        match output {
            // Fire and forget.
            Output::Published { .. } | Output::Said { .. } if reference.is_none() => {}
            Output::Published { .. } | Output::Said { .. } => {
                let (at, duplicate) = match output {
                    Output::Published { at, duplicate, .. } => (Some(*at), *duplicate),
                    _ => (None, false),
                };
                let mut receipt = Vec::new();
                native::encode_published(&mut receipt, reference, asked.taken, at, duplicate);
                if receipt.len() > asked.bytes_max {
                    receipt.clear();
                    datagram::encode_taken(&mut receipt, asked.taken, reference);
                }
                self.answer_stranger(asked.peer, asked.bytes_max, |out| {
                    out.extend_from_slice(&receipt);
                });
            }
            Output::Refused { refusal, .. } => {
                let mut answer = Vec::new();
                native::encode_refused(&mut answer, reference, refusal);
                if answer.len() > asked.bytes_max {
                    answer.clear();
                    datagram::encode_bare_error(&mut answer, refusal.code(), reference);
                }
                self.answer_stranger(asked.peer, asked.bytes_max, |out| {
                    out.extend_from_slice(&answer);
                });
            }
            _ => {}
        }
    }

    /// Says what is wrong with a request, in as many words as there is space for.
    fn reject(&mut self, peer: Peer, bytes_max: usize, rejected: &Rejected<'_>) {
        self.counts.refusals.count(rejected.code);
        let mut answer = Vec::new();
        rejected.encode(&mut answer);
        if answer.len() > bytes_max {
            answer.clear();
            let reference = rejected.reference_json();
            datagram::encode_bare_error(&mut answer, rejected.code, reference);
        }
        self.answer_stranger(peer, bytes_max, |out| out.extend_from_slice(&answer));
    }

    /// Sends an answer to an address that may not be whose it seems, unless it would be longer than what came from there.
    fn answer_stranger(&mut self, peer: Peer, bytes_max: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut answer = Vec::new();
        encode(&mut answer);
        if answer.len() <= bytes_max && self.datagrams.outgoing.take(peer, &answer) {
            self.counts.door(DoorAt::UDP).bytes_out += answer.len() as u64;
        }
    }

    /// A peer that has said nothing for so long may have left its address to somebody else.
    pub(crate) fn datagram_alarm(&mut self, id: ConnId) {
        let (now_ms, proof_ms) = (self.now.mono_ms, self.limits.proof_ms_max);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let silent_ms = conn.silent_ms(now_ms);
        if silent_ms >= proof_ms {
            let text =
                "nothing came from you for too long; join again, and send a ping now and then";
            self.close(id, Close::Silent, Some(text));
        } else {
            self.set_alarm(id.slot, proof_ms - silent_ms);
        }
    }
}
