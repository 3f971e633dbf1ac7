//! `[[rooms]]`: how rooms behave, by pattern. Later rules win, field by field.
//!
//! Keys may be written as tables or dotted (`history.age_ms_max = "1h"`); `lag = "conflate"` is short for `lag.policy`.
//! A room's largest message is, unless a rule says otherwise, that of the widest door: `limits.message_bytes_max`, so that raising one raises
//! both, or what the Socket.IO door takes.

use taut_hub::{Durability, LagPolicy, Pattern, Policies, PolicyChange, RoomPolicy};
use toml::de::{DeTable, DeValue};

use super::file::Lines;
use super::source::{Place, Problem, Source};
use super::suggest::nearest;
use super::value::{Kind, Value, bounds, describe};
use super::values::Values;

/// One rule, and where each of its values stands.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) place: Place,
    pub(crate) change: PolicyChange,
    /// Which settings of [`TABLE`] it changes, in the file's order.
    pub(crate) changes: Vec<(&'static RoomSetting, Place)>,
}

/// One setting of a room.
#[derive(Debug)]
pub(crate) struct RoomSetting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    place: fn(&mut PolicyChange) -> Field<'_>,
}

enum Field<'a> {
    Switch(&'a mut Option<bool>),
    U32(&'a mut Option<u32>),
    U64(&'a mut Option<u64>),
    Lag(&'a mut Option<LagPolicy>),
    Durability(&'a mut Option<Durability>),
}

const DAY_MS: u64 = 86_400_000;
const POLICIES: [(&str, LagPolicy); 4] = [
    ("resume", LagPolicy::Resume),
    ("conflate", LagPolicy::Conflate),
    ("drop", LagPolicy::Drop),
    ("disconnect", LagPolicy::Disconnect),
];
const DURABILITIES: [(&str, Durability); 3] = [
    ("memory", Durability::Memory),
    ("crash", Durability::Crash),
    ("power", Durability::Power),
];

/// What a rule may change.
pub(crate) static TABLE: &[RoomSetting] = &[
    RoomSetting {
        name: "history.messages_max",
        kind: Kind::Count(bounds(0..=1_000_000)),
        place: |change| Field::U32(&mut change.history_messages_max),
    },
    RoomSetting {
        name: "history.age_ms_max",
        kind: Kind::Milliseconds(bounds(0..=365 * DAY_MS)),
        place: |change| Field::U64(&mut change.history_age_ms_max),
    },
    RoomSetting {
        name: "history.bytes_max",
        kind: Kind::Bytes(bounds(0..=1 << 40)),
        place: |change| Field::U64(&mut change.history_bytes_max),
    },
    RoomSetting {
        name: "durability",
        kind: Kind::Word(&["memory", "crash", "power"]),
        place: |change| Field::Durability(&mut change.durability),
    },
    RoomSetting {
        name: "state.keys_max",
        kind: Kind::Count(bounds(0..=1_000_000)),
        place: |change| Field::U32(&mut change.state_keys_max),
    },
    RoomSetting {
        name: "state.bytes_max",
        kind: Kind::Bytes(bounds(0..=1 << 30)),
        place: |change| Field::U64(&mut change.state_bytes_max),
    },
    RoomSetting {
        name: "lag.policy",
        kind: Kind::Word(&["resume", "conflate", "drop", "disconnect"]),
        place: |change| Field::Lag(&mut change.lag_policy),
    },
    RoomSetting {
        name: "lag.bytes_max",
        kind: Kind::Bytes(bounds(1_024..=1 << 30)),
        place: |change| Field::U64(&mut change.lag_bytes_max),
    },
    RoomSetting {
        name: "lag.stall_ms_max",
        kind: Kind::Milliseconds(bounds(100..=DAY_MS)),
        place: |change| Field::U64(&mut change.lag_stall_ms_max),
    },
    RoomSetting {
        name: "echo",
        kind: Kind::Switch,
        place: |change| Field::Switch(&mut change.echo),
    },
    RoomSetting {
        name: "presence",
        kind: Kind::Switch,
        place: |change| Field::Switch(&mut change.presence),
    },
    RoomSetting {
        name: "presence_grace_ms",
        kind: Kind::Milliseconds(bounds(0..=DAY_MS)),
        place: |change| Field::U64(&mut change.presence_grace_ms),
    },
    RoomSetting {
        name: "message_bytes_max",
        kind: Kind::Bytes(bounds(1..=1 << 30)),
        place: |change| Field::U32(&mut change.message_bytes_max),
    },
];

impl RoomSetting {
    fn set(&self, change: &mut PolicyChange, value: Value) -> Result<(), String> {
        match ((self.place)(change), value) {
            (Field::Switch(field), Value::Switch(switch)) => *field = Some(switch),
            (Field::U64(field), Value::Number(number)) => *field = Some(number),
            (Field::U32(field), Value::Number(number)) => {
                *field = Some(u32::try_from(number).map_err(|_| self.kind.allowed())?);
            }
            (Field::Lag(field), Value::Text(word)) => {
                *field = POLICIES
                    .iter()
                    .find(|(name, _)| *name == word)
                    .map(|(_, policy)| *policy);
            }
            (Field::Durability(field), Value::Text(word)) => {
                *field = DURABILITIES
                    .iter()
                    .find(|(name, _)| *name == word)
                    .map(|(_, durability)| *durability);
            }
            _ => return Err(format!("use {}", self.kind.allowed())),
        }
        Ok(())
    }

    /// Its value in `change`, written as the file would have it; `None` where the change leaves it.
    pub(crate) fn show(&self, change: &PolicyChange) -> Option<String> {
        let mut change = change.clone();
        let value = match (self.place)(&mut change) {
            Field::Switch(field) => Value::Switch((*field)?),
            Field::U32(field) => Value::Number(u64::from((*field)?)),
            Field::U64(field) => Value::Number((*field)?),
            Field::Lag(field) => {
                let policy = (*field)?;
                let (name, _) = POLICIES.iter().find(|(_, known)| *known == policy)?;
                Value::Text((*name).to_owned())
            }
            Field::Durability(field) => {
                let durability = (*field)?;
                let (name, _) = DURABILITIES
                    .iter()
                    .find(|(_, known)| *known == durability)?;
                Value::Text((*name).to_owned())
            }
        };
        Some(self.kind.show(&value))
    }
}

/// Reads one `[[rooms]]`. `start` is its offset in the file.
pub(crate) fn read(
    entries: &DeTable<'_>,
    start: usize,
    lines: &Lines,
) -> (Option<Rule>, Vec<Problem>) {
    let mut reader = Reader {
        lines,
        pattern: None,
        change: PolicyChange::default(),
        changes: Vec::new(),
        problems: Vec::new(),
    };
    reader.table("", entries);
    if reader.pattern.is_none() && reader.problems.is_empty() {
        reader.complain(
            start,
            "this [[rooms]] says not which rooms; add match = \"PATTERN\", for example match = \"prices/**\"".into(),
        );
    }
    reader.changes.sort_by_key(|(_, place)| place.line);
    let rule = reader.pattern.map(|pattern| Rule {
        pattern,
        place: lines.place(start),
        change: reader.change,
        changes: reader.changes,
    });
    (rule, reader.problems)
}

struct Reader<'a> {
    lines: &'a Lines,
    pattern: Option<Pattern>,
    change: PolicyChange,
    changes: Vec<(&'static RoomSetting, Place)>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, entries: &DeTable<'_>) {
        for (key, value) in entries {
            let name = format!("{prefix}{}", key.get_ref());
            let (key_start, value_start) = (key.span().start, value.span().start);
            let setting = TABLE.iter().find(|setting| setting.name == name);
            match (setting, name.as_str(), value.get_ref()) {
                (Some(setting), _, value) => self.set(setting, value, key_start, value_start),
                (None, "match", DeValue::String(text)) => match Pattern::parse(text) {
                    Ok(pattern) => self.pattern = Some(pattern),
                    Err(error) => self.complain(value_start, format!("`match`: {error}")),
                },
                (None, "match", other) => {
                    let text = format!(
                        "`match`: {} is not allowed; use a pattern like \"prices/**\"",
                        describe(other)
                    );
                    self.complain(value_start, text);
                }
                (None, "lag", value @ DeValue::String(_)) => {
                    if let Some(policy) = TABLE.iter().find(|setting| setting.name == "lag.policy")
                    {
                        self.set(policy, value, key_start, value_start);
                    }
                }
                (None, "history" | "lag" | "state", DeValue::Table(entries)) => {
                    self.table(&format!("{name}."), entries);
                }
                (None, "history" | "lag" | "state", other) => {
                    let text = format!(
                        "`{name}` is a table; write {} instead of {}",
                        match name.as_str() {
                            "lag" => "lag = \"conflate\" or lag.bytes_max = \"1MiB\"",
                            "state" => "state.keys_max = 100 or state.bytes_max = \"1MiB\"",
                            _ => "history.messages_max = 100 or history.age_ms_max = \"1h\"",
                        },
                        describe(other)
                    );
                    self.complain(value_start, text);
                }
                (None, _, _) => self.complain(key_start, unknown_key(&name)),
            }
        }
    }

    fn set(
        &mut self,
        setting: &'static RoomSetting,
        value: &DeValue<'_>,
        key_start: usize,
        value_start: usize,
    ) {
        let read = setting.kind.read_toml(value);
        match read.and_then(|value| setting.set(&mut self.change, value)) {
            Ok(()) => self.changes.push((setting, self.lines.place(key_start))),
            Err(error) => self.complain(value_start, format!("`{}`: {error}", setting.name)),
        }
    }

    fn complain(&mut self, offset: usize, text: String) {
        self.problems.push(Problem {
            source: Source::File(self.lines.place(offset)),
            text,
        });
    }
}

fn unknown_key(name: &str) -> String {
    let known = TABLE.iter().map(|setting| setting.name).chain(["match"]);
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown key `{name}` in [[rooms]]; did you mean `{near}`?"),
        None => {
            let known: Vec<_> = known.collect();
            format!(
                "unknown key `{name}` in [[rooms]]; known are {}",
                known.join(", ")
            )
        }
    }
}

/// The policy of rooms that no rule matches.
pub(crate) fn default_policy(values: &Values) -> RoomPolicy {
    let message_bytes_max = values.config.limits.widest_message_bytes();
    RoomPolicy {
        message_bytes_max: u32::try_from(message_bytes_max).unwrap_or(u32::MAX),
        ..RoomPolicy::default()
    }
}

/// A policy as a rule that sets all of it.
pub(crate) fn whole_change(policy: &RoomPolicy) -> PolicyChange {
    PolicyChange {
        history_messages_max: Some(policy.history.messages_max),
        history_age_ms_max: Some(policy.history.age_ms_max),
        history_bytes_max: Some(policy.history.bytes_max),
        durability: Some(policy.durability),
        state_keys_max: Some(policy.state.keys_max),
        state_bytes_max: Some(policy.state.bytes_max),
        lag_policy: Some(policy.lag.policy),
        lag_bytes_max: Some(policy.lag.bytes_max),
        lag_stall_ms_max: Some(policy.lag.stall_ms_max),
        echo: Some(policy.echo),
        presence: Some(policy.presence),
        presence_grace_ms: Some(policy.presence_grace_ms),
        message_bytes_max: Some(policy.message_bytes_max),
    }
}

/// The rules as the hub takes them.
pub(crate) fn policies(values: &Values, rules: &[Rule]) -> Policies {
    let rules = rules.iter().map(|rule| taut_hub::Rule {
        pattern: rule.pattern.clone(),
        change: rule.change.clone(),
    });
    Policies::new(default_policy(values), rules.collect())
}

/// Rules that ask for what can never happen.
pub(crate) fn notes(values: &Values, rules: &[Rule]) -> Vec<String> {
    let most = values.config.limits.widest_message_bytes();
    rules
        .iter()
        .filter(|rule| {
            rule.change
                .message_bytes_max
                .is_some_and(|bytes| bytes as usize > most)
        })
        .map(|rule| {
            format!(
                "{}: `message_bytes_max` of the rooms {} is above `limits.message_bytes_max`, which no message passes; raise that one too",
                rule.place, rule.pattern
            )
        })
        .collect()
}
