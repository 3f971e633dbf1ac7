//! One call: an HTTP/1.1 request over a blocking socket, within a deadline. No redirect is followed, and an answer is read up to a bound.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use taut_wire::http::{self, BodyDecoder, Limits, Method};

use super::ANSWER_BYTES_MAX;
use super::config::{Authorities, HookUrl};

/// A connection that is kept for the next call.
pub(super) enum Line {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Why a call came to nothing. Its text is for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the connection failed: {0}")]
    Broken(io::Error),
    #[error("{0}; where a private authority has signed it, name its certificate in `ca_file`")]
    Certificate(rustls::Error),
    #[error("it did not answer in time")]
    Late,
    #[error("its answer is no HTTP: {0}")]
    NoHttp(String),
    #[error("it answered {0} instead of 200 or 204")]
    Status(u16),
}

/// What the client of a webhook, or of a key set, trusts: the authorities that are named, or else the system's.
pub(crate) fn tls_config(
    authorities: Option<&Authorities>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let roots = match authorities {
        Some(Authorities(roots)) => Arc::clone(roots),
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Posts, over the kept connection where there is one, else over a new one. One that the other side has closed meanwhile is tried once more.
pub(super) fn post(
    url: &HookUrl,
    tls: &Arc<ClientConfig>,
    kept: &mut Option<Line>,
    signature: &str,
    body: &[u8],
    until: Instant,
) -> Result<Vec<u8>, Failed> {
    let mut request = Vec::with_capacity(body.len() + 256);
    let length = body.len().to_string();
    let fields = [
        ("Content-Type", "application/json"),
        ("Content-Length", length.as_str()),
        ("Taut-Signature", signature),
        ("User-Agent", concat!("taut/", env!("CARGO_PKG_VERSION"))),
    ];
    let method = Method::Post;
    http::encode_request(&mut request, &method, &url.target, &url.authority, &fields);
    request.extend_from_slice(body);
    if let Some(mut line) = kept.take() {
        match exchange(&mut line, &request, until) {
            Ok((answer, goes_on)) => {
                *kept = goes_on.then_some(line);
                return answer;
            }
            Err(Failed::Late) => return Err(Failed::Late),
            // It may have been closed while nothing was said.
            Err(_) => {}
        }
    }
    let mut line = open(url, tls, until)?;
    let (answer, goes_on) = exchange(&mut line, &request, until)?;
    *kept = goes_on.then_some(line);
    answer
}

fn open(url: &HookUrl, tls: &Arc<ClientConfig>, until: Instant) -> Result<Line, Failed> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its host has no address");
    for address in (url.host.as_str(), url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                if !url.is_tls {
                    return Ok(Line::Clear(stream));
                }
                let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
                let session =
                    ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                return Ok(Line::Tls(Box::new(StreamOwned::new(session, stream))));
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

type Answered = (Result<Vec<u8>, Failed>, bool);

/// One request and its answer; and whether the connection may carry another one.
fn exchange(line: &mut Line, request: &[u8], until: Instant) -> Result<Answered, Failed> {
    line.wait_at_most(left(until)?)?;
    line.write_all(request)?;
    line.flush()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    let limits = Limits::default();
    let (status, goes_on, mut decoder, mut at) = loop {
        read(line, &mut bytes, &mut chunk, until)?;
        let parsed = http::parse_response(&bytes, &limits, &Method::Post)
            .map_err(|error| no_http(&error))?;
        let Some((response, length)) = parsed else {
            continue;
        };
        if (100..200).contains(&response.status) && response.status != 101 {
            bytes.drain(..length);
            continue;
        }
        let decoder = BodyDecoder::new(response.framing, ANSWER_BYTES_MAX)
            .map_err(|error| no_http(&error))?;
        break (response.status, response.keep_alive, decoder, length);
    };
    if status != 200 && status != 204 {
        // Its body is worth nothing; the connection is not kept for it.
        return Ok((Err(Failed::Status(status)), false));
    }
    let mut body = Vec::new();
    while !decoder.is_done() {
        let step = decoder
            .decode(bytes.get(at..).unwrap_or_default())
            .map_err(|error| no_http(&error))?;
        body.extend_from_slice(step.data);
        let (consumed, done) = (step.consumed, step.done);
        at += consumed;
        if consumed == 0 && !done {
            bytes.drain(..at);
            at = 0;
            if !goes_on {
                // Ended by the end of the connection, perhaps.
                let before = bytes.len();
                match read(line, &mut bytes, &mut chunk, until) {
                    Err(Failed::Broken(error))
                        if error.kind() == io::ErrorKind::UnexpectedEof
                            && bytes.len() == before =>
                    {
                        break;
                    }
                    other => other?,
                }
            } else {
                read(line, &mut bytes, &mut chunk, until)?;
            }
        }
    }
    Ok((Ok(body), goes_on && at == bytes.len()))
}

fn read(
    line: &mut Line,
    bytes: &mut Vec<u8>,
    chunk: &mut [u8],
    until: Instant,
) -> Result<(), Failed> {
    line.wait_at_most(left(until)?)?;
    match line.read(chunk)? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        count => {
            bytes.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    }
}

fn left(until: Instant) -> Result<Duration, Failed> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Failed::Late);
    }
    Ok(left)
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match (error.kind(), inner) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, _) => Self::Late,
            (_, Some(error @ rustls::Error::InvalidCertificate(_))) => {
                Self::Certificate(error.clone())
            }
            _ => Self::Broken(error),
        }
    }
}

fn no_http(error: &http::Violation) -> Failed {
    Failed::NoHttp(error.violation.to_string())
}

impl Line {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        let stream = match self {
            Self::Clear(stream) => stream,
            Self::Tls(tunnel) => tunnel.get_ref(),
        };
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(tunnel) => tunnel.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(bytes),
            Self::Tls(tunnel) => tunnel.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Tls(tunnel) => tunnel.flush(),
        }
    }
}
