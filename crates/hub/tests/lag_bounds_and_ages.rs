//! Faults that a reader of the hub found from outside, each held by the test that showed it: rooms that never aged, lag limits that were never met, names and
//! logs beyond their bounds. Two shards, the link between them without delay.
#![allow(
    clippy::field_reassign_with_default,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr
)]

use bytes::Bytes;
use std::sync::Arc;
use taut_hub::*;
type Out = Vec<Output>;
struct Two {
    s: Vec<Shard>,
    now: u64,
    log: Vec<(usize, Output)>,
}
fn now(ms: u64) -> Now {
    Now {
        mono_ms: ms,
        unix_ms: ms,
    }
}
fn cid(n: u32) -> ConnId {
    ConnId {
        slot: n,
        generation: 1,
    }
}
impl Two {
    fn new(policy: RoomPolicy, limits: Limits) -> Two {
        let p = Arc::new(Policies::new(policy, vec![]));
        let s = (0..2)
            .map(|core| {
                Shard::new(ShardSettings {
                    core,
                    cores: 2,
                    seed: 1,
                    epoch: Epoch(7),
                    policies: p.clone(),
                    anonymous: Arc::new(Grant::open()),
                    limits,
                    has_store: false,
                })
            })
            .collect();
        Two {
            s,
            now: 1,
            log: vec![],
        }
    }
    fn put(&mut self, core: usize, input: Input) {
        let mut o = Out::new();
        self.s[core].handle(input, now(self.now), &mut o);
        self.carry(core, o);
    }
    fn carry(&mut self, core: usize, outs: Out) {
        for o in outs {
            match o {
                Output::Link { to, message } => {
                    let mut n = Out::new();
                    self.s[to as usize].handle(
                        Input::Link {
                            from: core as u16,
                            message,
                        },
                        now(self.now),
                        &mut n,
                    );
                    self.carry(to as usize, n);
                }
                o => self.log.push((core, o)),
            }
        }
    }
    fn room_at(&self, home: u16) -> RoomName {
        (0..)
            .map(|i| RoomName::parse(&format!("r{i}")).unwrap())
            .find(|n| self.s[0].home_of(n) == home)
            .unwrap()
    }
    fn join(&mut self, core: usize, c: u32, room: &RoomName, start: Start) {
        self.put(core, Input::Open { conn: cid(c) });
        self.put(
            core,
            Input::Join {
                conn: cid(c),
                ticket: Ticket(1),
                room: room.clone(),
                join: Join {
                    name: "n".into(),
                    door: Door("t"),
                    start,
                    presence: Watch::Nothing,
                    data: None,
                    state: false,
                },
            },
        );
    }
    fn publish(&mut self, core: usize, c: u32, room: &RoomName, n: usize) {
        self.put(
            core,
            Input::Publish {
                conn: cid(c),
                ticket: Ticket(2),
                room: room.clone(),
                draft: Draft::new("p", Door("t"), Body::Text(Bytes::from(vec![b'x'; n]))),
            },
        );
    }
    fn relay(&mut self, home: usize, room: &RoomName) {
        if let Some(id) = self.s[home].find(room) {
            while let Some(m) = self.s[home].next_for_relay(id, 1 - home as u16) {
                let mut o = Out::new();
                self.s[1 - home].handle(
                    Input::Link {
                        from: home as u16,
                        message: m,
                    },
                    now(self.now),
                    &mut o,
                );
                self.carry(1 - home, o);
            }
            self.s[home].flushed(id);
        }
    }
    fn read(&mut self, core: usize, c: u32) -> Vec<String> {
        let mut v = vec![];
        for _ in 0..10_000 {
            let Some(m) = self.s[core].memberships(cid(c)).first().copied() else {
                break;
            };
            let mut o = Out::new();
            let n = self.s[core].next(m.room, m.index, now(self.now), &mut o);
            let pend = matches!(n, Next::Pending);
            self.carry(core, o);
            match n {
                Next::Message(x) => {
                    self.s[core]
                        .room_mut(m.room)
                        .unwrap()
                        .sent(m.index, x.offset);
                    v.push(format!("m{}", x.offset));
                }
                Next::Gap { after, at } => v.push(format!("gap{}-{}", after.offset, at.offset)),
                Next::Disconnect => {
                    v.push("disconnect".into());
                    break;
                }
                Next::Caught => break,
                Next::Pending => {
                    if !pend {
                        break;
                    }
                }
            }
        }
        v
    }
    fn spin(&mut self, core: usize, until: u64) -> usize {
        let mut n = 0;
        while let Some(d) = self.s[core].deadline_ms() {
            if d > until || n > 20_000 {
                break;
            }
            self.now = self.now.max(d);
            self.put(core, Input::Tick);
            n += 1;
        }
        self.now = self.now.max(until);
        n
    }
}
fn policy(lag: LagPolicy, messages_max: u32) -> RoomPolicy {
    let mut p = RoomPolicy::default();
    p.history.messages_max = messages_max;
    p.history.age_ms_max = 1_000;
    p.lag.policy = lag;
    p.lag.bytes_max = 2_000;
    p
}

