//! UDP: a datagram for each line, and a line for each datagram.

use std::io;
use std::time::Duration;

use taut_dial::open_datagrams;
use tokio::time::{Instant, sleep_until};

use super::args::Patience;
use super::output::Goes;
use super::{Over, Session, failure};
use crate::{Code, Ended};

/// Bytes of the longest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How long nothing may come after the end of stdin.
const QUIET: Duration = Duration::from_secs(1);

/// Sends and prints until nothing more is to be expected.
pub(super) async fn run(session: &mut Session) -> Result<Over, Ended> {
    let (scenes, printing) = session.narrator.scenes();
    let opened = open_datagrams(&session.url, &session.settings, &scenes).await;
    drop(scenes);
    let _ = printing.await;
    let socket = opened.map_err(|error| failure::ended(&error))?;
    let address = |found: io::Result<std::net::SocketAddr>| {
        found.map_or_else(|_| "?".to_owned(), |at| at.to_string())
    };
    session
        .tell_open(&address(socket.local_addr()), &address(socket.peer_addr()))
        .await?;
    session
        .narrator
        .tell(
            '*',
            "UDP has no connection: nobody has been told that we are here",
        )
        .await?;
    let screen = session.output.screen.clone();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut whole = Vec::new();
    let mut deadline = None;
    if session.is_typed_out {
        deadline = deadline_of(session);
    }
    loop {
        tokio::select! {
            came = socket.recv(&mut buffer) => {
                let datagram = &buffer[..came.map_err(|error| failed(session, &error))?];
                session.narrator.bytes('<', datagram).await?;
                let is_text = session.rendering == crate::show::Rendering::Escaped;
                if session.output.message(datagram, is_text).await? == Goes::Enough {
                    return Ok(Over::ByUs);
                }
                if deadline.is_some() && session.args.wait.is_none() {
                    deadline = deadline_of(session);
                }
            }
            typed = session.next_typed(), if !session.is_typed_out => {
                match typed? {
                    Some(typed) if session.args.whole => whole.extend_from_slice(&typed),
                    Some(typed) => send(session, &socket, &typed).await?,
                    None => {
                        if session.args.whole {
                            send(session, &socket, &whole).await?;
                        }
                        deadline = deadline_of(session);
                    }
                }
                if whole.len() > DATAGRAM_BYTES_MAX {
                    return Err(too_long(whole.len()));
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                session.narrator.tell('*', "nothing more is waited for").await?;
                return Ok(Over::ByUs);
            }
            gone = screen.gone() => return Err(gone.into()),
        }
    }
}

async fn send(
    session: &Session,
    socket: &tokio::net::UdpSocket,
    datagram: &[u8],
) -> Result<(), Ended> {
    match socket.send(datagram).await {
        Ok(_) => session.narrator.bytes('>', datagram).await,
        Err(_) if datagram.len() > 65_507 => Err(too_long(datagram.len())),
        Err(error) => Err(failed(session, &error)),
    }
}

fn too_long(bytes: usize) -> Ended {
    Ended::new(
        Code::Usage,
        format!("a datagram of {bytes} bytes cannot be sent; 65,507 is the most"),
    )
}

fn failed(session: &Session, error: &io::Error) -> Ended {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Ended::new(
            Code::Unreachable,
            format!(
                "nobody listens on {}: the machine there answered \"port unreachable\" (ICMP)",
                session.url
            ),
        );
    }
    Ended::new(Code::Unreachable, format!("{}: {error}", session.url))
}

/// When to stop waiting; asked again whenever something has come.
fn deadline_of(session: &Session) -> Option<Instant> {
    match session.args.wait {
        Some(Patience::Ms(ms)) => Some(Instant::now() + Duration::from_millis(ms)),
        Some(Patience::Forever) => None,
        None if session.output.is_counting() => None,
        None => Some(Instant::now() + QUIET),
    }
}
