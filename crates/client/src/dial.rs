//! From a host name to a connected socket: every address is tried, and the answer names what each one said.
//!
//! Attempts start 250 ms apart or as soon as the one before has failed, whichever comes first, and the first to connect wins
//! (the shape of RFC 8305 §5, without its sorting: the resolver's order is kept).

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::error::Error;
use crate::url::Url;

/// The pause after which the next address is tried although the one before has not answered (RFC 8305 §8).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses tried for one name at most: a name with hundreds of them must not open hundreds of sockets.
const ADDRESSES_MAX: usize = 16;

/// Connects to `url`, trying each of its addresses.
pub(crate) async fn dial(url: &Url) -> Result<TcpStream, Error> {
    let addresses = resolve(url).await?;
    let mut attempts: JoinSet<(SocketAddr, std::io::Result<TcpStream>)> = JoinSet::new();
    let mut waiting = addresses.into_iter().take(ADDRESSES_MAX);
    let mut failures = Vec::new();
    let (mut refused, mut otherwise) = (false, false);
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let last = waiting.len() == 0;
        let finished = tokio::select! {
            finished = attempts.join_next() => finished,
            () = sleep(STAGGER), if !last => continue,
        };
        match finished {
            Some(Ok((_, Ok(stream)))) => {
                // A lone message must not wait for an earlier one's acknowledgement. Failing to say so only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Some(Ok((address, Err(error)))) => {
                match error.kind() {
                    ErrorKind::ConnectionRefused => refused = true,
                    // A family that this machine does not have says nothing about the server.
                    ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable => {}
                    _ => otherwise = true,
                }
                failures.push(format!("{address}: {}", plain(&error)));
            }
            Some(Err(_)) => {}
            None if last => break,
            None => {}
        }
    }
    Err(Error::Unreachable {
        url: url.to_string(),
        nobody_listens: refused && !otherwise,
        text: if failures.is_empty() {
            "no address could be tried".into()
        } else {
            failures.join(", ")
        },
    })
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Error> {
    // `localhost` is always this machine (RFC 6761 §6.3), also where /etc/hosts knows only one of its two addresses.
    if url.host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![
            SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), url.port)),
            SocketAddr::from((IpAddr::V6(Ipv6Addr::LOCALHOST), url.port)),
        ]);
    }
    match tokio::net::lookup_host((url.host.as_str(), url.port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(Error::Unreachable {
            url: url.to_string(),
            text: format!("the name `{}` has no address ({error})", url.host),
            nobody_listens: false,
        }),
    }
}

/// The system's words without Rust's `(os error 111)`.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
