//! What a webhook is told before it starts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use taut_auth::WebhookKey;
use taut_hub::Pattern;

/// A webhook: the application is asked before a message is taken.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The rooms that it is asked about.
    pub pattern: Pattern,
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
}

/// What holds where the application cannot be asked, answers nonsense, or too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The message is taken as it came.
    Allow,
    /// It is refused, with the advice to try again.
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
}
