//! Lanes: pairs of sockets, one end a Conn's at a core. A connection keeps a few that are at rest, so that one request after the other costs no new Conn.

use std::cell::RefCell;
use std::io;
use std::os::unix::net::UnixStream as Pair;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::{Counted, Entrance};
use crate::acceptor::Newcomer;
use crate::core::{Origin, Secured, Stream};
use crate::limits::{Bill, Why};
use crate::listen::Speaks;
use crate::tls::Destination;

/// Lanes at rest that a connection keeps.
const RESTING_MAX: usize = 4;
/// How long. Shorter than a core keeps a connection between two requests, or both would end it at the same time.
const REST: Duration = Duration::from_secs(10);
/// Bytes that may be under way in each direction, as the kernel counts them: the window of a stream is not to be doubled by what waits here.
const SOCKET_BYTES: usize = 32 << 10;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) socket: UnixStream,
    /// Whether it has served a request before.
    pub(super) is_old: bool,
    _counted: Counted,
}

/// The lanes of one connection.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) entrance: Rc<Entrance>,
    pub(super) origin: Arc<Origin>,
    resting: RefCell<Vec<(Instant, Lane)>>,
}

/// Why there is no lane for a request.
#[derive(Debug)]
pub(super) enum NoLane {
    /// There is no room for another Conn, or not for one more of this address, nor a seat to be told so.
    Full,
    /// The system has no sockets.
    System(io::Error),
}

impl Lanes {
    pub(super) fn new(entrance: Rc<Entrance>, origin: Origin) -> Self {
        Self {
            entrance,
            origin: Arc::new(origin),
            resting: RefCell::default(),
        }
    }

    /// A lane for a request.
    pub(super) fn take(&self) -> Result<Lane, NoLane> {
        let mut resting = self.resting.borrow_mut();
        resting.retain(|(since, _)| since.elapsed() < REST);
        while let Some((_, lane)) = resting.pop() {
            // Nothing is to be read of one that is well; of one that its core has closed, the end.
            let nothing = lane.socket.try_read(&mut [0]);
            if nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Ok(lane);
            }
        }
        self.open()
    }

    /// Takes a lane back whose request and answer were whole.
    pub(super) fn give_back(&self, mut lane: Lane) {
        let mut resting = self.resting.borrow_mut();
        if resting.len() < RESTING_MAX {
            lane.is_old = true;
            resting.push((Instant::now(), lane));
        }
    }

    /// Gives up the lanes that have rested long enough; says when to look again, where any is left.
    pub(super) fn tire(&self) -> Option<Instant> {
        let mut resting = self.resting.borrow_mut();
        resting.retain(|(since, _)| since.elapsed() < REST);
        resting.first().map(|(since, _)| *since + REST)
    }

    fn open(&self) -> Result<Lane, NoLane> {
        let bill = self.admit()?;
        let (ours, theirs) = pair().map_err(NoLane::System)?;
        let core = Destination::fewest(&self.entrance.destinations).ok_or(NoLane::Full)?;
        let newcomer = Newcomer {
            stream: Stream::Unix(theirs),
            speaks: Speaks::Anything,
            bill,
            origin: Some(Arc::clone(&self.origin)),
        };
        core.conns.fetch_add(1, Ordering::Relaxed);
        // A core that has ended closes it, which its request finds out.
        if core.secured.send(Secured::Stream(newcomer)).is_ok() {
            core.alert.raise();
        }
        Ok(Lane {
            socket: ours,
            is_old: false,
            _counted: Counted::one_more(&self.entrance.counts.lanes),
        })
    }

    /// Whether one more Conn may come in; who is turned away and told so has a bill, too.
    fn admit(&self) -> Result<Option<Box<Bill>>, NoLane> {
        let client = self.origin.client.map(|client| (client, 0).into());
        let address = client.or(self.origin.address);
        let why = if self.entrance.has_room() {
            match self.entrance.limits.admit(address) {
                Ok(bill) => return Ok(bill),
                Err(over) => Why::Over(over),
            }
        } else {
            Why::Full
        };
        let is_exempt = self.entrance.limits.is_exempt(address);
        let turned = self.entrance.seats.take(why, is_exempt);
        let turned = turned.ok_or(NoLane::Full)?;
        Ok(Some(Box::new(Bill::of_turned(turned))))
    }
}

impl Entrance {
    /// Whether there is room for one more Conn, as the acceptor judges it.
    fn has_room(&self) -> bool {
        let conns = self.destinations.iter();
        let conns: usize = conns.map(|core| core.conns.load(Ordering::Relaxed)).sum();
        let all = conns + self.counts.sockets();
        all < self.conns_max.load(Ordering::Relaxed) && !self.health.is_heavy()
    }
}

fn pair() -> io::Result<(UnixStream, mio::net::UnixStream)> {
    let (ours, theirs) = Pair::pair()?;
    for socket in [&ours, &theirs] {
        socket.set_nonblocking(true)?;
        SockRef::from(socket).set_send_buffer_size(SOCKET_BYTES)?;
    }
    Ok((
        UnixStream::from_std(ours)?,
        mio::net::UnixStream::from_std(theirs),
    ))
}
