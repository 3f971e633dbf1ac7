//! What all cores ask about tokens.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use taut_auth::{
    Auth, AuthError, Identity, Jwks, JwksTimes, Network, Proof, Revocation, Revocations,
};

use super::revoker::Revoking;
use super::{KeySource, Record, RevokeError};
use crate::core::{Alert, unix_ms};

/// See the [module](super).
pub(crate) struct Doorman {
    /// What is configured; a reload replaces it.
    rules: RwLock<Rules>,
    /// Whether there is a thread that fetches keys.
    is_fetching: AtomicBool,
    /// Key ids that a token had and nobody knows, and whether the server ends; the fetching thread waits for either.
    wanted: Mutex<Wanted>,
    asked: Condvar,
    revoked: RwLock<Revocations>,
    record: Mutex<Option<Record>>,
    revoke_line: Mutex<Option<SyncSender<Revoking>>>,
    /// Counts up with whatever may change who is let in.
    revision: AtomicU64,
    /// Counts up with each revocation.
    revocations: AtomicU64,
    alerts: Vec<Arc<Alert>>,
    started: Instant,
}

#[derive(Debug)]
struct Rules {
    auth: Option<Arc<Auth>>,
    proxies: Arc<Vec<Network>>,
    fetched: Option<Arc<Fetched>>,
}

/// The keys that come from elsewhere. Their clock is [`Doorman::elapsed_ms`].
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) source: KeySource,
    pub(super) jwks: RwLock<Jwks>,
}

