//! Who a Conn is from now on, when that ends, and what was taken back.

use std::sync::Arc;

use taut_auth::{AuthError, Identity};
use taut_gate::{Close, display_name};
use taut_hub::{ConnId, Input, Right, RoomName};

use super::super::{Core, unix_ms};
use super::{Badge, Told, tokens};
use crate::limits::Over;
use crate::talk::Talk;

/// How often an identity's end is looked at again at most, in milliseconds: the clock may be set meanwhile.
const LOOK_MS_MAX: u64 = 3_600_000;

impl Core {
    /// Once a turn: tokens that wait, identities that end, and what was taken back.
    pub(crate) fn look_after_identities(&mut self) {
        self.identities.judged = 0;
        if !self.identities.waiting.is_empty() {
            let revision = self.identities.doorman.revision();
            for waiting in std::mem::take(&mut self.identities.waiting) {
                let is_new = waiting.is_surplus || waiting.revision != revision;
                if is_new || self.now.mono_ms >= waiting.until_ms {
                    self.judge_waiting(waiting);
                } else {
                    self.identities.waiting.push(waiting);
                }
            }
        }
        if self.has_doorstep() {
            self.end_questions();
        }
        let revocations = self.identities.doorman.revocations();
        if revocations != self.identities.revocations {
            self.identities.revocations = revocations;
            self.end_revoked();
        }
        while let Some((due_ms, id)) = self.identities.alarms.first().copied()
            && due_ms <= self.now.mono_ms
        {
            self.identities.alarms.pop_first();
            self.identity_alarm(id);
        }
    }

    /// Gives a Conn that lives on a new identity, which must be the same user's.
    pub(crate) fn renew(
        &mut self,
        id: ConnId,
        identity: Arc<Identity>,
    ) -> Result<Arc<Identity>, Told> {
        if let Some(before) = self.identities.of(id)
            && before.user.is_some()
            && before.user != identity.user
        {
            tracing::info!(conn = %taut_gate::conn_id(self.id, id), "refused a token of another user on a connection that has one");
            return Err(Told::Token(
                "unauthorized",
                "the token is another user's; a connection stays the same user, so open a new one"
                    .into(),
            ));
        }
        self.check_revoked(id, &identity)?;
        self.take_place(id, &identity).map_err(Told::Over)?;
        self.admit(id, Arc::clone(&identity));
        Ok(identity)
    }

    /// Whether an identity still counts that nobody has judged just now: a proxy or a certificate vouches for it, or the application was asked meanwhile.
    pub(super) fn check_revoked(&self, id: ConnId, identity: &Identity) -> Result<(), Told> {
        match self.identities.doorman.revoked(identity) {
            Some(why) => Err(self.told(id, &AuthError::Revoked(why))),
            None => Ok(()),
        }
    }

    /// Takes a place for a Conn among those of the user that it is about to be.
    pub(super) fn take_place(&mut self, id: ConnId, identity: &Identity) -> Result<(), Over> {
        let took = self.limiter.belong(id.slot, identity.user.as_ref(), false);
        took.inspect_err(|over| {
            tell!(
                self,
                id,
                INFO,
                "refused a connection of a user: {}",
                over.text
            );
            self.counts.refusals.count(over.refusal().code());
        })
    }

    /// Notes who a Conn is from now on, and tells the hub.
    pub(crate) fn admit(&mut self, id: ConnId, identity: Arc<Identity>) {
        self.open(id);
        // Whoever comes here without a place is let in for a reason of its own, and counts all the same.
        let _ = self.limiter.belong(id.slot, identity.user.as_ref(), true);
        self.identities.take_badge(id);
        let suggested = identity.name.as_deref().or(identity.user.as_deref());
        let granted = Input::Granted {
            conn: id,
            user: identity.user.clone(),
            grant: Arc::clone(&identity.grant),
        };
        let badge = Badge {
            name: suggested.and_then(|name| display_name(name).ok()),
            due_ms: self.end_of(&identity),
            identity,
        };
        self.identities.alarms.insert((badge.due_ms, id));
        self.identities.badges.insert(id, badge);
        self.hub(granted);
        self.count_user_rooms(id);
    }

