//! Another configuration for a server that runs: what can change between two turns, handed to every core as one value.
//!
//! Whoever reads configuration decides what is in it and what needs a restart. What may yet be wrong with it is found out before anything is changed, so nothing
//! here can fail halfway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use taut_gate::http::Site;
use taut_hub::{Input, Policies};

use crate::config::{Config, Limits};
use crate::core::{Again, Core};
use crate::hooks::{Hook, Hooks};
use crate::identity::Doorman;
use crate::limits::{Limits as SharedLimits, Memory};
use crate::listen::{self, Address, Bound, Speaks};
use crate::orders::{Order, Orders};
use crate::stop::Stopper;
use crate::tls::Renewal;

mod request;

pub(crate) use request::{Answered, ReloadLine};
pub use request::{ReloadRequest, ReloadRequests, Reloaded};

/// How long a core may take to hear of it, and to look at everybody who is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every core goes by from now on.
#[derive(Debug)]
pub(crate) struct Update {
    site: Arc<Site>,
    limits: Limits,
    hub: taut_hub::Limits,
    policies: Arc<Policies>,
    /// As in [`Again`].
    keys_stay: Option<bool>,
    counts: bool,
}

/// Changes the configuration of a running [`Server`](crate::Server) from any thread.
#[derive(Debug, Clone)]
pub struct Reloader {
    pub(crate) orders: Orders,
    /// What does not change, and what the rest is derived from.
    pub(crate) site: Arc<Site>,
    pub(crate) serves_files: bool,
    pub(crate) conns_max: Arc<AtomicUsize>,
    pub(crate) memory_bytes_max: Arc<AtomicU64>,
    pub(crate) rates: Arc<SharedLimits>,
    pub(crate) datagram_bytes_max: usize,
    /// Whether the application decided from the start who comes in.
    pub(crate) is_decided: bool,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) doorman: Arc<Doorman>,
    /// Certificates, when there are any.
    pub(crate) renewal: Option<Arc<Renewal>>,
    pub(crate) requires_tls: Arc<AtomicBool>,
    pub(crate) bound: Arc<[Bound]>,
    pub(crate) stopper: Stopper,
    pub(crate) line: ReloadLine,
    pub(crate) outcomes: Arc<Outcomes>,
}

/// How often a reload was tried, for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) applied: AtomicU64,
    pub(crate) refused: AtomicU64,
}

impl Reloader {
    /// Counts a reload for `/metrics`: whether it came into force, or was refused for its mistakes.
    pub fn note_reload(&self, applied: bool) {
        let Outcomes {
            applied: yes,
            refused: no,
        } = &*self.outcomes;
        let outcome = if applied { yes } else { no };
        outcome.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks for a reload without waiting for it, as a signal does. False where so many are asked for that this one adds nothing.
    #[must_use]
    pub fn request(&self) -> bool {
        self.line.ask(ReloadRequest::of_nobody()).is_ok()
    }

    /// Whether there is TLS, so that its settings can change: who began without has nothing that shakes hands.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.renewal.is_some()
    }

    /// Whether `tls.required` can change: not while an address is open that could only speak clear text.
    #[must_use]
    pub fn may_require_tls(&self) -> bool {
        let is_clear = |bound: &Bound| match bound.address {
            Address::Tcp(_) => matches!(bound.speaks, Speaks::Text),
            Address::Udp(_) => true,
            Address::Unix(_) => false,
        };
        self.has_tls() && !self.bound.iter().any(is_clear)
    }

