//! Who is in a room: kept at its home, for all cores.
//!
//! A user is whoever goes by one name, as one verified user or none, over one connection or several: it comes with the first and goes with the last. A user whose last
//! connection vanished is there until its grace is over, as if over that connection still: in counts, in lists, and to the watchers.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::news::News;
use super::people::{Gone, People};
use super::users::{PresenceChange, Present, Roster, User, Watch};
use crate::conn::Origin;
use crate::keyed::Keyed;
use crate::sender::Sender;

/// About how long a roster is at most on the wire, in bytes; users beyond it are only counted. A watcher that takes its roster slowly must not
/// be taken for one that does not listen.
const ROSTER_BYTES_MAX: usize = 128 << 10;

/// About what a connection takes in it, in bytes.
const CONN_BYTES: usize = 48;

/// The roster and what has not been announced of it.
#[derive(Debug)]
pub(crate) struct Presence {
    people: People,
    /// Who vanished, and when that will be said.
    ghosts: BTreeSet<(u64, Arc<str>)>,
    news: News,
    /// When the last batch went out.
    pub(crate) said_ms: u64,
    /// How many asked to hear.
    watchers: u32,
}

impl Presence {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            people: People::new(keyed),
            ghosts: BTreeSet::new(),
            news: News::new(keyed),
            said_ms: 0,
            watchers: 0,
        }
    }

    /// How many users are here.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.people.count()).unwrap_or(u32::MAX)
    }

    /// Over how many connections. Who has vanished counts as one until its grace is over.
    pub(crate) fn conns(&self) -> u32 {
        u32::try_from(self.people.conns() + self.ghosts.len()).unwrap_or(u32::MAX)
    }

    /// How many users have vanished and are in their grace.
    pub(crate) fn ghosts(&self) -> usize {
        self.ghosts.len()
    }

    /// Whether a Conn is here.
    pub(crate) fn holds(&self, origin: Origin) -> bool {
        self.people.holds(origin)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.people.count() == 0
    }

    /// Whether nobody is connected: at most some who vanished.
    pub(crate) fn is_deserted(&self) -> bool {
        self.people.conns() == 0
    }

    /// A connection came, or came again with another name. Gives what it watched before; `None` when it was not here.
    pub(crate) fn come(
        &mut self,
        present: &Present,
        data: Option<Bytes>,
        watch: Watch,
        listed_max: u32,
    ) -> Option<Watch> {
        let old = self.people.find(present.origin);
        let watched = old.as_ref().map(|(_, _, watch)| *watch);
        self.count_watcher(watched, watch);
        match old {
            Some((old, ..)) if old == *present.name.as_kept() => {
                self.people.watch(present.origin, watch);
            }
            Some((old, ..)) => {
                let kept = self.take_conn(present.origin, &old, None, listed_max);
                self.give_conn(present, watch, listed_max);
                // What a user said of itself goes along with its only connection.
                if kept.is_some() && self.people.data(present.name.as_kept()).is_none() {
                    self.people.say(present.name.as_kept(), kept);
                }
            }
            None => self.give_conn(present, watch, listed_max),
        }
        if data.is_some() {
            self.say_data(present.name.as_kept(), data, listed_max);
        }
        watched
    }

    /// Takes another name; nothing when it is not here.
    pub(crate) fn rename(&mut self, origin: Origin, name: &Sender, listed_max: u32) {
        if let Some((_, door, watch)) = self.people.find(origin) {
            let present = Present {
                name: name.clone(),
                door,
                origin,
            };
            self.come(&present, None, watch, listed_max);
        }
    }

    /// Somebody who is here has been verified, or is not any more; nothing when it is not here.
    pub(crate) fn verify(&mut self, origin: Origin, user: Option<&str>, listed_max: u32) {
        if let Some((name, ..)) = self.people.find(origin) {
            let name = Sender::kept(name).verified(user);
            self.rename(origin, &name, listed_max);
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
        let (name, _, watched) = self.people.find(origin)?;
        self.count_watcher(Some(watched), Watch::Nothing);
        self.take_conn(origin, &name, ghost_until_ms, listed_max);
        Some(watched)
    }

    /// Announces those whose grace is over.
    pub(crate) fn expire(&mut self, now_ms: u64, listed_max: u32) {
        while self.ghost_due_ms().is_some_and(|until| until <= now_ms) {
            if let Some((_, name)) = self.ghosts.pop_first() {
                self.note(&name, listed_max);
                self.people.forget(&name);
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
        let people = &self.people;
        self.news.take(|name| people.user(name), change)
    }

    /// The roster for somebody who watches from now on.
    pub(crate) fn show(&mut self, listed_max: u32) -> Roster {
        let people = &self.people;
        self.news.shown(|name| people.user(name));
        self.roster(listed_max)
    }

    /// The roster as it is, some of it listed.
    pub(crate) fn roster(&self, listed_max: u32) -> Roster {
        let mut bytes = 0;
        let mut members: Vec<User> = self
            .people
            .users()
            .take(listed_max as usize)
            .take_while(|user| {
                let data = user.data.as_ref().map_or(0, Bytes::len);
                bytes += user.name.as_kept().len() + user.conns.len() * CONN_BYTES + data;
                bytes <= ROSTER_BYTES_MAX
            })
            .collect();
        members.sort_by(|a, b| {
            let (a, b) = (&a.name, &b.name);
            a.name().cmp(b.name()).then_with(|| a.user().cmp(&b.user()))
        });
        Roster {
            count: self.count(),
            conns: self.conns(),
            members,
        }
    }

    fn give_conn(&mut self, present: &Present, watch: Watch, listed_max: u32) {
        self.note(present.name.as_kept(), listed_max);
        // Who comes back within the grace never went.
        if let Some(ghost) = self.people.come(present, watch) {
            let name = Arc::clone(present.name.as_kept());
            self.ghosts.remove(&(ghost.until_ms, name));
        }
    }

    /// Gives what its user said of itself, where that is gone with it.
    fn take_conn(
        &mut self,
        origin: Origin,
        name: &Arc<str>,
        ghost_until_ms: Option<u64>,
        listed_max: u32,
    ) -> Option<Bytes> {
        self.note(name, listed_max);
        match (self.people.go(origin, ghost_until_ms), ghost_until_ms) {
            (Gone::User(data), _) => data,
            (Gone::Ghost, Some(until_ms)) => {
                self.ghosts.insert((until_ms, Arc::clone(name)));
                None
            }
            _ => None,
        }
    }

    fn say_data(&mut self, name: &Arc<str>, data: Option<Bytes>, listed_max: u32) {
        if self.people.data(name) == data.as_ref() {
            return;
        }
        self.note(name, listed_max);
        self.people.say(name, data);
    }

    /// A user is about to change.
    fn note(&mut self, name: &Arc<str>, listed_max: u32) {
        if self.watchers > 0 {
            let people = &self.people;
            self.news.note(name, || people.user(name), listed_max);
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
