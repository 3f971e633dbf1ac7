//! What a webhook is told before it starts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use taut_auth::WebhookKey;
use taut_hub::Pattern;

/// A webhook: the application is asked before something happens.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// What it is asked about.
    pub event: HookEvent,
    /// Where it is.
    pub url: HookUrl,
    /// What calls are signed with.
    pub key: Arc<WebhookKey>,
    /// The time that waiting for a thread and the call may take together, in milliseconds.
    pub deadline_ms: u64,
    /// What holds where it cannot be asked.
    pub on_failure: OnFailure,
    /// Calls at the same time.
    pub concurrency: usize,
    /// Jobs that may wait.
    pub queue_max: usize,
    /// Whose certificates are trusted; `None` for the system's authorities.
    pub authorities: Option<Authorities>,
}

impl Webhook {
    /// Whether nobody comes in without its yes.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.is_about_newcomers() && self.on_failure == OnFailure::Refuse
    }

    /// Whether it is asked about newcomers.
    #[must_use]
    pub fn is_about_newcomers(&self) -> bool {
        matches!(self.event, HookEvent::Connect)
    }

    /// Whether it is the same as another one in all that is said of it, the secret included.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let authorities = match (&self.authorities, &other.authorities) {
            (None, None) => true,
            (Some(Authorities(one)), Some(Authorities(other))) => one.roots == other.roots,
            _ => false,
        };
        authorities
            && self.event == other.event
            && self.url == other.url
            && self.key.is(&other.key)
            && self.deadline_ms == other.deadline_ms
            && self.on_failure == other.on_failure
            && self.concurrency == other.concurrency
            && self.queue_max == other.queue_max
    }
}

/// What a webhook is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEvent {
    /// Each message in the rooms that this covers, before it is taken.
    Publish(Pattern),
    /// Each newcomer, before it may do anything.
    Connect,
}

/// Authorities whose certificates are trusted, and no others.
#[derive(Clone)]
pub struct Authorities(pub(super) Arc<RootCertStore>);

/// What is wrong with a file of authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthoritiesError(String);

impl Authorities {
    /// Reads the certificates of a PEM text.
    ///
    /// # Errors
    /// It holds none, or one that cannot be read.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bytes) {
            let certificate = certificate
                .map_err(|error| AuthoritiesError(format!("its PEM cannot be read: {error}")))?;
            roots.add(certificate).map_err(|error| {
                AuthoritiesError(format!("it holds no certificate of an authority: {error}"))
            })?;
        }
        if roots.is_empty() {
            return Err(AuthoritiesError(
                "it holds no certificate (no line -----BEGIN CERTIFICATE-----)".into(),
            ));
        }
        Ok(Self(Arc::new(roots)))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// What holds where the application cannot be asked, answers nonsense, or too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The message is taken as it came; who comes may do what its token says, or what anybody may.
    Allow,
    /// It, or whoever comes, is refused, with the advice to try again.
    Refuse,
}

/// An `http://` or `https://` URL.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl {
    pub(super) is_tls: bool,
    /// Without brackets where it is an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the `Host` header has it.
    pub(super) authority: String,
    pub(super) target: String,
}

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HookUrlError(&'static str);

impl HookUrl {
    /// Whether nobody on the way can read what is sent: by TLS, or because it does not leave this machine.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let is_loopback = || match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        };
        self.is_tls || is_loopback()
    }
}

impl FromStr for HookUrl {
    type Err = HookUrlError;

    fn from_str(text: &str) -> Result<Self, HookUrlError> {
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => {
                return Err(HookUrlError(
                    "write an https:// or http:// URL, for example https://app.example/taut",
                ));
            }
        };
        if rest.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(HookUrlError(
                "the URL has a space or a character that is not ASCII; percent-encode it",
            ));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(HookUrlError(
                "the URL has a user or a password; calls are signed with the secret, so leave it out",
            ));
        }
        let target = target.split('#').next().unwrap_or_default();
        let target = match target {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        let (host, port) = split(authority, if is_tls { 443 } else { 80 }).ok_or(HookUrlError(
            "the URL names no host, or no port behind its colon",
        ))?;
        Ok(Self {
            is_tls,
            host,
            port,
            authority: authority.to_owned(),
            target,
        })
    }
}

fn split(authority: &str, port: u16) -> Option<(String, u16)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match rest {
        "" => port,
        rest => rest.strip_prefix(':')?.parse().ok()?,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        // A query may have a secret in it.
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_their_query() {
        let url: HookUrl = "https://app.example/a/b?key=secret#x".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port), ("app.example", 443));
        assert_eq!(url.target, "/a/b?key=secret");
        assert_eq!(url.to_string(), "https://app.example/a/b");
        let url: HookUrl = "http://[::1]:81".parse().unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.target.as_str()),
            ("::1", 81, "/")
        );
        for wrong in [
            "ftp://a/",
            "http://",
            "http://a:x/",
            "http://u:p@a/",
            "http://a/ b",
            "http://[::1/",
        ] {
            assert!(wrong.parse::<HookUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_leaves_the_machine_in_clear_text_is_told_apart() {
        for (url, is_private) in [
            ("http://127.0.0.9:81/", true),
            ("http://[::1]/", true),
            ("http://LOCALHOST/", true),
            ("https://app.example/", true),
            ("http://app.example/", false),
            ("http://127.0.0.1.example/", false),
        ] {
            let parsed: HookUrl = url.parse().unwrap();
            assert_eq!(parsed.is_private(), is_private, "{url}");
        }
    }

    #[test]
    fn a_file_without_an_authority_is_refused() {
        let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for wrong in [&b""[..], b"hello", nonsense] {
            assert!(Authorities::from_pem(wrong).is_err());
        }
    }
}
