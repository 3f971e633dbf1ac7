//! Addresses as limits see them: what counts as one, and which are not limited.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Addresses that have their first bits in common: `10.0.0.0/8`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// What is no [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not allowed; use an address or a network, for example 192.0.2.7 or 10.0.0.0/8")]
pub struct NetworkError(String);

impl Network {
    /// The addresses of one's own machine.
    #[must_use]
    pub fn loopback() -> Vec<Self> {
        vec![
            Self {
                first: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
                bits: 8,
            },
            Self {
                first: IpAddr::V6(Ipv6Addr::LOCALHOST),
                bits: 128,
            },
        ]
    }

    /// Whether it has this address. One of IPv4 is the same where it comes as IPv6 (`::ffff:192.0.2.7`).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                let differ = u32::from(first) ^ u32::from(other);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                let differ = u128::from(first) ^ u128::from(other);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| error())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| error())?,
            None => most,
        };
        if bits > most {
            return Err(error());
        }
        Ok(Self { first, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.bits) {
            (IpAddr::V4(first), 32) => write!(f, "{first}"),
            (IpAddr::V6(first), 128) => write!(f, "{first}"),
            (first, bits) => write!(f, "{first}/{bits}"),
        }
    }
}

/// Whose account it is: an address of IPv4, or a network of 64 bits of IPv6, which is what one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AddressKey {
    is_v4: bool,
    /// It is written on datagrams that anybody may have sent: who forges it uses up another account than its owner's.
    is_claimed: bool,
    bits: u64,
}

impl AddressKey {
    /// The key of a peer whose address is its own: a connection, or a datagram peer with proof.
    ///
    /// Behind a proxy it is to be made of the address that the proxy vouches for; this is the one place to say so.
    pub(crate) fn of(address: SocketAddr) -> Self {
        match address.ip().to_canonical() {
            IpAddr::V4(address) => Self {
                is_v4: true,
                is_claimed: false,
                bits: u64::from(u32::from(address)),
            },
            IpAddr::V6(address) => Self {
                is_v4: false,
                is_claimed: false,
                bits: u64::try_from(u128::from(address) >> 64).unwrap_or_default(),
            },
        }
    }

    /// The same of a peer that has only said that it is there.
    pub(crate) fn claimed(address: SocketAddr) -> Self {
        Self {
            is_claimed: true,
            ..Self::of(address)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(address: &str) -> AddressKey {
        AddressKey::of(address.parse().unwrap())
    }

    #[test]
    fn networks_are_read_and_hold_their_addresses() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("10.255.0.1".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
        let alone: Network = "2001:db8::7".parse().unwrap();
        assert!(alone.contains("2001:db8::7".parse().unwrap()));
        assert!(!alone.contains("2001:db8::8".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "lan", "1.2.3.4/x"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "127.0.0.1", "::1", "2001:db8::/32"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_address_of_ipv6_counts_by_its_network() {
        assert_eq!(key("[2001:db8::1]:80"), key("[2001:db8::ffff:2]:81"));
        assert_ne!(key("[2001:db8:0:1::1]:80"), key("[2001:db8::1]:80"));
        assert_eq!(key("192.0.2.1:1"), key("[::ffff:192.0.2.1]:2"));
        assert_ne!(key("192.0.2.1:1"), key("192.0.2.2:1"));
        let address = "192.0.2.1:1".parse().unwrap();
        assert_ne!(AddressKey::claimed(address), AddressKey::of(address));
    }
}
