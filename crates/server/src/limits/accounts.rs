//! The accounts of all addresses, or of all users: one table for the whole server, capped.
//!
//! It is asked when a connection comes, not when a message does: whoever has an account holds on to it. So a lock is good enough here, and there is none on the
//! message path.
//!
//! **What goes when it is full.** An account at rest that has no Conn is as good as none: forgetting it changes nothing. So each one that comes in looks at two
//! others, and forgets those. Where there are as many as may be ([`ACCOUNTS_MAX`]) it looks at [`LOOKS`]; if none of them is at rest, the one goes that is nearest to
//! it, or two where there is one too many, since the last ones found nobody who could go. An account with a Conn never goes: those are bounded by the Conns, which cost more, and stand beside the cap. So nobody makes the server forget the account
//! of a Conn, and whoever has addresses enough to push a used account out gains less by that than by using the addresses: what is forgotten is at most
//! one burst, and each address that pushes has brought a burst of its own.

use std::collections::HashMap;
use std::hash::{Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use slab::Slab;

use super::account::Account;

/// Accounts that may be remembered without a Conn.
pub(crate) const ACCOUNTS_MAX: usize = 65_536;
/// Accounts that one newcomer looks at in a full table.
const LOOKS: usize = 32;
/// The same in one that is not full.
const LOOKS_AHEAD: usize = 2;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Accounts<K> {
    kept: Mutex<Kept<K>>,
    accounts_max: usize,
    /// How many of them have a Conn.
    held: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Kept<K> {
    /// Hashed with a key of this run, since peers choose what is in it.
    index: HashMap<K, usize, RandomState>,
    accounts: Slab<(K, Arc<Account>)>,
    /// Who is looked at next.
    hand: usize,
}

impl<K: Clone + Eq + Hash> Accounts<K> {
    pub(crate) fn new(accounts_max: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                index: HashMap::default(),
                accounts: Slab::new(),
                hand: 0,
            }),
            accounts_max: accounts_max.max(1),
            held: Arc::default(),
        }
    }

    /// Does something with the account of `key`, which is made where there is none. It is not forgotten meanwhile.
    pub(crate) fn with<T>(&self, key: K, now_ns: u64, act: impl FnOnce(&Arc<Account>) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, account)) = kept
            .index
            .get(&key)
            .copied()
            .and_then(|at| kept.accounts.get(at))
        {
            return act(account);
        }
        let idle = kept
            .accounts
            .len()
            .saturating_sub(self.held.load(Ordering::Relaxed));
        kept.make_room(idle, self.accounts_max, now_ns);
        let account = Arc::new(Account::new(Arc::clone(&self.held)));
        let done = act(&account);
        let at = kept.accounts.insert((key.clone(), account));
        kept.index.insert(key, at);
        done
    }

    /// Forgets what everybody has used up: the rates are other ones.
    pub(super) fn begin_anew(&self) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, (_, account)) in &kept.accounts {
            account.begin_anew();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.accounts.len()
    }
}

impl<K: Clone + Eq + Hash> Kept<K> {
    /// Makes room for one more where `idle` accounts have no Conn.
    fn make_room(&mut self, idle: usize, accounts_max: usize, now_ns: u64) {
        let is_full = idle >= accounts_max;
        // How many must go.
        let mut over = (idle + 1).saturating_sub(accounts_max).min(2);
        let looks = if is_full { LOOKS } else { LOOKS_AHEAD };
        let mut waiting = Vec::new();
        for _ in 0..looks.min(self.accounts.len()) {
            let Some(at) = self.next() else {
                return;
            };
            let Some((_, account)) = self.accounts.get(at).filter(|(_, a)| a.conns() == 0) else {
                continue;
            };
            match account.rest_ns(now_ns) {
                0 => {
                    self.forget(at);
                    over = over.saturating_sub(1);
                }
                rest_ns if is_full => waiting.push((rest_ns, at)),
                _ => {}
            }
        }
        waiting.sort_unstable();
        for (_, at) in waiting.into_iter().take(over) {
            self.forget(at);
        }
    }

