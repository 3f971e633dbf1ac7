//! The links between cores: one bounded ring per ordered pair, and one wake per turn.
//!
//! Deliveries go only where a ring has space ([`Links::has_space`]); a relay that is behind is a reader that the home serves later. What
//! must arrive in any case (answers, joins) waits in a backlog, and while a backlog is long the core reads no new requests
//! ([`Links::is_congested`]): so two full rings slow the senders down and never lock each other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};
use taut_hub::{ConnId, LinkMessage};

use super::Survey;
use crate::session::Handover;

/// Messages a ring holds. At most a turn's worth of deliveries; a longer line only adds delay.
const RING_MESSAGES: usize = 4_096;
/// Messages that may wait behind a full ring before the core stops reading requests.
const BACKLOG_MESSAGES: usize = 4_096;

/// What one core hands another.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// What their shards say to each other.
    Hub(LinkMessage),
    /// A socket that asks for a session of the other one.
    Socket(Box<Handover>),
    /// A session has begun a new life: the one it had there ends.
    Superseded(ConnId),
    /// A list under way, or come back.
    Survey(Box<Survey>),
}

/// Wakes one core, however many threads ask, at most once until it has looked.
#[derive(Debug)]
pub(crate) struct Alert {
    waker: Waker,
    raised: AtomicBool,
}

/// What a thread sleeps at.
#[derive(Debug)]
enum Waker {
    Poll(mio::Waker),
    #[cfg(feature = "http2")]
    Task(tokio::sync::Notify),
}

impl Alert {
    pub(crate) fn new(waker: mio::Waker) -> Arc<Self> {
        Self::of(Waker::Poll(waker))
    }

    /// The alert of a thread that runs tasks.
    #[cfg(feature = "http2")]
    pub(crate) fn of_task() -> Arc<Self> {
        Self::of(Waker::Task(tokio::sync::Notify::new()))
    }

    fn of(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            waker,
            raised: AtomicBool::new(false),
        })
    }

    /// Wakes the core, unless it has been and has not looked yet.
    pub(crate) fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            match &self.waker {
                Waker::Poll(waker) => {
                    if let Err(error) = waker.wake() {
                        tracing::error!(%error, "a core could not be woken; it looks again at its next timer");
                    }
                }
                #[cfg(feature = "http2")]
                Waker::Task(task) => task.notify_one(),
            }
        }
    }

    /// Waits until it is raised, and lowers it: for the task whose alert it is.
    #[cfg(feature = "http2")]
    pub(crate) async fn raised(&self) {
        if let Waker::Task(task) = &self.waker {
            task.notified().await;
        }
        self.lower();
    }

    /// To be called before the rings are drained, so that nothing pushed later goes unnoticed. Whether anybody has raised it since the last time.
    pub(crate) fn lower(&self) -> bool {
        // A swap, not a store: it takes its place in one order with the pushers' swaps, so each push is either seen or wakes again.
        self.raised.swap(false, Ordering::AcqRel)
    }
}

/// One core's ends of all links.
pub(crate) struct Links {
    core: u16,
    to: Vec<Option<Outbound>>,
    from: Vec<Option<Consumer<Parcel>>>,
}

struct Outbound {
    ring: Producer<Parcel>,
    backlog: VecDeque<Parcel>,
    alert: Arc<Alert>,
    touched: bool,
}

impl Links {
    /// Joins every core with every other one; `alerts[i]` wakes core i.
    pub(crate) fn mesh(alerts: &[Arc<Alert>]) -> Vec<Self> {
        let cores = alerts.len();
        let mut all: Vec<Self> = (0..cores)
            .map(|core| Self {
                core: u16::try_from(core).unwrap_or(u16::MAX),
                to: (0..cores).map(|_| None).collect(),
                from: (0..cores).map(|_| None).collect(),
            })
            .collect();
        for from in 0..cores {
            for to in (0..cores).filter(|to| *to != from) {
                let (ring, end) = RingBuffer::new(RING_MESSAGES);
                all[from].to[to] = Some(Outbound {
                    ring,
                    backlog: VecDeque::new(),
                    alert: Arc::clone(&alerts[to]),
                    touched: false,
                });
                all[to].from[from] = Some(end);
            }
        }
        all
    }

    /// Sends what must arrive: behind whatever waits already.
    pub(crate) fn send(&mut self, to: u16, parcel: Parcel) {
        let Some(Some(outbound)) = self.to.get_mut(usize::from(to)) else {
            tracing::error!(
                core = self.core,
                to,
                "a message for a core that does not exist was dropped"
            );
            return;
        };
        outbound.touched = true;
        if outbound.backlog.is_empty() {
            if let Err(rtrb::PushError::Full(parcel)) = outbound.ring.push(parcel) {
                outbound.backlog.push_back(parcel);
            }
        } else {
            outbound.backlog.push_back(parcel);
        }
    }

    /// Whether a delivery may be sent to core `to` now.
    pub(crate) fn has_space(&self, to: u16) -> bool {
        matches!(self.to.get(usize::from(to)), Some(Some(o)) if o.backlog.is_empty() && !o.ring.is_full())
    }

    /// Whether requests should stay unread until other cores have caught up.
    pub(crate) fn is_congested(&self) -> bool {
        self.to
            .iter()
            .flatten()
            .any(|outbound| outbound.backlog.len() > BACKLOG_MESSAGES)
    }

    /// How much waits for space in a ring.
    pub(crate) fn backlog_len(&self) -> usize {
        let outbound = self.to.iter().flatten();
        outbound.map(|outbound| outbound.backlog.len()).sum()
    }

    /// Whether anything waits for space in a ring.
    pub(crate) fn has_backlog(&self) -> bool {
        self.to.iter().flatten().any(|o| !o.backlog.is_empty())
    }

    /// The next message of any other core, and which core sent it.
    pub(crate) fn receive(&mut self) -> Option<(u16, Parcel)> {
        self.from.iter_mut().enumerate().find_map(|(core, ring)| {
            let message = ring.as_mut()?.pop().ok()?;
            Some((u16::try_from(core).unwrap_or(u16::MAX), message))
        })
    }

    /// Moves what waits into the rings and wakes the cores that have got something: once a turn.
    pub(crate) fn flush(&mut self) {
        for outbound in self.to.iter_mut().flatten() {
            while !outbound.ring.is_full()
                && let Some(message) = outbound.backlog.pop_front()
            {
                outbound.touched = true;
                if let Err(rtrb::PushError::Full(message)) = outbound.ring.push(message) {
                    outbound.backlog.push_front(message);
                }
            }
            if std::mem::take(&mut outbound.touched) {
                outbound.alert.raise();
            }
        }
    }
}
