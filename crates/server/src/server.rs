//! Starting: every address bound, every thread made, before the first connection is taken.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mio::Poll;
use rtrb::RingBuffer;
use rustls::server::ProducesTickets;
use taut_auth::Auth;
use taut_files::Files;
use taut_gate::http::Site;
use taut_hub::{Epoch, Grant, Policies, Shard, ShardSettings, Store};

use crate::acceptor::{self, Acceptor, INTAKE_SOCKETS, Intake};
use crate::application::Application;
use crate::config::{Config, FilesConfig, Limits};
use crate::core::{self, Alert, Core, Doorstep, Hooked, Links, Parts, unix_ms};
use crate::error::{Fault, StartError};
use crate::files::{Desk, READERS};
use crate::health::Health;
use crate::hooks::{Hooks, Webhook};
#[cfg(feature = "http2")]
use crate::http2::{Clocks, Entrance, Front, Fronts};
use crate::identity::{Doorman, Record, Revoker};
use crate::keeper::Keeper;
use crate::limits::{Guard, Limiter, Limits as SharedLimits, Memory, Seats};
use crate::listen::{self, Address, Bound};
use crate::metrics::{self, Acceptance, Gatherer, Over, Scrapes, Teller};
use crate::orders::Orders;
use crate::reload::{ReloadLine, ReloadRequests, Reloader};
use crate::session::{Lives, Seal, Sessions};
use crate::stop::{Stop, Stopper};
use crate::tls::{
    self, Bell, CertificateFacts, Current, Destination, Handshakes, Papers, Shaker, TlsConfig,
    Watch,
};

/// The most cores a server uses.
const CORES_MAX: usize = 64;
/// File descriptors kept for everything that is no connection; of few a quarter.
const RESERVED_FILES: usize = 64;
/// One in so many of those is for somebody who is turned away and told why.
const FILES_PER_SEAT: usize = 4;