    /// Counts for its user in how many rooms a Conn is, where that matters.
    pub(crate) fn count_user_rooms(&mut self, id: ConnId) {
        if self.limiter.counts_rooms(id.slot) && self.conns.find(id).is_some() {
            let bound = self.shard.bound_for(id);
            self.limiter.count_rooms(id.slot, bound);
        }
    }

    /// When to look at the end of an identity, in milliseconds of the core's clock.
    fn end_of(&self, identity: &Identity) -> u64 {
        let left_ms = self.identities.end_ms(identity).saturating_sub(unix_ms());
        self.now.mono_ms + left_ms.clamp(1, LOOK_MS_MAX)
    }

    /// A Conn is nobody again.
    pub(crate) fn dismiss(&mut self, id: ConnId) {
        let _ = self.limiter.belong(id.slot, None, true);
        if self.identities.of(id).is_none() {
            return;
        }
        self.identities.take_badge(id);
        let grant = self.anonymous();
        self.hub(Input::Granted {
            conn: id,
            user: None,
            grant,
        });
    }

    /// Who may do nothing without a token has to show one soon.
    pub(crate) fn await_token(&mut self, id: ConnId) {
        if !self.identities.asks || self.identities.of(id).is_some() {
            return;
        }
        let auth = self.identities.doorman.auth();
        if auth.is_some_and(|auth| auth.anonymous.rules().is_empty()) {
            let due_ms = self.now.mono_ms + self.limits.handshake_ms_max;
            self.identities.alarms.insert((due_ms, id));
        }
    }

    /// Whether a Conn may be in the lobby.
    pub(crate) fn may_enter(&self, id: ConnId, room: &RoomName) -> bool {
        self.shard.allows(id, room, Right::Join)
    }

    fn identity_alarm(&mut self, id: ConnId) {
        let Some(identity) = self.identities.of(id).cloned() else {
            if self.conns.find(id).is_some() && !self.identities.awaits(id) {
                self.close(
                    id,
                    Close::Refused,
                    Some("nobody may do anything here without a token, and none came in time"),
                );
            }
            return;
        };
        if unix_ms() < self.identities.end_ms(&identity) {
            let due_ms = self.end_of(&identity);
            if let Some(badge) = self.identities.badges.get_mut(&id) {
                // This may have been the alarm of who has no badge yet: then the badge's own is still there.
                let own_ms = std::mem::replace(&mut badge.due_ms, due_ms);
                self.identities.alarms.remove(&(own_ms, id));
                self.identities.alarms.insert((due_ms, id));
            }
            return;
        }
        self.end_identity(id, Close::Expired);
    }

    /// Ends every Conn whose identity was taken back.
    fn end_revoked(&mut self) {
        let doorman = Arc::clone(&self.identities.doorman);
        let badges = self.identities.badges.iter();
        let revoked: Vec<ConnId> = badges
            .filter(|(_, badge)| doorman.revoked(&badge.identity).is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in revoked {
            self.end_identity(id, Close::Revoked);
        }
        if let Some(doorstep) = &mut self.identities.doorstep {
            doorstep.forget_decided();
        }
    }

    pub(crate) fn end_identity(&mut self, id: ConnId, close: Close) {
        tracing::info!(conn = %taut_gate::conn_id(self.id, id), reason = close.words().word, "the identity of a connection has ended");
        let is_request = self
            .conns
            .find(id)
            .is_some_and(|conn| matches!(conn.talk, Talk::Http(_)));
        if !is_request {
            return self.close(id, close, None);
        }
        // Each request has its own; only one that waits still has it.
        if self.is_waiting(id) {
            self.last_request(id);
            let (code, text) = match close {
                Close::Revoked => ("unauthorized", close.words().text),
                _ => ("expired", close.words().text),
            };
            self.answer_problem(id, &tokens::invalid(code, text));
        } else {
            self.dismiss(id);
        }
    }
}
