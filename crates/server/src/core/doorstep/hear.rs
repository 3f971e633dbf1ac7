//! What the application says of newcomers, and what comes of it.

use std::sync::Arc;

use taut_auth::Identity;
use taut_gate::Close;
use taut_gate::http::Problem;
use taut_hub::ConnId;

use super::super::identity::Told;
use super::super::{Asker, Conn, Core, Flag, unix_ms};
use super::Decided;
use super::terms::identity_of;
use crate::hooks::{Declined, Entry, OnFailure};

/// How long a decision holds for later requests of the same connection that ask the same, in milliseconds.
const KEPT_MS: u64 = 60_000;
/// What the word for programs is where nobody could be asked.
const UNAVAILABLE: &str = "unavailable";
const NOT_ASKED: &str =
    "the application could not be asked whether to let you in; try again in a moment";

impl Core {
    /// Ends the questions that nobody has answered in time.
    pub(crate) fn end_questions(&mut self) {
        let now_ms = self.now.mono_ms;
        while let Some((id, number)) = self
            .identities
            .doorstep
            .as_mut()
            .and_then(|doorstep| doorstep.overdue(now_ms))
        {
            tell_often!(WARN, "a webhook did not answer in time about a newcomer");
            let entry = self.entry_of_failure();
            self.hear_of_newcomer(id, number, entry);
        }
    }

    fn entry_of_failure(&self) -> Entry {
        let doorstep = self.identities.doorstep.as_deref();
        match doorstep.map(|doorstep| doorstep.on_failure) {
            Some(OnFailure::Allow) => Entry::Unasked,
            _ => Entry::Failed,
        }
    }

    /// The application has said whether a Conn may come in.
    pub(crate) fn hear_of_newcomer(&mut self, id: ConnId, number: u32, entry: Entry) {
        let Some(doorstep) = self.identities.doorstep.as_mut() else {
            return;
        };
        // The Conn may have gone, or waited long enough.
        if doorstep.waiting.get(&id).is_none_or(|w| w.number != number) {
            return;
        }
        let Some(waiting) = doorstep.waiting.remove(&id) else {
            return;
        };
        let is_over =
            |conn: &mut Conn| conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering);
        if self.conns.find(id).is_none_or(is_over) {
            return;
        }
        if let Asker::Request = waiting.asker {
            let decided = Decided {
                gist: waiting.gist,
                entry,
                until_ms: self.now.mono_ms + KEPT_MS,
            };
            if let Some(doorstep) = &mut self.identities.doorstep {
                doorstep.decided.insert(id, decided);
            }
            self.set_alarm(id.slot, self.limits.handshake_ms_max);
            return self.resume_input(id.slot);
        }
        self.resume_input(id.slot);
        let before = self.identities.of(id).cloned();
        let shown = waiting.shown;
        match self.terms_of(id, entry, shown.as_deref(), before.as_deref()) {
            Err(declined) => self.decline(id, waiting.asker, &declined),
            Ok(decided) => {
                // What it has shown holds, where the application adds nothing.
                let identity = decided.map(Arc::new).or(shown).or(before);
                let outcome = match identity {
                    Some(identity) => self.renew(id, identity).map(Some),
                    None => Ok(None),
                };
                self.answer_asker(id, waiting.asker, outcome);
            }
        }
    }

    /// The head of a request is read again, and it is known what the application says.
    pub(super) fn go_by(
        &mut self,
        id: ConnId,
        decided: Decided,
        shown: Option<&Identity>,
        is_plain: bool,
    ) -> Option<Option<Problem>> {
        match self.terms_of(id, decided.entry.clone(), shown, None) {
            Err(declined) => Some(Some(declined.problem())),
            Ok(identity) => {
                let ends_ms = identity.as_ref().map_or(u64::MAX, |identity| {
                    let left_s = identity.expires_s.saturating_sub(unix_ms() / 1_000);
                    self.now
                        .mono_ms
                        .saturating_add(left_s.saturating_mul(1_000))
                });
                if let Some(identity) = identity {
                    let refused = self.admit_request(id, Arc::new(identity));
                    if refused.is_some() {
                        return refused;
                    }
                }
                let is_kept = is_plain && matches!(decided.entry, Entry::Allow(_));
                if let Some(doorstep) = self.identities.doorstep.as_mut().filter(|_| is_kept) {
                    let until_ms = decided.until_ms.min(ends_ms);
                    doorstep.decided.insert(
                        id,
                        Decided {
                            until_ms,
                            ..decided
                        },
                    );
                }
                None
            }
        }
    }

    /// What an answer comes to: another identity than what it has `shown` and was `before`, or none; or a refusal. Terms that make no sense are a failure.
    fn terms_of(
        &mut self,
        id: ConnId,
        entry: Entry,
        shown: Option<&Identity>,
        before: Option<&Identity>,
    ) -> Result<Option<Identity>, Refused> {
        let entry = match entry {
            Entry::Allow(terms) => {
                let auth = self.identities.doorman.auth();
                match identity_of(&terms, shown, before, auth.as_deref(), unix_ms() / 1_000) {
                    Ok(identity) => return Ok(identity),
                    Err(text) => {
                        tell_often!(
                            WARN,
                            "the answer of the webhook for connect is refused: {text}"
                        );
                        self.entry_of_failure()
                    }
                }
            }
            entry => entry,
        };
        match entry {
            Entry::Decline(declined) => {
                tell!(self, id, INFO, reason = declined.code(), said = %declined.reason, "the application refused a newcomer");
                Err(Refused::Declined(declined))
            }
            Entry::Failed => Err(Refused::Unavailable),
            Entry::Unasked | Entry::Allow(_) => Ok(None),
        }
    }

    /// Says no in the words of whoever asked; a request is answered where its head is read again.
    fn decline(&mut self, id: ConnId, asker: Asker, refused: &Refused) {
        self.counts.refusals.count(refused.code());
        match asker {
            Asker::Newcomer(_) => {
                let close = match refused {
                    Refused::Declined(_) => Close::Refused,
                    Refused::Unavailable => Close::Unavailable,
                };
                self.close(id, close, Some(refused.reason()));
            }
            Asker::Enter(namespace, ..) => match refused {
                Refused::Declined(declined) if declined.data.is_some() => {
                    let data = declined.data.as_deref().unwrap_or_default();
                    self.say_refused(id, &namespace, &declined.reason, data.as_bytes());
                }
                refused => {
                    let (code, reason) = (refused.code(), refused.reason());
                    self.refuse_namespace(id, &namespace, reason, code, reason);
                }
            },
            asker => {
                let told = Told::Token(refused.code(), refused.reason().to_owned().into());
                self.answer_asker(id, asker, Err(told));
            }
        }
    }
}

/// Why somebody is not let in.
enum Refused {
    Declined(Box<Declined>),
    Unavailable,
}

impl Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Declined(declined) => declined.code(),
            Self::Unavailable => UNAVAILABLE,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Declined(declined) => &declined.reason,
            Self::Unavailable => NOT_ASKED,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Declined(declined) => {
                Problem::new(declined.status, declined.code(), declined.reason.as_str())
            }
            Self::Unavailable => Problem {
                retry_s: Some(1),
                ..Problem::new(503, UNAVAILABLE, NOT_ASKED)
            },
        }
    }
}
