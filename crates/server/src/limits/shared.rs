//! What the acceptor and all cores share of the limits: the accounts, and the rules in force.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use taut_auth::Network;

use super::account::{Account, Place};
use super::accounts::{ACCOUNTS_MAX, Accounts};
use super::network::AddressKey;
use super::rules::{Rules, Shared};
use super::share::Share;
use super::{Bill, Over, RateLimits};

/// How long who has too many Conns, or is in too many rooms, is told to wait, in milliseconds: nobody knows when one of them ends.
pub(super) const CROWDED_MS: u64 = 10_000;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Limits {
    /// A core has them by itself and takes them anew when it is told to; the acceptor looks here.
    rules: RwLock<Arc<Rules>>,
    addresses: Accounts<AddressKey>,
    users: Accounts<Arc<str>>,
    /// Where the clock begins that all of them share.
    began: Instant,
}

/// What is said about somebody who has too many Conns, or too fast.
struct Words {
    too_fast: &'static str,
    too_many: &'static str,
}

const OF_ADDRESS: Words = Words {
    too_fast: "your address opens connections faster than limits.address.opens_per_s allows",
    too_many: "your address has as many connections open as limits.address.conns_max allows",
};

const OF_USER: Words = Words {
    too_fast: "your user opens connections faster than limits.user.opens_per_s allows",
    too_many: "your user has as many connections open as limits.user.conns_max allows",
};

impl Limits {
    pub(crate) fn new(config: &RateLimits) -> Arc<Self> {
        Arc::new(Self {
            rules: RwLock::new(Arc::new(Rules::new(config))),
            addresses: Accounts::new(ACCOUNTS_MAX),
            users: Accounts::new(ACCOUNTS_MAX),
            began: Instant::now(),
        })
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other rules into force, and says whether they are other ones. Where the rates are other ones nobody owes anything of the old ones: a debt under a rate that was too strict would outlast it.
    pub(crate) fn replace(&self, config: &RateLimits) -> bool {
        let rules = Arc::new(Rules::new(config));
        let before = self.rules();
        if *before == *rules {
            return false;
        }
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&rules);
        if before.address != rules.address {
            self.addresses.begin_anew();
        }
        if before.user != rules.user {
            self.users.begin_anew();
        }
        true
    }

    /// Nanoseconds of the clock that all threads share.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Lets a Conn in that comes from `address`: its bill, where it has one.
    pub(crate) fn admit(&self, address: Option<SocketAddr>) -> Result<Option<Box<Bill>>, Over> {
        let rules = self.rules();
        let Some(address) = address.filter(|address| rules.counts(*address)) else {
            return Ok(None);
        };
        let now_ns = self.now_ns();
        let key = AddressKey::of(address);
        let place = self.addresses.with(key, now_ns, |account| {
            open(account, &rules.address, now_ns, &OF_ADDRESS)
        })?;
        Ok(Some(Box::new(Bill::new(place))))
    }

    /// Whether whoever comes from `address` is exempt; a Unix socket has none, and is.
    pub(crate) fn is_exempt(&self, address: Option<SocketAddr>) -> bool {
        address.is_none_or(|address| self.rules().is_exempt(address))
    }

    /// The place of a Conn that was let in before its address counted: nobody is turned out for it.
    pub(super) fn place_of(&self, address: SocketAddr, now_ns: u64) -> Option<Place> {
        let key = AddressKey::of(address);
        self.addresses
            .with(key, now_ns, |account| Place::take(account, 0))
    }

    /// One more Conn of the address that has `account`.
    pub(super) fn open_again(
        account: &Arc<Account>,
        rules: &Rules,
        now_ns: u64,
    ) -> Result<Place, Over> {
        open(account, &rules.address, now_ns, &OF_ADDRESS)
    }

    /// One more Conn of a user. `is_in`: it was let in before, and has its place whatever the rules say.
    pub(super) fn share(
        &self,
        user: &Arc<str>,
        rules: &Rules,
        now_ns: u64,
        is_in: bool,
    ) -> Result<Box<Share>, Over> {
        let anything = Shared::default();
        let limits = if is_in { &anything } else { &rules.user };
        let place = self.users.with(Arc::clone(user), now_ns, |account| {
            open(account, limits, now_ns, &OF_USER)
        })?;
        Ok(Box::new(Share::new(place, Arc::clone(user))))
    }

    /// The account that datagrams are charged to whose sender has not proved its address.
    pub(super) fn of_stranger(
        &self,
        rules: &Rules,
        address: SocketAddr,
        now_ns: u64,
    ) -> Option<Arc<Account>> {
        let key = AddressKey::claimed(address);
        let counts = rules.counts(address);
        counts.then(|| self.addresses.with(key, now_ns, Arc::clone))
    }
}

impl Rules {
    /// Whether this address, and whoever comes from it, is limited.
    pub(super) fn counts(&self, address: SocketAddr) -> bool {
        self.counts_addresses && !self.is_exempt(address)
    }

    fn is_exempt(&self, address: SocketAddr) -> bool {
        let holds = |network: &Network| network.contains(address.ip());
        self.exempt.iter().any(holds)
    }
}

/// One more Conn of an account.
fn open(
    account: &Arc<Account>,
    limits: &Shared,
    now_ns: u64,
    words: &Words,
) -> Result<Place, Over> {
    let opens = limits.opens.as_ref();
    account
        .opens
        .take(opens, now_ns, 1)
        .map_err(|wait_ns| Over {
            text: words.too_fast,
            wait_ns,
        })?;
    Place::take(account, limits.conns_max).ok_or_else(|| {
        account.opens.give_back(opens, 1);
        Over {
            text: words.too_many,
            wait_ns: CROWDED_MS * 1_000_000,
        }
    })
}
