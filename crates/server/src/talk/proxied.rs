//! Connections of `proxy://` listeners: a proxy says first whose each one is.

use std::net::{Ipv4Addr, SocketAddr};

use taut_gate::Close;
use taut_hub::ConnId;
use taut_wire::proxy::{self, Proxied};

use super::Step;
use crate::core::Core;

impl Core {
    /// Whether a Conn of a `proxy://` listener comes from a proxy that is listed; then its header is awaited.
    pub(crate) fn is_behind_proxy(&mut self, id: ConnId) -> bool {
        let Some(address) = self.peer_address(id) else {
            return false;
        };
        if !self.identities.doorman.trusts_proxy(address) {
            tracing::warn!(%address, "closed a connection to a proxy:// listener from an address that `auth.proxies` does not list");
            return false;
        }
        self.identities.await_client(id);
        true
    }

    /// The header of the PROXY protocol.
    pub(super) fn proxy_header(&mut self, id: ConnId, data: &[u8]) -> Step {
        match proxy::decode(data) {
            Ok(None) => Step::More,
            Ok(Some((proxied, length))) => {
                // Whoever is not named is nobody whose word counts, though the proxy's own does.
                let client = match proxied {
                    Proxied::Client(client) => client,
                    Proxied::Itself => (Ipv4Addr::UNSPECIFIED, 0).into(),
                };
                tracing::debug!(conn = %taut_gate::conn_id(self.id, id), client = %client.ip(), "a proxy connects for a client");
                self.identities.set_client(id, client.ip());
                match proxied {
                    Proxied::Client(client) => self.bill_to(id, client, length),
                    Proxied::Itself => Step::Took(length),
                }
            }
            Err(violation) => Step::violation(&violation),
        }
    }

    /// What the connection uses up is the client's and not the proxy's; who is turned away at the door stays so.
    fn bill_to(&mut self, id: ConnId, client: SocketAddr, length: usize) -> Step {
        let bill = self.limiter.bill(id.slot);
        if bill.is_some_and(|bill| bill.turned.is_some()) {
            return Step::Took(length);
        }
        match self.limiter.come_from(id.slot, client) {
            Ok(()) => Step::Took(length),
            Err(over) => Step::End(Close::Full, Some(over.text.to_owned())),
        }
    }
}
