use taut_wire::http::{Host, Request};

use super::{EnginePath, Problem};

/// Bytes of an origin that is repeated to whoever may want to allow it: a scheme, a name of 253 and a port.
const ORIGIN_BYTES_MAX: usize = 300;

/// Who this server is to browsers: which Hosts it answers to and whose pages may use it.
///
/// An open server on a loopback address is reachable by every page in the user's browser. So there `Host` must be a loopback name (against
/// DNS rebinding) and an `Origin`, where sent, a loopback one; elsewhere an `Origin` must be this host's own. Both lists are extended by configuration.
#[derive(Debug, Clone)]
pub struct Site {
    /// Whether only this machine can reach the server.
    pub loopback_only: bool,
    /// Further host names, from `hosts`.
    pub hosts: Vec<String>,
    /// Further origins, from `origins`.
    pub origins: Vec<String>,
    /// Longest `?wait=`, in milliseconds.
    pub wait_ms_max: u64,
    /// Offer permessage-deflate.
    pub compression: bool,
    /// A folder answers where no door does.
    pub files: bool,
    /// Where Engine.IO is spoken.
    pub engines: Vec<EnginePath>,
    /// The cookie that may hold a token; empty for none.
    pub cookie: String,
}

impl Site {
    /// Whether the request may go on.
    ///
    /// # Errors
    /// A 403 that names the setting which would allow it.
    pub fn admit(&self, request: &Request<'_>) -> Result<(), Problem> {
        if let Some(host) = &request.host {
            self.admit_host(host)?;
        }
        match request.headers.first("origin") {
            Some(origin) => self.admit_origin(origin, request.host.as_ref()),
            None => Ok(()),
        }
    }

    /// Whether a request with a cookie is the user's own doing, and not that of a page of somebody else: browsers send cookies along whoever asks.
    #[must_use]
    pub fn trusts_cookie_of(&self, request: &Request<'_>) -> bool {
        if let Some(origin) = request.headers.first("origin") {
            let own = authority(origin).is_some_and(|theirs| {
                let host = request.host.as_ref();
                host.is_some_and(|host| host.is(theirs, origin))
            });
            return own || lists(&self.origins, origin);
        }
        // No page has written it, or one of this site (Fetch Metadata); older browsers say nothing, so there only reading is left.
        match request.headers.first("sec-fetch-site") {
            Some(site) => matches!(site, "same-origin" | "none"),
            None => {
                let reads = matches!(
                    request.method,
                    taut_wire::http::Method::Get | taut_wire::http::Method::Head
                );
                reads && request.headers.first("upgrade").is_none()
            }
        }
    }

    fn admit_host(&self, host: &Host<'_>) -> Result<(), Problem> {
        if !self.loopback_only || is_loopback(host.name) || lists(&self.hosts, host.name) {
            return Ok(());
        }
        Err(Problem::new(
            403,
            "host-refused",
            format!(
                "this server answers to localhost, not to `{}`; to allow it set hosts = [\"{}\"] (--hosts)",
                host.name, host.name
            ),
        ))
    }

    fn admit_origin(&self, origin: &str, host: Option<&Host<'_>>) -> Result<(), Problem> {
        let theirs = authority(origin);
        let name = theirs.map(|authority| split_port(authority).0);
        let own =
            theirs.is_some_and(|authority| host.is_some_and(|host| host.is(authority, origin)));
        let near = self.loopback_only && name.is_some_and(is_loopback);
        if own || near || lists(&self.origins, origin) {
            return Ok(());
        }
        if origin.len() > ORIGIN_BYTES_MAX {
            let text = format!(
                "the Origin has {} bytes, which is none that a browser sends",
                origin.len()
            );
            return Err(Problem::new(403, "origin-refused", text));
        }
        let text = if is_nameable(origin) {
            format!(
                "pages of `{origin}` may not use this server; to allow them set origins = [\"{origin}\"] (--origins)"
            )
        } else {
            format!(
                "pages of `{origin}` may not use this server: it is the origin of every file that is opened and of anybody's sandboxed frame, so it cannot be allowed; serve the page by HTTP, for example with --files"
            )
        };
        Err(Problem::new(403, "origin-refused", text))
    }
}

fn lists(list: &[String], name: &str) -> bool {
    list.iter().any(|listed| listed.eq_ignore_ascii_case(name))
}

/// `host:port` of an `http(s)://host:port` origin.
fn authority(origin: &str) -> Option<&str> {
    let rest = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))?;
    (!rest.is_empty() && !rest.contains(['/', '@'])).then_some(rest)
}

/// Whether `origins` could name it: `null` is the origin of whoever wants it, and `file://` of every file.
fn is_nameable(origin: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(scheme, authority)| !scheme.is_empty() && !authority.is_empty())
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        _ => (authority, None),
    }
}

/// `localhost`, any name below it (RFC 6761 §6.3), and literal loopback addresses.
fn is_loopback(name: &str) -> bool {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let lower = name.to_ascii_lowercase();
    lower == "localhost"
        || lower.ends_with(".localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