#[test]
fn r1_rewind_from_another_core_then_leave_never_ages() {
    let mut w = Two::new(policy(LagPolicy::Resume, 100), Limits::default());
    let r = w.room_at(0);
    w.put(0, Input::Open { conn: cid(9) });
    for _ in 0..3 {
        w.publish(0, 9, &r, 10);
    }
    w.join(1, 1, &r, Start::Rewind(3));
    w.put(
        1,
        Input::Leave {
            conn: cid(1),
            ticket: Ticket(3),
            room: r.clone(),
            farewell: Farewell::Said,
        },
    );
    let t = w.spin(0, 10_000);
    println!(
        "R1 ticks={t} rooms={} bytes={} deadline={:?}",
        w.s[0].rooms_len(),
        w.s[0].log_bytes(),
        w.s[0].deadline_ms()
    );
    assert_eq!(w.s[0].rooms_len(), 0);
}
#[test]
fn r2_a_blocked_reader_of_aged_messages_makes_the_shard_tick_every_ms() {
    let mut w = Two::new(policy(LagPolicy::Resume, 100), Limits::default());
    let r = w.room_at(0);
    w.join(0, 1, &r, Start::Now);
    w.put(0, Input::Open { conn: cid(9) });
    w.publish(0, 9, &r, 10);
    let id = w.s[0].find(&r).unwrap();
    w.s[0].flushed(id);
    let t = w.spin(0, 10_000);
    println!("R2 ticks in 9 s={t}");
    assert!(t < 100);
}
fn behind(lag: LagPolicy, messages_max: u32, core: usize) -> Vec<String> {
    let mut w = Two::new(policy(lag, messages_max), Limits::default());
    let r = w.room_at(0);
    w.join(core, 1, &r, Start::Now);
    w.put(0, Input::Open { conn: cid(9) });
    for _ in 0..30 {
        w.publish(0, 9, &r, 100);
        w.relay(0, &r);
        if let Some(id) = w.s[core].find(&r) {
            w.s[core].flushed(id);
        }
    }
    let v = w.read(core, 1);
    let s: Vec<_> = v.iter().take(4).cloned().collect();
    println!(
        "{lag:?} history={messages_max} core={core}: {} units, {s:?}",
        v.len()
    );
    v
}
#[test]
fn r3_disconnect_home_history() {
    assert_eq!(behind(LagPolicy::Disconnect, 100, 0), ["disconnect"]);
}
#[test]
fn r3_disconnect_home_no_history() {
    assert_eq!(behind(LagPolicy::Disconnect, 0, 0), ["disconnect"]);
}
#[test]
fn r3_disconnect_relay() {
    assert_eq!(behind(LagPolicy::Disconnect, 100, 1), ["disconnect"]);
}
#[test]
fn r3_drop_relay() {
    assert!(behind(LagPolicy::Drop, 100, 1)[0].starts_with("gap"));
}
#[test]
fn r3_drop_home() {
    assert!(behind(LagPolicy::Drop, 100, 0)[0].starts_with("gap"));
}
#[test]
fn r3_conflate_relay() {
    let v = behind(LagPolicy::Conflate, 100, 1);
    assert_eq!(v, ["gap0-30", "m30"]);
}
#[test]
fn r3_conflate_home() {
    let v = behind(LagPolicy::Conflate, 100, 0);
    assert_eq!(v, ["gap0-30", "m30"]);
}
#[test]
fn r3_conflate_home_no_history() {
    let v = behind(LagPolicy::Conflate, 0, 0);
    assert_eq!(v, ["gap0-30", "m30"]);
}
#[test]
fn r6_recovering_joiner_is_not_a_lagging_one() {
    let mut w = Two::new(policy(LagPolicy::Disconnect, 100), Limits::default());
    let r = w.room_at(0);
    w.put(0, Input::Open { conn: cid(9) });
    for _ in 0..30 {
        w.publish(0, 9, &r, 100);
    }
    w.join(0, 1, &r, Start::Rewind(30));
    let v = w.read(0, 1);
    println!("R6 {:?}", &v[..v.len().min(3)]);
    assert_eq!(v.len(), 30);
}
#[test]
fn r4_rename_is_bounded() {
    let mut w = Two::new(RoomPolicy::default(), Limits::default());
    let r = w.room_at(0);
    w.join(0, 1, &r, Start::Now);
    w.put(
        0,
        Input::Rename {
            conn: cid(1),
            name: "y".repeat(1 << 20).into(),
        },
    );
    w.put(
        0,
        Input::Who {
            conn: cid(1),
            ticket: Ticket(5),
            room: r,
            counts: false,
        },
    );
    for (_, o) in &w.log {
        if let Output::Who { roster, .. } = o {
            println!("R4 name bytes={}", roster.members[0].name.name().len());
            assert!(roster.members[0].name.name().len() <= 255);
        }
    }
}
#[test]
fn r5_budget_holds_with_one_room() {
    let mut p = RoomPolicy::default();
    p.history.bytes_max = 1 << 30;
    let mut l = Limits::default();
    l.history_bytes_max = 10_000;
    let mut w = Two::new(p, l);
    let r = w.room_at(0);
    w.put(0, Input::Open { conn: cid(9) });
    for _ in 0..500 {
        w.publish(0, 9, &r, 100);
    }
    println!("R5 bytes={} budget=10000", w.s[0].log_bytes());
    assert!(w.s[0].log_bytes() <= 11_000);
}
#[test]
fn r7_a_duplicate_of_a_full_id_window_is_bounded_by_the_budget() {
    let mut l = Limits::default();
    l.history_bytes_max = 10_000;
    let mut p = RoomPolicy::default();
    p.history.messages_max = 0;
    let mut w = Two::new(p, l);
    w.put(0, Input::Open { conn: cid(9) });
    for i in 0..20_000u32 {
        let room = w.room_at(0);
        w.put(
            0,
            Input::Publish {
                conn: cid(9),
                ticket: Ticket(1),
                room,
                draft: Draft {
                    id: Some(format!("{i:0>200}").into()),
                    ..Draft::new("p", Door("t"), Body::Text(Bytes::new()))
                },
            },
        );
    }
    println!(
        "R7 log_bytes={} (ids of 10000 x 200+ bytes are not counted)",
        w.s[0].log_bytes()
    );
}
/// What a burst of so many messages of 100 bytes, which nobody could take meanwhile, leaves to read for a member of that core that then takes everything.
fn after_burst(lag: LagPolicy, core: usize, count: usize) -> Vec<String> {
    let mut w = Two::new(policy(lag, 0), Limits::default());
    let r = w.room_at(0);
    w.join(core, 1, &r, Start::Now);
    w.put(0, Input::Open { conn: cid(9) });
    for _ in 0..count {
        w.publish(0, 9, &r, 100);
    }
    w.relay(0, &r);
    w.read(core, 1)
}
#[test]
fn r8_what_comes_between_two_walks_is_no_lag_of_the_members() {
    let whole: Vec<String> = (1..=200).map(|n| format!("m{n}")).collect();
    let policies = [
        LagPolicy::Resume,
        LagPolicy::Conflate,
        LagPolicy::Drop,
        LagPolicy::Disconnect,
    ];
    for lag in policies {
        assert_eq!(after_burst(lag, 1, 200), whole, "{lag:?} on another core");
    }
    let mut w = Two::new(policy(LagPolicy::Resume, 0), Limits::default());
    let r = w.room_at(0);
    w.join(0, 1, &r, Start::Now);
    w.put(0, Input::Open { conn: cid(9) });
    for _ in 0..200 {
        w.publish(0, 9, &r, 100);
    }
    assert_eq!(w.read(0, 1), whole, "at home");
    for _ in 0..200 {
        w.publish(0, 9, &r, 100);
    }
    let id = w.s[0].find(&r).unwrap();
    w.s[0].flushed(id);
    assert!(w.s[0].log_bytes() < 3_000, "who did not take it lags");
    assert!(w.read(0, 1)[0].starts_with("gap200-"));
}
#[test]
fn r9_a_room_keeps_what_another_core_has_not_taken_up_to_a_bound() {
    let limits = Limits {
        relay_bytes_max: 20_000,
        ..Limits::default()
    };
    for (count, lost) in [(60, false), (200, true)] {
        let mut w = Two::new(policy(LagPolicy::Resume, 0), limits);
        let r = w.room_at(0);
        w.join(1, 1, &r, Start::Now);
        w.put(0, Input::Open { conn: cid(9) });
        let id = w.s[0].find(&r).unwrap();
        for _ in 0..count {
            w.publish(0, 9, &r, 100);
            w.s[0].flushed(id);
            assert!(w.s[0].log_bytes() < 21_000);
        }
        w.relay(0, &r);
        let read = w.read(1, 1);
        let told = |(_, o): &(usize, Output)| matches!(o, Output::Gap { .. });
        assert_eq!(w.log.iter().any(told), lost, "{count}");
        assert_eq!(read.len() == count, !lost, "{count}");
    }
}
