//! The lane `latest`: no number, nothing kept, of each key only the newest, and no more held than may be.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::sync::Arc;

use taut_hub::{
    Body, ConnId, Door, Draft, Epoch, Expect, Farewell, Grant, Input, Join, Lane, Limits,
    LinkMessage, Message, Now, Output, Policies, Range, RoomName, Shard, ShardSettings, Start,
    Ticket, Watch, Wish,
};

/// Two cores and what is under way between them.
struct World {
    shards: Vec<Shard>,
    links: VecDeque<(u16, u16, LinkMessage)>,
    outputs: Vec<Output>,
    now_ms: u64,
}

const HOME: u16 = 0;
const RELAY: u16 = 1;

fn conn(slot: u32) -> ConnId {
    ConnId {
        slot,
        generation: 1,
    }
}

fn draft(key: &str, text: &str) -> Draft {
    let body = Body::Text(text.to_owned().into());
    Draft {
        key: Some(Arc::from(key)),
        lane: Lane::Latest,
        ..Draft::new(Arc::from("ana"), Door("sim"), body)
    }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.body.bytes().to_vec()).unwrap()
}

impl World {
    fn new(limits: Limits) -> Self {
        let shard = |core| {
            Shard::new(ShardSettings {
                core,
                cores: 2,
                seed: 1,
                epoch: Epoch(5),
                policies: Arc::new(Policies::default()),
                anonymous: Arc::new(Grant::open()),
                limits,
                has_store: false,
            })
        };
        Self {
            shards: vec![shard(HOME), shard(RELAY)],
            links: VecDeque::new(),
            outputs: Vec::new(),
            now_ms: 1_000_000,
        }
    }

    /// A room whose home is the first core.
    fn room(&self) -> RoomName {
        (0..)
            .map(|number| RoomName::parse(&format!("r{number}")).unwrap())
            .find(|name| self.shards[0].home_of(name) == HOME)
            .unwrap()
    }

    fn now(&self) -> Now {
        Now {
            mono_ms: self.now_ms,
            unix_ms: self.now_ms,
        }
    }

    fn put(&mut self, core: u16, input: Input) {
        let mut outputs = Vec::new();
        let now = self.now();
        self.shards[usize::from(core)].handle(input, now, &mut outputs);
        self.take(core, outputs);
    }

    fn take(&mut self, core: u16, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Link { to, message } => self.links.push_back((core, to, message)),
                output => self.outputs.push(output),
            }
        }
        while let Some((from, to, message)) = self.links.pop_front() {
            self.put(to, Input::Link { from, message });
        }
    }

    fn come(&mut self, core: u16, slot: u32) {
        let (conn, room) = (conn(slot), self.room());
        self.put(core, Input::Open { conn });
        let join = Join {
            name: Arc::from("ana"),
            door: Door("sim"),
            start: Start::Now,
            presence: Watch::Nothing,
            data: None,
            state: false,
        };
        let ticket = Ticket(1);
        self.put(
            core,
            Input::Join {
                conn,
                ticket,
                room,
                join,
            },
        );
    }

    fn say(&mut self, core: u16, slot: u32, draft: Draft) -> Output {
        let room = self.room();
        self.outputs.clear();
        self.put(
            core,
            Input::Publish {
                conn: conn(slot),
                ticket: Ticket(2),
                room,
                draft,
            },
        );
        let is_answer =
            |output: &Output| matches!(output, Output::Said { .. } | Output::Refused { .. });
        let found = self.outputs.iter().position(is_answer).unwrap();
        self.outputs.swap_remove(found)
    }

    /// What a member has not had, and reads now.
    fn reads(&mut self, core: u16, slot: u32) -> Vec<String> {
        let Some(at) = self.shards[usize::from(core)]
            .memberships(conn(slot))
            .first()
            .copied()
        else {
            return Vec::new();
        };
        let mut read = Vec::new();
        let mut outputs = Vec::new();
        while let Some(message) =
            self.shards[usize::from(core)].next_latest(at.room, at.index, &mut outputs)
        {
            assert_eq!((message.lane, message.offset), (Lane::Latest, 0));
            read.push(text(&message));
        }
        self.take(core, outputs);
        read
    }

    /// The link has space for so many more.
    fn serve(&mut self, messages: usize) {
        let id = self.shards[usize::from(HOME)].find(&self.room()).unwrap();
        for _ in 0..messages {
            let mut outputs = Vec::new();
            let shard = &mut self.shards[usize::from(HOME)];
            let next = shard.next_latest_for_relay(id, RELAY, &mut outputs);
            self.take(HOME, outputs);
            if let Some(message) = next {
                let from = HOME;
                self.put(RELAY, Input::Link { from, message });
            }
        }
    }

    fn flushed(&mut self, core: u16) {
        if let Some(id) = self.shards[usize::from(core)].find(&self.room()) {
            self.shards[usize::from(core)].flushed(id);
        }
    }

    fn held_bytes(&self, core: u16) -> u64 {
        self.shards[usize::from(core)].latest_bytes()
    }
}

