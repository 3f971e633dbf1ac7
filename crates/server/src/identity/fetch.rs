//! The thread that fetches keys: from a URL, or from a file whenever it changes.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use taut_auth::{Auth, JWKS_BYTES_MAX, Jwks, JwksTimes};
use taut_wire::http::{self, BodyDecoder, Method};

use super::Doorman;
use super::doorman::Fetched;

/// How often it looks whether keys have aged, or the file has changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same while keys come from nowhere: a reload wakes it.
const NOWHERE: Duration = Duration::from_secs(3_600);
/// How long one fetch may take in all.
const FETCH_TIME_MAX: Duration = Duration::from_secs(4);
const HEAD: http::Limits = http::Limits {
    head_bytes_max: 16 << 10,
    headers_max: 100,
    target_bytes_max: 8 << 10,
};

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// By HTTP.
    Url(String),
    /// From a file, read again when it changes.
    File(PathBuf),
}

impl KeySource {
    pub(super) fn of(auth: &Auth) -> Option<Self> {
        let file = || auth.jwks_file.clone().map(Self::File);
        auth.jwks_url.clone().map(Self::Url).or_else(file)
    }

    /// A file is looked at all the time, so its keys never age.
    pub(super) fn times(&self, times: JwksTimes) -> JwksTimes {
        match self {
            Self::Url(_) => times,
            Self::File(_) => JwksTimes {
                fresh_ms: u64::MAX,
                fresh_ms_bounds: (u64::MAX, u64::MAX),
                unknown_ms_min: u64::MAX,
                ..times
            },
        }
    }
}

impl Doorman {
    /// Fetches until the server ends, from wherever keys come at the moment.
    pub(crate) fn fetch_keys(self: &Arc<Self>) {
        let mut looked: Option<(Arc<Fetched>, Look)> = None;
        loop {
            let fetched = self.fetched();
            let pause = match &fetched {
                None => NOWHERE,
                Some(_) => LOOK_EVERY,
            };
            match fetched.as_deref() {
                Some(Fetched {
                    source: KeySource::File(path),
                    jwks,
                }) => {
                    let look = look(path);
                    let is_same = |(of, before): &(Arc<Fetched>, Look)| {
                        *before == look && fetched.as_ref().is_some_and(|now| Arc::ptr_eq(of, now))
                    };
                    if !looked.as_ref().is_some_and(is_same) {
                        looked = fetched.clone().map(|fetched| (fetched, look));
                        let read = std::fs::read(path).map_err(|error| error.to_string());
                        let read = read.map(|bytes| (bytes, None));
                        self.take_keys(jwks, &path.display().to_string(), read);
                    }
                }
                Some(Fetched {
                    source: KeySource::Url(url),
                    jwks,
                }) => {
                    looked = None;
                    if self.is_due(jwks, None) {
                        self.fetch(jwks, url);
                    }
                }
                None => looked = None,
            }
            let Ok(wish) = self.wait_for_wish(pause) else {
                return;
            };
            if let (Some(key_id), Some(fetched)) = (wish, fetched)
                && let KeySource::Url(url) = &fetched.source
                && self.is_due(&fetched.jwks, key_id.as_deref())
            {
                self.fetch(&fetched.jwks, url);
            }
        }
    }

    fn is_due(&self, jwks: &RwLock<Jwks>, key_id: Option<&str>) -> bool {
        let jwks = jwks.read().unwrap_or_else(PoisonError::into_inner);
        jwks.needs_fetch(key_id, self.elapsed_ms())
    }

    fn fetch(&self, jwks: &RwLock<Jwks>, url: &str) {
        let mut begun = jwks.write().unwrap_or_else(PoisonError::into_inner);
        begun.begin(self.elapsed_ms());
        drop(begun);
        let answer = download(url, Instant::now() + FETCH_TIME_MAX);
        self.take_keys(jwks, url, answer);
    }

    /// Takes what came, or notes that nothing did, and lets every core look again.
    fn take_keys(
        &self,
        jwks: &RwLock<Jwks>,
        from: &str,
        answer: Result<(Vec<u8>, Option<u64>), String>,
    ) {
        let mut jwks = jwks.write().unwrap_or_else(PoisonError::into_inner);
        let taken = match answer {
            Ok((bytes, max_age_ms)) => {
                let taken = jwks.accept(&bytes, max_age_ms, self.elapsed_ms());
                taken.map_err(|error| error.to_string())
            }
            Err(text) => {
                jwks.fail();
                Err(text)
            }
        };
        let skipped = jwks.skipped();
        drop(jwks);
        match taken {
            Ok(keys) => tracing::info!(from, keys, skipped, "keys for tokens"),
            Err(error) => tracing::warn!(
                from, %error, "keys for tokens cannot be had; those from before are used as long as they may be"
            ),
        }
        self.bump();
    }
}

type Look = Option<(u64, SystemTime)>;

/// How a file looks: another length or time is another file.
fn look(path: &std::path::Path) -> Look {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.len(), facts.modified().ok()?))
}

