//! Binding: every address taken and every core made, before the first connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};

use mio::Poll;
use taut_files::Files;
use taut_gate::http::Site;
use taut_hub::{Grant, Store};

use super::Server;
use super::cores::{Shared, cores_of, make_cores, share_out};
use super::descriptors::{conns_max, seats, sockets_max};
use super::secrecy::{Secrecy, destinations, read_papers};
use crate::acceptor::{self, Acceptor};
use crate::config::{Config, FilesConfig, Limits};
use crate::core::{self, Alert, Core, Doorstep, unix_ms};
use crate::error::StartError;
use crate::files::Desk;
use crate::health::Health;
use crate::hooks::{Counter, Hooks, Webhook};
#[cfg(feature = "http2")]
use crate::http2::{Clocks, Entrance, Fronts};
use crate::identity::{Doorman, Record};
use crate::keeper::Keeper;
use crate::limits::{Guard, Limits as SharedLimits, Memory, Seats};
use crate::listen::{self, Bound};
use crate::metrics::{self, Acceptance, Gatherer, Scrapes, Teller};
use crate::orders::Orders;
use crate::reload::{ReloadLine, Reloader};
use crate::session::{Lives, Seal};
use crate::stop::{Stop, Stopper};

impl Server {
    /// Binds every address and makes every core ready; nothing is accepted before [`Server::run`].
    ///
    /// # Errors
    /// See [`StartError`]; each says what to do.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        Self::bind_with(config, None)
    }

    /// The same with a store, where rooms outlive the server; without one they are in memory.
    ///
    /// # Errors
    /// See [`StartError`]; each says what to do.
    pub fn bind_with(config: Config, store: Option<Box<dyn Store>>) -> Result<Self, StartError> {
        let files = config.files.as_ref().map(open_files).transpose()?;
        let papers = read_papers(&config.tls)?;
        // First, so that nobody finds a door open of a server that does not start.
        let window = match &config.metrics {
            Some(metrics) => Some(listen::bind_metrics(
                &metrics.listen,
                metrics.key.is_some(),
            )?),
            None => None,
        };
        let sockets = listen::bind_all(&config)?;
        let bound = sockets.bound;
        let requires_tls = Arc::new(AtomicBool::new(config.tls.required));
        let site = Arc::new(site_of(&config, &bound));
        let count = cores_of(config.cores);
        let (polls, alerts) = open_polls(count)?;
        let stop = Arc::new(Stop::default());
        let record = config
            .revocations
            .map(|path| Record::open(path, unix_ms() / 1_000));
        let doorman = Arc::new(Doorman::new(
            config.auth,
            config.proxies,
            record.transpose()?,
            alerts[..count].to_vec(),
        ));
        let health = Arc::new(Health::default());
        let serves_files = files.is_some();
        let conns_max = conns_max(config.limits.conns_max, serves_files);
        let limits = SharedLimits::new(&config.limits.rates);
        let memory_bytes_max = Memory::most(config.limits.rates.memory_bytes_max);
        let memory_bytes_max = Arc::new(AtomicU64::new(memory_bytes_max));
        let (line, requests) = ReloadLine::open();
        let (orders, lines) = Orders::open(&alerts[..count]);
        let (hooks, counters) = open_hooks(config.webhooks.clone(), &alerts[..count])?;
        let mut reloader = Reloader {
            orders,
            site: Arc::clone(&site),
            serves_files,
            conns_max: Arc::new(AtomicUsize::new(sockets_max(conns_max))),
            memory_bytes_max: Arc::clone(&memory_bytes_max),
            rates: Arc::clone(&limits),
            doorman: Arc::clone(&doorman),
            renewal: None,
            requires_tls: Arc::clone(&requires_tls),
            is_decided: config.webhooks.iter().any(Webhook::decides),
            hooks: Arc::clone(&hooks),
            bound: bound.clone().into(),
            stopper: Stopper(Arc::clone(&stop)),
            line: line.clone(),
            datagram_bytes_max: config.limits.datagram_bytes_max,
            outcomes: Arc::default(),
        };
        let shared = Shared {
            site,
            rates: Arc::clone(&limits),
            stop: Arc::clone(&stop),
            limits: Limits {
                // Sessions without a socket count as well.
                conns_max,
                ..config.limits
            },
            hub: config.hub,
            policies: config.policies,
            auth: doorman.auth(),
            anonymous: doorman.auth().map_or_else(
                || Arc::new(Grant::open()),
                |auth| Arc::clone(&auth.anonymous),
            ),
            has_store: store.is_some(),
            health: Arc::clone(&health),
            application: config.application,
            doorman: Arc::clone(&doorman),
            seal: Arc::new(seal(config.seal_key)?),
            lives: Arc::new(Lives::new(random()?)),
            reloads: line,
        };
        let (mut cores, intakes, poll) = make_cores(&shared, polls, &alerts[..count])?;
        for (core, line) in cores.iter_mut().zip(lines) {
            core.orders = Some(line);
        }
        let desk = files.map(|files| open_desk(files, &mut cores, &alerts[..count]));
        for (core, counter) in cores.iter_mut().zip(counters) {
            core.identities.doorstep = Doorstep::of(&counter);
            core.unhooked = Some(Box::new(counter));
            core.follow_webhooks();
        }
        let kept = store.map(|store| {
            let keeper = open_keeper(&mut cores, &alerts[..count], &health);
            (keeper, store)
        });
        share_out(&mut cores, sockets.datagrams)?;
        let acceptance = Arc::new(Acceptance::default());
        #[cfg(feature = "http2")]
        let http2 = Arc::<crate::http2::Counts>::default();
        let mut gatherer = Gatherer {
            orders: reloader.orders.clone(),
            acceptance: Arc::clone(&acceptance),
            reloads: Arc::clone(&reloader.outcomes),
            health: Arc::clone(&health),
            stop: Arc::clone(&stop),
            keeper: kept.as_ref().map(|(keeper, _)| Arc::clone(keeper)),
            hooks: Arc::clone(&hooks),
            #[cfg(feature = "http2")]
            http2: Arc::clone(&http2),
            renewal: None,
            store_dir: config.store_dir,
            last: Mutex::default(),
        };
        let seats = Seats::new(seats());
        let secrecy = match papers {
            Some(papers) => {
                let destinations = destinations(&mut cores, &intakes);
                #[cfg(feature = "http2")]
                let fronts = Fronts::open(
                    crate::tls::threads_for(cores.len()),
                    &Entrance {
                        destinations: destinations.clone(),
                        limits: Arc::clone(&limits),
                        seats: seats.clone(),
                        conns_max: Arc::clone(&reloader.conns_max),
                        health: Arc::clone(&health),
                        counts: Arc::clone(&http2),
                        clocks: Clocks::new(&shared.limits),
                    },
                    &stop,
                );
                Some(Secrecy::open(
                    papers,
                    config.tls,
                    &stop,
                    &mut cores,
                    destinations,
                    #[cfg(feature = "http2")]
                    fronts,
                )?)
            }
            None => None,
        };
        reloader.renewal = secrecy.as_ref().map(|secrecy| secrecy.watch.renewal());
        gatherer.renewal.clone_from(&reloader.renewal);
        let key = config.metrics.and_then(|metrics| metrics.key);
        let scrapes = match window {
            Some(window) => Some(open_scrapes(
                window,
                key.as_deref(),
                gatherer,
                &reloader.site,
            )?),
            None => None,
        };
        let mut everybody = alerts;
        everybody.extend(secrecy.iter().flat_map(|secrecy| secrecy.alerts.clone()));
        stop.wakes(everybody);
        let memory = Memory::watch(memory_bytes_max);
        let acceptor = Acceptor {
            handshakes: secrecy.as_ref().map(|s| Arc::clone(&s.handshakes)),
            #[cfg(feature = "http2")]
            fronts: secrecy.as_ref().map(|s| Arc::clone(&s.fronts.0)),
            poll,
            listeners: sockets.listeners,
            intakes,
            guard: Guard::new(Arc::clone(&reloader.conns_max), memory, Arc::clone(&health)),
            limits,
            requires_tls,
            seats,
            acceptance,
            stop: Arc::clone(&stop),
            spare: acceptor::open_spare(),
            refused: 0,
        };
        Ok(Self {
            bound,
            acceptor,
            cores,
            desk,
            hooks,
            kept,
            health,
            scrapes,
            reloader,
            requests: Some(requests),
            doorman,
            secrecy,
            stop,
        })
    }
}

