//! Starting: every address bound, every thread made, before the first connection is taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use mio::Poll;
use rtrb::RingBuffer;
use taut_files::Files;
use taut_gate::http::Site;
use taut_hub::{Epoch, Policies, Shard, ShardSettings, Store};

use crate::acceptor::{self, Acceptor, INTAKE_SOCKETS, Intake};
use crate::application::Application;
use crate::config::{Config, FilesConfig, Limits};
use crate::core::{self, Alert, Core, Links, Parts};
use crate::error::{Fault, StartError};
use crate::files::{Desk, READERS};
use crate::health::Health;
use crate::keeper::Keeper;
use crate::listen::{self, Address, Bound};
use crate::session::{Lives, Seal, Sessions};
use crate::stop::{Stop, Stopper};

/// The most cores a server uses.
const CORES_MAX: usize = 64;
/// File descriptors kept for everything that is no connection; of few a quarter.
const RESERVED_FILES: usize = 64;

/// A server that is bound and not yet running.
pub struct Server {
    bound: Vec<Bound>,
    acceptor: Acceptor,
    cores: Vec<Core>,
    /// Where files are read, when a folder is served.
    desk: Option<Arc<Desk>>,
    /// Where rooms are kept, when there is a store.
    kept: Option<(Arc<Keeper>, Box<dyn Store>)>,
    health: Arc<Health>,
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
        let sockets = listen::bind_all(&config)?;
        let bound = sockets.bound;
        let site = Arc::new(Site {
            loopback_only: bound.iter().all(|bound| bound.address.is_local()),
            hosts: config.hosts,
            origins: config.origins,
            wait_ms_max: config.limits.wait_ms_max,
            compression: config.compression,
            files: config.files.is_some(),
            engines: config.engines,
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
        stop.wakes(alerts.clone());
        let health = Arc::new(Health::default());
        let conns_max = conns_max(config.limits.conns_max, files.is_some());
        let shared = Shared {
            site,
            stop: Arc::clone(&stop),
            limits: Limits {
                // Sessions without a socket count as well.
                conns_max,
                ..config.limits
            },
            hub: config.hub,
            policies: config.policies,
            has_store: store.is_some(),
            health: Arc::clone(&health),
            application: config.application,
            seal: Arc::new(seal(config.seal_key)?),
            lives: Arc::new(Lives::new(random()?)),
        };
        let (mut cores, intakes, poll) = make_cores(&shared, polls, &alerts[..count])?;
        let desk = files.map(|files| {
            let (desk, counters) = Desk::open(files, &alerts[..count]);
            for (core, counter) in cores.iter_mut().zip(counters) {
                core.files = Some(counter);
            }
            desk
        });
        let kept = store.map(|store| {
            let (keeper, safes) = Keeper::open(&alerts[..count], Arc::clone(&health));
            for (core, safe) in cores.iter_mut().zip(safes) {
                core.safe = Some(safe);
            }
            (keeper, store)
        });
        share_out(&mut cores, sockets.datagrams)?;
        let acceptor = Acceptor {
            poll,
            listeners: sockets.listeners,
            intakes,
            conns_max,
            stop: Arc::clone(&stop),
            spare: acceptor::open_spare(),
            refused: 0,
        };
        Ok(Self {
            bound,
            acceptor,
            cores,
            desk,
            kept,
            health,
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
        let mut keepers = Vec::new();
        let keeping = match self.kept {
            Some((keeper, store)) => {
                keepers = keep(&keeper, store, &stopper)?;
                Some(CloseKeeper(keeper))
            }
            None => None,
        };
        let mut threads = Vec::with_capacity(self.cores.len() + 1);
        let acceptor = self.acceptor;
        threads.push(spawn("acceptor".to_owned(), &stopper, move || {
            acceptor.run()
        })?);
        for core in self.cores {
            let name = format!("core-{}", core.id);
            threads.push(spawn(name, &stopper, move || core.run())?);
        }
        let served = join(threads);
        // Readers end when nobody is left to read for. Whoever cannot wait for a drain cannot wait for a disk either.
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

/// Closes the desk when the server ends, also by a fault.
struct CloseWithMe(Arc<Desk>);

impl Drop for CloseWithMe {
    fn drop(&mut self) {
        self.0.close();
    }
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
    stop: Arc<Stop>,
    limits: Limits,
    hub: taut_hub::Limits,
    policies: Arc<Policies>,
    has_store: bool,
    health: Arc<Health>,
    application: Option<Arc<dyn Application>>,
    seal: Arc<Seal>,
    lives: Arc<Lives>,
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
        let mut limits = shared.hub;
        limits.rooms_max = limits.rooms_max.div_ceil(u32::from(count));
        limits.history_bytes_max = limits.history_bytes_max.div_ceil(u64::from(count));
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
            shard: Shard::new(ShardSettings {
                core: id,
                cores: count,
                seed: u64::from_le_bytes(key),
                epoch,
                policies: Arc::clone(&shared.policies),
                limits,
                has_store: shared.has_store,
            }),
            links,
            health: Arc::clone(&shared.health),
            sessions: Sessions::new(
                Arc::clone(&shared.seal),
                Arc::clone(&shared.lives),
                random()?,
            ),
            application: shared.application.clone(),
        }));
    }
    Ok((cores, intakes, acceptors))
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

/// How many Conns may be open: as configured, or what the open-file limit leaves. Where files are served, each Conn may need a second one.
fn conns_max(asked: usize, serves_files: bool) -> usize {
    if asked > 0 {
        return asked;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(files) => {
            let files = usize::try_from(files).unwrap_or(usize::MAX);
            let left = files - RESERVED_FILES.min(files / 4);
            (if serves_files { left / 2 } else { left }).max(1)
        }
        None => usize::MAX,
    }
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
