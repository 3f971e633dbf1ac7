//! The address that answers for `/metrics`: blocking sockets on threads of their own, away from the cores.
//!
//! Bounds: 8 connections at once, further ones are closed; 2 s and 8 KiB for a request, which is one a connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use sha2::{Digest as _, Sha256};
use taut_gate::http::Site;
use taut_wire::http::{self, Method, Request, reason_phrase};

use super::gather::Gatherer;
use super::text::CONTENT_TYPE;
use crate::core::Alert;
use crate::error::Fault;
use crate::limits::Why;

/// The token of the [`Alert`] that ends it.
pub(crate) const ALERT: Token = Token(1);
const LISTENER: Token = Token(0);
/// Connections at once: Prometheus has one, a person with `curl` another.
const CONNECTIONS_MAX: usize = 8;
/// Time for a request, and again for taking the answer.
const PATIENCE: Duration = Duration::from_secs(2);
const HEAD: http::Limits = http::Limits {
    head_bytes_max: 8 << 10,
    headers_max: 50,
    target_bytes_max: 1 << 10,
};

/// What the acceptor counts, and of streams the fronts of HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct Acceptance {
    pub(crate) accepted: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) memory: AtomicU64,
    pub(crate) address: AtomicU64,
    pub(crate) open_files: AtomicU64,
}

impl Acceptance {
    /// Counts one that is not let in. `is_heavy`: memory is why there is no room.
    pub(crate) fn turn_away(&self, why: Why, is_heavy: bool) {
        let counter = match why {
            Why::Over(_) => &self.address,
            Why::Full if is_heavy => &self.memory,
            Why::Full => &self.full,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The thread that answers.
#[derive(Debug)]
pub(crate) struct Scrapes {
    poll: Poll,
    listener: mio::net::TcpListener,
    teller: Arc<Teller>,
    pub(crate) over: Arc<Over>,
}

/// Tells the thread to end.
#[derive(Debug)]
pub(crate) struct Over {
    is_over: AtomicBool,
    alert: Arc<Alert>,
}

impl Over {
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.alert.raise();
    }
}

/// What every request is answered with and judged by.
#[derive(Debug)]
pub(crate) struct Teller {
    gatherer: Gatherer,
    /// Which hosts requests may name: a page whose name was bent to this address reads nothing here.
    site: Site,
    /// The hash of the key.
    key: Option<[u8; 32]>,
    connections: AtomicUsize,
}

impl Scrapes {
    /// Of a listener that is bound. `alert` wakes `poll`.
    pub(crate) fn new(
        poll: Poll,
        listener: mio::net::TcpListener,
        teller: Teller,
        alert: Arc<Alert>,
    ) -> Self {
        let is_over = AtomicBool::new(false);
        Self {
            poll,
            listener,
            teller: Arc::new(teller),
            over: Arc::new(Over { is_over, alert }),
        }
    }

    /// Answers until it is told to end.
    pub(crate) fn run(mut self) -> Result<(), Fault> {
        let fault = |source| Fault::Poll {
            thread: "metrics".to_owned(),
            source,
        };
        let registry = self.poll.registry();
        registry
            .register(&mut self.listener, LISTENER, Interest::READABLE)
            .map_err(fault)?;
        let mut events = Events::with_capacity(8);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(fault)?,
            }
            self.over.alert.lower();
            if self.over.is_over.load(Ordering::Acquire) {
                return Ok(());
            }
            self.accept_all();
        }
    }

    fn accept_all(&self) {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => self.teller.receive(stream.into(), peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "a scrape ended before it was accepted");
                    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted) {
                        // Out of file descriptors, most likely: nothing tells when there are some again.
                        std::thread::sleep(Duration::from_millis(50));
                        return;
                    }
                }
            }
        }
    }
}

impl Teller {
    /// Judges requests by `site` and `key`.
    pub(crate) fn new(gatherer: Gatherer, site: Site, key: Option<&str>) -> Self {
        Self {
            gatherer,
            site,
            key: key.map(hash),
            connections: AtomicUsize::new(0),
        }
    }

    /// Answers a connection on a thread of its own.
    fn receive(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if self.connections.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let teller = Arc::clone(self);
        let begun = std::thread::Builder::new()
            .name("taut-scrape".to_owned())
            .spawn(move || {
                let _leaves = Leaves(Arc::clone(&teller));
                if let Err(error) = teller.serve(stream) {
                    tracing::debug!(%peer, %error, "a scrape was not answered");
                }
            });
        if let Err(error) = begun {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(%error, "a scrape could not be answered: there is no thread for it");
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let deadline = Instant::now() + PATIENCE;
        let mut input = Vec::new();
        let mut piece = [0; 2_048];
        let answer = loop {
            match http::parse_request(&input, &HEAD) {
                Ok(Some((request, _))) => break self.answer(&request),
                Ok(None) => {}
                Err(violation) => {
                    break plain(violation.status, &violation.violation.to_string(), true, "");
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                count => input.extend_from_slice(&piece[..count]),
            }
        };
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&answer)?;
        stream.shutdown(std::net::Shutdown::Write)
    }

    fn answer(&self, request: &Request<'_>) -> Vec<u8> {
        let whole = request.method != Method::Head;
        if let Err(problem) = self.site.admit(request) {
            return plain(problem.status, &problem.detail, whole, "");
        }
        if let Some(key) = &self.key
            && !shows(request, key)
        {
            let ask = "WWW-Authenticate: Bearer\r\n";
            return plain(
                401,
                "the key of the metrics is missing or wrong",
                whole,
                ask,
            );
        }
        if request.path != "/metrics" {
            return plain(404, "there is only /metrics here", whole, "");
        }
        if !matches!(request.method, Method::Get | Method::Head) {
            return plain(405, "GET it", whole, "Allow: GET, HEAD\r\n");
        }
        write(200, CONTENT_TYPE, &self.gatherer.page(), whole, "")
    }
}

/// Takes a connection off the count, also by a panic.
struct Leaves(Arc<Teller>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether the request shows the key. Hashes are compared, so that the time it takes tells nothing of the key.
fn shows(request: &Request<'_>, key: &[u8; 32]) -> bool {
    let shown = request.headers.first("authorization").and_then(|value| {
        let (scheme, shown) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
    });
    shown.is_some_and(|shown| hash(shown) == *key)
}

/// What a key is kept as.
fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn plain(status: u16, text: &str, whole: bool, extra: &str) -> Vec<u8> {
    let text = format!("{text}\n");
    write(status, "text/plain; charset=utf-8", &text, whole, extra)
}

fn write(status: u16, content_type: &str, body: &str, whole: bool, extra: &str) -> Vec<u8> {
    let length = body.len();
    let body = if whole { body } else { "" };
    format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{extra}Connection: close\r\n\r\n{body}",
        reason_phrase(status)
    )
    .into_bytes()
}
