//! Grants: one resolver, asked for every command of a Conn; what is taken away is gone at once; and who speaks cannot be forged.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use taut_hub::{
    Batch, Body, ConnId, Door, Draft, Epoch, Grant, GrantRule, Input, Join, LinkMessage, Now,
    Output, Pattern, Policies, Position, Range, Recovery, Refusal, Right, RoomName, Sender, Shard,
    ShardSettings, Start, Ticket, Watch, parse_rights,
};

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn rule(pattern: &str, rights: &str) -> GrantRule {
    let (allowed, denied) = parse_rights(rights).unwrap();
    GrantRule {
        pattern: Pattern::parse_for_users(pattern).unwrap(),
        allowed,
        denied,
        source: format!("rule {pattern}").into(),
    }
}

fn grant(rules: &[(&str, &str)]) -> Arc<Grant> {
    let rules = rules.iter().map(|(p, rights)| rule(p, rights)).collect();
    Arc::new(Grant::new(rules).unwrap())
}

const ANA: ConnId = ConnId {
    slot: 0,
    generation: 1,
};
const BO: ConnId = ConnId {
    slot: 300,
    generation: 1,
};

/// Shards with links whose messages wait until they are carried.
struct World {
    shards: Vec<Shard>,
    links: Vec<(u16, u16, LinkMessage)>,
    said: Vec<(u16, Output)>,
}

impl World {
    fn new(cores: u16, anonymous: Arc<Grant>) -> Self {
        let shard = |core| {
            Shard::new(ShardSettings {
                core,
                cores,
                seed: 1,
                epoch: Epoch(5),
                policies: Arc::new(Policies::default()),
                anonymous: Arc::clone(&anonymous),
                limits: taut_hub::Limits::default(),
                has_store: false,
            })
        };
        Self {
            shards: (0..cores).map(shard).collect(),
            links: Vec::new(),
            said: Vec::new(),
        }
    }

    fn put(&mut self, core: u16, input: Input) {
        let now = Now {
            mono_ms: 1_000,
            unix_ms: 1_000,
        };
        let mut out = Vec::new();
        self.shards[usize::from(core)].handle(input, now, &mut out);
        for output in out {
            match output {
                Output::Link { to, message } => self.links.push((core, to, message)),
                other => self.said.push((core, other)),
            }
        }
    }

    fn carry(&mut self) {
        while !self.links.is_empty() {
            let (from, to, message) = self.links.remove(0);
            self.put(to, Input::Link { from, message });
        }
    }

    fn take(&mut self) -> Vec<Output> {
        self.carry();
        self.said.drain(..).map(|(_, output)| output).collect()
    }

    fn granted(&mut self, core: u16, conn: ConnId, user: Option<&str>, grant: &Arc<Grant>) {
        let (user, grant) = (user.map(Arc::from), Arc::clone(grant));
        self.put(core, Input::Granted { conn, user, grant });
    }

