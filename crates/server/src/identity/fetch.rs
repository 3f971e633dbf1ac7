//! The thread that fetches keys: from a URL, or from a file whenever it changes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, StreamOwned};
use taut_auth::{Auth, JWKS_BYTES_MAX, Jwks, JwksTimes};
use taut_wire::http::{self, BodyDecoder, Method};

use super::Doorman;
use super::doorman::Fetched;
use crate::hooks::{Authorities, tls_config};
use crate::timed::{Timed, left};

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
                        let read = read_file(path).map_err(|error| error.to_string());
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
        let auth = self.auth();
        let authorities = auth
            .as_deref()
            .and_then(|auth| auth.jwks_authorities.as_deref());
        let answer = download(url, authorities, Instant::now() + FETCH_TIME_MAX);
        self.take_keys(jwks, without_query(url), answer);
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
                jwks.fail(self.elapsed_ms());
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

/// Reads the key set of a URL as the server does, for tools.
///
/// # Errors
/// It cannot be had; the text says why.
pub fn fetch_key_set(auth: &Auth) -> Result<Vec<u8>, String> {
    let url = auth.jwks_url.as_deref().unwrap_or_default();
    let until = Instant::now() + FETCH_TIME_MAX;
    download(url, auth.jwks_authorities.as_deref(), until).map(|(bytes, _)| bytes)
}

/// A query may have a secret in it.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

type Look = Option<(u64, u64, SystemTime)>;

/// How a file looks: another one by that name, another length or another time is another file.
fn look(path: &Path) -> Look {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.ino(), facts.len(), facts.modified().ok()?))
}

/// As much of a file as tells that it is too long.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(JWKS_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// GETs a URL, trusting the authorities of a PEM text, or else the system's; the body, and its `max-age` in milliseconds.
fn download(
    url: &str,
    authorities: Option<&[u8]>,
    until: Instant,
) -> Result<(Vec<u8>, Option<u64>), String> {
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
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: taut\r\nConnection: close\r\n\r\n"
    );
    let mut socket = Timed::connect(host, port, until).map_err(|error| failed(&error))?;
    if !secure {
        return exchange(&mut socket, &request, until);
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let authorities = authorities.map(Authorities::from_pem).transpose();
    let authorities = authorities.map_err(|error| format!("`auth.jwks_ca_file`: {error}"))?;
    let tls = tls_config(authorities.as_ref()).map_err(|error| error.to_string())?;
    let session = ClientConnection::new(tls, name).map_err(|error| error.to_string())?;
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

fn exchange(
    stream: &mut (impl Read + Write),
    request: &str,
    until: Instant,
) -> Result<(Vec<u8>, Option<u64>), String> {
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.flush())
        .map_err(|error| failed(&error))?;
    let (mut input, mut chunk) = (Vec::new(), [0; 8 << 10]);
    let (head, framing, max_age_ms) = loop {
        let parsed = http::parse_response(&input, &HEAD, &Method::Get);
        if let Some((response, length)) = parsed.map_err(|error| error.violation.to_string())? {
            match response.status {
                200 => {}
                100 | 102..=199 => {
                    input.drain(..length);
                    continue;
                }
                300..=399 => {
                    return Err(format!(
                        "it answered with the status {}; redirects are not followed, so name the URL where the keys are",
                        response.status
                    ));
                }
                status => return Err(format!("it answered with the status {status}")),
            }
            let coding = response.headers.first("content-encoding");
            if let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
                let coding: String = coding.chars().take(32).collect();
                return Err(format!(
                    "it answered with Content-Encoding: {coding}, which nobody asked for and is not unpacked"
                ));
            }
            let age = response.headers.first("cache-control").and_then(max_age_s);
            break (
                length,
                response.framing,
                age.map(|s| s.saturating_mul(1_000)),
            );
        }
        match stream.read(&mut chunk).map_err(|error| failed(&error))? {
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
        left(until).map_err(|error| failed(&error))?;
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
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// What went wrong, for the log.
fn failed(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (error.kind(), inner) {
        (io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock, _) => "it took too long".to_owned(),
        (_, Some(error @ rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))) => {
            format!(
                "{error}; where a private authority has signed it, name its certificate in `auth.jwks_ca_file`"
            )
        }
        _ => error.to_string(),
    }
}

/// RFC 9111 section 5.2: names are of any case, and a number may be quoted.
fn max_age_s(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control
        .split(',')
        .filter_map(|one| one.split_once('='));
    let (_, age) = directives.find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))?;
    age.trim().trim_matches('"').parse().ok()
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
        assert!(download("ftp://a.example/", None, until).is_err());
        assert!(download("http://user@127.0.0.1/", None, until).is_err());
        assert!(download("http://127.0.0.1/a b", None, until).is_err());
        assert_eq!(max_age_s("public, max-age=300"), Some(300));
        assert_eq!(max_age_s("Max-Age=\"60\", private"), Some(60));
        assert_eq!(max_age_s("no-store"), None);
    }
}
