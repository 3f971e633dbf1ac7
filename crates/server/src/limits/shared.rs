//! What the acceptor and all cores share of the limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use taut_hub::rate::Rate;

use super::account::{Account, Place};
use super::accounts::{ACCOUNTS_MAX, Accounts};
use super::network::AddressKey;
use super::{Bill, Network, Over, RateLimits};

/// How long who has too many Conns is told to wait, in milliseconds: nobody knows when one of them ends.
const CROWDED_MS: u64 = 10_000;

/// Three rates that Conns and addresses both have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) messages: Option<Rate>,
    pub(crate) bytes: Option<Rate>,
    pub(crate) joins: Option<Rate>,
}

impl Rates {
    fn is_none(&self) -> bool {
        self.messages.is_none() && self.bytes.is_none() && self.joins.is_none()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) conn: Rates,
    pub(crate) address: Rates,
    opens: Option<Rate>,
    conns_max: u32,
    exempt: Vec<Network>,
    addresses: Accounts<AddressKey>,
    /// Where the clock begins that all of them share.
    began: Instant,
    /// Whether anything is limited at all.
    is_on: bool,
}

impl Limits {
    pub(crate) fn new(config: &RateLimits) -> Arc<Self> {
        let conn = Rates {
            messages: config.conn.messages.rate(),
            bytes: config.conn.bytes.rate(),
            joins: config.conn.joins.rate(),
        };
        let address = Rates {
            messages: config.address.messages.rate(),
            bytes: config.address.bytes.rate(),
            joins: config.address.joins.rate(),
        };
        let opens = config.address.opens.rate();
        let conns_max = config.address.conns_max;
        let is_on = !conn.is_none() || !address.is_none() || opens.is_some() || conns_max > 0;
        Arc::new(Self {
            conn,
            address,
            opens,
            conns_max,
            exempt: config.exempt.clone(),
            addresses: Accounts::new(ACCOUNTS_MAX),
            began: Instant::now(),
            is_on,
        })
    }

    /// Nanoseconds of the clock that all threads share.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Lets a Conn in that comes from `address`: its bill, where it has one.
    pub(crate) fn admit(&self, address: Option<SocketAddr>) -> Result<Option<Box<Bill>>, Over> {
        let Some(address) = address.filter(|address| self.counts(*address)) else {
            return Ok(None);
        };
        let now_ns = self.now_ns();
        let key = AddressKey::of(address);
        let place = self
            .addresses
            .with(key, now_ns, |account| self.open(account, now_ns))?;
        Ok(Some(Box::new(Bill::new(place))))
    }

    /// One more Conn of an account.
    pub(crate) fn open(&self, account: &Arc<Account>, now_ns: u64) -> Result<Place, Over> {
        let opens = self.opens.as_ref();
        account
            .opens
            .take(opens, now_ns, 1)
            .map_err(|wait_ns| Over {
                text: "your address opens connections faster than limits.address.opens_per_s allows",
                wait_ns,
            })?;
        Place::take(account, self.conns_max).ok_or_else(|| {
            account.opens.give_back(opens, 1);
            Over {
                text: "your address has as many connections open as limits.address.conns_max allows",
                wait_ns: CROWDED_MS * 1_000_000,
            }
        })
    }

    /// The account that datagrams are charged to whose sender has not proved its address.
    pub(crate) fn of_stranger(&self, address: SocketAddr, now_ns: u64) -> Option<Arc<Account>> {
        let key = AddressKey::claimed(address);
        let counts = self.is_on && self.counts(address);
        counts.then(|| self.addresses.with(key, now_ns, Arc::clone))
    }

    fn counts(&self, address: SocketAddr) -> bool {
        let is_exempt = |network: &Network| network.contains(address.ip());
        self.is_on && !self.exempt.iter().any(is_exempt)
    }
}
