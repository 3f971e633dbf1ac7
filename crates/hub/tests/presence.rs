//! Presence that is true: users, each once; graces; what they say of themselves; and no more said than changed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    ConnId, Door, Epoch, Farewell, Grant, Input, Join, Limits, Now, Output, Policies,
    PresenceChange, RoomName, Roster, Shard, ShardSettings, Start, Ticket, Watch,
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
        let mut world = Self::empty();
        world.come(0, "watcher", Watch::Users, None);
        world.said.clear();
        world
    }

    /// With nobody.
    fn empty() -> Self {
        let settings = ShardSettings {
            core: 0,
            cores: 1,
            seed: 1,
            epoch: Epoch(5),
            policies: Arc::new(Policies::default()),
            anonymous: Arc::new(Grant::open()),
            limits: Limits::default(),
            has_store: false,
        };
        Self {
            shard: Shard::new(settings),
            now_ms: 1_000_000,
            said: Vec::new(),
            roster: None,
        }
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
                Output::Joined { roster, .. } => self.roster = roster,
                _ => {}
            }
        }
    }

    fn come(&mut self, slot: u32, name: &str, presence: Watch, data: Option<&'static str>) {
        self.put(Input::Open { conn: conn(slot) });
        self.join(slot, name, presence, data);
    }

    fn join(&mut self, slot: u32, name: &str, presence: Watch, data: Option<&'static str>) {
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
                users
                    .iter()
                    .map(|user| user.name.name().to_owned())
                    .collect()
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
    world.come(1, "ana", Watch::Nothing, None);
    world.come(2, "ana", Watch::Nothing, None);
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
    world.come(1, "ana", Watch::Nothing, None);
    world.news();
    world.go(1, Farewell::Vanished);
    world.wait(10_000);
    world.come(2, "bo", Watch::Nothing, None);
    world.come(3, "ana", Watch::Nothing, None);
    world.wait(60_000);
    assert_eq!(world.news(), (names(&["bo"]), names(&[]), names(&[])));
    assert_eq!(world.who(false).count, 3);
}

#[test]
fn who_stays_away_is_gone_when_the_grace_is_over() {
    let mut world = World::new();
    world.come(1, "ana", Watch::Nothing, None);
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
    world.come(1, "ana", Watch::Nothing, Some("{\"seat\":1}"));
    assert_eq!(world.news().0, names(&["ana"]));
    world.join(1, "ana", Watch::Nothing, Some("{\"seat\":2}"));
    let change = world.said[0].clone();
    assert_eq!(
        change.changed[0].data.as_deref(),
        Some(&b"{\"seat\":2}"[..])
    );
    world.news();
    world.join(1, "ana", Watch::Nothing, Some("{\"seat\":2}"));
    world.join(1, "ana", Watch::Nothing, None);
    assert_eq!(world.news(), (names(&[]), names(&[]), names(&[])));
}

#[test]
fn counts_come_without_a_list() {
    let mut world = World::new();
    world.come(1, "ana", Watch::Nothing, None);
    world.come(2, "ana", Watch::Nothing, None);
    let roster = world.who(true);
    assert_eq!((roster.count, roster.conns), (2, 3));
    assert!(roster.members.is_empty());
}

/// So many that presence is said in batches.
fn crowd(world: &mut World) {
    for slot in 100..130 {
        world.come(slot, &format!("n{slot}"), Watch::Nothing, None);
    }
    world.wait(1_000);
    world.news();
}

#[test]
fn grace_is_kept_although_nobody_watches() {
    let mut world = World::empty();
    world.come(1, "ana", Watch::Nothing, Some("{\"seat\":1}"));
    world.go(1, Farewell::Vanished);
    world.put(Input::Open { conn: conn(0) });
    let roster = world.who(false);
    assert_eq!((roster.count, roster.conns), (1, 1));
    world.come(2, "ana", Watch::Nothing, None);
    let roster = world.who(false);
    assert_eq!(
        roster.members[0].data.as_deref(),
        Some(&b"{\"seat\":1}"[..]),
        "what ana said is still so"
    );
    world.go(2, Farewell::Vanished);
    world.wait(20_000);
    assert_eq!(world.who(false).count, 0);
    assert_eq!(world.shard.rooms_len(), 0, "nothing is left of the room");
}

#[test]
fn the_grace_of_one_who_comes_and_goes_begins_anew_and_takes_no_other_ones() {
    let mut world = World::new();
    world.come(1, "bo", Watch::Nothing, None);
    for slot in 2..3_000 {
        world.come(slot, "ana", Watch::Nothing, None);
        world.go(slot, Farewell::Vanished);
    }
    assert_eq!(world.news().1, names(&[]));
    world.wait(10_000);
    world.go(1, Farewell::Vanished);
    world.wait(4_000);
    world.come(3_000, "ana", Watch::Nothing, None);
    world.go(3_000, Farewell::Vanished);
    world.wait(10_000);
    assert_eq!(world.news().1, names(&[]), "bo, too, has its grace");
    world.wait(2_000);
    assert_eq!(world.news().1, names(&["bo"]));
    world.wait(4_000);
    assert_eq!(world.news().1, names(&["ana"]));
}

