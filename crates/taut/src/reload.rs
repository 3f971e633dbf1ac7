//! SIGHUP: the configuration is read again, and what of it can change while the server runs does.
//!
//! All or nothing: with any mistake in it the old one stays in force as it is. Otherwise the log says of each thing that is different whether it is in force now or
//! waits for a restart. What waits is compared anew at the next reload, so it is said until the server has been restarted.

use clap::ArgMatches;
use taut_server::Reloader;

use crate::load::load;
use crate::log::Level;
use crate::settings::rooms::{self, Rule};
use crate::settings::table::{Setting, TABLE, Values};
use crate::settings::{Settings, value::quoted};

/// When something new takes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// At once.
    Now,
    /// At once, but for rooms that are open: whether they are kept was decided when they were made.
    NowForNewRooms,
    /// When the server is started again.
    AtRestart,
}

/// One thing that is different.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) text: String,
    pub(crate) takes: Takes,
}

/// What is in force, and how to change it.
pub(crate) struct Reload {
    /// The process's own flags, which win over the file as they did at the start.
    pub(crate) matches: Option<ArgMatches>,
    pub(crate) values: Values,
    pub(crate) rules: Vec<Rule>,
    pub(crate) reloader: Reloader,
    pub(crate) level: Level,
}

impl Reload {
    /// Reads the configuration again, puts into force what can be, and logs what came of it.
    pub(crate) fn run(&mut self) {
        let next = match load(self.matches.as_ref()) {
            Ok(next) => next,
            Err(failure) => {
                self.reloader.note_reload(false);
                tracing::error!(
                    "the configuration was not reloaded: it has mistakes, and the old one stays in force"
                );
                for problem in failure.text.lines() {
                    tracing::error!("not reloaded: {}", problem.trim());
                }
                return;
            }
        };
        for note in &next.notes {
            tracing::warn!("{note}");
        }
        let changes = self.follow(next);
        let silent = self.reloader.reload(&self.values.config);
        if silent > 0 {
            tracing::warn!(
                cores = silent,
                "some cores were too busy to answer; they go by the new configuration when they turn again"
            );
        }
        self.reloader.note_reload(true);
        for change in &changes {
            match change.takes {
                Takes::Now => tracing::info!("reloaded: {}", change.text),
                Takes::NowForNewRooms => tracing::warn!(
                    "reloaded: {}, for rooms made from now on; open ones stay as they are until a restart",
                    change.text
                ),
                Takes::AtRestart => {
                    tracing::warn!("needs a restart: {}", change.text);
                }
            }
        }
        let waiting = changes
            .iter()
            .filter(|change| change.takes == Takes::AtRestart)
            .count();
        tracing::info!(
            changed = changes.len() - waiting,
            waiting,
            "the configuration was reloaded"
        );
    }

    /// Takes over what can change, and says everything that is different.
    fn follow(&mut self, next: Settings) -> Vec<Change> {
        let mut changes = Vec::new();
        for setting in TABLE {
            let change = setting_change(setting, &self.values, &next.values);
            if let Some(change) = change {
                if change.takes == Takes::Now {
                    setting.copy(&next.values, &mut self.values);
                }
                changes.push(change);
            }
        }
        changes.extend(rules_changes(&self.rules, &next.rules));
        self.rules = next.rules;
        self.values.config.policies = rooms::policies(&self.values, &self.rules).into();
        if let Err(error) = self.level.set(&self.values.log.level) {
            tracing::warn!(%error, "the level of the log could not be changed");
        }
        changes
    }
}

fn setting_change(setting: &'static Setting, old: &Values, new: &Values) -> Option<Change> {
    if setting.value(old) == setting.value(new) {
        return None;
    }
    let (from, to) = (setting.show(old), setting.show(new));
    Some(Change {
        text: format!("{}: {from} → {to}", setting.name),
        takes: takes(setting),
    })
}

/// When a change of a setting takes hold.
fn takes(setting: &Setting) -> Takes {
    match (setting.section(), setting.name) {
        // Datagrams are cut by encoders that were made for it.
        (_, "limits.datagram_bytes_max") => Takes::AtRestart,
        ("limits" | "hub" | "socketio", _)
        | (_, "hosts" | "origins" | "compression" | "log.level") => Takes::Now,
        _ => Takes::AtRestart,
    }
}

