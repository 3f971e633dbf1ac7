//! Peers of udp://, who come without a connection and go without a word.
//!
//! Invariants that a reader could break:
//!
//! - At most `--max-clients` peers are known, each for [`PEER_AGE_MAX`] after its last datagram; beyond that the one that was silent for longest
//!   is forgotten.
//! - A reply that the kernel does not take at once is lost, as datagrams may be: nobody waits for a peer.
//!
//! Absent on purpose: proof that a peer's address is real. An echo is as large as what was sent, but a greeting or a command's output may be larger;
//! that is why `taut listen` opens no public address unless told to.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::clients::{Inbox, Out};
use super::house::House;
use super::plan::Mode;
use super::report::{Unit, bytes, preview};
use super::stream::said;

/// How long a peer is remembered after its last datagram.
const PEER_AGE_MAX: Duration = Duration::from_secs(300);
/// How long a command may take for a datagram.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of any datagram (RFC 768).
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How long we wait after an error, so that one that lasts does not keep us busy.
const PAUSE: Duration = Duration::from_millis(10);
/// Commands' replies that wait to be sent.
const REPLIES_MAX: usize = 64;

/// Serves one socket.
pub(super) async fn serve(house: &Arc<House>, socket: UdpSocket) {
    let mut door = Door {
        house: house.clone(),
        socket,
        peers: Peers::default(),
        inbox: None,
        number: house.clients.door_number(),
    };
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let (replies, mut replied) = mpsc::channel(REPLIES_MAX);
    loop {
        tokio::select! {
            received = door.socket.recv_from(&mut buffer) => match received {
                Ok((count, from)) => door.received(&buffer[..count], from, &replies).await,
                // What an earlier reply met, such as a port that is closed by now, is told here (ICMP).
                Err(error) => {
                    house.report.tell(0, || format!("receiving failed: {error}")).await;
                    tokio::time::sleep(PAUSE).await;
                }
            },
            out = next(&mut door.inbox) => door.tell_all(&out).await,
            Some((to, payload)) = replied.recv() => {
                door.send(to, &payload).await;
                house.served();
            }
        }
    }
}

/// What is said to all; never anything while nobody has been heard.
async fn next(inbox: &mut Option<Inbox>) -> Out {
    match inbox {
        Some(inbox) => {
            let out = inbox.next().await;
            inbox.sent(&out);
            out
        }
        None => std::future::pending().await,
    }
}

struct Door {
    house: Arc<House>,
    socket: UdpSocket,
    peers: Peers,
    /// What is said to all; it is there once somebody has been heard.
    inbox: Option<Inbox>,
    /// Under which number the socket hears.
    number: u64,
}

impl Door {
    async fn received(
        &mut self,
        payload: &[u8],
        from: SocketAddr,
        replies: &mpsc::Sender<(SocketAddr, Vec<u8>)>,
    ) {
        let house = self.house.clone();
        if !house.admit() {
            return;
        }
        let number = self.know(from).await;
        let told = || format!("< {} {}", bytes(payload.len()), preview(payload));
        house.report.tell(number, told).await;
        house.report.unit(number, Unit::Datagram, payload).await;
        if let Some(greeting) = &house.plan.greeting {
            self.send(from, greeting.as_bytes()).await;
        }
        match &house.plan.mode {
            Mode::Echo { prefix } => self.send(from, &[prefix, payload].concat()).await,
            Mode::Chat => {
                let text = payload.strip_suffix(b"\n").unwrap_or(payload);
                let said = said(&format!("client-{number}"), text);
                self.send_all(&said, Some(from)).await;
                // Peers of the other socket, where `localhost` has two.
                house.clients.say(Some(self.number), &said).await;
            }
            Mode::Exec { command } => {
                let task = run(house.clone(), command, number, from, payload.to_vec());
                let replies = replies.clone();
                tokio::spawn(async move {
                    // With every place taken the reply is lost, as datagrams may be.
                    let reply = task.await.unwrap_or_default();
                    let _ = replies.try_send((from, reply));
                });
                return;
            }
            _ => {}
        }
        house.served();
    }

    /// The number of a peer, who may be new.
    async fn know(&mut self, from: SocketAddr) -> u64 {
        let house = self.house.clone();
        let now = Instant::now();
        for gone in self.peers.forget(now, from, house.plan.clients_max) {
            house
                .report
                .went(gone, "nothing was heard for 5 min", 0, 0)
                .await;
        }
        let (number, is_new) = self.peers.hear(from, now, || house.clients.next_number());
        if is_new {
            let peer = SocketAddr::new(from.ip().to_canonical(), from.port());
            house.report.came(number, &peer.to_string()).await;
        }
        let hears = matches!(house.plan.mode, Mode::Converse | Mode::Chat);
        if hears && self.inbox.is_none() {
            self.inbox = Some(Inbox::open(&house.clients, self.number, true));
        }
        number
    }

    async fn tell_all(&mut self, out: &Out) {
        match out {
            Out::Say(text) => self.send_all(text, None).await,
            Out::Raw(bytes) => self.send_all(bytes, None).await,
            Out::Farewell | Out::End => self.inbox = None,
        }
    }

    async fn send_all(&mut self, payload: &[u8], but: Option<SocketAddr>) {
        let now = Instant::now();
        let peers = self.peers.lately(now).filter(|peer| Some(*peer) != but);
        for peer in peers.collect::<Vec<_>>() {
            self.send(peer, payload).await;
        }
    }