#[test]
fn it_takes_no_number_and_is_kept_nowhere() {
    let mut world = World::new(Limits::default());
    world.come(HOME, 1);
    world.come(HOME, 2);
    assert!(matches!(
        world.say(HOME, 2, draft("k", "a")),
        Output::Said { .. }
    ));
    assert_eq!(world.reads(HOME, 1), ["a"]);
    assert!(world.reads(HOME, 2).is_empty(), "who says it hears it");
    world.flushed(HOME);
    assert_eq!(world.held_bytes(HOME), 0);
    let room = world.room();
    let (conn, ticket) = (conn(1), Ticket(3));
    world.outputs.clear();
    let range = Range::from(Start::Rewind(10), 10);
    world.put(
        HOME,
        Input::Read {
            conn,
            ticket,
            room: room.clone(),
            range,
        },
    );
    let key = None;
    world.put(
        HOME,
        Input::ReadState {
            conn,
            ticket,
            room,
            key,
        },
    );
    let [Output::History { page, .. }, Output::State { state, .. }] = &world.outputs[..] else {
        panic!("{:?}", world.outputs);
    };
    assert!(page.messages.is_empty() && page.head.offset == 0 && state.entries.is_empty());
}

#[test]
fn of_each_key_a_late_reader_gets_the_newest() {
    let mut world = World::new(Limits::default());
    world.come(HOME, 1);
    world.come(HOME, 2);
    for number in 0..20 {
        let key = format!("k{}", number % 3);
        world.say(HOME, 2, draft(&key, &number.to_string()));
        world.flushed(HOME);
    }
    assert_eq!(world.reads(HOME, 1), ["17", "18", "19"]);
    assert!(world.reads(HOME, 2).is_empty());
    world.flushed(HOME);
    assert_eq!(world.held_bytes(HOME), 0);
}

#[test]
fn a_full_link_holds_only_the_newest_for_its_core() {
    let mut world = World::new(Limits::default());
    world.come(RELAY, 1);
    world.come(RELAY, 2);
    for number in 0..10 {
        world.say(RELAY, 2, draft("k", &number.to_string()));
        world.flushed(HOME);
    }
    world.say(RELAY, 1, draft("other", "x"));
    world.serve(1);
    assert_eq!(world.reads(RELAY, 1), ["9"]);
    world.serve(5);
    assert_eq!(world.reads(RELAY, 2), ["x"]);
    assert!(world.reads(RELAY, 1).is_empty());
    world.flushed(HOME);
    world.flushed(RELAY);
    assert_eq!((world.held_bytes(HOME), world.held_bytes(RELAY)), (0, 0));
}