/// A server that is bound and not yet running.
pub struct Server {
    bound: Vec<Bound>,
    acceptor: Acceptor,
    cores: Vec<Core>,
    /// Where files are read, when a folder is served.
    desk: Option<Arc<Desk>>,
    /// Where the application is asked, when there are webhooks.
    hooks: Option<Arc<Hooks>>,
    /// Where rooms are kept, when there is a store.
    kept: Option<(Arc<Keeper>, Box<dyn Store>)>,
    health: Arc<Health>,
    /// What answers for `/metrics`, and where.
    scrapes: Option<(Scrapes, SocketAddr)>,
    reloader: Reloader,
    /// Who asks for a reload, until somebody takes it.
    requests: Option<ReloadRequests>,
    doorman: Arc<Doorman>,
    /// What shakes hands and looks after certificates, when there are any.
    secrecy: Option<Secrecy>,
    stop: Arc<Stop>,
}

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
        let site = Arc::new(Site {
            loopback_only: bound.iter().all(|bound| bound.address.is_local()),
            hosts: config.hosts,
            origins: config.origins,
            wait_ms_max: config.limits.wait_ms_max,
            compression: config.compression,
            files: config.files.is_some(),
            engines: config.engines,
            cookie: config.cookie,
        });
        let count = cores_of(config.cores);
        let polls = (0..=count)
            .map(|_| Poll::new())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| system("an event queue cannot be made", source))?;
        let mut alerts = Vec::with_capacity(polls.len());
        for (index, poll) in polls.iter().enumerate() {
            let token = if index == count {
                acceptor::ALERT
            } else {
                core::ALERT
            };
            let waker = mio::Waker::new(poll.registry(), token)
                .map_err(|source| system("a thread cannot be made wakeable", source))?;
            alerts.push(Alert::new(waker));
        }
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
        let desk = files.map(|files| {
            let (desk, counters) = Desk::open(files, &alerts[..count]);
            for (core, counter) in cores.iter_mut().zip(counters) {
                core.files = Some(counter);
            }
            desk
        });
        let hooks = open_hooks(config.webhooks, &mut cores, &alerts[..count])?;
        let kept = store.map(|store| {
            let (keeper, safes) = Keeper::open(&alerts[..count], Arc::clone(&health));
            for (core, safe) in cores.iter_mut().zip(safes) {
                core.safe = Some(safe);
            }
            (keeper, store)
        });
        share_out(&mut cores, sockets.datagrams)?;
        let acceptance = Arc::new(Acceptance::default());
        #[cfg(feature = "http2")]
        let http2 = Arc::<crate::http2::Counts>::default();
        let gatherer = Gatherer {
            orders: reloader.orders.clone(),
            acceptance: Arc::clone(&acceptance),
            reloads: Arc::clone(&reloader.outcomes),
            health: Arc::clone(&health),
            stop: Arc::clone(&stop),
            keeper: kept.as_ref().map(|(keeper, _)| Arc::clone(keeper)),
            #[cfg(feature = "http2")]
            http2: Arc::clone(&http2),
            store_dir: config.store_dir,
            last: Mutex::default(),
        };
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
        let seats = Seats::new(reserved_files(open_files_max()) / FILES_PER_SEAT);
        let secrecy = match papers {
            Some(papers) => {
                let destinations = destinations(&mut cores, &intakes);
                #[cfg(feature = "http2")]
                let fronts = Fronts::open(
                    tls::threads_for(cores.len()),
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
        let mut everybody = alerts;
        everybody.extend(secrecy.iter().flat_map(|secrecy| secrecy.alerts.clone()));
        stop.wakes(everybody);
        let memory = Memory::watch(memory_bytes_max);
        if memory.is_none() {
            tracing::debug!(
                "this system does not say how much memory there is: nobody is turned away for want of it"
            );
        }
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

    /// Where it listens: port 0 has become a real one.
    #[must_use]
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// The TCP addresses among them.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let of_tcp = |bound: &Bound| match bound.address {
            Address::Tcp(address) => Some(address),
            _ => None,
        };
        self.bound.iter().filter_map(of_tcp).collect()
    }

    /// Whether it can do its work, to be asked from anywhere.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Where it answers for `/metrics`, if anywhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.scrapes.as_ref().map(|(_, address)| *address)
    }

    /// Changes the configuration while the server runs, from another thread.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Who asks for the configuration to be read again, through the server API and [`Reloader::request`]: for whoever has it. Only the first call has it.
    #[must_use]
    pub fn reload_requests(&mut self) -> Option<ReloadRequests> {
        self.requests.take()
    }

    /// Takes back what was granted, from any thread.
    #[must_use]
    pub fn revoker(&self) -> Revoker {
        Revoker(Arc::clone(&self.doorman))
    }

    /// What its certificates say; empty without TLS.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateFacts] {
        self.secrecy.as_ref().map_or(&[], |secrecy| &secrecy.facts)
    }

    /// Ends the server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Serves until [`Stopper::stop`] is called and everybody has been told to come back.
    ///
    /// # Errors
    /// A [`Fault`] when a thread failed; the others are ended too.
    pub fn run(self) -> Result<(), Fault> {
        let stopper = self.stopper();
        // Where nobody has taken it, nobody reloads.
        drop(self.requests);
        let mut readers = Vec::new();
        let closing = self.desk.map(CloseWithMe);
        for number in 0..closing.as_ref().map_or(0, |_| READERS) {
            if let Some(CloseWithMe(desk)) = &closing {
                let desk = Arc::clone(desk);
                readers.push(spawn(format!("files-{number}"), &stopper, move || {
                    desk.read();
                    Ok(())
                })?);
            }
        }
        let asking = self.hooks.map(CloseHooks);
        if let Some(CloseHooks(hooks)) = &asking {
            // Nobody waits for them at the end: they may be at a call that takes its time.
            for (number, index) in hooks.threads().into_iter().enumerate() {
                let hooks = Arc::clone(hooks);
                spawn(format!("hook-{number}"), &stopper, move || {
                    hooks.work(index);
                    Ok(())
                })?;
            }
        }
        let mut keepers = Vec::new();
        let keeping = match self.kept {
            Some((keeper, store)) => {
                keepers = keep(&keeper, store, &stopper)?;
                Some(CloseKeeper(keeper))
            }
            None => None,
        };
        let mut threads = Vec::with_capacity(self.cores.len() + 1);
        let mut watched = Vec::new();
        let watching = match self.scrapes {
            Some((scrapes, _)) => {
                let over = EndScrapes(Arc::clone(&scrapes.over));
                let run = move || scrapes.run();
                watched.push(spawn("metrics".to_owned(), &stopper, run)?);
                Some(over)
            }
            None => None,
        };
        let mut looking = None;
        if let Some(secrecy) = self.secrecy {
            for (number, shaker) in secrecy.shakers.into_iter().enumerate() {
                let name = format!("tls-{number}");
                threads.push(spawn(name, &stopper, move || shaker.run())?);
            }
            #[cfg(feature = "http2")]
            for (number, front) in secrecy.fronts.1.into_iter().enumerate() {
                let name = format!("http2-{number}");
                threads.push(spawn(name, &stopper, move || front.run())?);
            }
            let watch = secrecy.watch;
            let bell = RingBell(watch.bell());
            let run = move || {
                watch.run();
                Ok(())
            };
            looking = Some((bell, spawn("tls-watch".to_owned(), &stopper, run)?));
        }
        let _ending = EndFetching(Arc::clone(&self.doorman));
        if self.doorman.needs_thread() {
            fetch_keys(&self.doorman, &stopper)?;
        }
        let acceptor = self.acceptor;
        threads.push(spawn("acceptor".to_owned(), &stopper, move || {
            acceptor.run()
        })?);
        for core in self.cores {
            let name = format!("core-{}", core.id);
            threads.push(spawn(name, &stopper, move || core.run())?);
        }
        let mut served = join(threads);
        if let Some((bell, looks)) = looking {
            drop(bell);
            served = served.and(join(vec![looks]));
        }
        // Whoever watches a shutdown sees it to its end.
        drop(watching);
        let served = served.and(join(watched));
        // Readers end when nobody is left to read for. Whoever cannot wait for a drain cannot wait for a disk either.
        drop(asking);
        drop(closing);
        // What was taken in is kept, also where nobody waits for the drain.
        drop(keeping);
        let served = served.and(join(keepers));
        if self.stop.is_urgent() {
            return served;
        }
        served.and(join(readers))
    }
}