    fn join(&mut self, core: u16, conn: ConnId, name: &str, change: impl FnOnce(&mut Join)) {
        let mut join = Join {
            name: "ana".into(),
            door: Door("lines"),
            start: Start::Now,
            presence: Watch::Nothing,
            data: None,
            state: false,
        };
        change(&mut join);
        let (room, ticket) = (room(name), Ticket(7));
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

    fn publish(&mut self, core: u16, conn: ConnId, name: &str, change: impl FnOnce(&mut Draft)) {
        let mut draft = Draft::new("ana", Door("lines"), Body::Text(Bytes::from_static(b"hi")));
        change(&mut draft);
        let (room, ticket) = (room(name), Ticket(8));
        self.put(
            core,
            Input::Publish {
                conn,
                ticket,
                room,
                draft,
            },
        );
    }

    fn refused(&mut self) -> Option<(Right, &'static str)> {
        let outputs = self.take();
        outputs.into_iter().find_map(|output| match output {
            Output::Refused { refusal, .. } => match &refusal {
                Refusal::Forbidden { right, .. } => Some((*right, refusal.code())),
                other => panic!("{other}"),
            },
            _ => None,
        })
    }
}

#[test]
fn each_command_needs_its_right() {
    let mut world = World::new(1, Arc::new(Grant::nothing()));
    world.put(0, Input::Open { conn: ANA });
    let (conn, ticket) = (ANA, Ticket(1));
    let a = || room("a");
    let range = Range::from(Start::Now, 1);
    let draft = Draft::new("ana", Door("lines"), Body::Text(Bytes::new()));
    let batch = Batch {
        id: None,
        drafts: vec![
            draft.clone(),
            Draft {
                key: Some("k".into()),
                ..draft.clone()
            },
        ],
    };
    let ask = |world: &mut World, n: usize| match n {
        0 => world.join(0, ANA, "a", |_| ()),
        1 => world.join(0, ANA, "a", |join| join.presence = Watch::Counts),
        2 => world.join(0, ANA, "a", |join| join.state = true),
        3 => world.join(0, ANA, "a", |join| join.start = Start::Rewind(1)),
        4 => world.publish(0, ANA, "a", |_| ()),
        5 => world.publish(0, ANA, "a", |draft| draft.key = Some("k".into())),
        6 => world.put(
            0,
            Input::PublishBatch {
                conn,
                ticket,
                room: a(),
                batch: batch.clone(),
            },
        ),
        7 => world.put(
            0,
            Input::Read {
                conn,
                ticket,
                room: a(),
                range,
            },
        ),
        8 => world.put(
            0,
            Input::ReadState {
                conn,
                ticket,
                room: a(),
                key: None,
            },
        ),
        _ => world.put(
            0,
            Input::Who {
                conn,
                ticket,
                room: a(),
                counts: true,
            },
        ),
    };
    let needs: [&[Right]; 10] = [
        &[Right::Join],
        &[Right::Join, Right::Who],
        &[Right::Join, Right::State],
        &[Right::Join, Right::History],
        &[Right::Publish],
        &[Right::Publish, Right::State],
        &[Right::Publish, Right::State],
        &[Right::History],
        &[Right::State],
        &[Right::Who],
    ];
    for (n, needs) in needs.into_iter().enumerate() {
        world.granted(0, ANA, Some("u-17"), &grant(&[]));
        ask(&mut world, n);
        assert_eq!(world.refused(), Some((needs[0], "forbidden")), "{n}");
        // Each of them is missed, whichever of the others is there.
        for missing in needs {
            let rights = format!("* -{missing}");
            world.granted(0, ANA, Some("u-17"), &grant(&[("a", &rights)]));
            ask(&mut world, n);
            assert_eq!(world.refused(), Some((*missing, "forbidden")), "{n}");
        }
        let exactly: Vec<&str> = needs.iter().map(|right| right.word()).collect();
        world.granted(0, ANA, Some("u-17"), &grant(&[("a", &exactly.join(" "))]));
        ask(&mut world, n);
        assert_eq!(world.refused(), None, "{n}");
    }
}

#[test]
fn who_shows_nothing_has_what_everybody_has_and_is_told_to_come_with_a_token() {
    let mut world = World::new(1, grant(&[("lobby", "join")]));
    world.put(0, Input::Open { conn: ANA });
    world.join(0, ANA, "lobby", |_| ());
    assert_eq!(world.refused(), None);
    world.join(0, ANA, "secret", |_| ());
    assert_eq!(world.refused(), Some((Right::Join, "unauthorized")));
    // Nor has a Conn that was never opened, or is closed.
    world.publish(0, BO, "lobby", |_| ());
    assert_eq!(world.refused(), Some((Right::Publish, "unauthorized")));
}

#[test]
fn what_everybody_may_do_changes_at_once_and_ends_a_stay_when_it_is_said_to_the_conn() {
    let mut world = World::new(1, Arc::new(Grant::open()));
    world.put(0, Input::Open { conn: ANA });
    world.put(0, Input::Open { conn: BO });
    world.join(0, ANA, "lobby", |_| ());
    let fewer = grant(&[("den", "join publish")]);
    world.granted(0, BO, Some("bo"), &grant(&[("lobby", "*")]));
    assert_eq!(world.refused(), None);
    let grant = Arc::clone(&fewer);
    world.put(0, Input::Anonymous { grant });
    world.publish(0, ANA, "lobby", |_| ());
    assert_eq!(world.refused(), Some((Right::Publish, "unauthorized")));
    assert_eq!(world.shards[0].memberships(ANA).len(), 1);
    world.granted(0, ANA, None, &fewer);
    let expelled = |output: &Output| matches!(output, Output::Expelled { conn: ANA, .. });
    assert!(world.take().iter().any(expelled));
    assert!(world.shards[0].memberships(ANA).is_empty());
    // Who has a grant of its own keeps it.
    world.publish(0, BO, "lobby", |_| ());
    assert_eq!(world.refused(), None);
    // Everything to everybody again.
    let grant = Arc::new(Grant::open());
    world.put(0, Input::Anonymous { grant });
    world.join(0, ANA, "lobby", |_| ());
    assert_eq!(world.refused(), None);
    assert_eq!(world.shards[0].standings_len(), 1);
}

#[test]
fn a_right_taken_away_ends_the_stay_at_once_and_everywhere() {
    let home = World::new(2, Arc::new(Grant::open())).shards[0].home_of(&room("den"));
    for core in [home, 1 - home] {
        let mut world = World::new(2, Arc::new(Grant::nothing()));
        world.put(core, Input::Open { conn: ANA });
        let both = grant(&[("den", "join"), ("hall", "join")]);
        world.granted(core, ANA, Some("u1"), &both);
        world.join(core, ANA, "den", |_| ());
        world.join(core, ANA, "hall", |_| ());
        world.take();
        world.granted(core, ANA, Some("u1"), &grant(&[("hall", "join")]));
        let shard = &world.shards[usize::from(core)];
        assert_eq!(shard.memberships(ANA).len(), 1);
        let out = world.take();
        let [
            Output::Expelled {
                conn: ANA,
                room: left,
            },
        ] = out.as_slice()
        else {
            panic!("{out:?}");
        };
        assert_eq!(left.as_str(), "den");
        // The home has forgotten it as well, and with it the room.
        let rooms = |world: &World| -> usize { world.shards.iter().map(Shard::rooms_len).sum() };
        let before = rooms(&world);
        world.put(
            core,
            Input::Close {
                conn: ANA,
                farewell: taut_hub::Farewell::Said,
            },
        );
        world.take();
        assert!(rooms(&world) < before);
        assert_eq!(rooms(&world), 0);
        assert_eq!(world.shards[usize::from(core)].standings_len(), 0);
    }
}

#[test]
fn a_join_on_its_way_counts_only_if_the_right_was_never_taken() {
    let home = World::new(2, Arc::new(Grant::open())).shards[0].home_of(&room("den"));
    let core = 1 - home;
    let mut world = World::new(2, Arc::new(Grant::nothing()));
    let (some, none) = (grant(&[("den", "join who")]), grant(&[]));
    world.put(core, Input::Open { conn: ANA });
    world.granted(core, ANA, Some("u1"), &some);
    world.join(core, ANA, "den", |_| ());
    // Taken and given back while the answer is on its way, and asked for again.
    world.granted(core, ANA, Some("u1"), &none);
    world.granted(core, ANA, Some("u1"), &some);
    world.take().iter().for_each(|output| {
        assert!(matches!(output, Output::Refused { .. }), "{output:?}");
    });
    assert!(world.shards[usize::from(core)].memberships(ANA).is_empty());
    world.join(core, ANA, "den", |_| ());
    world.granted(core, ANA, Some("u1"), &none);
    world.granted(core, ANA, Some("u1"), &some);
    world.join(core, ANA, "den", |_| ());
    let out = world.take();
    let [Output::Refused { .. }, Output::Joined { .. }] = out.as_slice() else {
        panic!("{out:?}");
    };
    // Here and at the home alike.
    assert_eq!(world.shards[usize::from(core)].memberships(ANA).len(), 1);
    world.put(
        core,
        Input::Who {
            conn: ANA,
            ticket: Ticket(9),
            room: room("den"),
            counts: false,
        },
    );
    let out = world.take();
    let [Output::Who { roster, .. }] = out.as_slice() else {
        panic!("{out:?}");
    };
    assert_eq!((roster.count, roster.conns), (1, 1));
    assert_eq!(roster.members[0].name.user(), Some("u1"));
}

#[test]
fn without_history_who_comes_back_begins_now_and_is_told_what_is_missing() {
    let mut world = World::new(1, grant(&[("**", "publish")]));
    for conn in [ANA, BO] {
        world.put(0, Input::Open { conn });
    }
    world.granted(0, ANA, Some("u1"), &grant(&[("den", "join")]));
    for _ in 0..3 {
        world.publish(0, BO, "den", |_| ());
    }
    world.take();
    let since = |offset| {
        Start::After(Position {
            epoch: Epoch(5),
            offset,
        })
    };
    for (offset, is_whole) in [(1, false), (3, true)] {
        world.join(0, ANA, "den", |join| join.start = since(offset));
        let out = world.take();
        let [
            Output::Joined {
                at,
                after,
                recovery,
                ..
            },
            ..,
        ] = out.as_slice()
        else {
            panic!("{out:?}");
        };
        assert_eq!((at.offset, after.offset), (3, 3));
        let expected = match is_whole {
            true => Recovery::Complete,
            false => Recovery::From(*at),
        };
        assert_eq!(*recovery, expected);
    }
}

#[test]
fn the_shard_stamps_who_speaks_whatever_the_draft_says() {
    let mut world = World::new(1, Arc::new(Grant::open()));
    for conn in [ANA, BO] {
        world.put(0, Input::Open { conn });
        world.join(0, conn, "den", |_| ());
    }
    let all = grant(&[("**", "*")]);
    world.granted(0, ANA, Some("u1"), &all);
    world.take();
    let last = |world: &World| {
        let shard = &world.shards[0];
        let room = shard.room(shard.find(&room("den")).unwrap()).unwrap();
        let message = room.log().after(room.log().head() - 1).next().unwrap();
        (message.from.clone(), message.origin.unwrap().conn)
    };
    world.publish(0, ANA, "den", |draft| draft.from = Sender::named("root"));
    let (from, conn) = last(&world);
    assert_eq!((from.name(), from.user(), conn), ("root", Some("u1"), ANA));
    // Somebody unproven that a door took for proven is not; nor does a name bring a user.
    for forged in [
        Sender::named("ana").verified(Some("u1")),
        Sender::named("ana\u{1f}u1"),
    ] {
        world.publish(0, BO, "den", |draft| draft.from = forged);
        let (from, conn) = last(&world);
        assert_eq!((from.user(), conn), (None, BO));
    }
}

#[test]
fn presence_and_ids_tell_a_verified_user_from_a_guest_of_the_same_name() {
    let mut world = World::new(1, Arc::new(Grant::open()));
    for conn in [ANA, BO] {
        world.put(0, Input::Open { conn });
        world.join(0, conn, "den", |_| ());
    }
    let who = |world: &mut World| -> Vec<Option<String>> {
        world.take();
        let (conn, ticket, room) = (ANA, Ticket(3), room("den"));
        world.put(
            0,
            Input::Who {
                conn,
                ticket,
                room,
                counts: false,
            },
        );
        let out = world.take();
        let [Output::Who { roster, .. }] = out.as_slice() else {
            panic!("{out:?}");
        };
        let users = roster.members.iter();
        users
            .map(|user| user.name.user().map(str::to_owned))
            .collect()
    };
    assert_eq!(who(&mut world), [None]);
    // It is verified while it is there.
    let all = grant(&[("**", "*")]);
    world.granted(0, ANA, Some("u1"), &all);
    assert_eq!(who(&mut world), [None, Some("u1".to_owned())]);
    world.put(
        0,
        Input::Rename {
            conn: ANA,
            name: "Ana".into(),
        },
    );
    assert_eq!(who(&mut world), [Some("u1".to_owned()), None]);
    world.publish(0, ANA, "den", |draft| draft.id = Some("1".into()));
    world.publish(0, BO, "den", |draft| {
        draft.id = Some("1".into());
        draft.body = Body::Text(Bytes::from_static(b"another"));
    });
    let out = world.take();
    let published = |output: &&Output| {
        matches!(
            output,
            Output::Published {
                duplicate: false,
                ..
            }
        )
    };
    assert_eq!(out.iter().filter(published).count(), 2, "{out:?}");
}

#[test]
fn what_one_rule_forbids_stays_forbidden_in_any_order() {
    let rules = [
        ("**", "*"),
        ("secret/**", "-*"),
        ("secret/door", "join admin"),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [2, 1, 0],
        [1, 2, 0],
        [2, 0, 1],
    ] {
        let grant = grant(&order.map(|at| rules[at]));
        assert!(grant.allows(&room("lobby"), Right::Join, None));
        assert!(!grant.allows(&room("lobby"), Right::Admin, None));
        for name in ["secret", "secret/door", "secret/a/b"] {
            let decision = grant.decide(&room(name), Right::Join, None);
            assert!(!decision.allowed);
            assert_eq!(&*decision.because.unwrap().source, "rule secret/**");
        }
    }
}

/// Segments and users that somebody may try: wildcards, other cases, encodings, what is taken for a separator elsewhere.
fn odd() -> impl Strategy<Value = String> {
    let sharp = prop::sample::select(vec![
        "ana",
        "Ana",
        "ANA",
        "*",
        "**",
        "$user",
        "..",
        ".",
        "",
        "an%61",
        "%2F",
        "a/b",
        "ana/x",
        "ana\0",
        "ana ",
        " ana",
        "аna",
        "ana\u{200b}",
        "ana\\",
        "bo",
        "bo/**",
        "users",
        "\u{1f}",
    ]);
    prop_oneof![sharp.prop_map(str::to_owned), any::<String>()]
}

proptest! {
    #[test]
    fn a_user_gets_only_what_is_below_its_own_name(user in odd(), other in odd(), rest in odd()) {
        let grant = grant(&[("users/$user/**", "*")]);
        if let Ok(name) = RoomName::parse(&format!("users/{other}/{rest}")) {
            let own = name.as_str().split('/').nth(1) == Some(user.as_str());
            prop_assert_eq!(grant.allows(&name, Right::Join, Some(&user)), own);
            prop_assert!(!grant.allows(&name, Right::Join, None));
        }
    }

    #[test]
    fn what_is_forbidden_is_reached_by_no_odd_name(name in odd(), user in odd()) {
        let grant = grant(&[("**", "* admin"), ("ana/**", "-*"), ("$user", "* admin")]);
        let Ok(name) = RoomName::parse(&name) else { return Ok(()) };
        let forbidden = name.as_str().split('/').next() == Some("ana");
        for right in Right::ALL {
            prop_assert_eq!(grant.allows(&name, right, Some(&user)), !forbidden);
        }
    }

    #[test]
    fn the_walk_agrees_with_the_plain_meaning(pattern in "[ab*]{1,2}(/([ab]|\\*|\\*\\*|\\$user)){0,4}", name in "[ab](/[ab]){0,5}") {
        fn plain(pattern: &[&str], name: &[&str]) -> bool {
            match (pattern, name) {
                ([], []) => true,
                (["**", rest @ ..], _) => plain(rest, name) || !name.is_empty() && plain(pattern, &name[1..]),
                ([first, rest @ ..], [one, more @ ..]) => (*first == "*" || first == one || *first == "$user" && *one == "a") && plain(rest, more),
                _ => false,
            }
        }
        if let Ok(read) = Pattern::parse_for_users(&pattern) {
            let split = |text: &'static str| text.split('/').collect::<Vec<_>>();
            let (pattern, name): (&'static str, &'static str) = (pattern.leak(), name.leak());
            prop_assert_eq!(read.matches_for(name, Some("a")), plain(&split(pattern), &split(name)));
            prop_assert_eq!(read.len_bytes() , read.to_string().len());
        }
    }
}
