//! Addresses as limits see them: what counts as one.

use std::net::{IpAddr, SocketAddr};

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
    fn an_address_of_ipv6_counts_by_its_network() {
        assert_eq!(key("[2001:db8::1]:80"), key("[2001:db8::ffff:2]:81"));
        assert_ne!(key("[2001:db8:0:1::1]:80"), key("[2001:db8::1]:80"));
        assert_eq!(key("192.0.2.1:1"), key("[::ffff:192.0.2.1]:2"));
        assert_ne!(key("192.0.2.1:1"), key("192.0.2.2:1"));
        let address = "192.0.2.1:1".parse().unwrap();
        assert_ne!(AddressKey::claimed(address), AddressKey::of(address));
    }
}
