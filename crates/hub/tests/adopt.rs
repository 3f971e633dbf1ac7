//! Policies that change while rooms are in use: what is there adopts them, and nothing that was said is lost that the new ones keep.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::*;

const ANA: ConnId = ConnId {
    slot: 0,
    generation: 1,
};
const BO: ConnId = ConnId {
    slot: 1,
    generation: 1,
};

struct One {
    shard: Shard,
    now_ms: u64,
    limits: Limits,
}

impl One {
    fn new(policy: RoomPolicy) -> Self {
        Self::bounded(policy, Limits::default())
    }

    fn bounded(policy: RoomPolicy, limits: Limits) -> Self {
        let shard = Shard::new(ShardSettings {
            core: 0,
            cores: 1,
            seed: 1,
            epoch: Epoch(7),
            policies: Arc::new(Policies::new(policy, Vec::new())),
            limits,
            anonymous: Arc::new(Grant::open()),
            has_store: false,
        });
        Self {
            shard,
            now_ms: 1,
            limits,
        }
    }

    fn put(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        let now = Now {
            mono_ms: self.now_ms,
            unix_ms: self.now_ms,
        };
        self.shard.handle(input, now, &mut out);
        out
    }

    fn follow(&mut self, policies: Policies) -> Vec<Output> {
        let (policies, limits) = (Arc::new(policies), self.limits);
        self.put(Input::Policies { policies, limits })
    }

    fn join(&mut self, conn: ConnId, room: &str, presence: Watch) {
        self.put(Input::Open { conn });
        let join = Join {
            name: "ana".into(),
            door: Door("lines"),
            start: Start::Now,
            presence,
            data: None,
            state: false,
        };
        self.put(Input::Join {
            conn,
            ticket: Ticket(1),
            room: name(room),
            join,
        });
    }

    fn say(&mut self, conn: ConnId, room: &str, text: &str) -> Vec<Output> {
        let draft = Draft::new(
            "ana",
            Door("lines"),
            Body::Text(Bytes::from(text.to_owned())),
        );
        self.put(Input::Publish {
            conn,
            ticket: Ticket(2),
            room: name(room),
            draft,
        })
    }

    /// As a server does after each turn.
    fn flush(&mut self, room: &str) {
        let Some(id) = self.shard.find(&name(room)) else {
            return;
        };
        if let Some(found) = self.shard.room_mut(id) {
            let head = found.log().head();
            for index in 0..found.members().len() as u32 {
                found.sent(index, head);
            }
        }
        self.shard.flushed(id);
    }

    fn kept(&self, room: &str) -> usize {
        let id = self.shard.find(&name(room));
        id.and_then(|id| self.shard.room(id))
            .map_or(0, |room| room.log().len())
    }
}

fn name(room: &str) -> RoomName {
    RoomName::parse(room).unwrap()
}

fn keeping(messages_max: u32) -> RoomPolicy {
    let mut policy = RoomPolicy::default();
    policy.history.messages_max = messages_max;
    policy
}

#[test]
fn history_shrinks_and_grows() {
    let mut one = One::new(keeping(100));
    one.join(ANA, "lobby", Watch::Nothing);
    for number in 0..50 {
        one.say(ANA, "lobby", &number.to_string());
        one.flush("lobby");
    }
    assert_eq!(one.kept("lobby"), 50);
    one.follow(Policies::new(keeping(10), Vec::new()));
    assert_eq!(one.kept("lobby"), 10);
    let id = one.shard.find(&name("lobby")).unwrap();
    let head = one.shard.room(id).unwrap().log().head();
    assert_eq!(head, 50, "numbers go on");
    one.follow(Policies::new(keeping(20), Vec::new()));
    for number in 0..50 {
        one.say(ANA, "lobby", &number.to_string());
        one.flush("lobby");
    }
    assert_eq!(one.kept("lobby"), 20);
}

#[test]
fn what_a_reader_within_the_lag_limit_needs_stays() {
    let mut one = One::new(keeping(100));
    one.join(ANA, "lobby", Watch::Nothing);
    one.join(BO, "lobby", Watch::Nothing);
    for number in 0..50 {
        one.say(ANA, "lobby", &number.to_string());
    }
    // Nobody has been written to yet.
    one.follow(Policies::new(keeping(0), Vec::new()));
    assert_eq!(one.kept("lobby"), 50);
    one.flush("lobby");
    assert_eq!(one.kept("lobby"), 0);
}

