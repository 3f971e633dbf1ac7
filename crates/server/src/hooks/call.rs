//! One call: an HTTP/1.1 request over a blocking socket, within a deadline. No redirect is followed, and an answer is read up to a bound.
//!
//! An answer that is cut off is a failure, whatever its beginning says: nothing at all is a yes, and half a no must not become one.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use taut_wire::http::{self, BodyDecoder, Framing, Limits, Method};

use super::ANSWER_BYTES_MAX;
use super::config::{Authorities, HookUrl};
use crate::timed::Timed;

/// A connection that is kept for the next call.
pub(super) enum Line {
    Clear(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
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
    if let Some(mut line) = kept.take()
        && line.is_silent()
    {
        line.give_until(until);
        match exchange(&mut line, &request) {
            Ok((answer, goes_on)) => {
                *kept = goes_on.then_some(line);
                return answer;
            }
            // It was closed just now, while nothing was said.
            Err(Failed::Broken(_)) => {}
            Err(failed) => return Err(failed),
        }
    }
    let mut line = open(url, tls, until)?;
    let (answer, goes_on) = exchange(&mut line, &request)?;
    *kept = goes_on.then_some(line);
    answer
}

fn open(url: &HookUrl, tls: &Arc<ClientConfig>, until: Instant) -> Result<Line, Failed> {
    let socket = Timed::connect(&url.host, url.port, until)?;
    if !url.is_tls {
        return Ok(Line::Clear(socket));
    }
    let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
    Ok(Line::Tls(Box::new(StreamOwned::new(session, socket))))
}

type Answered = (Result<Vec<u8>, Failed>, bool);

/// One request and its answer; and whether the connection may carry another one.
fn exchange(line: &mut Line, request: &[u8]) -> Result<Answered, Failed> {
    line.write_all(request)?;
    line.flush()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    let limits = Limits::default();
    let (response, length) = loop {
        let parsed = http::parse_response(&bytes, &limits, &Method::Post)
            .map_err(|error| no_http(&error))?;
        match parsed {
            // Interim answers; what follows may be here already.
            Some((response, length))
                if (100..200).contains(&response.status) && response.status != 101 =>
            {
                bytes.drain(..length);
            }
            Some((response, length)) => {
                break (
                    (response.status, response.keep_alive, response.framing),
                    length,
                );
            }
            None => {
                if read(line, &mut bytes, &mut chunk)? == 0 {
                    return Err(cut_off().into());
                }
            }
        }
    };
    let (status, goes_on, framing) = response;
    if status != 200 && status != 204 {
        // Its body is worth nothing; the connection is not kept for it.
        return Ok((Err(Failed::Status(status)), false));
    }
    bytes.drain(..length);
    let (body, is_used_up) = read_body(line, framing, bytes, &mut chunk)?;
    Ok((Ok(body), goes_on && is_used_up))
}

/// The body of an answer of which `bytes` came with its head; and whether nothing came behind it.
fn read_body(
    line: &mut Line,
    framing: Framing,
    mut bytes: Vec<u8>,
    chunk: &mut [u8],
) -> Result<(Vec<u8>, bool), Failed> {
    let mut decoder =
        BodyDecoder::new(framing, ANSWER_BYTES_MAX).map_err(|error| no_http(&error))?;
    let mut body = Vec::new();
    while !decoder.is_done() {
        let step = decoder.decode(&bytes).map_err(|error| no_http(&error))?;
        body.extend_from_slice(step.data);
        let (consumed, is_done) = (step.consumed, step.done);
        bytes.drain(..consumed);
        if consumed > 0 || is_done {
            continue;
        }
        match read(line, &mut bytes, chunk) {
            Ok(0) if framing == Framing::ToEnd => return Ok((body, false)),
            Ok(0) => return Err(cut_off().into()),
            // Many leave TLS without a word. What they have said must make sense by itself; nothing would, and may be what somebody else has cut off.
            Err(Failed::Broken(error))
                if framing == Framing::ToEnd
                    && error.kind() == io::ErrorKind::UnexpectedEof
                    && !body.is_empty() =>
            {
                return Ok((body, false));
            }
            more => more?,
        };
    }
    Ok((body, bytes.is_empty()))
}

/// Reads what there is; 0 at the end of the connection.
fn read(line: &mut Line, bytes: &mut Vec<u8>, chunk: &mut [u8]) -> Result<usize, Failed> {
    let count = line.read(chunk)?;
    bytes.extend_from_slice(&chunk[..count]);
    Ok(count)
}

fn cut_off() -> io::Error {
    let text = "it ended before its answer was whole";
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
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
    fn socket(&self) -> &Timed {
        match self {
            Self::Clear(socket) => socket,
            Self::Tls(tunnel) => tunnel.get_ref(),
        }
    }

    fn give_until(&mut self, until: Instant) {
        match self {
            Self::Clear(socket) => socket.give_until(until),
            Self::Tls(tunnel) => tunnel.get_mut().give_until(until),
        }
    }

    /// Whether nothing has come since the last answer, not even the end. Whatever has come answers no question of ours: a server that gives up a silent connection
    /// says 408 first, for example.
    fn is_silent(&mut self) -> bool {
        let has_more = match self {
            Self::Clear(_) => false,
            Self::Tls(tunnel) => match tunnel.conn.process_new_packets() {
                Ok(state) => state.plaintext_bytes_to_read() > 0,
                Err(_) => true,
            },
        };
        !has_more && self.socket().is_silent()
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
