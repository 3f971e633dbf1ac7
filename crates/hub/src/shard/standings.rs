//! What each Conn of a shard may do, and as whom: a table that Conns hold numbers of, so that equal ones lie there once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::grant::Grant;
use crate::keyed::Keyed;

/// A number of the table; 0 is what holds for whoever has shown nothing.
pub(super) type StandingId = u32;

/// A user, or nobody, with a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    pub(super) user: Option<Arc<str>>,
    pub(super) grant: Arc<Grant>,
}

/// See the [module](self). It has at most as many entries as Conns have been granted something, and one more.
#[derive(Debug)]
pub(super) struct Standings {
    anonymous: Standing,
    /// Whether everybody may do everything and nobody is anybody.
    open: bool,
    /// By number, less one; with how many Conns have it.
    slots: Vec<Option<(Standing, u32)>>,
    free: Vec<StandingId>,
    numbers: HashMap<Standing, StandingId, Keyed>,
    /// Users with the same rights share one grant; with how many entries have it.
    grants: HashMap<Arc<Grant>, u32, Keyed>,
}

impl Standings {
    pub(super) fn new(anonymous: Arc<Grant>, keyed: Keyed) -> Self {
        Self {
            open: anonymous.is_everything(),
            anonymous: Standing {
                user: None,
                grant: anonymous,
            },
            slots: Vec::new(),
            free: Vec::new(),
            numbers: HashMap::with_hasher(keyed),
            grants: HashMap::with_hasher(keyed),
        }
    }

    /// What holds from now on for whoever has shown nothing.
    pub(super) fn set_anonymous(&mut self, grant: Arc<Grant>) {
        self.anonymous.grant = grant;
        self.open = self.numbers.is_empty() && self.anonymous.grant.is_everything();
    }

    /// Whether everybody may do everything and nobody is anybody: then no Conn needs to be looked up.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn at(&self, id: StandingId) -> &Standing {
        let slot = (id as usize).checked_sub(1);
        let found = slot.and_then(|at| self.slots.get(at)?.as_ref());
        found.map_or(&self.anonymous, |(standing, _)| standing)
    }

    /// One more Conn has this.
    pub(super) fn take(&mut self, user: Option<Arc<str>>, grant: Arc<Grant>) -> StandingId {
        let shared = match self.grants.get_key_value(&grant) {
            Some((shared, _)) => Arc::clone(shared),
            None => grant,
        };
        let standing = Standing {
            user,
            grant: shared,
        };
        if standing == self.anonymous {
            return 0;
        }
        if let Some(id) = self.numbers.get(&standing) {
            if let Some(Some((_, conns))) = self.slots.get_mut(*id as usize - 1) {
                *conns += 1;
            }
            return *id;
        }
        self.open = false;
        *self.grants.entry(Arc::clone(&standing.grant)).or_default() += 1;
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
        });
        self.numbers.insert(standing.clone(), id);
        self.slots[id as usize - 1] = Some((standing, 1));
        id
    }

    /// A Conn has it no more.
    pub(super) fn give_back(&mut self, id: StandingId) {
        let Some(at) = (id as usize).checked_sub(1) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if let Some((_, conns)) = slot
            && *conns > 1
        {
            *conns -= 1;
            return;
        }
        if let Some((standing, _)) = slot.take() {
            self.numbers.remove(&standing);
            if let Entry::Occupied(mut count) = self.grants.entry(standing.grant) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            self.free.push(id);
            self.open = self.numbers.is_empty() && self.anonymous.grant.is_everything();
        }
    }

    /// How many there are beside the anonymous one.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{GrantRule, Rights};
    use crate::pattern::Pattern;

    fn grant(source: &str) -> Arc<Grant> {
        let rule = GrantRule {
            pattern: Pattern::everything(),
            allowed: Rights::USUAL,
            denied: Rights::NONE,
            source: source.into(),
        };
        Arc::new(Grant::new(vec![rule]).unwrap_or_default())
    }

    #[test]
    fn equal_ones_lie_here_once_and_go_with_the_last_conn() {
        let mut table = Standings::new(Arc::new(Grant::open()), Keyed(1));
        assert!(table.is_open());
        let ana = table.take(Some("ana".into()), grant("x"));
        assert_eq!(table.take(Some("ana".into()), grant("x")), ana);
        let bo = table.take(Some("bo".into()), grant("x"));
        assert_ne!(ana, bo);
        assert!(Arc::ptr_eq(&table.at(ana).grant, &table.at(bo).grant));
        assert_eq!(table.len(), 2);
        assert!(!table.is_open());
        for id in [ana, bo, ana] {
            table.give_back(id);
        }
        assert!(table.is_open() && table.grants.is_empty());
        assert_eq!(table.take(None, grant("y")), ana);
        assert_eq!(table.at(0).user, None);
        table.give_back(0);
        table.give_back(77);
    }
}
