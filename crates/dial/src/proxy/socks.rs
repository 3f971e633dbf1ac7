//! SOCKS 5 (RFC 1928) with user name and password (RFC 1929).

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Talk;
use crate::error::DialError;
use crate::story::Scene;

const VERSION: u8 = 5;
const NO_PROOF: u8 = 0;
const BY_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

pub(super) async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    talk: &Talk<'_>,
) -> Result<(), DialError> {
    greet(stream, talk).await?;
    let (request, target) = encode(talk)?;
    say(stream, &request, &format!("CONNECT {target}"), talk).await?;
    talk.telling
        .begin(format!("waiting for the proxy to reach {target}"));
    let [version, reply, _, kind] = hear(stream, talk).await?;
    if version != VERSION {
        let bytes = vec![version, reply, 0, kind];
        return Err(talk.wrong_protocol(stream, "SOCKS 5", bytes).await);
    }
    let bound = read_bound(stream, kind, talk).await?;
    if reply != 0 {
        let (text, may_pass) = meaning(reply, &target);
        let answer = format!("reply {reply}: {text}");
        talk.telling.tell(&Scene::ProxyAnswered { answer: &answer });
        return Err(talk.fail(text, Some(u16::from(reply)), may_pass));
    }
    talk.telling.tell(&Scene::ProxyAnswered {
        answer: &format!("reply 0: connected, from {bound}"),
    });
    Ok(())
}

/// Agrees on how we prove who we are, and does so.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    talk: &Talk<'_>,
) -> Result<(), DialError> {
    let credentials = talk.proxy.credentials.as_ref();
    let (greeting, told): (&[u8], _) = match credentials {
        Some(_) => (
            &[VERSION, 2, NO_PROOF, BY_PASSWORD],
            "SOCKS 5, by password or without proof",
        ),
        None => (&[VERSION, 1, NO_PROOF], "SOCKS 5, without proof"),
    };
    talk.telling.begin("greeting the proxy");
    say(stream, greeting, told, talk).await?;
    talk.telling
        .begin("waiting for the proxy's answer to the greeting");
    let [version, method] = hear(stream, talk).await?;
    if version != VERSION {
        let bytes = vec![version, method];
        return Err(talk.wrong_protocol(stream, "SOCKS 5", bytes).await);
    }
    match (method, credentials) {
        (NO_PROOF, _) => {
            let answer = "it wants no proof";
            talk.telling.tell(&Scene::ProxyAnswered { answer });
            Ok(())
        }
        (BY_PASSWORD, Some((user, password))) => prove(stream, user, password, talk).await,
        (NO_METHOD, None) => Err(talk.fail(
            "wants a user name and password, or refuses anybody",
            None,
            false,
        )),
        (NO_METHOD, Some(_)) => Err(talk.fail(
            "takes neither a password nor people without one",
            None,
            false,
        )),
        (other, _) => {
            let text = format!("chose a way to prove who we are that was not offered ({other})");
            Err(talk.fail(text, None, false))
        }
    }
}

/// User name and password (RFC 1929 §2). Their lengths were checked where they were read.
async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &str,
    password: &str,
    talk: &Talk<'_>,
) -> Result<(), DialError> {
    let mut request = vec![1];
    for text in [user, password] {
        let Ok(bytes) = u8::try_from(text.len()) else {
            return Err(talk.fail("takes only 255 bytes of user name or password", None, false));
        };
        request.push(bytes);
        request.extend_from_slice(text.as_bytes());
    }
    let told = format!("user name {user}, and the password (not shown)");
    say(stream, &request, &told, talk).await?;
    talk.telling
        .begin("waiting for the proxy to accept the password");
    let [_, status] = hear(stream, talk).await?;
    if status != 0 {
        let text = "does not accept this user name and password";
        return Err(talk.fail(text, Some(u16::from(status)), false));
    }
    let answer = "it accepts the password";
    talk.telling.tell(&Scene::ProxyAnswered { answer });
    Ok(())
}

/// The request for a way (RFC 1928 §4), and the target as it is shown.
fn encode(talk: &Talk<'_>) -> Result<(Vec<u8>, String), DialError> {
    let mut request = vec![VERSION, 1, 0];
    let ip = match talk.target {
        Some(address) => Some(address.ip()),
        None => talk.url.host.parse::<IpAddr>().ok(),
    };
    let port = talk.url.port;
    let shown = match ip {
        Some(ip) => {
            match ip {
                IpAddr::V4(ip) => {
                    request.push(1);
                    request.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(4);
                    request.extend_from_slice(&ip.octets());
                }
            }
            SocketAddr::from((ip, port)).to_string()
        }
        None => {
            let host = &talk.url.host;
            let Ok(bytes) = u8::try_from(host.len()) else {
                return Err(talk.fail("takes only names of 255 bytes", None, false));
            };
            request.extend_from_slice(&[3, bytes]);
            request.extend_from_slice(host.as_bytes());
            talk.url.authority()
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    Ok((request, shown))
}

/// The address that the proxy connects from, which ends its answer (RFC 1928 §6).
async fn read_bound<S: AsyncRead + Unpin>(
    stream: &mut S,
    kind: u8,
    talk: &Talk<'_>,
) -> Result<String, DialError> {
    match kind {
        1 => {
            let ip: [u8; 4] = hear(stream, talk).await?;
            let port = hear(stream, talk).await?;
            Ok(SocketAddr::from((ip, u16::from_be_bytes(port))).to_string())
        }
        4 => {
            let ip: [u8; 16] = hear(stream, talk).await?;
            let port = hear(stream, talk).await?;
            Ok(SocketAddr::from((ip, u16::from_be_bytes(port))).to_string())
        }
        3 => {
            let [bytes] = hear(stream, talk).await?;
            let mut name = vec![0; usize::from(bytes)];
            stream
                .read_exact(&mut name)
                .await
                .map_err(|error| talk.broken(&error))?;
            let port = u16::from_be_bytes(hear(stream, talk).await?);
            Ok(format!("{}:{port}", String::from_utf8_lossy(&name)))
        }
        other => {
            let text = format!("answered with an address of an unknown kind ({other})");
            Err(talk.fail(text, None, false))
        }
    }
}

/// What a reply means (RFC 1928 §6), and whether it may be otherwise later.
fn meaning(reply: u8, target: &str) -> (String, bool) {
    match reply {
        1 => (format!("failed on the way to {target}"), true),
        2 => (format!("does not let anybody through to {target}"), false),
        3 => (format!("has no way to the network of {target}"), true),
        4 => (format!("could not reach {target} (host unreachable)"), true),
        5 => (format!("was told that nobody listens on {target}"), true),
        6 => (format!("waited too long for {target}"), true),
        7 => ("does not know the command CONNECT".into(), false),
        8 => (
            format!("does not know addresses like that of {target}"),
            false,
        ),
        other => (format!("refused {target} (reply {other})"), false),
    }
}

async fn say<S: AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    told: &str,
    talk: &Talk<'_>,
) -> Result<(), DialError> {
    stream
        .write_all(bytes)
        .await
        .map_err(|error| talk.broken(&error))?;
    talk.telling.tell(&Scene::ProxyAsked { request: told });
    Ok(())
}

async fn hear<const N: usize, S: AsyncRead + Unpin>(
    stream: &mut S,
    talk: &Talk<'_>,
) -> Result<[u8; N], DialError> {
    let mut bytes = [0; N];
    stream
        .read_exact(&mut bytes)
        .await
        .map_err(|error| talk.broken(&error))?;
    Ok(bytes)
}