#[test]
fn a_room_of_which_nothing_is_left_goes() {
    let mut one = One::new(keeping(100));
    one.join(ANA, "lobby", Watch::Nothing);
    one.say(ANA, "lobby", "x");
    one.flush("lobby");
    let farewell = Farewell::Said;
    one.put(Input::Close {
        conn: ANA,
        farewell,
    });
    assert_eq!(one.shard.homes_len(), 1);
    one.follow(Policies::new(keeping(0), Vec::new()));
    assert_eq!(one.shard.homes_len(), 0);
}

#[test]
fn rules_apply_by_pattern_and_echo_takes_hold() {
    let mut one = One::new(RoomPolicy::default());
    one.join(ANA, "a/1", Watch::Nothing);
    one.join(ANA, "b/1", Watch::Nothing);
    let rule = Rule {
        pattern: Pattern::parse("a/*").unwrap(),
        change: PolicyChange {
            echo: Some(true),
            ..PolicyChange::default()
        },
    };
    one.follow(Policies::new(RoomPolicy::default(), vec![rule]));
    let echoes = |one: &One, room: &str| {
        let id = one.shard.find(&name(room)).unwrap();
        one.shard.room(id).unwrap().policy().echo
    };
    assert!(echoes(&one, "a/1"));
    assert!(!echoes(&one, "b/1"));
    one.follow(Policies::default());
    assert!(!echoes(&one, "a/1"));
}

#[test]
fn presence_falls_silent_and_is_heard_again() {
    let mut one = One::new(RoomPolicy::default());
    one.join(ANA, "lobby", Watch::Users);
    let off = RoomPolicy {
        presence: false,
        ..RoomPolicy::default()
    };
    one.follow(Policies::new(off, Vec::new()));
    let comes = |one: &mut One, slot: u32| {
        let conn = ConnId {
            slot,
            generation: 1,
        };
        one.put(Input::Open { conn });
        let join = Join {
            name: format!("guest-{slot}").into(),
            door: Door("lines"),
            start: Start::Now,
            presence: Watch::Nothing,
            data: None,
            state: false,
        };
        let said = one.put(Input::Join {
            conn,
            ticket: Ticket(1),
            room: name("lobby"),
            join,
        });
        said.iter()
            .any(|output| matches!(output, Output::Presence { .. }))
    };
    assert!(!comes(&mut one, 5));
    let refused = one.put(Input::Who {
        conn: ANA,
        ticket: Ticket(9),
        room: name("lobby"),
        counts: false,
    });
    assert!(matches!(
        refused.as_slice(),
        [Output::Refused {
            refusal: Refusal::PresenceOff { .. },
            ..
        }]
    ));
    one.follow(Policies::default());
    assert!(comes(&mut one, 6));
}

#[test]
fn many_rooms_adopt_theirs_a_bounded_number_at_a_time() {
    let limits = Limits {
        tick_rooms_max: 10,
        ..Limits::default()
    };
    let mut one = One::bounded(keeping(100), limits);
    one.put(Input::Open { conn: ANA });
    for room in 0..45 {
        for _ in 0..3 {
            one.say(ANA, &format!("r/{room}"), "x");
        }
    }
    one.follow(Policies::new(keeping(1), Vec::new()));
    let shrunk = |one: &One| {
        (0..45)
            .filter(|room| one.kept(&format!("r/{room}")) == 1)
            .count()
    };
    assert_eq!(shrunk(&one), 10);
    let mut ticks = 0;
    while one.shard.deadline_ms() == Some(0) {
        one.put(Input::Tick);
        ticks += 1;
    }
    assert_eq!((shrunk(&one), ticks), (45, 4));
    // A further change begins anew, also in the middle of one.
    one.follow(Policies::new(keeping(0), Vec::new()));
    one.follow(Policies::new(keeping(2), Vec::new()));
    one.say(ANA, "r/44", "y");
    assert!(one.kept("r/44") <= 2);
}

#[test]
fn a_smaller_bound_of_messages_holds_from_the_next_one_on() {
    let mut one = One::new(RoomPolicy::default());
    one.join(ANA, "lobby", Watch::Nothing);
    let small = RoomPolicy {
        message_bytes_max: 3,
        ..RoomPolicy::default()
    };
    one.follow(Policies::new(small, Vec::new()));
    let refused = one.say(ANA, "lobby", "four");
    assert!(refused.iter().any(|output| matches!(
        output,
        Output::Refused {
            refusal: Refusal::MessageTooLarge { .. },
            ..
        }
    )));
}
