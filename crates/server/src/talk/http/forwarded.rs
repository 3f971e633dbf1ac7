//! Whose a request is that a proxy hands on, as its headers say, where `auth.proxies` lists the proxy.

use std::net::{IpAddr, SocketAddr};

use taut_gate::http::{Problem, refused};
use taut_hub::ConnId;
use taut_wire::http::{Headers, Hop, Hops, Unclear};

use crate::core::{Core, Flag};

impl Core {
    /// Whether the request came to its proxy by TLS; asked where clear text is not taken.
    pub(in super::super) fn came_by_tls(&mut self, id: ConnId, headers: &Headers<'_>) -> bool {
        self.is_from_proxy(id)
            && Hops::read(headers)
                .is_ok_and(|hops| self.client_among(&hops).is_some_and(|client| client.is_tls))
    }

    /// Takes note of the client of this request, which stands for itself: the one before, on the same connection of the proxy, may have been another's.
    pub(super) fn hear_proxy(&mut self, id: ConnId, headers: &Headers<'_>) -> Result<(), Problem> {
        if !self.is_from_proxy(id) {
            return Ok(());
        }
        let hops = Hops::read(headers).map_err(unclear)?;
        let client = self.client_among(&hops);
        let only_tls = self
            .conns
            .find(id)
            .is_some_and(|conn| conn.flags.has(Flag::Vouched));
        if only_tls && !client.is_some_and(|client| client.is_tls) {
            let detail = "this port speaks TLS only, and the proxy does not say that the client used it; use https:// or wss://";
            return Err(Problem::new(403, "tls-required", detail));
        }
        let client = client.and_then(|client| client.from);
        if client == self.identities.client_of_request(id) {
            return Ok(());
        }
        self.bill_request(id, client)?;
        self.identities.set_client_of_request(id, client);
        Ok(())
    }

    fn is_from_proxy(&mut self, id: ConnId) -> bool {
        self.identities.has_proxies
            && self
                .peer_address(id)
                .is_some_and(|address| self.identities.doorman.trusts_proxy(address))
    }

    fn client_among(&self, hops: &Hops) -> Option<Hop> {
        hops.client(|address| self.identities.doorman.trusts_proxy(address))
    }

    /// What the connection uses up is the client's from here on, and it counts as one of the client's.
    fn bill_request(&mut self, id: ConnId, client: Option<IpAddr>) -> Result<(), Problem> {
        let bill = self.limiter.bill(id.slot);
        if bill.is_some_and(|bill| bill.turned.is_some()) {
            return Ok(());
        }
        let address = match client {
            Some(client) => SocketAddr::new(client, 0),
            None => match self.peer_address(id) {
                Some(proxy) => SocketAddr::new(proxy, 0),
                None => return Ok(()),
            },
        };
        self.limiter.come_from(id.slot, address).map_err(|over| {
            // Nobody's from now on: the next request is looked at anew.
            self.identities.set_client_of_request(id, None);
            refused(&over.refusal())
        })
    }
}

fn unclear(unclear: Unclear) -> Problem {
    let detail = match unclear {
        Unclear::Both => {
            "the proxy hands on Forwarded and X-Forwarded-For, and one of them may be forged; let it take out the one that it does not write"
        }
        Unclear::Malformed => "Forwarded is not as RFC 7239 has it",
    };
    Problem::new(400, "bad-request", detail)
}