/// What is different in the `[[rooms]]`. Rules are the same by their pattern, counted where it comes again.
fn rules_changes(old: &[Rule], new: &[Rule]) -> Vec<Change> {
    let now = |text| Change {
        text,
        takes: Takes::Now,
    };
    let pattern = |rule: &Rule| quoted(&rule.pattern.to_string());
    let mut changes = Vec::new();
    let mut unmatched: Vec<(usize, &Rule)> = old.iter().enumerate().collect();
    let mut order = Vec::new();
    for (index, rule) in new.iter().enumerate() {
        let same = unmatched
            .iter()
            .position(|(_, before)| before.pattern == rule.pattern);
        let Some(same) = same else {
            changes.push(now(format!(
                "rooms[{index}]: new rule for {}",
                pattern(rule)
            )));
            continue;
        };
        let (before_index, before) = unmatched.remove(same);
        order.push(before_index);
        changes.extend(rule_changes(index, before, rule));
    }
    for (index, rule) in unmatched {
        changes.push(now(format!(
            "rooms[{index}]: the rule for {} is gone",
            pattern(rule)
        )));
    }
    if !order.is_sorted() {
        changes.push(now("rooms: the rules stand in another order".to_owned()));
    }
    changes
}

fn rule_changes(index: usize, old: &Rule, new: &Rule) -> Vec<Change> {
    let spoken = |shown: Option<String>| shown.unwrap_or_else(|| "not set".to_owned());
    let different = rooms::TABLE.iter().filter_map(|setting| {
        let (from, to) = (setting.show(&old.change), setting.show(&new.change));
        (from != to).then(|| Change {
            text: format!(
                "rooms[{index}].{}: {} → {}",
                setting.name,
                spoken(from),
                spoken(to)
            ),
            takes: match setting.name {
                "durability" => Takes::NowForNewRooms,
                _ => Takes::Now,
            },
        })
    });
    different.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::layer;

    fn settings(text: &str) -> Settings {
        let file = Some(("taut.toml", text));
        match layer(file, &BTreeMap::new(), &Vec::new()) {
            Ok(settings) => settings,
            Err(problems) => panic!("{problems}"),
        }
    }

    fn changes(old: &str, new: &str) -> Vec<(String, Takes)> {
        let (old, new) = (settings(old), settings(new));
        let of_settings = TABLE
            .iter()
            .filter_map(|setting| setting_change(setting, &old.values, &new.values));
        of_settings
            .chain(rules_changes(&old.rules, &new.rules))
            .map(|change| (change.text, change.takes))
            .collect()
    }

    #[test]
    fn each_difference_is_told_once_with_both_values() {
        let old = "hosts = [\"a.example\"]\n[limits]\nping_ms = 25000\n[[rooms]]\nmatch = \"a/**\"\nhistory.messages_max = 100\n[[rooms]]\nmatch = \"b\"\n";
        let new = "hosts = [\"b.example\"]\ncores = 3\n[limits]\nping_ms = \"20s\"\n[[rooms]]\nmatch = \"a/**\"\nhistory.messages_max = 500\necho = true\n[[rooms]]\nmatch = \"c\"\n";
        let expected = [
            ("hosts: [\"a.example\"] → [\"b.example\"]", Takes::Now),
            ("cores: 0 → 3", Takes::AtRestart),
            ("limits.ping_ms: \"25s\" → \"20s\"", Takes::Now),
            ("rooms[0].history.messages_max: 100 → 500", Takes::Now),
            ("rooms[0].echo: not set → true", Takes::Now),
            ("rooms[1]: new rule for \"c\"", Takes::Now),
            ("rooms[1]: the rule for \"b\" is gone", Takes::Now),
        ];
        let expected = expected.map(|(text, takes)| (text.to_owned(), takes));
        assert_eq!(changes(old, new), expected);
    }

    #[test]
    fn nothing_is_told_where_nothing_is_different() {
        let text = "[[rooms]]\nmatch = \"a\"\necho = true\n";
        let other =
            "# a comment\n[limits]\nping_ms = 25000\n[[rooms]]\nmatch = \"a\"\necho = true\n";
        assert_eq!(changes(text, other), []);
    }

    #[test]
    fn another_order_and_another_durability_are_told() {
        let old = "[[rooms]]\nmatch = \"a\"\n[[rooms]]\nmatch = \"b\"\n";
        let new = "[[rooms]]\nmatch = \"b\"\n[[rooms]]\nmatch = \"a\"\ndurability = \"memory\"\n";
        let found = changes(old, new);
        assert_eq!(
            found,
            [
                (
                    "rooms[1].durability: not set → \"memory\"".to_owned(),
                    Takes::NowForNewRooms
                ),
                (
                    "rooms: the rules stand in another order".to_owned(),
                    Takes::Now
                ),
            ]
        );
    }
}
