//! Where a server is: an address to connect to, and the name to call it by.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::failure::{Failure, Kind};

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// For the Host field.
    pub(crate) authority: String,
}

impl Target {
    /// Reads `ws://HOST:PORT`, with `http`, `tcp` or nothing in the place of `ws`.
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        let rest = match url.split_once("://") {
            Some(("ws" | "http" | "tcp", rest)) => rest,
            Some((scheme, _)) => {
                return Err(
                    Failure::usage(format!("{url}: {scheme}:// cannot be measured"))
                        .hint("write ws://HOST:PORT; TLS and Unix sockets are not measured"),
                );
            }
            None => url,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(Failure::usage(format!("{url}: there is no host in it")));
        }
        let named = match authority.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
            _ => format!("{authority}:80"),
        };
        let unknown = || Failure::new(Kind::Unreachable, format!("{authority} is not known"));
        let addresses: Vec<SocketAddr> = named.to_socket_addrs().map_err(|_| unknown())?.collect();
        // Client addresses are many in IPv4's loopback network, and one in IPv6's.
        let address = addresses.iter().find(|address| address.is_ipv4());
        let address = address.or(addresses.first()).copied().ok_or_else(unknown)?;
        Ok(Self {
            address,
            authority: authority.to_owned(),
        })
    }

    /// The server on this machine at `port`.
    pub(crate) fn local(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            address,
            authority: address.to_string(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_an_address_and_an_authority() {
        let target = Target::parse("ws://127.0.0.1:8080/r/x").unwrap();
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(target.authority, "127.0.0.1:8080");
        assert_eq!(
            Target::parse("http://127.0.0.1").unwrap().address.port(),
            80
        );
        assert_eq!(Target::parse("[::1]:7").unwrap().address.port(), 7);
        assert!(Target::parse("wss://127.0.0.1").is_err());
        assert!(Target::parse("ws:///x").is_err());
    }
}
