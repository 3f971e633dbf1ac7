//! Tokens that Conns show by messages of their own: judged, or put off, and answered.

use std::borrow::Cow;
use std::sync::Arc;

use taut_auth::{AuthError, Identity};
use taut_gate::http::Problem;
use taut_gate::socketio::Auth;
use taut_gate::{Close, native, text};
use taut_hub::ConnId;

use super::super::{Core, Flag};
use super::FETCH_MS_MAX;
use crate::identity::Judged;
use crate::limits::Over;

/// A token that is not judged yet. There is one at a time of a Conn, which is paused.
pub(super) struct Waiting {
    pub(super) conn: ConnId,
    pub(super) token: Box<str>,
    pub(super) asker: Asker,
    pub(super) until_ms: u64,
    /// It was too many for its turn; otherwise it waits for a key.
    pub(super) is_surplus: bool,
    /// What the doorman knew when it was looked at last.
    pub(super) revision: u64,
}

/// Whom to answer.
#[derive(Debug)]
pub(crate) enum Asker {
    /// A request; its head is read again.
    Request,
    /// `{"auth":…}`, with its `ref`.
    Native(Option<Box<str>>),
    /// `/auth`.
    Text,
    /// Nobody: it has just come, and may have brought a datagram.
    Newcomer(Option<Box<[u8]>>),
    /// A CONNECT of Socket.IO: the namespace and what it brought; where the application is asked, also as it came.
    Enter(Box<str>, Box<Auth>, Box<str>),
    /// `emit("auth", …)`: the namespace and the acknowledgement.
    Verb(Arc<str>, Option<u64>),
}

impl Core {
    /// A Conn shows a token by a message of its own; it is judged at once, or as soon as it can be.
    pub(crate) fn show_token(&mut self, id: ConnId, token: Box<str>, asker: Asker) {
        if !self.identities.asks {
            // It means something to the application alone.
            return self.ask_for_entry(id, asker, Some(&token), None);
        }
        let until_ms = self.now.mono_ms + FETCH_MS_MAX;
        self.judge_waiting(Waiting {
            conn: id,
            token,
            asker,
            until_ms,
            is_surplus: false,
            revision: 0,
        });
    }

