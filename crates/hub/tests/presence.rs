//! Presence that is true: users, each once; graces; what they say of themselves; and no more said than changed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    ConnId, Door, Epoch, Farewell, Input, Join, Limits, Now, Output, Policies, PresenceChange,
    RoomName, Roster, Shard, ShardSettings, Start, Ticket,
};

struct World {
    shard: Shard,
    now_ms: u64,
    said: Vec<Arc<PresenceChange>>,
    roster: Option<Roster>,
}

fn conn(slot: u32) -> ConnId {
    ConnId {
        slot,
        generation: 1,
    }
}

fn room() -> RoomName {
    RoomName::parse("den").unwrap()
}

impl World {
    /// With a watcher, whose own coming is over.
    fn new() -> Self {
        let settings = ShardSettings {
            core: 0,
            cores: 1,
            seed: 1,
            epoch: Epoch(5),
            policies: Arc::new(Policies::default()),
            limits: Limits::default(),
            has_store: false,
        };
        let mut world = Self {
            shard: Shard::new(settings),
            now_ms: 1_000_000,
            said: Vec::new(),
            roster: None,
        };
        world.come(0, "watcher", true, None);
        world.said.clear();
        world
    }

    fn put(&mut self, input: Input) {
        let mut outputs = Vec::new();
        let now = Now {
            mono_ms: self.now_ms,
            unix_ms: self.now_ms,
        };
        self.shard.handle(input, now, &mut outputs);
        for output in outputs {
            match output {
                Output::Presence { change, .. } => self.said.push(change),
                Output::Who { roster, .. } => self.roster = Some(roster),
                _ => {}
            }
        }
    }

    fn come(&mut self, slot: u32, name: &str, presence: bool, data: Option<&'static str>) {
        self.put(Input::Open { conn: conn(slot) });
        self.join(slot, name, presence, data);
    }

    fn join(&mut self, slot: u32, name: &str, presence: bool, data: Option<&'static str>) {
        let join = Join {
            name: name.into(),
            door: Door("lines"),
            start: Start::Now,
            presence,
            data: data.map(|data| Bytes::from_static(data.as_bytes())),
            state: false,
        };
        self.put(Input::Join {
            conn: conn(slot),
            ticket: Ticket(1),
            room: room(),
            join,
        });
    }

    fn go(&mut self, slot: u32, farewell: Farewell) {
        self.put(Input::Close {
            conn: conn(slot),
            farewell,
        });
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some(due) = self.shard.deadline_ms().filter(|due| *due <= until) {
            self.now_ms = due.max(self.now_ms);
            self.put(Input::Tick);
        }
        self.now_ms = until;
    }

    fn who(&mut self, counts: bool) -> Roster {
        self.put(Input::Who {
            conn: conn(0),
            ticket: Ticket(2),
            room: room(),
            counts,
        });
        self.roster.take().unwrap()
    }

    /// What was said since the last look: who joined, left and changed.
    fn news(&mut self) -> (Vec<String>, Vec<String>, Vec<String>) {
        let mut all = (Vec::new(), Vec::new(), Vec::new());
        for change in self.said.drain(..) {
            let names = |users: &[taut_hub::User]| -> Vec<String> {
                users.iter().map(|user| user.name.to_string()).collect()
            };
            all.0.extend(names(&change.joined));
            all.1.extend(names(&change.left));
            all.2.extend(names(&change.changed));
        }
        all
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_user_over_several_connections_counts_once_and_lists_them() {
    let mut world = World::new();
    world.come(1, "ana", false, None);
    world.come(2, "ana", false, None);
    assert_eq!(world.news(), (names(&["ana"]), names(&[]), names(&["ana"])));
    let roster = world.who(false);
    assert_eq!((roster.count, roster.conns), (2, 3));
    assert_eq!(roster.members[0].conns.len(), 2);
    world.go(1, Farewell::Said);
    assert_eq!(world.news(), (names(&[]), names(&[]), names(&["ana"])));
    world.go(2, Farewell::Said);
    assert_eq!(world.news(), (names(&[]), names(&["ana"]), names(&[])));
}

#[test]
fn who_is_back_within_the_grace_never_went() {
    let mut world = World::new();
    world.come(1, "ana", false, None);
    world.news();
    world.go(1, Farewell::Vanished);
    world.wait(10_000);
    world.come(2, "bo", false, None);
    world.come(3, "ana", false, None);
    world.wait(60_000);
    assert_eq!(world.news(), (names(&["bo"]), names(&[]), names(&[])));
    assert_eq!(world.who(false).count, 3);
}

#[test]
fn who_stays_away_is_gone_when_the_grace_is_over() {
    let mut world = World::new();
    world.come(1, "ana", false, None);
    world.news();
    world.go(1, Farewell::Vanished);
    world.wait(14_000);
    assert_eq!(world.news(), (names(&[]), names(&[]), names(&[])));
    assert_eq!(world.who(false).count, 2, "there until then");
    world.wait(2_000);
    assert_eq!(world.news(), (names(&[]), names(&["ana"]), names(&[])));
    assert_eq!(world.who(false).count, 1);
}

#[test]
fn what_a_user_says_of_itself_is_told_when_it_changes() {
    let mut world = World::new();
    world.come(1, "ana", false, Some("{\"seat\":1}"));
    assert_eq!(world.news().0, names(&["ana"]));
    world.join(1, "ana", false, Some("{\"seat\":2}"));
    let change = world.said[0].clone();
    assert_eq!(
        change.changed[0].data.as_deref(),
        Some(&b"{\"seat\":2}"[..])
    );
    world.news();
    world.join(1, "ana", false, Some("{\"seat\":2}"));
    world.join(1, "ana", false, None);
    assert_eq!(world.news(), (names(&[]), names(&[]), names(&[])));
}

#[test]
fn counts_come_without_a_list() {
    let mut world = World::new();
    world.come(1, "ana", false, None);
    world.come(2, "ana", false, None);
    let roster = world.who(true);
    assert_eq!((roster.count, roster.conns), (2, 3));
    assert!(roster.members.is_empty());
}

#[test]
fn ten_thousand_that_come_are_said_in_batches() {
    let mut world = World::new();
    for slot in 1..=10_000 {
        world.come(slot, &format!("n{slot}"), false, None);
        world.wait(1);
    }
    world.wait(1_000);
    let said: usize = world
        .said
        .iter()
        .map(|change| change.joined.len() + change.left.len() + change.changed.len())
        .sum();
    assert!(said <= 10_000, "nobody is said twice: {said}");
    assert!(world.said.len() < 200, "{} batches", world.said.len());
    assert_eq!(world.said.last().unwrap().count, 10_001);
}
