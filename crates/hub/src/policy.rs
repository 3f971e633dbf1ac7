//! Policies: how a room behaves, by pattern over its name.

use std::sync::Arc;

use crate::name::RoomName;
use crate::pattern::Pattern;

/// How one room behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPolicy {
    /// What the room remembers for those who come later.
    pub history: History,
    /// What a message outlives once it is acknowledged.
    pub durability: Durability,
    /// How much the room's state may hold.
    pub state: StateBounds,
    /// What happens to a reader that falls behind.
    pub lag: Lag,
    /// Whether a Conn hears what it said itself. The server looks here; the log holds everything.
    pub echo: bool,
    /// Whether members may ask who is present.
    pub presence: bool,
    /// How long the leave of a member that vanished is held back, in milliseconds, so that one who comes back is not
    /// announced twice.
    pub presence_grace_ms: u64,
    /// The largest body, in bytes. By default what the widest door takes; each door has a bound of its own at its entrance.
    pub message_bytes_max: u32,
}

/// What a room remembers. Whichever bound is met first forgets the oldest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How many messages; 0 for none.
    pub messages_max: u32,
    /// For how long, in milliseconds.
    pub age_ms_max: u64,
    /// How much, in bytes of message cost.
    pub bytes_max: u64,
}

/// What a message outlives once it is acknowledged. Without a store every room is `Memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Nothing: the room is forgotten with the server.
    Memory,
    /// The end of the server, also by `kill -9`: it is committed before it is acknowledged or delivered, and synced soon.
    Crash,
    /// The loss of power: it is on the disk before it is acknowledged or delivered.
    Power,
}

/// How much a room's state may hold. A new key beyond it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBounds {
    /// How many keys; 0 for a room without state, where a key is only a label.
    pub keys_max: u32,
    /// How much, in bytes of message cost.
    pub bytes_max: u64,
}

/// When a reader counts as lagging, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// What happens.
    pub policy: LagPolicy,
    /// How far a reader may be behind, in bytes of message cost. The newest message alone is never too far.
    pub bytes_max: u64,
    /// How long a Conn may make no progress, in milliseconds. The server watches this one.
    pub stall_ms_max: u64,
}

/// What happens to a reader that lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LagPolicy {
    /// It goes on from where it is, as long as history holds it; what history has lost is said as a gap.
    Resume,
    /// It gets the newest message per key, else per event, of what it missed, after a gap that names the range.
    Conflate,
    /// The oldest is dropped for it, and said as a gap.
    Drop,
    /// It is disconnected.
    Disconnect,
}

impl Default for RoomPolicy {
    fn default() -> RoomPolicy {
        RoomPolicy {
            history: History {
                messages_max: 1_000,
                age_ms_max: 60 * 60 * 1_000,
                bytes_max: 8 << 20,
            },
            durability: Durability::Crash,
            state: StateBounds {
                keys_max: 1_000,
                bytes_max: 1 << 20,
            },
            lag: Lag {
                policy: LagPolicy::Resume,
                bytes_max: 1 << 20,
                stall_ms_max: 10_000,
            },
            echo: false,
            presence: true,
            presence_grace_ms: 15_000,
            message_bytes_max: 1_000_000,
        }
    }
}

/// What one rule changes; `None` leaves what was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// See [`History::messages_max`].
    pub history_messages_max: Option<u32>,
    /// See [`History::age_ms_max`].
    pub history_age_ms_max: Option<u64>,
    /// See [`History::bytes_max`].
    pub history_bytes_max: Option<u64>,
    /// See [`RoomPolicy::durability`].
    pub durability: Option<Durability>,
    /// See [`StateBounds::keys_max`].
    pub state_keys_max: Option<u32>,
    /// See [`StateBounds::bytes_max`].
    pub state_bytes_max: Option<u64>,
    /// See [`Lag::policy`].
    pub lag_policy: Option<LagPolicy>,
    /// See [`Lag::bytes_max`].
    pub lag_bytes_max: Option<u64>,
    /// See [`Lag::stall_ms_max`].
    pub lag_stall_ms_max: Option<u64>,
    /// See [`RoomPolicy::echo`].
    pub echo: Option<bool>,
    /// See [`RoomPolicy::presence`].
    pub presence: Option<bool>,
    /// See [`RoomPolicy::presence_grace_ms`].
    pub presence_grace_ms: Option<u64>,
    /// See [`RoomPolicy::message_bytes_max`].
    pub message_bytes_max: Option<u32>,
}

impl PolicyChange {
    /// Applies the change to a policy.
    pub fn apply(&self, policy: &mut RoomPolicy) {
        fn set<T: Copy>(field: &mut T, change: Option<T>) {
            if let Some(value) = change {
                *field = value;
            }
        }
        set(&mut policy.history.messages_max, self.history_messages_max);
        set(&mut policy.history.age_ms_max, self.history_age_ms_max);
        set(&mut policy.history.bytes_max, self.history_bytes_max);
        set(&mut policy.durability, self.durability);
        set(&mut policy.state.keys_max, self.state_keys_max);
        set(&mut policy.state.bytes_max, self.state_bytes_max);
        set(&mut policy.lag.policy, self.lag_policy);
        set(&mut policy.lag.bytes_max, self.lag_bytes_max);
        set(&mut policy.lag.stall_ms_max, self.lag_stall_ms_max);
        set(&mut policy.echo, self.echo);
        set(&mut policy.presence, self.presence);
        set(&mut policy.presence_grace_ms, self.presence_grace_ms);
        set(&mut policy.message_bytes_max, self.message_bytes_max);
    }
}

/// Changes the policy of the rooms that a pattern covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which rooms.
    pub pattern: Pattern,
    /// What is different there.
    pub change: PolicyChange,
}

/// The policies of all rooms: a default and rules over it. Later rules win, field by field.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    default: Arc<RoomPolicy>,
    rules: Vec<Rule>,
}

impl Policies {
    /// Puts rules over a default.
    #[must_use]
    pub fn new(default: RoomPolicy, rules: Vec<Rule>) -> Policies {
        Policies {
            default: Arc::new(default),
            rules,
        }
    }

    /// The policy of one room. Walks all rules, so a [`crate::Room`] keeps its answer.
    #[must_use]
    pub fn for_room(&self, name: &RoomName) -> Arc<RoomPolicy> {
        let mut policy = Arc::clone(&self.default);
        for rule in &self.rules {
            if rule.pattern.matches(name.as_str()) {
                rule.change.apply(Arc::make_mut(&mut policy));
            }
        }
        policy
    }
}
