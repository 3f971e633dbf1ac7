//! From addresses to a connected socket: attempts start 250 ms apart, or as soon as the one before has failed, and the first to connect wins
//! (RFC 8305 §5, "happy eyeballs").

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::error::{DialError, plain};
use crate::settings::Settings;
use crate::socket;
use crate::story::Scene;
use crate::telling::Telling;

/// The pause after which the next address is tried although the one before has not answered (RFC 8305 §8).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to one of `addresses`; `place` is what errors call it. Dropping the future ends every attempt.
pub(crate) async fn race(
    addresses: &[SocketAddr],
    place: &str,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<TcpStream, DialError> {
    let mut race = Race {
        telling,
        attempts: JoinSet::new(),
        running: Vec::new(),
        failures: Vec::new(),
        refused: false,
        otherwise: false,
    };
    let mut waiting = addresses.iter().copied().enumerate();
    let mut next_at = Instant::now();
    loop {
        let is_due = race.running.is_empty() || next_at <= Instant::now();
        if is_due && let Some((index, address)) = waiting.next() {
            race.start(address, index + 1, addresses.len(), settings);
            next_at = Instant::now() + STAGGER;
        }
        if race.running.is_empty() {
            return Err(race.lost(place));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            finished = race.attempts.join_next() => {
                let Some(Ok((address, result))) = finished else { continue };
                race.running.retain(|running| *running != address);
                match result {
                    Ok(stream) => return Ok(race.won(stream)),
                    Err(error) => race.failed(address, &error),
                }
                // The one that failed makes room for the next at once.
                next_at = Instant::now();
            }
            () = sleep_until(next_at), if more => {}
        }
    }
}

struct Race<'t> {
    telling: &'t Telling<'t>,
    attempts: JoinSet<(SocketAddr, io::Result<TcpStream>)>,
    running: Vec<SocketAddr>,
    failures: Vec<(SocketAddr, String)>,
    refused: bool,
    otherwise: bool,
}

impl Race<'_> {
    fn start(&mut self, address: SocketAddr, number: usize, of: usize, settings: &Settings) {
        self.telling.tell(&Scene::Attempting {
            address,
            number,
            of,
        });
        match socket::prepare(address, settings) {
            Ok(socket) => {
                self.running.push(address);
                self.attempts
                    .spawn(async move { (address, socket.connect(address).await) });
                self.telling.begin(match self.running.as_slice() {
                    [only] => format!("waiting for {only} to take the connection"),
                    many => format!("waiting for one of {} addresses to answer", many.len()),
                });
            }
            Err(error) => self.failed(address, &error),
        }
    }

    fn failed(&mut self, address: SocketAddr, error: &io::Error) {
        match error.kind() {
            ErrorKind::ConnectionRefused => self.refused = true,
            // A family that this machine does not have says nothing about the server.
            ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable => {}
            _ => self.otherwise = true,
        }
        let text = plain(error);
        self.telling.tell(&Scene::AttemptFailed {
            address,
            error: &text,
        });
        self.failures.push((address, text));
    }

    fn won(self, stream: TcpStream) -> TcpStream {
        for address in self.running {
            self.telling.tell(&Scene::Abandoned { address });
        }
        stream
    }

    fn lost(self, place: &str) -> DialError {
        DialError::Unreachable {
            place: place.to_owned(),
            attempts: self.failures,
            nobody_listens: self.refused && !self.otherwise,
        }
    }
}
