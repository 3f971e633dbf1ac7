//! SIGHUP, or a word of the server API: the configuration is read again, and what of it can change while the server runs does.
//!
//! All or nothing: with any mistake in it the old one stays in force as it is. Otherwise the log says of each thing that is different whether it is in force now or
//! waits for a restart. What waits is compared anew at the next reload, so it is said until the server has been restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::ArgMatches;
use taut_auth::{Auth, Key, KeyMark};
use taut_server::{CertificateSource, ReloadRequests, Reloaded, Reloader};

use crate::load::load;
use crate::log::Level;
use crate::settings::auth::RoleRule;
use crate::settings::rooms::{self, Rule};
use crate::settings::setting::Setting;
use crate::settings::table::TABLE;
use crate::settings::values::Values;
use crate::settings::webhooks::Hook;
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
    pub(crate) roles: Vec<RoleRule>,
    pub(crate) hooks: Vec<Hook>,
    /// The certificate that was made at the start, where one was.
    pub(crate) self_signed: Option<CertificateSource>,
    pub(crate) reloader: Reloader,
    pub(crate) level: Level,
}

impl Reload {
    /// Serves whoever asks for a reload, until the server ends.
    pub(crate) fn serve(mut self, requests: &ReloadRequests) {
        while let Some(requests) = requests.next() {
            let outcome = self.run();
            for request in requests {
                request.answer(outcome.clone());
            }
        }
    }

    /// Reads the configuration again, puts into force what can be, logs what came of it and gives it back.
    fn run(&mut self) -> Reloaded {
        let next = match load(self.matches.as_ref()) {
            Ok(next) => next,
            Err(failure) => return self.refuse(&failure.text),
        };
        for note in &next.notes {
            tracing::warn!("{note}");
        }
        let (values, changes) = self.merged(&next);
        let silent = match self.reloader.reload(&values.config) {
            Ok(silent) => silent,
            Err(problem) => return self.refuse(&problem),
        };
        self.values = values;
        self.rules = next.rules;
        self.roles = next.roles;
        self.hooks = hooks_in_force(std::mem::take(&mut self.hooks), next.hooks);
        if let Err(error) = self.level.set(&self.values.log.level) {
            tracing::warn!(%error, "the level of the log could not be changed");
        }
        if silent > 0 {
            tracing::warn!(
                cores = silent,
                "some cores were too busy to answer; they go by the new configuration when they turn again"
            );
        }
        self.reloader.note_reload(true);
        told(&changes)
    }

    fn refuse(&self, problems: &str) -> Reloaded {
        self.reloader.note_reload(false);
        tracing::error!(
            "the configuration was not reloaded: it has mistakes, and the old one stays in force"
        );
        let problems: Vec<String> = problems.lines().map(|line| line.trim().into()).collect();
        for problem in &problems {
            tracing::error!("not reloaded: {problem}");
        }
        Reloaded {
            problems,
            ..Reloaded::default()
        }
    }

    /// What is in force next, and everything that is different.
    fn merged(&self, next: &Settings) -> (Values, Vec<Change>) {
        let terms = Terms {
            tls: self.may_change_tls(&next.values),
            required: self.reloader.may_require_tls(),
        };
        let mut values = self.values.clone();
        let mut changes = Vec::new();
        for setting in TABLE {
            let change = setting_change(setting, &self.values, &next.values, terms);
            if let Some(change) = change {
                if change.takes == Takes::Now {
                    setting.copy(&next.values, &mut values);
                }
                changes.push(change);
            }
        }
        changes.extend(rules_changes(&self.rules, &next.rules));
        changes.extend(roles_changes(&self.roles, &next.roles));
        changes.extend(keys_change(
            self.values.config.auth.as_deref(),
            next.values.config.auth.as_deref(),
        ));
        changes.extend(hooks_changes(&self.hooks, &next.hooks));
        let config = &mut values.config;
        config.auth.clone_from(&next.values.config.auth);
        config.proxies = Arc::clone(&next.values.config.proxies);
        config.webhooks.clone_from(&next.values.config.webhooks);
        if terms.tls {
            let tls = &next.values.config.tls;
            config.tls.certificates.clone_from(&tls.certificates);
            config.tls.clients = tls.clients.clone();
        }
        config.tls.certificates.extend(self.self_signed.clone());
        values.config.policies = rooms::policies(&values, &next.rules).into();
        (values, changes)
    }

