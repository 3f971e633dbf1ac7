//! Who is in a room: kept at its home, for all cores.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::conn::{Door, Origin};
use crate::keyed::Keyed;

/// One present Conn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its display name.
    pub name: Arc<str>,
    /// The door it came by.
    pub door: Door,
    /// Which Conn it is.
    pub origin: Origin,
}

/// Who is in a room. The list is bounded, the count is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// How many are present.
    pub count: u32,
    /// Some of them, by name.
    pub members: Vec<Present>,
}

/// Who has come and gone since the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who came. Empty, like `left`, when there were too many to list.
    pub joined: Vec<Present>,
    /// Who went.
    pub left: Vec<Present>,
    /// How many are present now.
    pub count: u32,
}

/// The roster and what has not been announced of it.
#[derive(Debug)]
pub(crate) struct Presence {
    present: HashMap<Origin, Entry, Keyed>,
    /// Who vanished, and when that will be said. In order of time.
    ghosts: VecDeque<(u64, Present)>,
    joined: Vec<Present>,
    left: Vec<Present>,
    /// A roster was shown since the last batch: somebody may know of a Conn whose coming was not announced.
    shown: bool,
    /// More changes than a batch may list: only the count is said.
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

impl Presence {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            present: HashMap::with_hasher(keyed),
            ghosts: VecDeque::new(),
            joined: Vec::new(),
            left: Vec::new(),
            shown: false,
            overflow: false,
            said_ms: 0,
            watchers: 0,
        }
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.present.len()).unwrap_or(u32::MAX)
    }

    /// Whether a Conn is here.
    pub(crate) fn holds(&self, origin: Origin) -> bool {
        self.present.contains_key(&origin)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.present.is_empty() && self.ghosts.is_empty()
    }

    /// Somebody came, or came again with another name. Gives whether it watched before; `None` when it was not here.
    pub(crate) fn come(
        &mut self,
        present: Present,
        watches: bool,
        listed_max: u32,
    ) -> Option<bool> {
        let entry = Entry {
            name: Arc::clone(&present.name),
            door: present.door,
            watches,
        };
        self.watchers += u32::from(watches);
        match self.present.insert(present.origin, entry) {
            None => {
                // Who comes back under the name of one who vanished: the old Conn and the new one are told together.
                let ghost = self
                    .ghosts
                    .iter()
                    .position(|(_, ghost)| ghost.name == present.name);
                if let Some((_, ghost)) = ghost.and_then(|index| self.ghosts.remove(index)) {
                    self.note_left(ghost, listed_max);
                }
                self.note_joined(present, listed_max);
                None
            }
            Some(old) => {
                self.watchers -= u32::from(old.watches);
                self.forget_unheard();
                if old.name != present.name {
                    let was = Present {
                        name: old.name,
                        ..present.clone()
                    };
                    self.note_left(was, listed_max);
                    self.note_joined(present, listed_max);
                }
                Some(old.watches)
            }
        }
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
            self.come(present, watches, listed_max);
        }
    }

    /// Somebody went. Said leaves are announced now, vanished ones at `ghost_until_ms`. Whether it watched; `None` when it was not here.
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
        let present = Present {
            name: entry.name,
            door: entry.door,
            origin,
        };
        match ghost_until_ms {
            Some(until) if self.watchers > 0 && self.ghosts.len() < ghosts_max as usize => {
                self.ghosts.push_back((until, present));
            }
            _ => self.note_left(present, listed_max),
        }
        Some(entry.watches)
    }

    /// Announces those whose grace is over.
    pub(crate) fn expire(&mut self, now_ms: u64, listed_max: u32) {
        while self
            .ghosts
            .front()
            .is_some_and(|(until, _)| *until <= now_ms)
        {
            if let Some((_, present)) = self.ghosts.pop_front() {
                self.note_left(present, listed_max);
            }
        }
    }

    /// When the next grace is over.
    pub(crate) fn ghost_due_ms(&self) -> Option<u64> {
        self.ghosts.front().map(|(until, _)| *until)
    }

    pub(crate) fn has_news(&self) -> bool {
        self.overflow || !self.joined.is_empty() || !self.left.is_empty()
    }

    /// What has changed since the last batch.
    pub(crate) fn take_news(&mut self) -> PresenceChange {
        self.shown = false;
        let mut change = PresenceChange {
            joined: std::mem::take(&mut self.joined),
            left: std::mem::take(&mut self.left),
            count: self.count(),
        };
        if std::mem::take(&mut self.overflow) {
            change.joined = Vec::new();
            change.left = Vec::new();
        }
        change
    }

    /// The roster as it is, the first names of it listed.
    pub(crate) fn roster(&mut self, listed_max: u32) -> Roster {
        self.shown = true;
        let mut members: Vec<Present> = self
            .present
            .iter()
            .take(listed_max as usize)
            .map(|(origin, entry)| Present {
                name: Arc::clone(&entry.name),
                door: entry.door,
                origin: *origin,
            })
            .collect();
        members.sort_by(|a, b| (&a.name, a.origin).cmp(&(&b.name, b.origin)));
        Roster {
            count: self.count(),
            members,
        }
    }

    /// News that nobody waits for any more would be wrong for who comes later and gets the roster.
    fn forget_unheard(&mut self) {
        if self.watchers == 0 {
            self.joined.clear();
            self.left.clear();
            self.overflow = false;
        }
    }

    fn note_joined(&mut self, present: Present, listed_max: u32) {
        if self.watchers == 0 {
            return;
        }
        self.joined.push(present);
        self.bound(listed_max);
    }

    fn note_left(&mut self, present: Present, listed_max: u32) {
        if self.watchers == 0 {
            return;
        }
        // Who came and went between two batches was never announced, unless a roster was shown meanwhile.
        if let Some(index) = self
            .joined
            .iter()
            .position(|joined| joined.origin == present.origin && joined.name == present.name)
        {
            self.joined.swap_remove(index);
            if !self.shown {
                return;
            }
        }
        self.left.push(present);
        self.bound(listed_max);
    }

    fn bound(&mut self, listed_max: u32) {
        if self.joined.len() + self.left.len() > listed_max as usize {
            self.overflow = true;
            self.joined.clear();
            self.left.clear();
        }
    }
}
