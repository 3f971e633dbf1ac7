//! Who is there, and what waits to be sent to each.
//!
//! Invariants that a reader could break:
//!
//! - At most [`WAITING_BYTES_MAX`] bytes wait for a client (or one message, if it is larger). Whoever has more to say to it waits for space;
//!   after [`STALL`] without any the client is told off as one who does not read, and dropped.
//! - Nothing but its own queue connects a client to the others, so slow ones, however many, hold up whoever speaks to them for [`STALL`] at most.
//! - A client is counted from its acceptance to the end of its connection, whether it hears what is said to all or not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout_at};

/// Bytes that wait for one client, at most.
pub(super) const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long a client may take nothing while something waits for it.
pub(super) const STALL: Duration = Duration::from_secs(10);

/// What is to be sent to a client.
#[derive(Debug, Clone)]
pub(super) enum Out {
    /// Something said: the carrier gives it its form (a line, a message, a datagram, an event).
    Say(Arc<[u8]>),
    /// Bytes for the socket, as they are.
    Raw(Vec<u8>),
    /// The server ends: a goodbye, where the carrier has one, and the end.
    Farewell,
    /// Nothing comes after this.
    End,
}

impl Out {
    fn bytes(&self) -> usize {
        match self {
            Self::Say(bytes) => bytes.len(),
            Self::Raw(bytes) => bytes.len(),
            Self::Farewell | Self::End => 0,
        }
    }

    fn permits(&self) -> u32 {
        u32::try_from(self.bytes().clamp(1, WAITING_BYTES_MAX)).unwrap_or(1)
    }
}

/// Everybody who is there.
#[derive(Debug)]
pub(super) struct Clients {
    /// Those who hear what is said to all, by number.
    hearing: Mutex<BTreeMap<u64, Outbox>>,
    /// Those who do not, but hear that the server ends.
    others: Mutex<BTreeMap<u64, Outbox>>,
    hearing_count: watch::Sender<usize>,
    present: AtomicUsize,
    present_max: usize,
    last_number: AtomicU64,
    last_door: AtomicU64,
}

impl Clients {
    pub(super) fn new(present_max: usize) -> Self {
        Self {
            hearing: Mutex::default(),
            others: Mutex::default(),
            hearing_count: watch::Sender::new(0),
            present: AtomicUsize::new(0),
            present_max,
            last_number: AtomicU64::new(0),
            last_door: AtomicU64::new(u64::MAX),
        }
    }

    /// Counts a newcomer; `None` when there are as many as may be.
    pub(super) fn enter(self: &Arc<Self>, peer: String) -> Option<Client> {
        let entered = self
            .present
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |present| {
                (present < self.present_max).then_some(present + 1)
            });
        entered.ok()?;
        Some(Client {
            number: self.next_number(),
            peer,
            clients: self.clone(),
        })
    }

    /// A number that nobody else has.
    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A number under which a door hears for all its peers; nobody shows it.
    pub(super) fn door_number(&self) -> u64 {
        self.last_door.fetch_sub(1, Ordering::Relaxed)
    }

    pub(super) fn present(&self) -> usize {
        self.present.load(Ordering::Relaxed)
    }

    pub(super) fn present_max(&self) -> usize {
        self.present_max
    }

    /// Says something to everybody but `from`, waiting for those that are slow; gives how many were told.
    pub(super) async fn say(&self, from: Option<u64>, text: &[u8]) -> usize {
        let outboxes: Vec<Outbox> = lock(&self.hearing)
            .iter()
            .filter(|(number, _)| Some(**number) != from)
            .map(|(_, outbox)| outbox.clone())
            .collect();
        let text: Arc<[u8]> = Arc::from(text);
        // One for all: however many do not read, nobody waits longer than for one.
        let deadline = Instant::now() + STALL;
        let mut told = 0;
        for outbox in outboxes {
            if outbox.send_by(Out::Say(text.clone()), deadline).await {
                told += 1;
            }
        }
        told
    }

    /// Tells everybody that the server ends, as far as they have space for it.
    pub(super) fn farewell(&self) {
        for outboxes in [&self.hearing, &self.others] {
            for outbox in lock(outboxes).values() {
                let _ = outbox.queue.send(Out::Farewell);
            }
        }
    }

    /// Waits until somebody hears what is said to all.
    pub(super) async fn somebody(&self) {
        let mut count = self.hearing_count.subscribe();
        let _ = count.wait_for(|count| *count > 0).await;
    }

    pub(super) fn is_heard(&self) -> bool {
        *self.hearing_count.borrow() > 0
    }

    fn count(&self, hearing: &BTreeMap<u64, Outbox>) {
        self.hearing_count.send_replace(hearing.len());
    }
}

