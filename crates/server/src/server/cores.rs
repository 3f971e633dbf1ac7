//! Making the cores.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mio::Poll;
use rtrb::RingBuffer;
use taut_auth::Auth;
use taut_gate::http::Site;
use taut_hub::{Epoch, Grant, Policies, Shard, ShardSettings};

use super::bind::{random, system};
use crate::acceptor::{INTAKE_SOCKETS, Intake};
use crate::application::Application;
use crate::config::Limits;
use crate::core::{Alert, Core, Links, Parts};
use crate::error::StartError;
use crate::health::Health;
use crate::identity::Doorman;
use crate::limits::{Limiter, Limits as SharedLimits};
use crate::reload::ReloadLine;
use crate::session::{Lives, Seal, Sessions};
use crate::stop::Stop;

/// The most cores a server uses.
const CORES_MAX: usize = 64;

pub(super) type Cores = (Vec<Core>, Vec<Intake>, Poll);

/// What every core gets its copy of.
pub(super) struct Shared {
    pub(super) site: Arc<Site>,
    pub(super) rates: Arc<SharedLimits>,
    pub(super) stop: Arc<Stop>,
    pub(super) limits: Limits,
    pub(super) hub: taut_hub::Limits,
    pub(super) policies: Arc<Policies>,
    pub(super) auth: Option<Arc<Auth>>,
    pub(super) anonymous: Arc<Grant>,
    pub(super) has_store: bool,
    pub(super) health: Arc<Health>,
    pub(super) application: Option<Arc<dyn Application>>,
    pub(super) doorman: Arc<Doorman>,
    pub(super) seal: Arc<Seal>,
    pub(super) lives: Arc<Lives>,
    pub(super) reloads: ReloadLine,
}

/// Makes the cores; gives back the poll that is the acceptor's.
pub(super) fn make_cores(
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
pub(super) fn share_out(
    cores: &mut [Core],
    sockets: Vec<mio::net::UdpSocket>,
) -> Result<(), StartError> {
    let count = cores.len();
    for (index, socket) in sockets.into_iter().enumerate() {
        if let Some(core) = cores.get_mut(index % count) {
            core.open_datagrams(socket)
                .map_err(|source| system("a datagram socket cannot be watched", source))?;
        }
    }
    Ok(())
}

/// How many cores are used where so many are asked for.
pub(super) fn cores_of(asked: usize) -> usize {
    let cores = match asked {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        asked => asked,
    };
    cores.clamp(1, CORES_MAX)
}
