//! Whoever is here already when the configuration changes: judged again, a slice a turn, so that a server with many Conns goes on serving.
//!
//! What a Conn wants from the change on is decided by the new settings at once, but for grants of its own and for the rooms that it is in: those follow when its
//! slice comes. Only when all have been looked at is the change said to be in force.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use taut_auth::{Auth, AuthError, Identity, Proof};
use taut_gate::Close;
use taut_hub::{ConnId, Grant, Input};

use super::{Conn, Core, Flag};
use crate::talk::Talk;

/// Places that one turn looks at. A token's claims are read anew, some 10 µs each.
const PLACES_PER_TURN: u32 = 128;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Again {
    /// Where the next slice begins.
    pub(crate) next: u32,
    /// Whether it is judged anew who somebody is, and then: whether keys that are fetched come from where they came from.
    pub(crate) keys_stay: Option<bool>,
    /// Whether addresses count otherwise than before.
    pub(crate) counts: bool,
    /// Who waits for the end.
    pub(crate) answers: Vec<Sender<(u16, ())>>,
}

impl Core {
    /// Looks at everybody from now on, or from the beginning again.
    pub(crate) fn begin_again(&mut self, again: Again) {
        let again = match self.again.take() {
            None => again,
            Some(before) => Again {
                next: 0,
                keys_stay: match (before.keys_stay, again.keys_stay) {
                    (Some(one), Some(other)) => Some(one && other),
                    (one, other) => one.or(other),
                },
                counts: before.counts || again.counts,
                answers: before.answers.into_iter().chain(again.answers).collect(),
            },
        };
        self.again = Some(again);
    }

    /// The next slice.
    pub(super) fn go_on_again(&mut self) {
        // Each turn comes by here.
        if self.again.is_none() {
            return;
        }
        let Some(mut again) = self.again.take() else {
            return;
        };
        let end = self.conns.places().min(again.next + PLACES_PER_TURN);
        for slot in again.next..end {
            let Some(id) = self.conns.id(slot) else {
                continue;
            };
            if again.counts {
                self.count_again(id);
            }
            if let Some(keys_stay) = again.keys_stay {
                self.judge_again(id, keys_stay);
            }
        }
        again.next = end;
        if end < self.conns.places() {
            self.again = Some(again);
            return;
        }
        for answer in again.answers {
            // Who asked may have lost patience.
            let _ = answer.send((self.id, ()));
        }
    }

    /// Whether its address and its user count.
    fn count_again(&mut self, id: ConnId) {
        if self.identities.awaits_client(id) {
            return;
        }
        let address = self.client_address(id);
        let address = address.map(|address| SocketAddr::new(address, 0));
        self.limiter.count_again(id.slot, address);
        let user = self
            .identities
            .of(id)
            .and_then(|identity| identity.user.clone());
        // It is let in already, so this cannot fail.
        let _ = self.limiter.belong(id.slot, user.as_ref(), true);
        self.count_user_rooms(id);
    }

    /// Who it is, and what it may do.
    fn judge_again(&mut self, id: ConnId, keys_stay: bool) {
        let has_ended =
            |conn: &mut Conn| conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering);
        if self.conns.find(id).is_none_or(has_ended) || self.is_lifted(id) {
            return;
        }
        let auth = self.identities.doorman.auth();
        let before = self.identities.of(id).cloned();
        if self.has_doorstep() && before.as_ref().is_some_and(|one| one.proof == Proof::Other) {
            // The application has said it, and is not asked again.
            return;
        }
        let (Some(auth), Some(before)) = (auth, before) else {
            return self.judge_nobody(id);
        };
        if !self.identities.asks() {
            return self.judge_nobody(id);
        }
        match self.known_again(id, &auth, &before, keys_stay) {
            Ok(now) if now == *before => self.admit(id, before),
            Ok(now) if now.user == before.user => self.admit(id, Arc::new(now)),
            Ok(_) => self.end_identity(id, Close::Revoked),
            Err(AuthError::Expired { .. }) => self.end_identity(id, Close::Expired),
            Err(error) => {
                tell!(self, id, INFO, %error, "a token that was good is not by the new configuration");
                self.end_identity(id, Close::Revoked);
            }
        }
    }

    fn known_again(
        &mut self,
        id: ConnId,
        auth: &Auth,
        before: &Identity,
        keys_stay: bool,
    ) -> Result<Identity, AuthError> {
        let vouched = |grant: Option<&Arc<Grant>>| {
            let gone = AuthError::Malformed("nobody vouches for it any more");
            grant.ok_or(gone).map(|grant| Identity {
                grant: Arc::clone(grant),
                ..before.clone()
            })
        };
        match &before.proof {
            Proof::Token { .. } => self.identities.doorman.judge_again(before, keys_stay),
            Proof::Certificate => vouched(auth.by_certificate.as_ref()),
            Proof::Proxy => {
                let address = self.peer_address(id);
                let is_theirs = |network: &taut_auth::Network| {
                    address.is_some_and(|address| network.contains(address))
                };
                let proxy = auth.by_proxy.as_ref();
                let proxy = proxy.filter(|proxy| proxy.networks.iter().any(is_theirs));
                vouched(proxy.map(|proxy| &proxy.grant))
            }
            Proof::Other => Ok(before.clone()),
        }
    }

    /// One that has shown nothing, or nothing that counts any more.
    fn judge_nobody(&mut self, id: ConnId) {
        self.dismiss(id);
        let grant = self.anonymous();
        self.hub(Input::Granted {
            conn: id,
            user: None,
            grant,
        });
        // The others end with their only room, or with their request.
        let may_show_one = self.conns.find(id).is_some_and(|conn| {
            matches!(
                conn.talk,
                Talk::Lines(_)
                    | Talk::Text(_)
                    | Talk::Native(..)
                    | Talk::Datagrams(_)
                    | Talk::Engine(_)
            )
        });
        if may_show_one {
            self.await_token(id);
        }
    }

    /// What a Conn may do that shows nothing.
    pub(crate) fn anonymous(&self) -> Arc<Grant> {
        match self.identities.doorman.auth() {
            Some(auth) => Arc::clone(&auth.anonymous),
            None => Arc::new(Grant::open()),
        }
    }
}