impl Fetched {
    fn of(auth: Option<&Auth>) -> Option<Arc<Self>> {
        auth.and_then(KeySource::of).map(|source| {
            let times = source.times(JwksTimes::default());
            let jwks = RwLock::new(Jwks::new(times));
            Arc::new(Self { source, jwks })
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Wanted {
    key_id: Option<Option<String>>,
    /// Keys come from elsewhere than before.
    moved: bool,
    ended: bool,
}

/// What a token came to.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It is good.
    In(Arc<Identity>),
    /// It may be by a key that is being fetched.
    Later,
    /// It is not.
    No(AuthError),
}

impl Doorman {
    pub(crate) fn new(
        auth: Option<Arc<Auth>>,
        proxies: Arc<Vec<Network>>,
        record: Option<(Record, Revocations)>,
        alerts: Vec<Arc<Alert>>,
    ) -> Self {
        let (record, revoked) = match record {
            Some((record, revoked)) => (Some(record), revoked),
            None => (None, Revocations::default()),
        };
        Self {
            rules: RwLock::new(Rules {
                fetched: Fetched::of(auth.as_deref()),
                auth,
                proxies,
            }),
            is_fetching: AtomicBool::new(false),
            wanted: Mutex::default(),
            asked: Condvar::new(),
            revoked: RwLock::new(revoked),
            record: Mutex::new(record),
            revoke_line: Mutex::default(),
            revision: AtomicU64::new(1),
            revocations: AtomicU64::new(0),
            alerts,
            started: Instant::now(),
        }
    }

    /// What is configured; `None` where nobody is asked.
    pub(crate) fn auth(&self) -> Option<Arc<Auth>> {
        self.rules().auth.clone()
    }

    fn rules(&self) -> RwLockReadGuard<'_, Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other settings into force: whatever is judged from now on, on any core, is judged by them. Who is here already is for the cores to judge again.
    ///
    /// Whether keys still come from where they came from; then those that are there stay.
    pub(crate) fn replace(&self, auth: Option<Arc<Auth>>, proxies: Arc<Vec<Network>>) -> bool {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let before = rules.fetched.as_ref().map(|fetched| &fetched.source);
        let stays = before == auth.as_deref().and_then(KeySource::of).as_ref();
        if !stays {
            rules.fetched = Fetched::of(auth.as_deref());
        }
        let authorities = |auth: &Option<Arc<Auth>>| {
            auth.as_deref()
                .and_then(|auth| auth.jwks_authorities.clone())
        };
        if authorities(&rules.auth) != authorities(&auth)
            && let Some(fetched) = &rules.fetched
        {
            let mut jwks = fetched.jwks.write().unwrap_or_else(PoisonError::into_inner);
            jwks.forget_failures();
        }
        rules.auth = auth;
        rules.proxies = proxies;
        drop(rules);
        if !stays {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.moved = true;
            self.asked.notify_all();
        }
        self.bump();
        stays
    }

    /// Whether any proxy may say whose its connections and requests are.
    pub(crate) fn has_proxies(&self) -> bool {
        !self.rules().proxies.is_empty()
    }

    /// Whether a proxy at this address may say whom it connects for.
    pub(crate) fn trusts_proxy(&self, address: IpAddr) -> bool {
        let rules = self.rules();
        rules
            .proxies
            .iter()
            .any(|network| network.contains(address))
    }

    /// The keys that come from elsewhere, where there are any.
    pub(super) fn fetched(&self) -> Option<Arc<Fetched>> {
        self.rules().fetched.clone()
    }

    /// Whether a thread is needed that fetches keys, and there is none yet: who asks starts it.
    pub(crate) fn needs_thread(&self) -> bool {
        self.fetched().is_some() && !self.is_fetching.swap(true, Ordering::AcqRel)
    }

    /// Judges a token. `patient`: [`Judged::Later`] may be answered, where a key is on its way.
    pub(crate) fn judge(&self, token: &str, patient: bool) -> Judged {
        let (auth, fetched) = {
            let rules = self.rules();
            (rules.auth.clone(), rules.fetched.clone())
        };
        let Some(auth) = auth else {
            return Judged::No(AuthError::Malformed("nobody is asked for tokens"));
        };
        let now_s = unix_ms() / 1_000;
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let verdict = match &fetched {
            None => auth.verifier.verify(token, &[], &revoked, now_s),
            Some(fetched) => {
                let jwks = fetched.jwks.read().unwrap_or_else(PoisonError::into_inner);
                let keys = jwks.keys(self.elapsed_ms());
                auth.verifier.verify(token, &[keys], &revoked, now_s)
            }
        };
        drop(revoked);
        match verdict {
            Ok(identity) => Judged::In(Arc::new(identity)),
            Err(AuthError::UnknownKey { key_id, .. })
                if patient
                    && fetched
                        .is_some_and(|fetched| self.may_come(&fetched, key_id.as_deref())) =>
            {
                self.want(key_id);
                Judged::Later
            }
            Err(error) => Judged::No(error),
        }
    }

    /// Judges a token again that was good before, by the settings in force. What it claims is looked at anew; its signature is good as long as its key is
    /// there. `keys_stay`: keys that were fetched come from where they came from, and what such a set loses ends nobody who is here.
    pub(crate) fn judge_again(
        &self,
        before: &Identity,
        keys_stay: bool,
    ) -> Result<Identity, AuthError> {
        let gone = AuthError::Malformed("its key is none any more");
        let auth = self.auth().ok_or(gone.clone())?;
        if let Proof::Token {
            key, is_fetched, ..
        } = before.proof
            && !auth.verifier.has_key(key)
            && !(is_fetched && keys_stay)
        {
            return Err(gone);
        }
        auth.verifier.judge_again(before, unix_ms() / 1_000)
    }

    /// Whether fetching may bring a key.
    fn may_come(&self, fetched: &Fetched, key_id: Option<&str>) -> bool {
        // A file is read as soon as it changes.
        let KeySource::Url(_) = fetched.source else {
            return false;
        };
        let jwks = fetched.jwks.read().unwrap_or_else(PoisonError::into_inner);
        jwks.is_under_way() || jwks.needs_fetch(key_id, self.elapsed_ms())
    }

    /// Why an identity that was let in counts no more.
    pub(crate) fn revoked(&self, identity: &Identity) -> Option<&'static str> {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.of(identity)
    }

    /// Takes back what can be, and says of each what came of it. All of them are on the disk when this returns, by one write.
    pub(super) fn revoke(&self, revocations: &[Revocation]) -> Vec<Result<(), RevokeError>> {
        let now_s = unix_ms() / 1_000;
        let life_s_max = self
            .auth()
            .map_or(taut_auth::Demands::default().life_s_max, |auth| {
                let demands = &auth.verifier.demands;
                demands.life_s_max.saturating_add(demands.leeway_s)
            });
        // One write at a time, so that lines stand in the order in which they came into force.
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let mut outcomes = Vec::with_capacity(revocations.len());
        let mut lines = String::new();
        for revocation in revocations {
            let outcome = revocation.check(now_s).map_err(RevokeError::from);
            let outcome = outcome.and_then(|()| Ok(revoked.revoke(revocation, life_s_max, now_s)?));
            if outcome.is_ok() {
                let until_s = now_s.saturating_add(life_s_max);
                lines += &Revocations::encode_line(revocation, until_s);
            }
            outcomes.push(outcome);
        }
        drop(revoked);
        if lines.is_empty() {
            return outcomes;
        }
        self.revocations.fetch_add(1, Ordering::Release);
        self.bump();
        let all = || {
            let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
            revoked.encode()
        };
        let kept = record.as_mut().map(|record| record.append(&lines, all));
        if let Some(Err(error)) = kept {
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(error.clone().into());
            }
        }
        outcomes
    }

    /// The line of those who ask for revocations, which begins with the first.
    pub(super) fn revoke_line(&self) -> MutexGuard<'_, Option<SyncSender<Revoking>>> {
        self.revoke_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn revoked_count(&self) -> usize {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.len()
    }

    /// Counts up with whatever may change who is let in: what was judged before may not hold.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Counts up with each revocation.
    pub(crate) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::Acquire)
    }

    /// Something has changed: every core looks again.
    pub(super) fn bump(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
        for alert in &self.alerts {
            alert.raise();
        }
    }

    /// Milliseconds of the clock by which keys age.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks the fetching thread for a key.
    fn want(&self, key_id: Option<String>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.key_id = Some(key_id);
        self.asked.notify_all();
    }

    /// Waits until a key is wanted, gives its id, or `None` when the time is up or keys come from elsewhere; an error when the server ends.
    pub(super) fn wait_for_wish(&self, time: Duration) -> Result<Option<Option<String>>, ()> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.asked.wait_timeout_while(wanted, time, |wanted| {
            wanted.key_id.is_none() && !wanted.moved && !wanted.ended
        });
        let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if wanted.ended {
            return Err(());
        }
        wanted.moved = false;
        Ok(wanted.key_id.take())
    }

    /// The server ends.
    pub(crate) fn end(&self) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.ended = true;
        self.asked.notify_all();
    }
}

impl std::fmt::Debug for Doorman {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doorman")
    }
}
