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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::Mutex;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::story::Story;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Story for Heard {
        fn tell(&self, scene: &Scene<'_>) {
            self.0.lock().unwrap().push(format!("{scene:?}"));
        }
    }

    /// A listener whose queue is full, so that the system lets further connections wait, and what fills it.
    fn full() -> (SocketAddr, Vec<Socket>) {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..8 {
            let filling = socket();
            filling.set_nonblocking(true).unwrap();
            // Only the first of them gets through.
            let _ = filling.connect(&address);
            sockets.push(filling);
        }
        (address.as_socket().unwrap(), sockets)
    }

    async fn listener() -> (SocketAddr, tokio::net::TcpListener) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        (listener.local_addr().unwrap(), listener)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_overtaken_and_abandoned() {
        let (silent, _sockets) = full();
        let (live, _listener) = listener().await;
        let (heard, settings) = (Heard::default(), Settings::default());
        let telling = Telling::new(&heard, "a".into());
        let stream = race(&[silent, live], "a", &settings, &telling)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        let told = heard.0.lock().unwrap().join("\n");
        let expected = format!(
            "Attempting {{ address: {silent}, number: 1, of: 2 }}\nAttempting {{ address: {live}, number: 2, of: 2 }}\nAbandoned {{ address: {silent} }}"
        );
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn an_address_that_refuses_makes_room_at_once() {
        let (dead, listener_gone) = listener().await;
        drop(listener_gone);
        let (live, _listener) = listener().await;
        let (heard, settings) = (Heard::default(), Settings::default());
        let telling = Telling::new(&heard, "a".into());
        let addresses = [dead, live];
        // With the clock stopped only a failure can start the second attempt before the pause is over.
        tokio::time::pause();
        let began = Instant::now();
        let stream = race(&addresses, "a", &settings, &telling).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        assert!(began.elapsed() < STAGGER);
        let told = heard.0.lock().unwrap().join("\n");
        assert!(told.contains("connection refused"), "{told}");
    }
}
