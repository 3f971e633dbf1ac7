//! Another configuration for a server that runs: what can change between two turns, handed to every core as one value.
//!
//! Whoever reads configuration decides what is in it and what needs a restart; nothing here can fail halfway, so what was refused never came this far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use taut_gate::http::Site;
use taut_hub::Policies;

use crate::config::{Config, Limits};
use crate::core::Core;
use crate::orders::{Order, Orders};

/// How long a core may take to hear of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every core goes by from now on.
#[derive(Debug)]
pub(crate) struct Update {
    site: Arc<Site>,
    limits: Limits,
    hub: taut_hub::Limits,
    policies: Arc<Policies>,
}

/// Changes the configuration of a running [`Server`](crate::Server) from any thread.
#[derive(Debug, Clone)]
pub struct Reloader {
    pub(crate) orders: Orders,
    /// What does not change, and what the rest is derived from.
    pub(crate) site: Arc<Site>,
    pub(crate) serves_files: bool,
    pub(crate) conns_max: Arc<AtomicUsize>,
    pub(crate) datagram_bytes_max: usize,
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

    /// Puts into force what of `config` can change while the server runs: Host and Origin lists, compression, policies, limits and the hub's budgets. Every
    /// core takes it between two turns; rooms take their policies within the next few. The rest of `config` is passed over.
    ///
    /// How many cores did not answer within 10 s: 0 when it is in force everywhere. They take it when they turn again.
    #[must_use]
    pub fn reload(&self, config: &Config) -> usize {
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
                cookie: self.site.cookie.clone(),
            }),
            limits: Limits {
                conns_max,
                // What is cut into datagrams is cut by an encoder that was made for it.
                datagram_bytes_max: self.datagram_bytes_max,
                ..config.limits.clone()
            },
            hub: crate::server::share_of(config.hub, self.orders.cores()),
            policies: Arc::clone(&config.policies),
        });
        let order = |sender| Order::Follow(Arc::clone(&update), sender);
        let answers = self.orders.ask(PATIENCE, order);
        answers.iter().filter(|answer| answer.is_none()).count()
    }
}

impl Core {
    /// Carries out what other threads have asked for.
    pub(crate) fn hear_orders(&mut self) {
        while let Some(order) = self.orders.as_ref().and_then(|line| line.try_recv().ok()) {
            // Who asked may have lost patience.
            let _ = match order {
                Order::Count(answer) => {
                    let said = Box::new((self.counts.clone(), self.standing()));
                    answer.send((self.id, said)).is_ok()
                }
                Order::Follow(update, answer) => {
                    self.follow(&update);
                    answer.send((self.id, ())).is_ok()
                }
            };
        }
    }

    fn follow(&mut self, update: &Update) {
        self.site = Arc::clone(&update.site);
        self.limits = update.limits.clone();
        self.hub(taut_hub::Input::Policies {
            policies: Arc::clone(&update.policies),
            limits: update.hub,
        });
    }
}