fn lock(outboxes: &Mutex<BTreeMap<u64, Outbox>>) -> MutexGuard<'_, BTreeMap<u64, Outbox>> {
    outboxes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client, as long as its connection lives.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) number: u64,
    /// Where it comes from, for people.
    pub(super) peer: String,
    clients: Arc<Clients>,
}

impl Client {
    /// The name that others know it by.
    pub(super) fn name(&self) -> String {
        format!("client-{}", self.number)
    }

    /// A queue of its own; with `hears_all` it gets what is said to everybody, too.
    pub(super) fn inbox(&self, hears_all: bool) -> Inbox {
        Inbox::open(&self.clients, self.number, hears_all)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.present.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where one puts what a client is to get.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    /// Bounded by `space`.
    queue: mpsc::UnboundedSender<Out>,
    space: Arc<Semaphore>,
    stalled: Arc<Stalled>,
}

#[derive(Debug, Default)]
struct Stalled {
    is_so: AtomicBool,
    told: Notify,
}

impl Outbox {
    /// Puts something into the queue when it has space; gives whether it could, which it cannot when the client is gone or about to be.
    pub(super) async fn send(&self, out: Out) -> bool {
        self.send_by(out, Instant::now() + STALL).await
    }

    async fn send_by(&self, out: Out, deadline: Instant) -> bool {
        if self.stalled.is_so.load(Ordering::Relaxed) {
            return false;
        }
        let space = self.space.acquire_many(out.permits());
        match timeout_at(deadline, space).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.queue.send(out).is_ok()
            }
            Ok(Err(_)) => false,
            Err(_) => {
                self.stalled.is_so.store(true, Ordering::Relaxed);
                self.stalled.told.notify_one();
                false
            }
        }
    }

    /// Ends the queue: what is in it goes out, and then nothing.
    pub(super) fn end(&self) {
        let _ = self.queue.send(Out::End);
    }
}

/// What waits for a client. Once it is gone, whoever sends to it is told so.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: mpsc::UnboundedReceiver<Out>,
    outbox: Outbox,
    clients: Arc<Clients>,
    number: u64,
    /// It hears what is said to all.
    hears_all: bool,
}

impl Inbox {
    /// A queue; with `hears_all` one that gets what is said to everybody but `number`. Each gets the goodbye.
    pub(super) fn open(clients: &Arc<Clients>, number: u64, hears_all: bool) -> Self {
        let (sender, queue) = mpsc::unbounded_channel();
        let outbox = Outbox {
            queue: sender,
            space: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            stalled: Arc::default(),
        };
        if hears_all {
            let mut hearing = lock(&clients.hearing);
            hearing.insert(number, outbox.clone());
            clients.count(&hearing);
        } else {
            lock(&clients.others).insert(number, outbox.clone());
        }
        Self {
            queue,
            outbox,
            clients: clients.clone(),
            number,
            hears_all,
        }
    }

    pub(super) fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// The next thing to send. Call [`Inbox::sent`] when the socket has taken it.
    pub(super) async fn next(&mut self) -> Out {
        self.queue.recv().await.unwrap_or(Out::End)
    }

    /// The next thing, if it is there already.
    pub(super) fn next_now(&mut self) -> Option<Out> {
        self.queue.try_recv().ok()
    }

    /// Makes space for more.
    pub(super) fn sent(&self, out: &Out) {
        if !matches!(out, Out::Farewell | Out::End) {
            self.outbox.space.add_permits(out.permits() as usize);
        }
    }

    /// Waits until somebody found that this client does not read.
    pub(super) fn stalled(&self) -> impl Future<Output = ()> + use<> {
        let stalled = self.outbox.stalled.clone();
        async move { stalled.told.notified().await }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.outbox.space.close();
        if self.hears_all {
            let mut hearing = lock(&self.clients.hearing);
            hearing.remove(&self.number);
            self.clients.count(&hearing);
        } else {
            lock(&self.clients.others).remove(&self.number);
        }
    }
}