/// Whose pages may use the server, and what its paths are.
fn site_of(config: &Config, bound: &[Bound]) -> Site {
    Site {
        loopback_only: bound.iter().all(|bound| bound.address.is_local()),
        hosts: config.hosts.clone(),
        origins: config.origins.clone(),
        wait_ms_max: config.limits.wait_ms_max,
        compression: config.compression,
        files: config.files.is_some(),
        engines: config.engines.clone(),
        cookie: config.cookie.clone(),
    }
}

/// An event queue for each core and, last, one for the acceptor, with what wakes each.
fn open_polls(cores: usize) -> Result<(Vec<Poll>, Vec<Arc<Alert>>), StartError> {
    let mut polls = Vec::with_capacity(cores + 1);
    let mut alerts = Vec::with_capacity(cores + 1);
    for index in 0..=cores {
        let token = if index == cores {
            acceptor::ALERT
        } else {
            core::ALERT
        };
        let poll = Poll::new().map_err(|source| system("an event queue cannot be made", source))?;
        let waker = mio::Waker::new(poll.registry(), token)
            .map_err(|source| system("a thread cannot be made wakeable", source))?;
        polls.push(poll);
        alerts.push(Alert::new(waker));
    }
    Ok((polls, alerts))
}

/// Gives each core its way to the folder that is served.
fn open_desk(files: Files, cores: &mut [Core], alerts: &[Arc<Alert>]) -> Arc<Desk> {
    let (desk, counters) = Desk::open(files, alerts);
    for (core, counter) in cores.iter_mut().zip(counters) {
        core.files = Some(counter);
    }
    desk
}

