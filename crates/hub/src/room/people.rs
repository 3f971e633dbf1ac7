//! The users of a room and their connections, as they are.
//!
//! A room may have very many, nearly all of whom have one connection and say nothing of themselves: those are one [`Conn`] of 32 bytes, with
//! its name in place. Whoever is more than that has an [`Account`], as long as it is. A name here is a [`Sender`] as it is kept: with the
//! verified user, where there is one.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;

use super::short::ShortName;
use super::users::{Present, USER_CONNS_LISTED, User, Watch};
use crate::conn::{ConnId, Door, Origin};
use crate::keyed::Keyed;
use crate::sender::Sender;
use crate::slots::Slots;

/// See the [module](self). A user is either `alone` or has an account.
#[derive(Debug)]
pub(super) struct People {
    keyed: Keyed,
    conns: Slots<Conn>,
    /// Connections by their origin.
    origins: HashTable<u32>,
    /// Users that are no more than one connection, by their name.
    alone: HashTable<u32>,
    accounts: HashMap<Arc<str>, Account, Keyed>,
}

/// One connection.
#[derive(Debug)]
struct Conn {
    name: ShortName,
    id: ConnId,
    /// Its index in [`Account::conns`], where there is an account.
    place: u32,
    core: u16,
    door: u8,
    watch: Watch,
}

const _: () = assert!(size_of::<Option<Conn>>() == 32);

/// A user that is more, or less, than one connection.
#[derive(Debug, Default)]
struct Account {
    conns: Vec<u32>,
    data: Option<Bytes>,
    ghost: Option<Ghost>,
}

/// A user without connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ghost {
    /// When its leave will be said.
    pub(super) until_ms: u64,
    /// The connection that went last.
    pub(super) last: (Door, Origin),
}

impl Conn {
    fn origin(&self) -> Origin {
        Origin {
            core: self.core,
            conn: self.id,
        }
    }

    fn listed(&self) -> (Door, Origin) {
        (Door::coded(self.door), self.origin())
    }
}

