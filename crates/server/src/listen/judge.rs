//! Whether a server could listen as it is configured, found out without taking an address: what the start asks first, and all that `taut check` asks.

use std::net::SocketAddr;

use super::bind::{is_guarded, resolve, secrecy};
use super::{Address, Endpoint, HostPort, Listen, is_loopback};
use crate::config::Config;
use crate::error::StartError;

/// Whether every address may be listened on: others reach it only where somebody asks who they are, it speaks TLS where that is required, and nothing else
/// of this configuration has it. What other programs have is not looked at, and names that this machine cannot look up are passed over.
///
/// # Errors
/// See [`StartError`]; each says what to do.
pub(crate) fn judge(config: &Config) -> Result<(), StartError> {
    if config.listeners.is_empty() {
        return Err(StartError::NoListener);
    }
    let mut taken = Vec::new();
    if let Some(metrics) = &config.metrics {
        let at = known(metrics_address(&metrics.listen, metrics.key.is_some()))?;
        taken.extend(at.map(Address::Tcp));
    }
    let by_default = config.listeners == Listen::defaults();
    for listen in &config.listeners {
        if secrecy(listen, &config.tls, by_default)?.is_none() {
            continue;
        }
        for address in addresses(listen, config)? {
            if taken.iter().any(|other| clash(other, &address)) {
                return Err(StartError::Twice { address });
            }
            taken.push(address);
        }
    }
    Ok(())
}

/// Where the metrics are told: of the addresses that a name has, one is enough to be scraped at.
///
/// # Errors
/// Others reach it, and there is no key; or it is none.
pub(super) fn metrics_address(at: &HostPort, has_key: bool) -> Result<SocketAddr, StartError> {
    let resolved = resolve(at, true)?;
    if let Some(address) = resolved.iter().find(|address| !is_loopback(address))
        && !has_key
    {
        return Err(StartError::PublicMetrics { address: *address });
    }
    resolved.first().copied().ok_or(StartError::NoListener)
}

fn addresses(listen: &Listen, config: &Config) -> Result<Vec<Address>, StartError> {
    let of = |at: &HostPort| known(resolve(at, is_guarded(config))).map(Option::unwrap_or_default);
    Ok(match &listen.endpoint {
        Endpoint::Unix { path, .. } => vec![Address::Unix(path.clone())],
        Endpoint::Tcp(at) => of(at)?.into_iter().map(Address::Tcp).collect(),
        Endpoint::Udp(at) => of(at)?.into_iter().map(Address::Udp).collect(),
    })
}

/// `None` for what only a look-up on the machine that serves could tell.
fn known<T>(found: Result<T, StartError>) -> Result<Option<T>, StartError> {
    match found {
        Err(StartError::Resolve { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// Whether the system would refuse the second of them. Port 0 is another one each time.
fn clash(one: &Address, other: &Address) -> bool {
    let meet = |one: &SocketAddr, other: &SocketAddr| {
        let (one_ip, other_ip) = (one.ip(), other.ip());
        let is_all = one_ip.is_unspecified() || other_ip.is_unspecified();
        one.port() == other.port()
            && one.port() != 0
            && (one_ip == other_ip || (is_all && one_ip.is_ipv4() == other_ip.is_ipv4()))
    };
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) | (Address::Udp(one), Address::Udp(other)) => {
            meet(one, other)
        }
        (Address::Unix(one), Address::Unix(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judged(addresses: &[&str]) -> Result<(), StartError> {
        judge(&Config {
            listeners: addresses.iter().map(|at| at.parse().unwrap()).collect(),
            ..Config::default()
        })
    }

    #[test]
    fn what_the_start_would_refuse_is_refused_without_taking_an_address() {
        judged(&["127.0.0.1:1", "udp://127.0.0.1:1", "127.0.0.2:1"]).unwrap();
        judged(&["127.0.0.1:0", "127.0.0.1:0", "nowhere.invalid:1"]).unwrap();
        let public = judged(&["192.0.2.1:1"]);
        assert!(matches!(public, Err(StartError::PublicAddress { .. })));
        for twice in [
            ["127.0.0.1:1", "text://127.0.0.1:1"],
            ["udp://[::1]:1", "udp://[::1]:1"],
            ["unix:/a", "unix:/a?mode=660"],
        ] {
            assert!(matches!(judged(&twice), Err(StartError::Twice { .. })));
        }
        let all = |one: &str, other: &str| {
            let at = |text: &str| Address::Tcp(text.parse().unwrap());
            clash(&at(one), &at(other))
        };
        assert!(all("0.0.0.0:1", "127.0.0.1:1"));
        assert!(!all("0.0.0.0:1", "[::1]:1"));
    }
}