type Thread = (String, JoinHandle<Result<(), Fault>>);

/// Starts a thread that takes the whole server down with it: half a server helps nobody.
fn spawn(
    name: String,
    stopper: &Stopper,
    run: impl FnOnce() -> Result<(), Fault> + Send + 'static,
) -> Result<Thread, Fault> {
    let guard = StopWithMe(stopper.clone());
    let thread = std::thread::Builder::new()
        .name(format!("taut-{name}"))
        .spawn(move || {
            let _guard = guard;
            run()
        })
        .map_err(|source| {
            stopper.stop();
            Fault::Poll {
                thread: name.clone(),
                source,
            }
        })?;
    Ok((name, thread))
}

/// Waits for threads; the first fault counts.
fn join(threads: Vec<Thread>) -> Result<(), Fault> {
    let mut outcome = Ok(());
    for (name, thread) in threads {
        let ended = thread
            .join()
            .unwrap_or(Err(Fault::Panicked { thread: name }));
        outcome = outcome.and(ended);
    }
    outcome
}

/// Starts the thread that fetches keys. Nobody waits for its end: resolving a name may take any time.
pub(crate) fn fetch_keys(doorman: &Arc<Doorman>, stopper: &Stopper) -> Result<(), Fault> {
    let doorman = Arc::clone(doorman);
    let run = move || {
        doorman.fetch_keys();
        Ok(())
    };
    spawn("keys".to_owned(), stopper, run).map(drop)
}

/// Ends the thread that fetches keys when the server ends, also by a fault.
struct EndFetching(Arc<Doorman>);

