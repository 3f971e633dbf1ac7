//! From a host to addresses, in the order in which they are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::{DialError, plain};
use crate::settings::{Family, Settings};
use crate::story::{Scene, Source};
use crate::telling::Telling;
use crate::url::is_localhost;

/// Addresses tried for one name at most: a name with hundreds of them must not open hundreds of sockets. Further ones are left out.
const ADDRESSES_MAX: usize = 16;

/// The addresses of `host` that the settings allow; never none.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<Vec<SocketAddr>, DialError> {
    let (found, source) = look_up(host, port, telling).await?;
    let is_wanted = |address: &SocketAddr| {
        settings.family.holds(address)
            && settings
                .source
                .is_none_or(|source| source.is_ipv4() == address.is_ipv4())
    };
    let wanted: Vec<SocketAddr> = found.iter().copied().filter(is_wanted).collect();
    if wanted.is_empty() {
        let text = if found.is_empty() {
            "the resolver knows none".to_owned()
        } else {
            let is_v4 = settings.family == Family::V4
                || settings.source.is_some_and(|source| source.is_ipv4());
            let (wanted, there) = if is_v4 { (4, 6) } else { (6, 4) };
            format!("none of IPv{wanted}, which was asked for; it has one of IPv{there}")
        };
        return Err(DialError::Resolve {
            host: host.to_owned(),
            text,
        });
    }
    let addresses = interleave(wanted);
    telling.tell(&Scene::Resolved {
        host,
        addresses: &addresses,
        source,
    });
    Ok(addresses)
}

async fn look_up(
    host: &str,
    port: u16,
    telling: &Telling<'_>,
) -> Result<(Vec<SocketAddr>, Source), DialError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok((vec![SocketAddr::from((ip, port))], Source::Address));
    }
    // Also where /etc/hosts knows only one of its two addresses.
    if is_localhost(host) {
        let here = vec![
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
        ];
        return Ok((here, Source::Localhost));
    }
    telling.begin(format!("looking up the name `{host}`"));
    telling.tell(&Scene::Resolving { host });
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => Ok((addresses.collect(), Source::System)),
        Err(error) => {
            let text = plain(&error);
            let text = text
                .strip_prefix("failed to lookup address information: ")
                .unwrap_or(&text);
            Err(DialError::Resolve {
                host: host.to_owned(),
                text: text.to_owned(),
            })
        }
    }
}

/// Families by turns, beginning with that of the first; within a family the resolver's order stays (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair.iter().all(Option::is_none) {
            ordered.truncate(ADDRESSES_MAX);
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            // Resolvers give an address once per protocol on some systems.
            if !ordered.contains(&address) && ordered.len() < ADDRESSES_MAX {
                ordered.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn families_take_turns_and_there_are_never_more_than_sixteen() {
        let six = |n: u16| SocketAddr::from((Ipv6Addr::from_bits(u128::from(n)), 1));
        let four = |n: u8| SocketAddr::from((Ipv4Addr::new(10, 0, 0, n), 1));
        let given = vec![six(1), six(2), six(2), six(3), four(1), four(2)];
        let ordered = interleave(given);
        assert_eq!(ordered, [six(1), four(1), six(2), four(2), six(3)]);
        let many: Vec<SocketAddr> = (0..200).map(four).collect();
        assert_eq!(interleave(many.clone()), many[..16]);
    }
}