/// Gives each core its way to the store.
fn open_keeper(cores: &mut [Core], alerts: &[Arc<Alert>], health: &Arc<Health>) -> Arc<Keeper> {
    let (keeper, safes) = Keeper::open(alerts, Arc::clone(health));
    for (core, safe) in cores.iter_mut().zip(safes) {
        core.safe = Some(safe);
    }
    keeper
}

/// Opens the desk of the webhooks: they may come later, where there are none.
fn open_hooks(
    webhooks: Vec<Webhook>,
    alerts: &[Arc<Alert>],
) -> Result<(Arc<Hooks>, Vec<Counter>), StartError> {
    Hooks::open(webhooks, alerts).map_err(|error| {
        let source = std::io::Error::other(error);
        system("webhooks cannot speak TLS", source)
    })
}

/// Makes ready what answers for `/metrics`. Its own site: hosts are judged by this address, whatever the doors listen on.
fn open_scrapes(
    (listener, address): (mio::net::TcpListener, SocketAddr),
    key: Option<&str>,
    gatherer: Gatherer,
    site: &Site,
) -> Result<(Scrapes, SocketAddr), StartError> {
    let no_thread = |source| system("the metrics cannot be watched", source);
    let poll = Poll::new().map_err(no_thread)?;
    let waker = mio::Waker::new(poll.registry(), metrics::ALERT).map_err(no_thread)?;
    let site = Site {
        loopback_only: listen::is_loopback(&address),
        hosts: site.hosts.clone(),
        origins: Vec::new(),
        wait_ms_max: 0,
        compression: false,
        files: false,
        engines: Vec::new(),
        cookie: String::new(),
    };
    let teller = Teller::new(gatherer, site, key);
    let scrapes = Scrapes::new(poll, listener, teller, Alert::new(waker));
    Ok((scrapes, address))
}

fn open_files(config: &FilesConfig) -> Result<Files, taut_files::OpenError> {
    let settings = taut_files::Settings {
        listing: config.listing,
        ..taut_files::Settings::default()
    };
    Files::open(&config.root, settings)
}

/// What sessions are sealed with: the key that is kept, or one of this run.
fn seal(key: Option<[u8; 32]>) -> Result<Seal, StartError> {
    let key = key.map_or_else(random, Ok)?;
    let no_seal = || std::io::Error::other("the key of the seal is not taken");
    Seal::new(&key).ok_or_else(|| system("sessions cannot be sealed", no_seal()))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        system(
            "no random numbers",
            std::io::Error::other(error.to_string()),
        )
    })?;
    Ok(bytes)
}

pub(super) fn system(what: &'static str, source: std::io::Error) -> StartError {
    StartError::System { what, source }
}
