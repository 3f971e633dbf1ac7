//! Who is in a room: kept at its home, for all cores.
//!
//! A user is whoever goes by one name, over one connection or several: it comes with the first and goes with the last. A user whose last
//! connection vanished is there until its grace is over, as if over that connection still: in counts, in lists, and to the watchers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::news::News;
use super::users::{PresenceChange, Present, Roster, USER_CONNS_LISTED, User, Watch};
use crate::conn::{Door, Origin};
use crate::keyed::Keyed;

/// About how long a roster is at most on the wire, in bytes; users beyond it are only counted. A watcher that takes its roster slowly must not
/// be taken for one that does not listen.
const ROSTER_BYTES_MAX: usize = 128 << 10;

/// About what a connection takes in it, in bytes.
const CONN_BYTES: usize = 48;

/// The roster and what has not been announced of it.
#[derive(Debug)]
pub(crate) struct Presence {
    present: HashMap<Origin, Entry, Keyed>,
    users: HashMap<Arc<str>, Account, Keyed>,
    /// Who vanished, and when that will be said.
    ghosts: BTreeSet<(u64, Arc<str>)>,
    news: News,
    /// When the last batch went out.
    pub(crate) said_ms: u64,
    /// How many asked to hear.
    watchers: u32,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    door: Door,
    watch: Watch,
    /// Its index in [`Account::conns`].
    place: usize,
}

/// A user as the room knows it.
#[derive(Debug, Default)]
struct Account {
    conns: Vec<(Door, Origin)>,
    data: Option<Bytes>,
    ghost: Option<Ghost>,
}

/// A user without connections.
#[derive(Debug, Clone, Copy)]
struct Ghost {
    /// When its leave will be said.
    until_ms: u64,
    /// The connection that went last.
    last: (Door, Origin),
}