#[test]
fn who_comes_later_does_not_hear_it_and_who_has_left_holds_nothing() {
    let mut world = World::new(Limits::default());
    world.come(HOME, 1);
    world.come(HOME, 2);
    world.say(HOME, 2, draft("k", "before"));
    world.come(HOME, 3);
    assert!(world.reads(HOME, 3).is_empty());
    world.say(HOME, 2, draft("j", "after"));
    assert_eq!(world.reads(HOME, 3), ["after"]);
    // The one that had heard nothing goes; nobody else waits for what was held.
    let (room, farewell) = (world.room(), Farewell::Said);
    world.put(
        HOME,
        Input::Leave {
            conn: conn(1),
            ticket: Ticket(4),
            room,
            farewell,
        },
    );
    assert!(world.reads(HOME, 1).is_empty());
    world.reads(HOME, 2);
    assert!(world.held_bytes(HOME) > 0);
    world.now_ms += 5_000;
    world.put(HOME, Input::Tick);
    assert_eq!(world.held_bytes(HOME), 0);
}

#[test]
fn keys_and_bytes_are_bounded_and_the_oldest_go() {
    let limits = Limits {
        latest_keys_max: 5,
        latest_bytes_max: 2_000,
        ..Limits::default()
    };
    let mut world = World::new(limits);
    world.come(HOME, 1);
    world.come(HOME, 2);
    for number in 0..1_000 {
        world.say(HOME, 2, draft(&format!("k{number}"), &number.to_string()));
        assert!(world.held_bytes(HOME) <= 2_000);
    }
    assert_eq!(world.reads(HOME, 1), ["995", "996", "997", "998", "999"]);
    world.say(HOME, 2, draft("large", &"x".repeat(5_000)));
    world.say(HOME, 2, draft("larger", &"y".repeat(5_000)));
    assert_eq!(world.reads(HOME, 1), ["y".repeat(5_000)]);
}

#[test]
fn all_rooms_together_hold_no_more_than_they_may_behind_a_flush() {
    let limits = Limits {
        latest_bytes_all_max: 900,
        ..Limits::default()
    };
    let mut world = World::new(limits);
    world.come(HOME, 1);
    world.come(HOME, 2);
    for number in 0..4 {
        world.say(HOME, 2, draft(&format!("k{number}"), "x"));
        world.flushed(HOME);
    }
    assert!(world.held_bytes(HOME) > 500);
    world.say(HOME, 2, draft("k9", "x"));
    world.flushed(HOME);
    assert_eq!(world.held_bytes(HOME), 0);
    assert!(world.reads(HOME, 1).is_empty());
    world.say(HOME, 2, draft("k", "heard again"));
    assert_eq!(world.reads(HOME, 1), ["heard again"]);
}

#[test]
fn what_would_have_to_be_kept_is_refused() {
    let mut world = World::new(Limits::default());
    world.come(HOME, 1);
    world.come(HOME, 2);
    let refused = [
        Draft {
            id: Some(Arc::from("i")),
            ..draft("k", "x")
        },
        Draft {
            expect: Some(Expect::Absent),
            ..draft("k", "x")
        },
        Draft {
            wish: Wish::Set { ttl_ms: Some(1) },
            ..draft("k", "x")
        },
        Draft {
            wish: Wish::Delete,
            ..draft("k", "")
        },
        draft("k", &"x".repeat(2 << 20)),
        draft(&"k".repeat(300), "x"),
    ];
    for draft in refused {
        let answer = world.say(HOME, 2, draft.clone());
        assert!(
            matches!(answer, Output::Refused { .. }),
            "{draft:?}: {answer:?}"
        );
    }
    assert!(world.reads(HOME, 1).is_empty());
}

#[test]
fn a_room_is_not_made_for_it() {
    let mut world = World::new(Limits::default());
    world.put(HOME, Input::Open { conn: conn(1) });
    assert!(matches!(
        world.say(HOME, 1, draft("k", "x")),
        Output::Said { .. }
    ));
    assert_eq!(world.shards[usize::from(HOME)].rooms_len(), 0);
}