impl Drop for EndFetching {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Closes the desk when the server ends, also by a fault.
struct CloseWithMe(Arc<Desk>);

impl Drop for CloseWithMe {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Closes the webhooks when the server ends, also by a fault.
struct CloseHooks(Arc<Hooks>);

impl Drop for CloseHooks {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Gives each core its way to the webhooks, where there are any.
fn open_hooks(
    webhooks: Vec<Webhook>,
    cores: &mut [Core],
    alerts: &[Arc<Alert>],
) -> Result<Option<Arc<Hooks>>, StartError> {
    if webhooks.is_empty() {
        return Ok(None);
    }
    let (hooks, counters) = Hooks::open(webhooks, alerts).map_err(|error| {
        let source = std::io::Error::other(error);
        system("webhooks cannot speak TLS", source)
    })?;
    for (core, counter) in cores.iter_mut().zip(counters) {
        core.identities.doorstep = Doorstep::of(&counter);
        core.hooked = Some(Hooked::new(counter));
    }
    Ok(Some(hooks))
}

/// Starts the three threads of the keeper.
fn keep(
    keeper: &Arc<Keeper>,
    store: Box<dyn Store>,
    stopper: &Stopper,
) -> Result<Vec<Thread>, Fault> {
    let no_reader = |error: taut_hub::StoreError| {
        stopper.stop();
        Fault::Store {
            text: error.to_string(),
        }
    };
    let reader = store.reader().map_err(no_reader)?;
    let syncer = store.reader().map_err(no_reader)?;
    let (writes, reads, syncs) = (Arc::clone(keeper), Arc::clone(keeper), Arc::clone(keeper));
    Ok(vec![
        spawn("store-write".to_owned(), stopper, move || {
            writes.write(store);
            Ok(())
        })?,
        spawn("store-read".to_owned(), stopper, move || {
            reads.read(reader);
            Ok(())
        })?,
        spawn("store-sync".to_owned(), stopper, move || {
            syncs.sync(syncer);
            Ok(())
        })?,
    ])
}

/// Closes the keeper when the server ends, also by a fault.
struct CloseKeeper(Arc<Keeper>);

impl Drop for CloseKeeper {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Ends the answers for `/metrics` when the server ends, also by a fault.
struct EndScrapes(Arc<Over>);

impl Drop for EndScrapes {
    fn drop(&mut self) {
        self.0.end();
    }
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

/// Ends the watch over certificates when the server ends, also by a fault.
struct RingBell(Arc<Bell>);

impl Drop for RingBell {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// What shakes hands and looks after certificates.
struct Secrecy {
    handshakes: Arc<Handshakes>,
    shakers: Vec<Shaker>,
    alerts: Vec<Arc<Alert>>,
    watch: Watch,
    facts: Vec<CertificateFacts>,
    #[cfg(feature = "http2")]
    fronts: (Arc<Fronts>, Vec<Front>),
}

/// Certificates as read, and how their files looked before that.
struct Read {
    papers: Papers,
    tickets: Arc<dyn ProducesTickets>,
    watch: Vec<tls::Look>,
}

fn read_papers(tls: &TlsConfig) -> Result<Option<Read>, StartError> {
    if !tls.has_certificates() {
        // Says what asks for one, where something does.
        tls.check()?;
        return Ok(None);
    }
    let watch = tls::looks(&tls::paths(tls));
    let tickets = tls::tickets()?;
    let papers = Papers::read(tls, Arc::clone(&tickets), tls::unix_s())?;
    tls::warn_of_end(&papers.facts);
    Ok(Some(Read {
        papers,
        tickets,
        watch,
    }))
}

impl Secrecy {
    fn open(
        read: Read,
        config: TlsConfig,
        stop: &Arc<Stop>,
        cores: &mut [Core],
        destinations: Vec<Destination>,
        #[cfg(feature = "http2")] fronts: (Arc<Fronts>, Vec<Front>),
    ) -> Result<Self, StartError> {
        let mut polls = Vec::new();
        for _ in 0..tls::threads_for(cores.len()) {
            let poll =
                Poll::new().map_err(|source| system("an event queue cannot be made", source))?;
            let waker = mio::Waker::new(poll.registry(), tls::ALERT)
                .map_err(|source| system("a thread cannot be made wakeable", source))?;
            polls.push((poll, Alert::new(waker)));
        }
        #[cfg_attr(not(feature = "http2"), expect(unused_mut))]
        let mut alerts: Vec<_> = polls.iter().map(|(_, alert)| Arc::clone(alert)).collect();
        #[cfg(feature = "http2")]
        alerts.extend(fronts.1.iter().map(Front::alert));
        let handshake_ms_max = cores.first().map_or(0, |core| core.limits.handshake_ms_max);
        let current = Arc::new(Current::new(read.papers.config));
        let (handshakes, shakers) = Handshakes::open(tls::Parts {
            polls,
            current: Arc::clone(&current),
            destinations,
            stop: Arc::clone(stop),
            handshake_ms_max,
            #[cfg(feature = "http2")]
            fronts: Arc::clone(&fronts.0),
        });
        for core in cores {
            core.handshakes = Some(Arc::clone(&handshakes));
        }
        Ok(Self {
            handshakes,
            shakers,
            alerts,
            watch: Watch::new(config, read.watch, current, read.tickets),
            facts: read.papers.facts,
            #[cfg(feature = "http2")]
            fronts,
        })
    }
}

/// Where the cores take in what comes of TLS.
fn destinations(cores: &mut [Core], intakes: &[Intake]) -> Vec<Destination> {
    let mut destinations = Vec::new();
    for (core, intake) in cores.iter_mut().zip(intakes) {
        let (secured, taken_in) = std::sync::mpsc::channel();
        core.secured = Some(taken_in);
        destinations.push(Destination {
            secured,
            alert: Arc::clone(&intake.alert),
            conns: Arc::clone(&intake.conns),
        });
    }
    destinations
}

/// Stops the server when its thread ends, also by a panic.
struct StopWithMe(Stopper);

impl Drop for StopWithMe {
    fn drop(&mut self) {
        if !self.0.0.is_stopping() {
            self.0.stop();
        }
    }
}

type Cores = (Vec<Core>, Vec<Intake>, Poll);

/// What every core gets its copy of.
struct Shared {
    site: Arc<Site>,
    rates: Arc<SharedLimits>,
    stop: Arc<Stop>,
    limits: Limits,
    hub: taut_hub::Limits,
    policies: Arc<Policies>,
    auth: Option<Arc<Auth>>,
    anonymous: Arc<Grant>,
    has_store: bool,
    health: Arc<Health>,
    application: Option<Arc<dyn Application>>,
    doorman: Arc<Doorman>,
    seal: Arc<Seal>,
    lives: Arc<Lives>,
    reloads: ReloadLine,
}

/// Makes the cores; gives back the poll that is the acceptor's.
fn make_cores(
    shared: &Shared,
    mut polls: Vec<Poll>,
    alerts: &[Arc<Alert>],
) -> Result<Cores, StartError> {
    let no_poll = || {
        system(
            "an event queue is missing",
            std::io::Error::other("no poll"),
        )
    };
    let acceptors = polls.pop().ok_or_else(no_poll)?;
    let [e0, e1, e2, e3, key @ ..] = random::<12>()?;
    // Epoch 0 is nobody's.
    let epoch = Epoch(u32::from_le_bytes([e0, e1, e2, e3]).max(1));
    let count = u16::try_from(alerts.len()).unwrap_or(u16::MAX);
    let mut cores = Vec::with_capacity(alerts.len());
    let mut intakes = Vec::with_capacity(alerts.len());
    let links = Links::mesh(alerts);
    for (id, ((poll, links), alert)) in (0..count).zip(polls.into_iter().zip(links).zip(alerts)) {
        let (ring, intake) = RingBuffer::new(INTAKE_SOCKETS);
        let conns = Arc::new(AtomicUsize::new(0));
        intakes.push(Intake {
            ring,
            alert: Arc::clone(alert),
            conns: Arc::clone(&conns),
            is_owed: false,
        });
        let limits = share_of(shared.hub, usize::from(count));
        cores.push(Core::new(Parts {
            id,
            cores: count,
            poll,
            alert: Arc::clone(alert),
            intake,
            count: conns,
            stop: Arc::clone(&shared.stop),
            site: Arc::clone(&shared.site),
            limits: shared.limits.clone(),
            limiter: Limiter::new(Arc::clone(&shared.rates)),
            shard: Shard::new(ShardSettings {
                core: id,
                cores: count,
                seed: u64::from_le_bytes(key),
                epoch,
                policies: Arc::clone(&shared.policies),
                anonymous: Arc::clone(&shared.anonymous),
                limits,
                has_store: shared.has_store,
            }),
            links,
            health: Arc::clone(&shared.health),
            auth: shared.auth.clone(),
            sessions: Sessions::new(
                Arc::clone(&shared.seal),
                Arc::clone(&shared.lives),
                random()?,
            ),
            application: shared.application.clone(),
            doorman: Arc::clone(&shared.doorman),
            reloads: shared.reloads.clone(),
        }));
    }
    Ok((cores, intakes, acceptors))
}

/// What each of so many cores may have of the hub's budgets.
pub(crate) fn share_of(hub: taut_hub::Limits, cores: usize) -> taut_hub::Limits {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
    taut_hub::Limits {
        rooms_max: hub.rooms_max.div_ceil(cores),
        history_bytes_max: hub.history_bytes_max.div_ceil(u64::from(cores)),
        ..hub
    }
}

/// Gives each core its share of the datagram sockets: a socket stays on one core.
fn share_out(cores: &mut [Core], sockets: Vec<mio::net::UdpSocket>) -> Result<(), StartError> {
    let count = cores.len();
    for (index, socket) in sockets.into_iter().enumerate() {
        if let Some(core) = cores.get_mut(index % count) {
            core.open_datagrams(socket)
                .map_err(|source| system("a datagram socket cannot be watched", source))?;
        }
    }
    Ok(())
}

fn open_files(config: &FilesConfig) -> Result<Files, taut_files::OpenError> {
    let settings = taut_files::Settings {
        listing: config.listing,
        ..taut_files::Settings::default()
    };
    Files::open(&config.root, settings)
}

fn cores_of(asked: usize) -> usize {
    let cores = match asked {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        asked => asked,
    };
    cores.clamp(1, CORES_MAX)
}

/// How many sockets the acceptor may take: fewer than Conns may be where the open-file limit leaves less, so that it never has to find out by failing.
pub(crate) fn sockets_max(conns_max_asked: usize) -> usize {
    let possible = conns_max(0, false);
    if conns_max_asked > possible && conns_max_asked < usize::MAX {
        tracing::warn!(
            "limits.conns_max is {conns_max_asked}, and the open-file limit leaves {possible} connections; raise it (`ulimit -n`)"
        );
    }
    conns_max_asked.min(possible)
}

/// How many Conns may be open: as configured, or what the open-file limit leaves. Where files are served, each Conn may need a second one.
pub(crate) fn conns_max(asked: usize, serves_files: bool) -> usize {
    if asked > 0 {
        return asked;
    }
    match open_files_max() {
        usize::MAX => usize::MAX,
        files => {
            let left = files - reserved_files(files);
            (if serves_files { left / 2 } else { left }).max(1)
        }
    }
}

/// How many files may be open.
fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

/// How many of them are no connection's.
fn reserved_files(files: usize) -> usize {
    RESERVED_FILES.min(files / 4)
}

/// What sessions are sealed with: the key that is kept, or one of this run.
fn seal(key: Option<[u8; 32]>) -> Result<Seal, StartError> {
    let key = key.map_or_else(random, Ok)?;
    let no_seal = || std::io::Error::other("the key of the seal is not taken");
    Seal::new(&key).ok_or_else(|| system("sessions cannot be sealed", no_seal()))
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        system(
            "no random numbers",
            std::io::Error::other(error.to_string()),
        )
    })?;
    Ok(bytes)
}

fn system(what: &'static str, source: std::io::Error) -> StartError {
    StartError::System { what, source }
}