impl People {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            keyed,
            conns: Slots::default(),
            origins: HashTable::new(),
            alone: HashTable::new(),
            accounts: HashMap::with_hasher(keyed),
        }
    }

    /// How many users there are.
    pub(super) fn count(&self) -> usize {
        self.alone.len() + self.accounts.len()
    }

    /// How many connections.
    pub(super) fn conns(&self) -> usize {
        self.conns.len()
    }

    pub(super) fn holds(&self, origin: Origin) -> bool {
        self.index_of(origin).is_some()
    }

    /// Under which name a connection is here, by which door, and what it watches.
    pub(super) fn find(&self, origin: Origin) -> Option<(Arc<str>, Door, Watch)> {
        let conn = self.conns.at(self.index_of(origin)?)?;
        Some((conn.name.to_name(), Door::coded(conn.door), conn.watch))
    }

    pub(super) fn watch(&mut self, origin: Origin, watch: Watch) {
        if let Some(conn) = self.index_of(origin).and_then(|at| self.conns.at_mut(at)) {
            conn.watch = watch;
        }
    }

    /// A user as others are told of it.
    pub(super) fn user(&self, name: &Arc<str>) -> Option<User> {
        if let Some(account) = self.accounts.get(name) {
            return Some(self.user_of(name, account));
        }
        let conn = self.conns.at(self.index_alone(name)?)?;
        Some(user_alone(conn))
    }

    /// All of them.
    pub(super) fn users(&self) -> impl Iterator<Item = User> {
        let alone = self.alone.iter().filter_map(|index| self.conns.at(*index));
        let accounts = self.accounts.iter();
        alone
            .map(user_alone)
            .chain(accounts.map(|(name, account)| self.user_of(name, account)))
    }

    /// One more connection. Gives the ghost that its user was until now.
    pub(super) fn come(&mut self, present: &Present, watch: Watch) -> Option<Ghost> {
        let index = self.conns.insert(Conn {
            name: ShortName::new(present.name.as_kept()),
            id: present.origin.conn,
            place: 0,
            core: present.origin.core,
            door: present.door.code(),
            watch,
        });
        let (conns, keyed) = (&self.conns, self.keyed);
        let hash = keyed.hash_one(present.origin);
        self.origins
            .insert_unique(hash, index, |index| hash_origin(keyed, conns, *index));
        let name = present.name.as_kept();
        if self.index_alone(name).is_none() && !self.accounts.contains_key(name) {
            self.be_alone(name, index);
            return None;
        }
        let account = self.account(name);
        let ghost = account.ghost.take();
        let place = account.conns.len();
        account.conns.push(index);
        if let Some(conn) = self.conns.at_mut(index) {
            conn.place = u32::try_from(place).unwrap_or(u32::MAX);
        }
        self.settle(name);
        ghost
    }

    /// A connection goes. The user's last one leaves a ghost, where that is so long to be one; else what the user said of itself is given.
    pub(super) fn go(&mut self, origin: Origin, ghost_until_ms: Option<u64>) -> Gone {
        let Some(index) = self.index_of(origin) else {
            return Gone::Nothing;
        };
        let Some(conn) = self.conns.at(index) else {
            return Gone::Nothing;
        };
        let (name, last, place) = (conn.name.to_name(), conn.listed(), conn.place);
        let is_alone = self.index_alone(&name) == Some(index);
        self.forget_origin(origin, index);
        if is_alone {
            self.forget_alone(&name, index);
            self.conns.remove(index);
            if let Some(until_ms) = ghost_until_ms {
                let ghost = Some(Ghost { until_ms, last });
                let account = Account {
                    ghost,
                    ..Account::default()
                };
                self.accounts.insert(name, account);
                return Gone::Ghost;
            }
            return Gone::User(None);
        }
        self.conns.remove(index);
        let Some(account) = self.accounts.get_mut(&name) else {
            return Gone::Nothing;
        };
        // A user may have very many connections: none is looked for, and none is moved but one.
        if (place as usize) < account.conns.len() {
            account.conns.swap_remove(place as usize);
        }
        if let Some(moved) = account.conns.get(place as usize)
            && let Some(moved) = self.conns.at_mut(*moved)
        {
            moved.place = place;
        }
        if !account.conns.is_empty() {
            self.settle(&name);
            return Gone::Nothing;
        }
        if let Some(until_ms) = ghost_until_ms {
            account.ghost = Some(Ghost { until_ms, last });
            return Gone::Ghost;
        }
        Gone::User(self.accounts.remove(&name).and_then(|user| user.data))
    }

    /// A ghost's time is over.
    pub(super) fn forget(&mut self, name: &Arc<str>) {
        self.accounts.remove(name);
    }

    /// What a user says of itself.
    pub(super) fn data(&self, name: &Arc<str>) -> Option<&Bytes> {
        self.accounts.get(name)?.data.as_ref()
    }

    /// A user that is here says something else of itself.
    pub(super) fn say(&mut self, name: &Arc<str>, data: Option<Bytes>) {
        if self.accounts.contains_key(name) || self.index_alone(name).is_some() {
            self.account(name).data = data;
            self.settle(name);
        }
    }

    fn user_of(&self, name: &Arc<str>, account: &Account) -> User {
        let conns = match account.ghost {
            Some(ghost) => vec![ghost.last],
            None => {
                let listed = account.conns.iter().take(USER_CONNS_LISTED);
                let listed = listed.filter_map(|index| self.conns.at(*index));
                listed.map(Conn::listed).collect()
            }
        };
        User {
            name: Sender::kept(Arc::clone(name)),
            conns,
            conns_count: u32::try_from(account.conns.len().max(1)).unwrap_or(u32::MAX),
            data: account.data.clone(),
        }
    }

    /// The account of a user; one that was alone gets one.
    fn account(&mut self, name: &Arc<str>) -> &mut Account {
        let alone = self.index_alone(name);
        if let Some(index) = alone {
            self.forget_alone(name, index);
            if let Some(conn) = self.conns.at_mut(index) {
                conn.place = 0;
            }
        }
        let account = self.accounts.entry(Arc::clone(name)).or_default();
        account.conns.extend(alone);
        account
    }

    /// Whoever is no more than one connection needs no account.
    fn settle(&mut self, name: &Arc<str>) {
        let Some(account) = self.accounts.get(name) else {
            return;
        };
        if let (&[index], None, None) = (account.conns.as_slice(), &account.data, account.ghost) {
            self.accounts.remove(name);
            self.be_alone(name, index);
        }
    }

    fn be_alone(&mut self, name: &Arc<str>, index: u32) {
        let (conns, keyed) = (&self.conns, self.keyed);
        let hash = keyed.hash_one(name.as_bytes());
        self.alone
            .insert_unique(hash, index, |index| hash_name(keyed, conns, *index));
    }

    fn forget_alone(&mut self, name: &Arc<str>, index: u32) {
        let hash = self.keyed.hash_one(name.as_bytes());
        if let Ok(found) = self.alone.find_entry(hash, |other| *other == index) {
            found.remove();
        }
    }

    fn forget_origin(&mut self, origin: Origin, index: u32) {
        let hash = self.keyed.hash_one(origin);
        if let Ok(found) = self.origins.find_entry(hash, |other| *other == index) {
            found.remove();
        }
    }

    fn index_of(&self, origin: Origin) -> Option<u32> {
        let is_it = |index: &u32| self.conns.at(*index).is_some_and(|c| c.origin() == origin);
        let hash = self.keyed.hash_one(origin);
        self.origins.find(hash, is_it).copied()
    }

    fn index_alone(&self, name: &Arc<str>) -> Option<u32> {
        let name = name.as_bytes();
        let is_it = |index: &u32| {
            let conn = self.conns.at(*index);
            conn.is_some_and(|conn| conn.name.as_bytes() == name)
        };
        let hash = self.keyed.hash_one(name);
        self.alone.find(hash, is_it).copied()
    }
}

/// What was left when a connection went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Its user is still here over others, or it was not here.
    Nothing,
    /// Its user, in its grace.
    Ghost,
    /// Its user went with it; this is what it said of itself.
    User(Option<Bytes>),
}

fn user_alone(conn: &Conn) -> User {
    User {
        name: Sender::kept(conn.name.to_name()),
        conns: vec![conn.listed()],
        conns_count: 1,
        data: None,
    }
}

fn hash_name(keyed: Keyed, conns: &Slots<Conn>, index: u32) -> u64 {
    keyed.hash_one(conns.at(index).map_or(&[][..], |conn| conn.name.as_bytes()))
}

fn hash_origin(keyed: Keyed, conns: &Slots<Conn>, index: u32) -> u64 {
    conns
        .at(index)
        .map_or(0, |conn| keyed.hash_one(conn.origin()))
}