    /// Certificates can change where there are some, and some stay; one that was made at the start is made nowhere else.
    fn may_change_tls(&self, next: &Values) -> bool {
        self.reloader.has_tls()
            && self.values.tls.self_signed == next.tls.self_signed
            && (self.values.tls.self_signed || !next.tls.certs.is_empty())
    }
}

/// Logs what is different, and sorts it.
fn told(changes: &[Change]) -> Reloaded {
    let mut outcome = Reloaded::default();
    for change in changes {
        match change.takes {
            Takes::Now => {
                tracing::info!("reloaded: {}", change.text);
                outcome.changed.push(change.text.clone());
            }
            Takes::NowForNewRooms => {
                let text = format!(
                    "{}, for rooms made from now on; open ones stay as they are until a restart",
                    change.text
                );
                tracing::warn!("reloaded: {text}");
                outcome.changed.push(text);
            }
            Takes::AtRestart => {
                tracing::warn!("needs a restart: {}", change.text);
                outcome.waiting.push(change.text.clone());
            }
        }
    }
    tracing::info!(
        changed = outcome.changed.len(),
        waiting = outcome.waiting.len(),
        "the configuration was reloaded"
    );
    outcome
}

/// What of TLS can change now.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// Certificates, and whose certificates clients show.
    tls: bool,
    /// Whether clear text is refused.
    required: bool,
}

fn setting_change(
    setting: &'static Setting,
    old: &Values,
    new: &Values,
    terms: Terms,
) -> Option<Change> {
    if setting.value(old) == setting.value(new) {
        return None;
    }
    let (from, to) = (setting.show(old), setting.show(new));
    let text = if from == to {
        // Two secrets.
        format!("{}: another one", setting.name)
    } else {
        format!("{}: {from} → {to}", setting.name)
    };
    Some(Change {
        text,
        takes: takes(setting, terms),
    })
}