#[test]
fn more_may_not_be_in_their_grace_than_that() {
    let mut world = World::new();
    crowd(&mut world);
    for slot in 1_000..3_000 {
        world.come(slot, &format!("m{slot}"), Watch::Nothing, None);
        world.go(slot, Farewell::Vanished);
    }
    let ghosts_max = Limits::default().ghosts_max;
    assert_eq!(world.who(true).count, 31 + ghosts_max);
}

#[test]
fn every_connection_counts_also_beyond_those_that_are_listed() {
    let mut world = World::new();
    for slot in 1..=40 {
        world.come(slot, "ana", Watch::Nothing, None);
    }
    world.wait(1_000);
    let last = world.said.last().unwrap();
    assert_eq!((last.count, last.conns), (2, 41));
    assert_eq!(last.changed[0].conns_count, 40);
    assert_eq!(last.changed[0].conns.len(), taut_hub::USER_CONNS_LISTED);
    world.said.clear();
    world.go(40, Farewell::Vanished);
    world.wait(1_000);
    let last = world.said.last().unwrap();
    assert_eq!((last.conns, last.changed[0].conns_count), (40, 39));
}

#[test]
fn the_first_connection_stays_the_first_while_it_is_there() {
    let mut world = World::new();
    for slot in 1..=5 {
        world.come(slot, "ana", Watch::Nothing, None);
    }
    let first = world.who(false).members[0].conns[0];
    for slot in [3, 5, 2] {
        world.go(slot, Farewell::Said);
        assert_eq!(world.who(false).members[0].conns[0], first);
    }
    world.go(1, Farewell::Said);
    let left = world.who(false).members[0].conns[0].1.conn;
    assert_eq!(left, conn(4));
}

#[test]
fn counts_are_told_to_be_new_only_where_they_are() {
    let mut world = World::new();
    world.come(1, "ana", Watch::Counts, None);
    let roster = world.roster.take().unwrap();
    assert_eq!((roster.count, roster.members.len()), (2, 0));
    assert!(world.said[0].counts);
    world.said.clear();
    world.join(1, "ana", Watch::Counts, Some("1"));
    assert!(!world.said[0].counts, "only what ana says of itself is new");
    world.come(2, "ana", Watch::Nothing, None);
    assert!(world.said[1].counts, "one connection more");
}

#[test]
fn who_sees_the_roster_between_two_changes_is_told_of_the_way_back() {
    let mut world = World::new();
    crowd(&mut world);
    world.come(1, "ana", Watch::Nothing, Some("1"));
    world.wait(1_000);
    world.news();
    world.come(50, "early", Watch::Nothing, None);
    world.news();
    world.join(1, "ana", Watch::Nothing, Some("2"));
    world.come(51, "late", Watch::Users, None);
    assert!(world.roster.take().is_some());
    world.join(1, "ana", Watch::Nothing, Some("1"));
    world.wait(1_000);
    let (joined, _, changed) = world.news();
    assert!(joined.contains(&"late".to_owned()));
    assert_eq!(changed, names(&["ana"]), "late believes that it says 2");
}

#[test]
fn what_a_user_said_goes_along_with_its_name() {
    let mut world = World::new();
    world.come(1, "ana", Watch::Nothing, Some("1"));
    world.news();
    world.put(Input::Rename {
        conn: conn(1),
        name: "bo".into(),
    });
    let change = world.said[0].clone();
    assert_eq!(change.joined[0].data.as_deref(), Some(&b"1"[..]));
    assert_eq!(world.news(), (names(&["bo"]), names(&["ana"]), names(&[])));
}

#[test]
fn a_roster_is_bounded_in_bytes() {
    let long: &'static str = Box::leak(format!("\"{}\"", "x".repeat(2_046)).into_boxed_str());
    let mut world = World::new();
    for slot in 1..=500 {
        world.come(slot, &format!("n{slot}"), Watch::Nothing, Some(long));
    }
    let roster = world.who(false);
    assert_eq!(roster.count, 501);
    assert!(roster.members.len() >= 50 && roster.members.len() <= 64);
}

#[test]
fn ten_thousand_that_come_are_said_in_batches() {
    let names = |slot: u32| format!("n{slot}");
    let (said, entries) = ten_thousand(names);
    assert!(said.len() < 200, "{} batches", said.len());
    assert!(entries <= 10_000, "nobody is said twice: {entries}");
    assert_eq!(said.last().unwrap().count, 10_001);
}

#[test]
fn ten_thousand_connections_of_one_user_are_said_in_batches() {
    let (said, entries) = ten_thousand(|_| "ana".to_owned());
    assert!(said.len() < 200, "{} batches", said.len());
    assert!(entries <= said.len(), "once a batch: {entries}");
    let last = said.last().unwrap();
    assert_eq!((last.count, last.conns), (2, 10_001));
}

/// Ten thousand connections come within ten seconds: the batches, and how many entries they have in all.
fn ten_thousand(name: impl Fn(u32) -> String) -> (Vec<Arc<PresenceChange>>, usize) {
    let mut world = World::new();
    for slot in 1..=10_000 {
        world.come(slot, &name(slot), Watch::Nothing, None);
        world.wait(1);
    }
    world.wait(1_000);
    let entries = world
        .said
        .iter()
        .map(|change| change.joined.len() + change.left.len() + change.changed.len())
        .sum();
    (world.said, entries)
}
