//! Certificates at the start of a server: the self-signed one, and what there is to tell of all of them.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use taut_server::{
    Address, Bound, CertificateFacts, CertificateSource, Config, Endpoint, SelfSigned, Speaks,
    TlsConfig,
};

use crate::failure::{Code, Failure};
use crate::storage::write_secret;
use crate::terminal::Style;

/// The file of the self-signed certificate, with its key, beside the rooms.
const SELF_SIGNED: &str = "self-signed.pem";
/// The same without the key, for clients.
const SELF_SIGNED_CA: &str = "self-signed.crt";
/// One that ends sooner than this is made anew.
const LEAST_S: u64 = 30 * 86_400;

/// The self-signed certificate: the one that is kept, where it is for the same names and lasts, else a new one. Without a folder it is of this run.
pub(crate) fn self_signed(
    config: &Config,
    dir: Option<&Path>,
) -> Result<CertificateSource, Failure> {
    let names = names(config);
    let make = || SelfSigned::new(&names).map_err(|error| Failure::new(Code::Failure, error));
    let Some(dir) = dir else {
        let SelfSigned { chain, key } = make()?;
        return Ok(CertificateSource::Pem { chain, key });
    };
    let path = dir.join(SELF_SIGNED);
    let source = CertificateSource::Files {
        chain: path.clone(),
        key: path.clone(),
    };
    let kept = TlsConfig {
        certificates: vec![source.clone()],
        ..TlsConfig::default()
    };
    let lasts = |facts: &CertificateFacts| {
        let until_s = u64::try_from(facts.until_unix_s).unwrap_or_default();
        until_s > now_s() + LEAST_S && names.iter().all(|name| facts.is_for(name))
    };
    let is_kept = path.exists() && kept.check().is_ok_and(|facts| facts.iter().all(lasts));
    let certificate = dir.join(SELF_SIGNED_CA);
    if !is_kept || !certificate.exists() {
        let SelfSigned { chain, key } = make()?;
        let write = || -> io::Result<()> {
            write_secret(&path, format!("{chain}{key}").as_bytes())?;
            std::fs::write(&certificate, &chain)
        };
        write().map_err(|error| {
            let text = format!("cannot keep the certificate in {}: {error}", dir.display());
            Failure::new(Code::Failure, text)
        })?;
    }
    Ok(source)
}

/// The names that it is for: this machine's own, the addresses that are listened on, and `hosts`.
fn names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    for listen in &config.listeners {
        if let Endpoint::Tcp(at) = &listen.endpoint {
            names.push(at.host.clone());
        }
    }
    names.extend(config.hosts.iter().cloned());
    let unspecified = |name: &String| matches!(name.as_str(), "0.0.0.0" | "::");
    names.retain(|name| !unspecified(name));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// What a person may have overlooked: hosts that no certificate is for.
pub(crate) fn notes(hosts: &[String], certificates: &[CertificateFacts]) -> Vec<String> {
    if certificates.is_empty() {
        return Vec::new();
    }
    let missing = hosts
        .iter()
        .filter(|host| !certificates.iter().any(|facts| facts.is_for(host)));
    missing
        .map(|host| {
            format!("no certificate is for `{host}`, which `hosts` names: clients that come to it by TLS will not trust this server")
        })
        .collect()
}

/// The start lines about TLS.
pub(crate) fn lines(
    bound: &[Bound],
    certificates: &[CertificateFacts],
    is_self_signed: bool,
    dir: Option<&Path>,
    style: Style,
) -> String {
    let mut out = String::new();
    if certificates.is_empty() {
        return out;
    }
    for facts in certificates {
        let text = format!(
            "TLS: {} for {}, until {}.",
            if is_self_signed {
                "a self-signed certificate"
            } else {
                "a certificate"
            },
            facts.names.join(", "),
            facts.until
        );
        out += &format!("{}\n", style.dim(&text));
    }
    let port = bound
        .iter()
        .find_map(|bound| match (&bound.address, bound.speaks) {
            (Address::Tcp(at), Speaks::Anything | Speaks::Tls) => Some(at.port()),
            _ => None,
        });
    if let (true, Some(port), Some(facts)) = (is_self_signed, port, certificates.first()) {
        let text = match dir {
            Some(dir) => {
                let certificate = dir.join(SELF_SIGNED_CA);
                let shown = certificate.display();
                format!(
                    "Its SHA-256 is {}.\nTrust it with curl --cacert {shown} https://localhost:{port}, taut sub lobby --url https://localhost:{port} --ca {shown}; or check nothing: curl -k, taut --insecure.",
                    facts.fingerprint
                )
            }
            None => format!(
                "Its SHA-256 is {}, until this server ends.\nNothing vouches for it: curl -k https://localhost:{port}, taut sub lobby --url https://localhost:{port} --insecure.",
                facts.fingerprint
            ),
        };
        out += &format!("{}\n", style.dim(&text));
    }
    out
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
