//! What is remembered of one address (or whoever else is limited over all cores): how many Conns it has, and how far it has used up its rates.
//!
//! Cores change it at the same time, without a lock: each rate's state is one word, taken by compare-and-swap, so that all cores together let through what one
//! would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use taut_hub::rate::{Rate, rest_ns};

/// The state of a [`Rate`] that several threads share.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    /// Takes units, or says how many nanoseconds to wait. No rate, no limit.
    pub(crate) fn take(&self, rate: Option<&Rate>, now_ns: u64, units: u64) -> Result<(), u64> {
        let Some(rate) = rate.filter(|_| units > 0) else {
            return Ok(());
        };
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let next = rate.take(state, now_ns, units)?;
            match self
                .0
                .compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(newer) => state = newer,
            }
        }
    }

    /// Takes units that have been used already.
    pub(crate) fn charge(&self, rate: Option<&Rate>, now_ns: u64, units: u64) {
        if let Some(rate) = rate.filter(|_| units > 0) {
            let charge = |state| Some(rate.charge(state, now_ns, units));
            let _ = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge);
        }
    }

    /// Gives units back.
    pub(crate) fn give_back(&self, rate: Option<&Rate>, units: u64) {
        if let Some(rate) = rate.filter(|_| units > 0) {
            let give_back = |state| Some(rate.give_back(state, units));
            let _ = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, give_back);
        }
    }

    /// Nanoseconds after which units would pass.
    pub(crate) fn wait_ns(&self, rate: Option<&Rate>, now_ns: u64, units: u64) -> u64 {
        let state = self.0.load(Ordering::Relaxed);
        rate.filter(|_| units > 0)
            .map_or(0, |rate| rate.wait_ns(state, now_ns, units))
    }

    /// Forgets what was used up.
    pub(super) fn begin_anew(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn rest_ns(&self, now_ns: u64) -> u64 {
        rest_ns(self.0.load(Ordering::Relaxed), now_ns)
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Account {
    conns: AtomicU32,
    /// How many accounts of the table have Conns.
    held: Arc<AtomicUsize>,
    pub(crate) opens: Meter,
    pub(crate) messages: Meter,
    pub(crate) bytes: Meter,
    pub(crate) joins: Meter,
    pub(crate) reads: Meter,
    /// Rooms that all of its Conns together are in; counted of users only.
    pub(super) rooms: AtomicU32,
}

impl Account {
    /// A new one of a table that counts those with Conns in `held`.
    pub(crate) fn new(held: Arc<AtomicUsize>) -> Self {
        Self {
            held,
            ..Self::default()
        }
    }

    /// How many Conns it has.
    pub(crate) fn conns(&self) -> u32 {
        self.conns.load(Ordering::Relaxed)
    }

    /// Nanoseconds until nothing is left to remember of it, were it to do nothing more.
    pub(crate) fn rest_ns(&self, now_ns: u64) -> u64 {
        self.meters()
            .map(|meter| meter.rest_ns(now_ns))
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    /// Forgets what was used up: its rates are other ones.
    pub(super) fn begin_anew(&self) {
        self.meters().into_iter().for_each(Meter::begin_anew);
    }

    fn meters(&self) -> [&Meter; 5] {
        [
            &self.opens,
            &self.messages,
            &self.bytes,
            &self.joins,
            &self.reads,
        ]
    }
}

/// One Conn's place in an account; given up when it is dropped, wherever that is.
#[derive(Debug)]
pub(crate) struct Place(Arc<Account>);

impl Place {
    /// Takes a place, unless as many are taken as may be; 0 is no bound.
    pub(crate) fn take(account: &Arc<Account>, conns_max: u32) -> Option<Self> {
        let one_more = |conns: u32| (conns_max == 0 || conns < conns_max).then_some(conns + 1);
        let before = account
            .conns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        if before == 0 {
            account.held.fetch_add(1, Ordering::Relaxed);
        }
        Some(Self(Arc::clone(account)))
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.conns.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let rate = Rate::new(1_000, 500).unwrap();
        let meter = Meter::default();
        let passed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Each has a clock of its own that is behind by a little, as cores have.
                    for now_ns in (0..1_000_000_000).step_by(50_000) {
                        if meter.take(Some(&rate), now_ns, 1).is_ok() {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let passed = passed.into_inner();
        assert!((500..=1_500).contains(&passed), "{passed} of 1,500");
    }

    #[test]
    fn a_place_is_given_up_with_its_conn() {
        let account = Arc::new(Account::default());
        let first = Place::take(&account, 2).unwrap();
        let second = Place::take(&account, 2).unwrap();
        assert!(Place::take(&account, 2).is_none());
        drop(first);
        assert_eq!(account.conns(), 1);
        assert!(Place::take(&account, 2).is_some());
        drop(second);
        assert_eq!(account.conns(), 0);
    }
}
