//! Who is in a room: kept at its home, for all cores.
//!
//! A user is whoever goes by one name, over one connection or several: it comes with the first and goes with the last. What changed since
//! the last announcement is noted by name, together with what the watchers were told of that name before; so whoever comes back, or leaves
//! again, before the next one is not announced at all. A user whose connection vanished is there until its grace is over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::conn::{Door, Origin};
use crate::keyed::Keyed;

/// Connections of one user that are listed; further ones are only counted.
pub const USER_CONNS_LISTED: usize = 16;

/// One connection as it comes into a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its display name.
    pub name: Arc<str>,
    /// The door it came by.
    pub door: Door,
    /// Which Conn it is.
    pub origin: Origin,
}

/// Somebody who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The display name.
    pub name: Arc<str>,
    /// Its connections, the oldest first, at most [`USER_CONNS_LISTED`]. Of one who has none any more: the last one.
    pub conns: Vec<(Door, Origin)>,
    /// What it says of itself: one JSON text.
    pub data: Option<Bytes>,
}

/// Who is in a room. The list is bounded, the counts are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// How many users are present.
    pub count: u32,
    /// Over how many connections.
    pub conns: u32,
    /// Some of them, by name.
    pub members: Vec<User>,
}

/// Who has come and gone since the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who came. Empty, like the other lists, when there were too many to list.
    pub joined: Vec<User>,
    /// Who went.
    pub left: Vec<User>,
    /// Who says something else of itself, or has more or fewer connections.
    pub changed: Vec<User>,
    /// How many users are present now.
    pub count: u32,
    /// Over how many connections.
    pub conns: u32,
}

/// The roster and what has not been announced of it.
#[derive(Debug)]
pub(crate) struct Presence {
    present: HashMap<Origin, Entry, Keyed>,
    users: HashMap<Arc<str>, Account, Keyed>,
    /// Who vanished, and when that will be said. In order of time; who came back meanwhile is passed over.
    ghosts: VecDeque<(u64, Arc<str>)>,
    /// By name: what the watchers were told before.
    news: HashMap<Arc<str>, Told, Keyed>,
    /// More changes than a batch may list: only the counts are said.
    overflow: bool,
    /// When the last batch went out.
    pub(crate) said_ms: u64,
    /// How many asked to hear.
    pub(crate) watchers: u32,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    door: Door,
    watches: bool,
}

/// A user as the room knows it.
#[derive(Debug, Default)]
struct Account {
    conns: Vec<(Door, Origin)>,
    data: Option<Bytes>,
    /// It has vanished, and this is when that will be said.
    ghost_until_ms: Option<u64>,
    /// The connection that went last: how a leave is told.
    last: Option<(Door, Origin)>,
}

/// What the watchers know of a user that has changed since.
#[derive(Debug)]
enum Told {
    /// Nothing.
    Absent,
    /// Some know of it and some do not, since a roster was shown meanwhile.
    Differently(User),
    /// That it is there, and how.
    Present(User),
}