/// When a change of a setting takes hold.
fn takes(setting: &Setting, terms: Terms) -> Takes {
    match (setting.section(), setting.name) {
        // Datagrams are cut by encoders that were made for it.
        (_, "limits.datagram_bytes_max") => Takes::AtRestart,
        (_, "tls.required") if terms.required => Takes::Now,
        (_, "tls.required" | "tls.self_signed") => Takes::AtRestart,
        ("tls", _) if terms.tls => Takes::Now,
        ("limits" | "limits.conn" | "limits.address" | "limits.user", _)
        | ("hub" | "socketio" | "auth", _)
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

/// What is different in the `[roles]`. A role's rules are the same by what they say, wherever they stand.
fn roles_changes(old: &[RoleRule], new: &[RoleRule]) -> Vec<Change> {
    let said = |rules: &[RoleRule]| -> BTreeMap<(String, String), String> {
        let rules = rules.iter();
        rules
            .map(|rule| {
                let key = (rule.role.clone(), rule.pattern.clone());
                (key, rule.rights.clone())
            })
            .collect()
    };
    let (old, new) = (said(old), said(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let spoken = |rights: Option<&String>| match rights {
        Some(rights) => quoted(rights),
        None => "nothing".to_owned(),
    };
    let different = keys.into_iter().filter_map(|key| {
        let (from, to) = (old.get(key), new.get(key));
        (from != to).then(|| Change {
            text: format!(
                "roles.{}.{}: {} → {}",
                key.0,
                quoted(&key.1),
                spoken(from),
                spoken(to)
            ),
            takes: Takes::Now,
        })
    });
    different.collect()
}

/// Keys of the configuration that came or went, which a setting that names a file does not show.
fn keys_change(old: Option<&Auth>, new: Option<&Auth>) -> Option<Change> {
    let marks = |auth: Option<&Auth>| -> Vec<KeyMark> {
        let keys = auth.map_or(&[][..], |auth| &auth.verifier.keys);
        keys.iter().map(Key::mark).collect()
    };
    let (old, new) = (marks(old), marks(new));
    let came = new.iter().filter(|mark| !old.contains(mark)).count();
    let went = old.iter().filter(|mark| !new.contains(mark)).count();
    (came + went > 0).then(|| Change {
        text: format!("auth: {came} keys for tokens came, {went} went"),
        takes: Takes::Now,
    })
}

/// Webhooks come, go and change at once; only whether newcomers are put before one is decided at the start.
fn hooks_changes(old: &[Hook], new: &[Hook]) -> Vec<Change> {
    let missing_in =
        |all: &[Hook], hook: &Hook| !all.iter().any(|one| one.webhook.is(&hook.webhook));
    let asks = |hooks: &[Hook]| hooks.iter().any(|hook| hook.webhook.is_about_newcomers());
    let stays = asks(old) == asks(new);
    let counts = |hook: &&Hook| stays || !hook.webhook.is_about_newcomers();
    let came = new
        .iter()
        .filter(counts)
        .filter(|hook| missing_in(old, hook))
        .count();
    let went = old
        .iter()
        .filter(counts)
        .filter(|hook| missing_in(new, hook))
        .count();
    let is_same = |(one, other): (&Hook, &Hook)| one.webhook.is(&other.webhook);
    let of_rooms = |hook: &&Hook| !hook.webhook.is_about_newcomers();
    let (left, right) = (old.iter().filter(of_rooms), new.iter().filter(of_rooms));
    let text = match (came, went) {
        (0, 0) if left.zip(right).all(is_same) => None,
        (0, 0) => Some("webhooks: another order".to_owned()),
        _ => Some(format!("webhooks: {came} came, {went} went")),
    };
    let now = |text| Change {
        text,
        takes: Takes::Now,
    };
    let mut changes: Vec<Change> = text.map(now).into_iter().collect();
    if !stays {
        let what = if asks(new) { "came" } else { "went" };
        changes.push(Change {
            text: format!("webhooks: the one for `connect` {what}"),
            takes: Takes::AtRestart,
        });
    }
    changes
}

/// Those that are in force after a reload: see [`hooks_changes`].
fn hooks_in_force(old: Vec<Hook>, new: Vec<Hook>) -> Vec<Hook> {
    let asks_newcomers = |hook: &Hook| hook.webhook.is_about_newcomers();
    let asked: Vec<Hook> = old.into_iter().filter(asks_newcomers).collect();
    let (asks, mut hooks): (Vec<_>, Vec<_>) = new.into_iter().partition(asks_newcomers);
    hooks.extend(match (asked.is_empty(), asks.is_empty()) {
        (false, false) => asks,
        _ => asked,
    });
    hooks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::settings::layer;

    const TERMS: Terms = Terms {
        tls: true,
        required: false,
    };

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
            .filter_map(|setting| setting_change(setting, &old.values, &new.values, TERMS));
        of_settings
            .chain(roles_changes(&old.roles, &new.roles))
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
    fn roles_and_secrets_are_told_and_what_cannot_change_waits() {
        let old = "[auth]\nsecret = \"a secret that is long enough for it\"\n[roles.a]\n\"x\" = \"join\"\n\"y\" = \"who\"\n[tls]\nself_signed = false\n";
        let new = "[auth]\nsecret = \"another that is long enough for it\"\n[roles.a]\n\"y\" = \"who\"\n\"x\" = \"join -who\"\n[tls]\nself_signed = true\nrequired = true\n";
        let expected = [
            ("auth.secret: another one", Takes::Now),
            ("tls.self_signed: false → true", Takes::AtRestart),
            ("tls.required: false → true", Takes::AtRestart),
            ("roles.a.\"x\": \"join\" → \"join -who\"", Takes::Now),
        ];
        let expected = expected.map(|(text, takes)| (text.to_owned(), takes));
        assert_eq!(changes(old, new), expected);
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
