//! What the watchers of a room have not been told yet, by name.
//!
//! Of each user that has changed it is kept what the watchers know: so whoever comes back, or leaves again, before the next announcement is
//! not announced at all. Where a roster was shown meanwhile, the watchers do not all know the same; then what is true is said in any case.

use std::collections::HashMap;
use std::sync::Arc;

use super::users::{PresenceChange, User};
use crate::keyed::Keyed;

/// Changes that wait to be announced, at most so many as one batch may list.
#[derive(Debug)]
pub(super) struct News {
    told: HashMap<Arc<str>, Told, Keyed>,
    /// More changes than a batch may list: only the counts are said.
    overflow: bool,
}

/// What the watchers know of a user that has changed since.
#[derive(Debug)]
struct Told {
    /// As some of them know it; `None` where nobody knows of it.
    user: Option<User>,
    /// Some do not know of it.
    unknown: bool,
    /// Some know it otherwise.
    differs: bool,
    /// Some know it with another number of connections.
    counts_differ: bool,
}

impl News {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            told: HashMap::with_hasher(keyed),
            overflow: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.overflow && self.told.is_empty()
    }

    /// News that nobody waits for any more would be wrong for who comes later and gets the roster.
    pub(super) fn clear(&mut self) {
        self.told.clear();
        self.overflow = false;
    }

    /// A user is about to change: keeps what the watchers know of it, if it is not kept already.
    pub(super) fn note(
        &mut self,
        name: &Arc<str>,
        known: impl FnOnce() -> Option<User>,
        listed_max: u32,
    ) {
        if self.overflow || self.told.contains_key(name) {
            return;
        }
        if self.told.len() >= listed_max as usize {
            self.overflow = true;
            self.told.clear();
            return;
        }
        let user = known();
        let told = Told {
            unknown: user.is_none(),
            user,
            differs: false,
            counts_differ: false,
        };
        self.told.insert(Arc::clone(name), told);
    }

    /// A watcher has been shown what is true now, ahead of the others.
    pub(super) fn shown(&mut self, now: impl Fn(&Arc<str>) -> Option<User>) {
        for (name, told) in &mut self.told {
            match (now(name), &mut told.user) {
                (None, _) => told.unknown = true,
                (Some(user), Some(known)) => {
                    told.differs |= !is_same(&user, known);
                    told.counts_differ |= user.conns_count != known.conns_count;
                }
                (Some(user), nobody) => *nobody = Some(user),
            }
        }
    }

    /// Puts into the lists of `change` what there is to tell. `None` when it comes to nothing.
    pub(super) fn take(
        &mut self,
        now: impl Fn(&Arc<str>) -> Option<User>,
        mut change: PresenceChange,
    ) -> Option<PresenceChange> {
        if std::mem::take(&mut self.overflow) {
            self.told.clear();
            change.counts = true;
            return Some(change);
        }
        let mut news: Vec<(Arc<str>, Told)> = self.told.drain().collect();
        news.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, told) in news {
            match (told.user, now(&name)) {
                (None, None) => {}
                (Some(user), None) => change.left.push(user),
                (None, Some(user)) => change.joined.push(user),
                (Some(_), Some(user)) if told.unknown => change.joined.push(user),
                (Some(known), Some(user)) => {
                    if told.differs || !is_same(&user, &known) {
                        change.counts |=
                            told.counts_differ || user.conns_count != known.conns_count;
                        change.changed.push(user);
                    }
                }
            }
        }
        change.counts |= !change.joined.is_empty() || !change.left.is_empty();
        (change.counts || !change.changed.is_empty()).then_some(change)
    }
}

/// Whether there is nothing to tell between the two. Which connections they are is told to who asks.
fn is_same(user: &User, known: &User) -> bool {
    user.data == known.data && user.conns_count == known.conns_count
}