impl Presence {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            present: HashMap::with_hasher(keyed),
            users: HashMap::with_hasher(keyed),
            ghosts: BTreeSet::new(),
            news: News::new(keyed),
            said_ms: 0,
            watchers: 0,
        }
    }

    /// How many users are here.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.users.len()).unwrap_or(u32::MAX)
    }

    /// Over how many connections. Who has vanished counts as one until its grace is over.
    pub(crate) fn conns(&self) -> u32 {
        u32::try_from(self.present.len() + self.ghosts.len()).unwrap_or(u32::MAX)
    }

    /// How many users have vanished and are in their grace.
    pub(crate) fn ghosts(&self) -> usize {
        self.ghosts.len()
    }

    /// Whether a Conn is here.
    pub(crate) fn holds(&self, origin: Origin) -> bool {
        self.present.contains_key(&origin)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether nobody is connected: at most some who vanished.
    pub(crate) fn is_deserted(&self) -> bool {
        self.present.is_empty()
    }

    /// A connection came, or came again with another name. Gives what it watched before; `None` when it was not here.
    pub(crate) fn come(
        &mut self,
        present: Present,
        data: Option<Bytes>,
        watch: Watch,
        listed_max: u32,
    ) -> Option<Watch> {
        let Present { name, door, origin } = present;
        let old = self
            .present
            .get(&origin)
            .map(|entry| (Arc::clone(&entry.name), entry.watch));
        let watched = old.as_ref().map(|(_, watch)| *watch);
        self.count_watcher(watched, watch);
        match old {
            Some((old, _)) if old == name => {
                if let Some(entry) = self.present.get_mut(&origin) {
                    entry.watch = watch;
                }
            }
            Some(_) => {
                let kept = self.take_conn(origin, None, listed_max);
                self.give_conn(&name, door, origin, watch, listed_max);
                // What a user said of itself goes along with its only connection.
                if let Some(account) = self.users.get_mut(&name) {
                    account.data = account.data.take().or(kept);
                }
            }
            None => self.give_conn(&name, door, origin, watch, listed_max),
        }
        if data.is_some() {
            self.say_data(&name, data, listed_max);
        }
        watched
    }

    /// Takes another name; nothing when it is not here.
    pub(crate) fn rename(&mut self, origin: Origin, name: &Arc<str>, listed_max: u32) {
        if let Some(entry) = self.present.get(&origin) {
            let (door, watch) = (entry.door, entry.watch);
            let present = Present {
                name: Arc::clone(name),
                door,
                origin,
            };
            self.come(present, None, watch, listed_max);
        }
    }

    /// A connection went. The last one's leave is announced at `ghost_until_ms`, now where that is `None`. Gives what it watched; `None`
    /// when it was not here.
    pub(crate) fn go(
        &mut self,
        origin: Origin,
        ghost_until_ms: Option<u64>,
        listed_max: u32,
    ) -> Option<Watch> {
        let watched = self.present.get(&origin)?.watch;
        self.count_watcher(Some(watched), Watch::Nothing);
        self.take_conn(origin, ghost_until_ms, listed_max);
        Some(watched)
    }

    /// Announces those whose grace is over.
    pub(crate) fn expire(&mut self, now_ms: u64, listed_max: u32) {
        while self.ghost_due_ms().is_some_and(|until| until <= now_ms) {
            if let Some((_, name)) = self.ghosts.pop_first() {
                self.note(&name, listed_max);
                self.users.remove(&name);
            }
        }
    }

    /// When the next grace is over.
    pub(crate) fn ghost_due_ms(&self) -> Option<u64> {
        self.ghosts.first().map(|(until, _)| *until)
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What has changed since the last batch; `None` when it comes to nothing.
    pub(crate) fn take_news(&mut self) -> Option<PresenceChange> {
        let change = PresenceChange {
            count: self.count(),
            conns: self.conns(),
            ..PresenceChange::default()
        };
        let users = &self.users;
        self.news.take(|name| known(users, name), change)
    }

    /// The roster for somebody who watches from now on.
    pub(crate) fn show(&mut self, listed_max: u32) -> Roster {
        let users = &self.users;
        self.news.shown(|name| known(users, name));
        self.roster(listed_max)
    }

    /// The roster as it is, some of it listed.
    pub(crate) fn roster(&self, listed_max: u32) -> Roster {
        let mut bytes = 0;
        let mut members: Vec<User> = self
            .users
            .iter()
            .take(listed_max as usize)
            .take_while(|(name, account)| {
                let conns = account.conns.len().clamp(1, USER_CONNS_LISTED);
                let data = account.data.as_ref().map_or(0, Bytes::len);
                bytes += name.len() + conns * CONN_BYTES + data;
                bytes <= ROSTER_BYTES_MAX
            })
            .map(|(name, account)| user(name, account))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Roster {
            count: self.count(),
            conns: self.conns(),
            members,
        }
    }

    fn give_conn(
        &mut self,
        name: &Arc<str>,
        door: Door,
        origin: Origin,
        watch: Watch,
        listed_max: u32,
    ) {
        self.note(name, listed_max);
        let account = self.users.entry(Arc::clone(name)).or_default();
        // Who comes back within the grace never went.
        if let Some(ghost) = account.ghost.take() {
            self.ghosts.remove(&(ghost.until_ms, Arc::clone(name)));
        }
        let entry = Entry {
            name: Arc::clone(name),
            door,
            watch,
            place: account.conns.len(),
        };
        account.conns.push((door, origin));
        self.present.insert(origin, entry);
    }

    /// Gives what its user said of itself, where that is gone with it.
    fn take_conn(
        &mut self,
        origin: Origin,
        ghost_until_ms: Option<u64>,
        listed_max: u32,
    ) -> Option<Bytes> {
        let name = Arc::clone(&self.present.get(&origin)?.name);
        self.note(&name, listed_max);
        let Entry { place, door, .. } = self.present.remove(&origin)?;
        let account = self.users.get_mut(&name)?;
        // A user may have very many connections: none is looked for, and none is moved but one.
        if place < account.conns.len() {
            account.conns.swap_remove(place);
        }
        if let Some((_, moved)) = account.conns.get(place)
            && let Some(entry) = self.present.get_mut(moved)
        {
            entry.place = place;
        }
        if !account.conns.is_empty() {
            return None;
        }
        match ghost_until_ms {
            Some(until_ms) => {
                let last = (door, origin);
                account.ghost = Some(Ghost { until_ms, last });
                self.ghosts.insert((until_ms, name));
                None
            }
            None => self.users.remove(&name)?.data,
        }
    }

    fn say_data(&mut self, name: &Arc<str>, data: Option<Bytes>, listed_max: u32) {
        if self.users.get(name).is_some_and(|user| user.data == data) {
            return;
        }
        self.note(name, listed_max);
        if let Some(account) = self.users.get_mut(name) {
            account.data = data;
        }
    }

    /// A user is about to change.
    fn note(&mut self, name: &Arc<str>, listed_max: u32) {
        if self.watchers > 0 {
            let users = &self.users;
            self.news.note(name, || known(users, name), listed_max);
        }
    }

    fn count_watcher(&mut self, before: Option<Watch>, now: Watch) {
        self.watchers += u32::from(now.is_on());
        self.watchers -= u32::from(before.is_some_and(Watch::is_on));
        if self.watchers == 0 {
            self.news.clear();
        }
    }
}

fn known(users: &HashMap<Arc<str>, Account, Keyed>, name: &Arc<str>) -> Option<User> {
    users.get(name).map(|account| user(name, account))
}

fn user(name: &Arc<str>, account: &Account) -> User {
    let conns = match account.ghost {
        Some(ghost) => vec![ghost.last],
        None => {
            let listed = account.conns.iter().take(USER_CONNS_LISTED);
            listed.copied().collect()
        }
    };
    User {
        name: Arc::clone(name),
        conns,
        conns_count: u32::try_from(account.conns.len().max(1)).unwrap_or(u32::MAX),
        data: account.data.clone(),
    }
}