    async fn send(&self, to: SocketAddr, payload: &[u8]) {
        let number = self.peers.number(&to).unwrap_or_default();
        let report = &self.house.report;
        report
            .tell(number, || {
                format!("> {} {}", bytes(payload.len()), preview(payload))
            })
            .await;
        match self.socket.try_send_to(payload, to) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                // The socket's buffer is full for a moment; once is enough to wait.
                let _ =
                    tokio::time::timeout(Duration::from_millis(100), self.socket.writable()).await;
                let _ = self.socket.try_send_to(payload, to);
            }
            Err(error) => {
                let text = format!("{} could not be sent: {error}", bytes(payload.len()));
                report.wrong(number, &text).await;
            }
        }
    }
}

/// Runs a command for one datagram; gives what it wrote. Starts it at once, so that the number of tasks is that of processes.
fn run(
    house: Arc<House>,
    command: &str,
    number: u64,
    from: SocketAddr,
    payload: Vec<u8>,
) -> impl Future<Output = Option<Vec<u8>>> + use<> {
    let environment = [
        ("TAUT_CLIENT", number.to_string()),
        ("REMOTE_ADDR", from.ip().to_string()),
        ("REMOTE_PORT", from.port().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()));
    let started = house.processes.start(command, environment);
    async move {
        let mut process = match started {
            Ok(process) => process,
            Err(text) => {
                house.report.wrong(number, &text).await;
                return None;
            }
        };
        let (Some(mut stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return None;
        };
        let talk = async {
            let input = async {
                let _ = stdin.write_all(&payload).await;
                drop(stdin);
            };
            let mut reply = Vec::new();
            let mut stdout = stdout.take(DATAGRAM_BYTES_MAX as u64);
            let _ = tokio::join!(input, stdout.read_to_end(&mut reply));
            drop(stdout);
            (reply, process.ended().await)
        };
        let (reply, ended) = match tokio::time::timeout(COMMAND_TIME_MAX, talk).await {
            Ok(done) => done,
            Err(_) => (
                Vec::new(),
                Err("the command took longer than 10 s".to_owned()),
            ),
        };
        if let Err(text) = ended {
            house.report.wrong(number, &text).await;
        }
        (!reply.is_empty()).then_some(reply)
    }
}

/// Who has been heard.
#[derive(Debug, Default)]
struct Peers {
    known: HashMap<SocketAddr, Peer>,
    /// Addresses in the order in which they were last heard.
    by_turn: BTreeMap<u64, SocketAddr>,
    last_turn: u64,
}

#[derive(Debug)]
struct Peer {
    number: u64,
    turn: u64,
    heard_at: Instant,
}

impl Peers {
    /// Notes that a peer was heard; gives its number and whether it is new.
    fn hear(
        &mut self,
        from: SocketAddr,
        now: Instant,
        next_number: impl FnOnce() -> u64,
    ) -> (u64, bool) {
        self.last_turn += 1;
        let turn = self.last_turn;
        self.by_turn.insert(turn, from);
        if let Some(peer) = self.known.get_mut(&from) {
            self.by_turn.remove(&peer.turn);
            peer.turn = turn;
            peer.heard_at = now;
            return (peer.number, false);
        }
        let number = next_number();
        let peer = Peer {
            number,
            turn,
            heard_at: now,
        };
        self.known.insert(from, peer);
        (number, true)
    }

    /// Forgets who has been silent for too long, and makes space for `newcomer`, if it is one; gives the numbers of who is forgotten.
    fn forget(&mut self, now: Instant, newcomer: SocketAddr, count_max: usize) -> Vec<u64> {
        let mut forgotten = Vec::new();
        let known_max = if self.known.contains_key(&newcomer) {
            count_max
        } else {
            count_max.saturating_sub(1)
        };
        while let Some((turn, address)) = self.by_turn.first_key_value() {
            let (turn, address) = (*turn, *address);
            let is_old = self
                .known
                .get(&address)
                .is_none_or(|peer| now.duration_since(peer.heard_at) > PEER_AGE_MAX);
            if !is_old && self.known.len() <= known_max {
                break;
            }
            self.by_turn.remove(&turn);
            forgotten.extend(self.known.remove(&address).map(|peer| peer.number));
        }
        forgotten
    }

    fn lately(&self, now: Instant) -> impl Iterator<Item = SocketAddr> + '_ {
        self.known
            .iter()
            .filter(move |(_, peer)| now.duration_since(peer.heard_at) <= PEER_AGE_MAX)
            .map(|(address, _)| *address)
    }

    fn number(&self, address: &SocketAddr) -> Option<u64> {
        self.known.get(address).map(|peer| peer.number)
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, PEER_AGE_MAX, Peers};
    use std::net::SocketAddr;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn who_was_silent_for_longest_is_forgotten_first() {
        let now = Instant::now();
        let mut peers = Peers::default();
        let mut last = 0;
        for port in [1, 2, 1, 3] {
            assert!(peers.forget(now, address(port), 3).is_empty());
            peers.hear(address(port), now, || {
                last += 1;
                last
            });
        }
        assert_eq!(peers.forget(now, address(4), 3), [2]);
        assert!(peers.forget(now, address(1), 2).is_empty());
        assert_eq!(peers.number(&address(1)), Some(1));
        assert_eq!(peers.forget(now + PEER_AGE_MAX * 2, address(1), 3), [1, 3]);
        assert!(peers.by_turn.is_empty());
    }
}