/// GETs a URL; the body, and its `max-age` in milliseconds.
fn download(url: &str, until: Instant) -> Result<(Vec<u8>, Option<u64>), String> {
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err("this is no http:// or https:// URL".to_owned()),
    };
    let (authority, path) = rest
        .find(['/', '?'])
        .map_or((rest, ""), |at| rest.split_at(at));
    let path = match path {
        "" => "/".to_owned(),
        path if path.starts_with('?') => format!("/{path}"),
        path => path.to_owned(),
    };
    let path = path.split('#').next().unwrap_or("/");
    if !path
        .bytes()
        .chain(authority.bytes())
        .all(|byte| byte.is_ascii_graphic())
        || authority.contains('@')
    {
        return Err("the URL has characters that must be escaped, or a user".to_owned());
    }
    let (host, port) = host_and_port(authority, if secure { 443 } else { 80 })?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\nUser-Agent: taut\r\nConnection: close\r\n\r\n"
    );
    let mut socket = connect(host, port, until)?;
    if !secure {
        return exchange(&mut socket, &request, until);
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let session =
        ClientConnection::new(Arc::new(tls()?), name).map_err(|error| error.to_string())?;
    exchange(&mut StreamOwned::new(session, socket), &request, until)
}

fn host_and_port(authority: &str, default: u16) -> Result<(&str, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or("the URL's address has no ]")?;
            (host, behind.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Ok(default), str::parse);
    Ok((host, port.map_err(|_| "the URL's port is no number")?))
}

fn connect(host: &str, port: u16, until: Instant) -> Result<Clocked, String> {
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(until).map_err(|error| error.to_string())?)
        {
            Ok(socket) => return Ok(Clocked { socket, until }),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// A socket under one clock for all that is read and written.
struct Clocked {
    socket: TcpStream,
    until: Instant,
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

impl Read for Clocked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.until)?))?;
        self.socket.read(buffer)
    }
}

impl Write for Clocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.until)?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// TLS with the authorities that the system trusts.
fn tls() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system has no certificates of authorities to trust".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn exchange(
    stream: &mut (impl Read + Write),
    request: &str,
    until: Instant,
) -> Result<(Vec<u8>, Option<u64>), String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "it took too long".to_owned(),
        _ => error.to_string(),
    };
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.flush())
        .map_err(failed)?;
    let (mut input, mut chunk) = (Vec::new(), [0; 8 << 10]);
    let (head, framing, max_age_ms) = loop {
        let parsed = http::parse_response(&input, &HEAD, &Method::Get);
        if let Some((response, length)) = parsed.map_err(|error| error.violation.to_string())? {
            if response.status != 200 {
                return Err(format!("it answered with the status {}", response.status));
            }
            let age = response.headers.first("cache-control").and_then(max_age_s);
            break (
                length,
                response.framing,
                age.map(|s| s.saturating_mul(1_000)),
            );
        }
        match stream.read(&mut chunk).map_err(failed)? {
            0 => return Err("it closed the connection without an answer".to_owned()),
            count => input.extend_from_slice(&chunk[..count]),
        }
    };
    let to_end = matches!(framing, http::Framing::ToEnd);
    let violated = |error: http::Violation| error.violation.to_string();
    let mut decoder = (!to_end)
        .then(|| BodyDecoder::new(framing, JWKS_BYTES_MAX as u64))
        .transpose()
        .map_err(violated)?;
    let (mut rest, mut body) = (input.split_off(head), Vec::new());
    loop {
        left(until).map_err(failed)?;
        match &mut decoder {
            None => body.append(&mut rest),
            Some(decoder) => {
                while !rest.is_empty() && !decoder.is_done() {
                    let step = decoder.decode(&rest).map_err(violated)?;
                    body.extend_from_slice(step.data);
                    let consumed = step.consumed;
                    if consumed == 0 {
                        break;
                    }
                    rest.drain(..consumed);
                }
                if decoder.is_done() {
                    return Ok((body, max_age_ms));
                }
            }
        }
        if body.len() > JWKS_BYTES_MAX {
            return Err(format!("it has more than {JWKS_BYTES_MAX} bytes"));
        }
        match stream.read(&mut chunk) {
            Ok(0) if to_end => return Ok((body, max_age_ms)),
            Ok(0) => return Err("it ended too early".to_owned()),
            Ok(count) => rest.extend_from_slice(&chunk[..count]),
            Err(error) => return Err(failed(error)),
        }
    }
}

fn max_age_s(cache_control: &str) -> Option<u64> {
    let directives = cache_control.split(',').map(str::trim);
    directives
        .filter_map(|one| one.strip_prefix("max-age=")?.parse().ok())
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_its_port_and_what_is_odd_is_refused() {
        assert_eq!(host_and_port("a.example", 443), Ok(("a.example", 443)));
        assert_eq!(
            host_and_port("a.example:8443", 443),
            Ok(("a.example", 8443))
        );
        assert_eq!(host_and_port("[::1]:80", 443), Ok(("::1", 80)));
        assert!(host_and_port("a.example:x", 443).is_err());
        let until = Instant::now();
        assert!(download("ftp://a.example/", until).is_err());
        assert!(download("http://user@127.0.0.1/", until).is_err());
        assert!(download("http://127.0.0.1/a b", until).is_err());
        assert_eq!(max_age_s("public, max-age=300"), Some(300));
        assert_eq!(max_age_s("no-store"), None);
    }
}