    /// Puts into force what of `config` can change while the server runs: who may come in, certificates, webhooks (but whether newcomers are put before one), Host and Origin lists, the cookie, compression, policies,
    /// limits, rates and the hub's budgets. Every core takes it between two turns and then looks at everybody who is there; rooms take their policies
    /// within the next few turns. The rest of `config` is passed over.
    ///
    /// How many cores have not answered within 10 s: 0 when it is in force everywhere. They take it when they turn again.
    ///
    /// # Errors
    /// What is wrong with it. Nothing has changed then.
    pub fn reload(&self, config: &Config) -> Result<usize, String> {
        let decides = self.is_decided && listen::is_decided(config);
        if !decides && !listen::asks(config) && !self.site.loopback_only {
            return Err("nobody would be asked who they are, on an address that others reach: keep a key in [auth], or set `open = true`".to_owned());
        }
        let papers = match &self.renewal {
            Some(renewal) if config.tls.has_certificates() => {
                renewal.prepare(&config.tls).map_err(|e| e.to_string())?
            }
            _ => None,
        };
        let hooks = self.hooks.prepare(&config.webhooks);
        let hooks = hooks.map_err(|error| format!("webhooks cannot speak TLS: {error}"))?;
        let threads = hooks.came.iter().flat_map(Hook::threads).collect();
        crate::server::ask_for(&self.hooks, threads, &self.stopper).map_err(|e| e.to_string())?;
        self.hooks.apply(&hooks);
        if let (Some(renewal), Some(papers)) = (&self.renewal, papers) {
            renewal.apply(papers);
        }
        if self.may_require_tls() {
            self.requires_tls
                .store(config.tls.required, Ordering::Relaxed);
        }
        let asked = self.doorman.auth().is_some() || config.auth.is_some();
        let stays = self
            .doorman
            .replace(config.auth.clone(), Arc::clone(&config.proxies));
        if self.doorman.needs_thread() {
            crate::server::fetch_keys(&self.doorman, &self.stopper).map_err(|e| e.to_string())?;
        }
        let counts = self.rates.replace(&config.limits.rates);
        let memory_bytes_max = Memory::most(config.limits.rates.memory_bytes_max);
        self.memory_bytes_max
            .store(memory_bytes_max, Ordering::Relaxed);
        let conns_max = crate::server::conns_max(config.limits.conns_max, self.serves_files);
        let sockets_max = crate::server::sockets_max(conns_max);
        self.conns_max.store(sockets_max, Ordering::Relaxed);
        let update = Arc::new(Update {
            site: Arc::new(Site {
                loopback_only: self.site.loopback_only,
                hosts: config.hosts.clone(),
                origins: config.origins.clone(),
                wait_ms_max: config.limits.wait_ms_max,
                compression: config.compression,
                files: self.site.files,
                engines: self.site.engines.clone(),
                cookie: config.cookie.clone(),
            }),
            limits: Limits {
                conns_max,
                // What is cut into datagrams is cut by an encoder that was made for it.
                datagram_bytes_max: self.datagram_bytes_max,
                ..config.limits.clone()
            },
            hub: crate::server::share_of(config.hub, self.orders.cores()),
            policies: Arc::clone(&config.policies),
            keys_stay: asked.then_some(stays),
            counts,
        });
        let order = |sender| Order::Follow(Arc::clone(&update), sender);
        let answers = self.orders.ask(PATIENCE, order);
        // Now nobody asks them any more.
        hooks.went.iter().for_each(|hook| hook.retire());
        Ok(answers.iter().filter(|answer| answer.is_none()).count())
    }
}

impl Core {
    /// Carries out what other threads have asked for.
    pub(crate) fn hear_orders(&mut self) {
        while let Some(order) = self.orders.as_ref().and_then(|line| line.try_recv().ok()) {
            match order {
                Order::Count(answer) => {
                    let said = Box::new((self.counts.clone(), self.standing()));
                    // Who asked may have lost patience.
                    let _ = answer.send((self.id, said));
                }
                Order::Follow(update, answer) => {
                    self.follow(&update);
                    self.begin_again(Again {
                        next: 0,
                        keys_stay: update.keys_stay,
                        counts: update.counts,
                        answers: vec![answer],
                    });
                }
            }
        }
    }

    fn follow(&mut self, update: &Update) {
        self.site = Arc::clone(&update.site);
        self.limits = update.limits.clone();
        self.limiter.follow();
        self.identities.follow();
        self.auth = self.identities.doorman.auth();
        self.follow_webhooks();
        self.hub(Input::Policies {
            policies: Arc::clone(&update.policies),
            limits: update.hub,
        });
        if update.keys_stay.is_some() {
            let grant = self.anonymous();
            self.hub(Input::Anonymous { grant });
        }
    }
}