    pub(super) fn judge_waiting(&mut self, waiting: Waiting) {
        let id = waiting.conn;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering) {
            return;
        }
        let patient = self.now.mono_ms < waiting.until_ms;
        if let Asker::Request = waiting.asker {
            if !patient && let Some(talk) = self.http_talk(id) {
                talk.is_impatient = true;
            }
            // Its head is read again, and judged anew.
            return self.resume_input(id.slot);
        }
        match self.identities.judge(&waiting.token, patient) {
            Judged::Later => self.wait_with(waiting),
            Judged::In(identity) if self.has_doorstep() => {
                self.ask_for_entry(id, waiting.asker, Some(&waiting.token), Some(identity));
            }
            Judged::In(identity) => {
                self.resume_input(id.slot);
                let outcome = self.renew(id, identity).map(Some);
                self.answer_asker(id, waiting.asker, outcome);
            }
            Judged::No(error) => {
                self.resume_input(id.slot);
                let told = self.told(id, &error);
                self.answer_asker(id, waiting.asker, Err(told));
            }
        }
    }

    /// A token is judged later; until then nothing else of its Conn is read.
    pub(super) fn wait_with(&mut self, waiting: Waiting) {
        if let Some(conn) = self.conns.find(waiting.conn) {
            conn.flags.set(Flag::Paused, true);
        }
        let waiting = Waiting {
            is_surplus: self.identities.is_spent(),
            revision: self.identities.doorman.revision(),
            ..waiting
        };
        self.identities.waiting.push(waiting);
    }

    /// Logs why a token is not taken, and says what the peer may know.
    pub(super) fn told(&self, id: ConnId, error: &AuthError) -> Told {
        tracing::info!(conn = %taut_gate::conn_id(self.id, id), %error, "refused a token");
        Told::Token(error.code(), error.said().into())
    }

    pub(crate) fn answer_asker(
        &mut self,
        id: ConnId,
        asker: Asker,
        outcome: Result<Option<Arc<Identity>>, Told>,
    ) {
        match (asker, outcome) {
            (Asker::Request, _) => {}
            (Asker::Newcomer(first), Ok(_)) => self.come_in(id, first),
            (Asker::Newcomer(_), Err(told)) => match told {
                Told::Token(_, said) => self.close(id, Close::Refused, Some(&said)),
                Told::Over(over) => {
                    let retry_ms = u32::try_from(over.retry_ms()).unwrap_or(u32::MAX);
                    self.close(id, Close::RateLimited(retry_ms), None);
                }
            },
            (Asker::Native(reference), Ok(identity)) => self.say_native(id, |out| {
                let (user, expires_s) = facts(identity.as_deref());
                native::encode_authed(out, reference.as_deref(), user, expires_s);
            }),
            (Asker::Native(reference), Err(told)) => {
                self.say_native(id, |out| told.encode(out, reference.as_deref()));
            }
            (Asker::Text, Ok(identity)) => {
                self.say_text(id, |out| {
                    text::encode_authed(out, facts(identity.as_deref()).0);
                });
                self.enter_if_nowhere(id);
            }
            (Asker::Text, Err(told)) => self.say_text(id, |out| match told {
                Told::Token(_, said) => text::encode_error(out, &said),
                Told::Over(over) => text::encode_refused(out, &over.refusal()),
            }),
            (Asker::Enter(namespace, auth, _), Ok(_)) => self.enter_known(id, &namespace, *auth),
            (Asker::Enter(namespace, ..), Err(told)) => match told {
                Told::Token(code, said) => {
                    self.refuse_namespace(id, &namespace, code, code, &said);
                }
                Told::Over(over) => self.refuse_entering(id, &namespace, &over.refusal()),
            },
            (Asker::Verb(namespace, ack), outcome) => {
                let mut unit = Vec::new();
                match outcome {
                    Ok(identity) => {
                        let (user, expires_s) = facts(identity.as_deref());
                        native::encode_authed(&mut unit, None, user, expires_s);
                        self.say_ack(id, &namespace, ack, &unit);
                    }
                    Err(told) => {
                        told.encode(&mut unit, None);
                        self.say_refusal(id, &namespace, ack, &unit);
                    }
                }
            }
        }
        self.end_if_done(id);
    }
}

/// The user that somebody is told to be, and until when, in seconds of Unix time; 0 for ever.
fn facts(identity: Option<&Identity>) -> (Option<&str>, u64) {
    let ends_s = identity.map_or(0, |identity| match identity.expires_s {
        u64::MAX => 0,
        ends_s => ends_s,
    });
    let user = identity.and_then(|identity| identity.user.as_deref());
    (user, ends_s)
}

/// Why somebody is not let in.
pub(crate) enum Told {
    /// Its token is not taken: the word and the sentence.
    Token(&'static str, Cow<'static, str>),
    /// Its user has too many connections, or opens them too fast.
    Over(Over),
}

impl Told {
    /// As native units say it.
    fn encode(&self, out: &mut Vec<u8>, reference: Option<&str>) {
        match self {
            Self::Token(code, said) => native::encode_error(out, code, reference, said),
            Self::Over(over) => native::encode_refused(out, reference, &over.refusal()),
        }
    }

    pub(super) fn problem(&self) -> Problem {
        match self {
            Self::Token(code, said) => invalid(code, said),
            Self::Over(over) => taut_gate::http::refused(&over.refusal()),
        }
    }
}

/// A 401 for a token that is not taken (RFC 6750 §3.1).
pub(super) fn invalid(code: &'static str, said: &str) -> Problem {
    Problem {
        challenge: Some("invalid_token"),
        ..Problem::new(401, code, said)
    }
}