impl Presence {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            present: HashMap::with_hasher(keyed),
            users: HashMap::with_hasher(keyed),
            ghosts: VecDeque::new(),
            news: HashMap::with_hasher(keyed),
            overflow: false,
            said_ms: 0,
            watchers: 0,
        }
    }

    /// How many users are here.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.users.len()).unwrap_or(u32::MAX)
    }

    /// Whether a Conn is here.
    pub(crate) fn holds(&self, origin: Origin) -> bool {
        self.present.contains_key(&origin)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.ghosts.is_empty()
    }

    /// A connection came, or came again with another name. Gives whether it watched before; `None` when it was not here.
    pub(crate) fn come(
        &mut self,
        present: Present,
        data: Option<Bytes>,
        watches: bool,
        listed_max: u32,
    ) -> Option<bool> {
        self.watchers += u32::from(watches);
        let Present { name, door, origin } = present;
        let entry = Entry {
            name: Arc::clone(&name),
            door,
            watches,
        };
        let old = self.present.insert(origin, entry);
        if let Some(old) = &old {
            self.watchers -= u32::from(old.watches);
            self.forget_unheard();
            if old.name != name {
                self.take_conn(&old.name, origin, None, listed_max);
            }
        }
        if old.as_ref().is_none_or(|old| old.name != name) {
            self.give_conn(&name, (door, origin), listed_max);
        }
        if data.is_some() {
            self.say_data(&name, data, listed_max);
        }
        old.map(|old| old.watches)
    }

    /// Takes another name; nothing when it is not here.
    pub(crate) fn rename(&mut self, origin: Origin, name: &Arc<str>, listed_max: u32) {
        if let Some(entry) = self.present.get(&origin) {
            let (door, watches) = (entry.door, entry.watches);
            let present = Present {
                name: Arc::clone(name),
                door,
                origin,
            };
            self.come(present, None, watches, listed_max);
        }
    }

    /// A connection went. The last one's said leave is announced now, a vanished one's at `ghost_until_ms`. Whether it watched; `None` when
    /// it was not here.
    pub(crate) fn go(
        &mut self,
        origin: Origin,
        ghost_until_ms: Option<u64>,
        listed_max: u32,
        ghosts_max: u32,
    ) -> Option<bool> {
        let entry = self.present.remove(&origin)?;
        self.watchers -= u32::from(entry.watches);
        self.forget_unheard();
        let ghost_until_ms =
            ghost_until_ms.filter(|_| self.watchers > 0 && self.ghosts.len() < ghosts_max as usize);
        self.take_conn(&entry.name, origin, ghost_until_ms, listed_max);
        Some(entry.watches)
    }

    /// Announces those whose grace is over.
    pub(crate) fn expire(&mut self, now_ms: u64, listed_max: u32) {
        while self
            .ghosts
            .front()
            .is_some_and(|(until, _)| *until <= now_ms)
        {
            if let Some((until, name)) = self.ghosts.pop_front()
                && self
                    .users
                    .get(&name)
                    .is_some_and(|user| user.ghost_until_ms == Some(until))
            {
                self.note(&name, listed_max);
                self.users.remove(&name);
            }
        }
    }

    /// When the next grace is over.
    pub(crate) fn ghost_due_ms(&self) -> Option<u64> {
        self.ghosts.front().map(|(until, _)| *until)
    }

    pub(crate) fn has_news(&self) -> bool {
        self.overflow || !self.news.is_empty()
    }

    /// What has changed since the last batch; `None` when it comes to nothing.
    pub(crate) fn take_news(&mut self) -> Option<PresenceChange> {
        let mut change = PresenceChange {
            count: self.count(),
            conns: self.conns(),
            ..PresenceChange::default()
        };
        let overflow = std::mem::take(&mut self.overflow);
        let mut news: Vec<(Arc<str>, Told)> = self.news.drain().collect();
        if overflow {
            return Some(change);
        }
        news.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, told) in news {
            let user = self.users.get(&name).map(|account| user(&name, account));
            match (told, user) {
                (Told::Absent, None) => {}
                (Told::Absent | Told::Differently(_), Some(user)) => change.joined.push(user),
                (Told::Differently(user) | Told::Present(user), None) => change.left.push(user),
                (Told::Present(was), Some(user)) => {
                    if user.data != was.data || user.conns.len() != was.conns.len() {
                        change.changed.push(user);
                    }
                }
            }
        }
        let lists = [&change.joined, &change.left, &change.changed];
        lists.iter().any(|list| !list.is_empty()).then_some(change)
    }

    /// The roster as it is, the first names of it listed.
    pub(crate) fn roster(&mut self, listed_max: u32) -> Roster {
        for (name, told) in &mut self.news {
            *told = match (std::mem::replace(told, Told::Absent), self.users.get(name)) {
                (Told::Absent, Some(account)) => Told::Differently(user(name, account)),
                (Told::Present(user), None) => Told::Differently(user),
                (told, _) => told,
            };
        }
        let mut members: Vec<User> = self
            .users
            .iter()
            .take(listed_max as usize)
            .map(|(name, account)| user(name, account))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Roster {
            count: self.count(),
            conns: self.conns(),
            members,
        }
    }

    fn conns(&self) -> u32 {
        u32::try_from(self.present.len()).unwrap_or(u32::MAX)
    }

    fn give_conn(&mut self, name: &Arc<str>, conn: (Door, Origin), listed_max: u32) {
        self.note(name, listed_max);
        let account = self.users.entry(Arc::clone(name)).or_default();
        // Who comes back within the grace never went. Its place among the ghosts is passed over.
        account.ghost_until_ms = None;
        account.conns.push(conn);
    }

    fn take_conn(
        &mut self,
        name: &Arc<str>,
        origin: Origin,
        ghost_until_ms: Option<u64>,
        listed_max: u32,
    ) {
        self.note(name, listed_max);
        let Some(account) = self.users.get_mut(name) else {
            return;
        };
        let Some(at) = account.conns.iter().position(|(_, own)| *own == origin) else {
            return;
        };
        account.last = Some(account.conns.remove(at));
        if !account.conns.is_empty() {
            return;
        }
        match ghost_until_ms {
            Some(until_ms) => {
                account.ghost_until_ms = Some(until_ms);
                self.ghosts.push_back((until_ms, Arc::clone(name)));
            }
            None => {
                self.users.remove(name);
            }
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

    /// A user is about to change: keeps what the watchers know of it, if it is not kept already.
    fn note(&mut self, name: &Arc<str>, listed_max: u32) {
        if self.watchers == 0 || self.overflow || self.news.contains_key(name) {
            return;
        }
        if self.news.len() >= listed_max as usize {
            self.overflow = true;
            self.news.clear();
            return;
        }
        let told = match self.users.get(name) {
            Some(account) => Told::Present(user(name, account)),
            None => Told::Absent,
        };
        self.news.insert(Arc::clone(name), told);
    }

    /// News that nobody waits for any more would be wrong for who comes later and gets the roster.
    fn forget_unheard(&mut self) {
        if self.watchers == 0 {
            self.news.clear();
            self.overflow = false;
        }
    }
}

fn user(name: &Arc<str>, account: &Account) -> User {
    let mut conns: Vec<(Door, Origin)> = account
        .conns
        .iter()
        .take(USER_CONNS_LISTED)
        .copied()
        .collect();
    if conns.is_empty() {
        conns.extend(account.last);
    }
    User {
        name: Arc::clone(name),
        conns,
        data: account.data.clone(),
    }
}
