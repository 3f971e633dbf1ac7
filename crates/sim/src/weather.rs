use std::sync::Arc;

use taut_hub::{
    Durability, Epoch, Grant, History, Lag, LagPolicy, Limits, Pattern, Policies, PolicyChange,
    RoomPolicy, Rule, ShardSettings, StateBounds,
};

use crate::random::Random;

/// The rooms of every game: one for each lag policy, and one where everybody hears himself.
pub(crate) const ROOMS: [&str; 6] = [
    "resume",
    "conflate",
    "drop",
    "disconnect",
    "echo",
    "plain/a",
];

/// What differs from game to game.
#[derive(Debug)]
pub(crate) struct Weather {
    pub(crate) cores: u16,
    pub(crate) settings: Vec<ShardSettings>,
    /// Messages that a link holds before deliveries must wait.
    pub(crate) link_space: usize,
    /// The longest a link message is under way, in milliseconds.
    pub(crate) delay_ms_max: u64,
    pub(crate) conns_per_core: u64,
    /// The longest the store takes for a request, in milliseconds; `None` where there is no store.
    pub(crate) store_ms_max: Option<u64>,
    /// Once in so many turns the disk begins to fail.
    pub(crate) faults_once_in: u64,
    /// Once in so many turns the server is killed and started again.
    pub(crate) crash_once_in: u64,
}

impl Weather {
    pub(crate) fn of(random: &mut Random) -> Self {
        let cores = u16::try_from(1 + random.below(4)).unwrap_or(1);
        let policy = RoomPolicy {
            history: History {
                messages_max: *random.pick(&[0, 3, 20, 200]).unwrap_or(&3),
                age_ms_max: 500 + random.below(20_000),
                bytes_max: 1_000 + random.below(20_000),
            },
            lag: Lag {
                policy: LagPolicy::Resume,
                bytes_max: 500 + random.below(5_000),
                stall_ms_max: 1_000,
            },
            echo: false,
            presence: true,
            presence_grace_ms: random.below(3_000),
            message_bytes_max: 64,
            durability: *random
                .pick(&[Durability::Crash, Durability::Power])
                .unwrap_or(&Durability::Crash),
            state: StateBounds {
                keys_max: u32::try_from(random.below(5)).unwrap_or(0),
                bytes_max: 300 + random.below(2_000),
            },
        };
        let rules = [
            ("conflate", LagPolicy::Conflate),
            ("drop", LagPolicy::Drop),
            ("disconnect", LagPolicy::Disconnect),
        ];
        let mut rules: Vec<Rule> = rules
            .into_iter()
            .filter_map(|(pattern, policy)| {
                let change = PolicyChange {
                    lag_policy: Some(policy),
                    ..PolicyChange::default()
                };
                Pattern::parse(pattern)
                    .ok()
                    .map(|pattern| Rule { pattern, change })
            })
            .collect();
        rules.extend(Pattern::parse("plain/*").ok().map(|pattern| Rule {
            pattern,
            change: PolicyChange {
                durability: Some(Durability::Memory),
                ..PolicyChange::default()
            },
        }));
        rules.extend(Pattern::parse("echo").ok().map(|pattern| Rule {
            pattern,
            change: PolicyChange {
                echo: Some(true),
                ..PolicyChange::default()
            },
        }));
        let policies = Arc::new(Policies::new(policy, rules));
        let limits = Limits {
            history_bytes_max: 2_000 + random.below(40_000),
            rooms_per_conn_max: 1 + u32::try_from(random.below(5)).unwrap_or(0),
            ids_per_room_max: 1 + u32::try_from(random.below(20)).unwrap_or(0),
            id_window_ms: 1 + random.below(5_000),
            presence_at_once_max: u32::try_from(random.below(8)).unwrap_or(0),
            presence_listed_max: 1 + u32::try_from(random.below(20)).unwrap_or(0),
            chunk_messages_max: 1 + u32::try_from(random.below(8)).unwrap_or(0),
            conflated_max: 1 + u32::try_from(random.below(8)).unwrap_or(0),
            relay_bytes_max: 1_000 + random.below(10_000),
            tail_messages_max: 1 + u32::try_from(random.below(20)).unwrap_or(0),
            block_messages: 1 + u32::try_from(random.below(20)).unwrap_or(0),
            blocks_bytes_max: 1_000 + random.below(100_000),
            pending_bytes_max: 1_000 + random.below(20_000),
            latest_keys_max: 2 + u32::try_from(random.below(4)).unwrap_or(0),
            latest_bytes_max: 1_000 + random.below(2_000),
            latest_bytes_all_max: 4_000 + random.below(6_000),
            ghosts_max: u32::try_from(random.below(5)).unwrap_or(0),
            ..Limits::default()
        };
        let seed = random.bits();
        let store_ms_max = (!random.once_in(3)).then(|| 1 + random.below(100));
        let settings = (0..cores)
            .map(|core| ShardSettings {
                core,
                cores,
                seed,
                epoch: Epoch(7),
                policies: Arc::clone(&policies),
                anonymous: Arc::new(Grant::open()),
                limits,
                has_store: store_ms_max.is_some(),
            })
            .collect();
        Self {
            cores,
            settings,
            link_space: 1 + usize::try_from(random.below(20)).unwrap_or(0),
            delay_ms_max: 1 + random.below(200),
            conns_per_core: 1 + random.below(10),
            store_ms_max,
            faults_once_in: 20 + random.below(200),
            crash_once_in: 50 + random.below(400),
        }
    }
}