    /// The next account, round and round. Holes are few: the next newcomer fills the last one.
    fn next(&mut self) -> Option<usize> {
        if self.accounts.is_empty() {
            return None;
        }
        for _ in 0..=self.accounts.capacity() {
            let at = self.hand;
            self.hand = (at + 1) % self.accounts.capacity().max(1);
            if self.accounts.contains(at) {
                return Some(at);
            }
        }
        None
    }

    fn forget(&mut self, at: usize) {
        if let Some((key, _)) = self.accounts.try_remove(at) {
            self.index.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use taut_hub::rate::Rate;

    use super::super::account::Place;
    use super::*;

    fn rate() -> Rate {
        Rate::new(10, 10).unwrap()
    }

    fn use_up(accounts: &Accounts<u32>, key: u32, now_ns: u64, units: u64) {
        accounts.with(key, now_ns, |account| {
            account.messages.take(Some(&rate()), now_ns, units).unwrap();
        });
    }

    fn wait_ns(accounts: &Accounts<u32>, key: u32, now_ns: u64) -> u64 {
        accounts.with(key, now_ns, |account| {
            account.messages.wait_ns(Some(&rate()), now_ns, 1)
        })
    }

    #[test]
    fn what_is_at_rest_is_forgotten_and_nothing_is_lost_by_it() {
        let accounts = Accounts::new(1_000);
        for key in 0..900 {
            use_up(&accounts, key, 0, 1);
        }
        assert_eq!(accounts.len(), 900);
        // A tenth of a second later all are at rest; each newcomer clears two away.
        for key in 1_000..1_900 {
            use_up(&accounts, key, 100_000_000, 10);
        }
        assert_eq!(accounts.len(), 900);
        assert_eq!(wait_ns(&accounts, 1_500, 100_000_000), 100_000_000);
    }

    #[test]
    fn a_full_table_forgets_whom_it_gives_least() {
        let accounts = Accounts::new(32);
        for key in 0..32 {
            use_up(&accounts, key, 0, if key == 7 { 1 } else { 10 });
        }
        use_up(&accounts, 100, 0, 10);
        assert_eq!(accounts.len(), 32);
        for key in (0..32).filter(|key| *key != 7) {
            assert!(wait_ns(&accounts, key, 0) > 0, "{key} was forgotten");
        }
    }

    #[test]
    fn many_addresses_make_nobody_with_a_conn_forgotten() {
        let accounts = Accounts::new(64);
        let place = accounts.with(1_u32, 0, |account| Place::take(account, 0).unwrap());
        use_up(&accounts, 1, 0, 10);
        let places: Vec<_> = (1_000..1_100)
            .map(|key| accounts.with(key, 0, |account| Place::take(account, 0).unwrap()))
            .collect();
        for key in 10_000..50_000 {
            use_up(&accounts, key, 0, 10);
        }
        assert!(wait_ns(&accounts, 1, 0) > 0, "used up, and still so");
        assert!(accounts.len() <= 64 + 101 + 8, "{}", accounts.len());
        drop((place, places));
    }

    #[test]
    fn pushing_an_account_out_gains_less_than_the_addresses_that_push() {
        // An attacker with many addresses uses up one burst with each, the first one whenever it passes again.
        let accounts = Accounts::new(64);
        let (mut passed, mut addresses) = (0_u64, 1_u64);
        for key in 1..20_000 {
            addresses += 1;
            for _ in 0..10 {
                for key in [0_u32, key] {
                    let took = accounts.with(key, 0, |account| {
                        account.messages.take(Some(&rate()), 0, 1).is_ok()
                    });
                    passed += u64::from(took);
                }
            }
        }
        assert!(passed <= 2 * 10 * addresses, "{passed}");
    }
}
