//! The way from a URL to an open socket.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use socket2::SockRef;
use tokio::net::{TcpStream, UdpSocket, UnixStream};

use crate::error::{DialError, plain};
use crate::settings::{Proxy, ProxyKind, Settings};
use crate::story::{Scene, Story};
use crate::stream::{Opened, Stream};
use crate::telling::Telling;
use crate::url::{Scheme, Url, UrlError};
use crate::{proxy, race, resolve, socket, tls};

/// Opens a stream to `url`: resolves, connects, goes through the proxy and does TLS, as the URL and the settings say.
///
/// For HTTP and WebSocket URLs the stream is ready for the first request. Cancel-safe: dropping the future leaves nothing behind.
///
/// # Errors
/// A [`DialError`]: that of a `udp://` URL is [`DialError::Url`], see [`open_datagrams`].
pub async fn open(url: &Url, settings: &Settings, story: &dyn Story) -> Result<Opened, DialError> {
    let telling = Telling::new(story, url.authority());
    let way = async {
        match url.scheme {
            Scheme::Udp => Err(unusable(url, "it is of datagrams, and a stream is wanted")),
            Scheme::Unix if settings.proxy.is_some() => {
                Err(unusable(url, "a proxy does not lead to a Unix socket"))
            }
            Scheme::Unix => open_unix(&url.path, &telling).await,
            _ => open_tcp(url, settings, &telling).await,
        }
    };
    telling.within(settings.connect_ms_max, way).await
}

/// Opens a UDP socket that is connected to `url`: only that peer's datagrams come in, and its refusals are heard as errors.
///
/// Nothing is sent, so nobody knows yet whether somebody is there. Of several addresses the first that this machine has a way to is taken.
///
/// # Errors
/// A [`DialError`]; [`DialError::Url`] for other schemes than `udp://`, and with a proxy.
pub async fn open_datagrams(
    url: &Url,
    settings: &Settings,
    story: &dyn Story,
) -> Result<UdpSocket, DialError> {
    let telling = Telling::new(story, url.authority());
    let way = async {
        if url.scheme != Scheme::Udp {
            return Err(unusable(url, "it is of a stream, and datagrams are wanted"));
        }
        if settings.proxy.is_some() {
            return Err(unusable(url, "datagrams do not go through a proxy"));
        }
        open_udp(url, settings, &telling).await
    };
    telling.within(settings.connect_ms_max, way).await
}

fn unusable(url: &Url, reason: &str) -> DialError {
    DialError::Url(UrlError {
        url: url.to_string(),
        reason: reason.to_owned(),
    })
}

async fn open_unix(path: &Path, telling: &Telling<'_>) -> Result<Opened, DialError> {
    telling.begin("waiting for the Unix socket to take the connection");
    // Linux's abstract names begin with a zero byte; tokio knows them so.
    let address = match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => {
            let mut bytes = vec![0];
            bytes.extend_from_slice(name);
            PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
        }
        None => path.to_owned(),
    };
    let stream = UnixStream::connect(&address).await.map_err(|error| {
        let text = match error.kind() {
            ErrorKind::NotFound => "there is no such socket".into(),
            ErrorKind::ConnectionRefused => "nobody listens on it".into(),
            ErrorKind::PermissionDenied => {
                "permission denied (a socket is opened by whoever may write to it)".into()
            }
            _ => plain(&error),
        };
        DialError::Socket {
            path: path.to_owned(),
            text,
            nobody_listens: matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ),
        }
    })?;
    let local = stream
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(|path| path.display().to_string()))
        .unwrap_or_else(|| "unnamed".into());
    let peer = path.display().to_string();
    telling.tell(&Scene::Connected {
        local: &local,
        peer: &peer,
    });
    socket::tell_buffers(&SockRef::from(&stream), telling);
    Ok(Opened {
        stream: Stream::Unix(stream),
        local,
        peer,
    })
}

async fn open_tcp(
    url: &Url,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<Opened, DialError> {
    // A wrong file shows before anybody is called.
    let client = match url.scheme.is_tls() {
        true => Some(tls::prepare(url, settings, telling).await?),
        false => None,
    };
    let stream = match &settings.proxy {
        Some(through) => open_proxy(url, through, settings, telling).await?,
        None => connect(&url.host, url.port, &telling.place, settings, telling).await?,
    };
    let local = stream.local_addr().map_or_else(|_| "unknown".into(), text);
    let peer = stream.peer_addr().map_or_else(|_| "unknown".into(), text);
    let stream = match client {
        Some(client) => Stream::Tls(Box::new(client.shake_hands(stream, telling).await?)),
        None => Stream::Tcp(stream),
    };
    Ok(Opened {
        stream,
        local,
        peer,
    })
}

async fn connect(
    host: &str,
    port: u16,
    place: &str,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<TcpStream, DialError> {
    let addresses = resolve::resolve(host, port, settings, telling).await?;
    let stream = race::race(&addresses, place, settings, telling).await?;
    tell_connected(
        &stream.local_addr().map_or_else(|_| "unknown".into(), text),
        &stream.peer_addr().map_or_else(|_| "unknown".into(), text),
        telling,
    );
    socket::tell_tcp(&stream, settings, telling);
    Ok(stream)
}

async fn open_proxy(
    url: &Url,
    through: &Proxy,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<TcpStream, DialError> {
    // Resolved before the proxy is called: a wrong name is no fault of the proxy's.
    let target = match through.kind {
        ProxyKind::Socks5 => resolve::resolve(&url.host, url.port, settings, telling)
            .await?
            .first()
            .copied(),
        ProxyKind::Socks5h | ProxyKind::HttpConnect => None,
    };
    let place = format!("the proxy {through}");
    let mut stream = connect(&through.host, through.port, &place, settings, telling).await?;
    proxy::pass(&mut stream, url, target, through, telling).await?;
    Ok(stream)
}

async fn open_udp(
    url: &Url,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<UdpSocket, DialError> {
    let addresses = resolve::resolve(&url.host, url.port, settings, telling).await?;
    let mut attempts = Vec::new();
    for (index, address) in addresses.iter().copied().enumerate() {
        telling.tell(&Scene::Attempting {
            address,
            number: index + 1,
            of: addresses.len(),
        });
        match connect_udp(address, settings).await {
            Ok(socket) => {
                tell_connected(
                    &socket.local_addr().map_or_else(|_| "unknown".into(), text),
                    &text(address),
                    telling,
                );
                socket::tell_udp(&socket, telling);
                return Ok(socket);
            }
            Err(error) => {
                let error = plain(&error);
                telling.tell(&Scene::AttemptFailed {
                    address,
                    error: &error,
                });
                attempts.push((address, error));
            }
        }
    }
    Err(DialError::Unreachable {
        place: telling.place.clone(),
        attempts,
        nobody_listens: false,
    })
}

async fn connect_udp(address: SocketAddr, settings: &Settings) -> std::io::Result<UdpSocket> {
    let local = settings.source.unwrap_or(match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    });
    let socket = UdpSocket::bind(SocketAddr::from((local, 0))).await?;
    socket.connect(address).await?;
    Ok(socket)
}

fn tell_connected(local: &str, peer: &str, telling: &Telling<'_>) {
    telling.tell(&Scene::Connected { local, peer });
}

fn text(address: SocketAddr) -> String {
    address.to_string()
}
