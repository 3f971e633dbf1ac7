//! What is in force, and from where: flags win over environment variables, those over the file, the file over defaults.
//!
//! One table ([`table::TABLE`]) drives all four. Whatever is not understood is a [`Problem`](source::Problem) with its place; all
//! problems are told together, and with any of them nothing starts.
//!
//! Environment variables that begin with `TAUT_` and name no setting are not errors, because orchestrators set such variables for
//! services that are called `taut`; one that is nearly a setting is noted.

pub(crate) mod auth;
pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod rooms;
pub(crate) mod setting;
pub(crate) mod source;
pub(crate) mod suggest;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod value;
pub(crate) mod values;
pub(crate) mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use setting::Setting;
use source::{Problem, Problems, Source};
use table::TABLE;
use values::Values;

/// The file that is read when none is named.
pub(crate) const FILE_DEFAULT: &str = "taut.toml";

/// The configuration in force.
pub(crate) struct Settings {
    pub(crate) values: Values,
    /// Where each setting of the table comes from, in the table's order.
    pub(crate) sources: Vec<Source>,
    /// The rules for rooms, in the order in which they apply.
    pub(crate) rules: Vec<rooms::Rule>,
    /// The lines of the roles, in the order of the file.
    pub(crate) roles: Vec<auth::RoleRule>,
    /// The webhooks, in the order in which they are looked at.
    pub(crate) hooks: Vec<webhooks::Hook>,
    /// The file that was read.
    pub(crate) path: Option<String>,
    /// What looks like a mistake and is none for sure.
    pub(crate) notes: Vec<String>,
}

/// What a person says on the command line: setting and value, in order. Lists may come several times.
pub(crate) type Flags = Vec<(&'static Setting, Vec<String>)>;

/// Puts the layers together. `file` is the path and text of the file, where there is one.
pub(crate) fn layer(
    file: Option<(&str, &str)>,
    environment: &BTreeMap<String, String>,
    flags: &Flags,
) -> Result<Settings, Problems> {
    let document = file.map_or_else(file::Document::default, |(path, text)| {
        file::read(path, text)
    });
    let mut layers = Layers {
        values: Values::default(),
        sources: vec![Source::Default; TABLE.len()],
        problems: document.problems,
    };
    for assignment in document.assignments {
        layers.set(assignment.setting, Ok(assignment.value), assignment.source);
    }
    for setting in TABLE {
        if let Some(text) = environment.get(&setting.variable()) {
            let source = Source::Variable(setting.variable());
            layers.set(setting, setting.kind.read(text), source);
        }
    }
    for (setting, texts) in flags {
        let value = setting.kind.read(&texts.join(","));
        layers.set(setting, value, Source::Flag(setting.flag()));
    }
    match layers.values.tls.config() {
        Ok((certificates, clients)) => {
            layers.values.config.tls.certificates = certificates;
            layers.values.config.tls.clients = clients;
        }
        Err((name, text)) => {
            layers.problem(name, format!("`{name}`: {text}"));
        }
    }
    if let Some(listen) = tls::lacks_certificate(&layers.values) {
        layers.problem("listen", format!("`listen`: `{listen}` needs a certificate; set `tls.cert` and `tls.key`, or `tls.self_signed`"));
    }
    let storage = &layers.values.storage;
    if storage.memory && !storage.data.is_empty() {
        layers.problem("data", "`memory` and `data` contradict each other: rooms are kept in memory or in a folder; leave one out".to_owned());
    }
    if !layers.problems.is_empty() {
        return Err(Problems(layers.problems));
    }
    let mut values = layers.values;
    let sources = layers.sources;
    let source = |name: &str| {
        let index = TABLE.iter().position(|known| known.name == name);
        let source = index.and_then(|index| sources.get(index));
        source.cloned().unwrap_or(Source::Default)
    };
    let is_asked = document.hooks.iter().any(|hook| hook.pattern.is_none());
    values.config.auth =
        auth::build(&values.auth, &document.roles, is_asked, source).map_err(Problems)?;
    values.config.webhooks = document
        .hooks
        .iter()
        .map(|hook| hook.webhook.clone())
        .collect();
    values.config.proxies = Arc::new(auth::proxies(&values.auth));
    values.config.files = values.files.config();
    values.config.policies = Arc::new(rooms::policies(&values, &document.rules));
    let mut notes = near_misses(environment);
    notes.extend(rooms::notes(&values, &document.rules));
    Ok(Settings {
        values,
        sources,
        rules: document.rules,
        roles: document.roles,
        hooks: document.hooks,
        path: file.map(|(path, _)| path.to_owned()),
        notes,
    })
}

struct Layers {
    values: Values,
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

impl Layers {
    /// What is wrong with a setting beside others.
    fn problem(&mut self, name: &str, text: String) {
        let index = TABLE.iter().position(|setting| setting.name == name);
        let source = index.and_then(|index| self.sources.get(index).cloned());
        self.problems.push(Problem {
            source: source.unwrap_or(Source::Default),
            text,
        });
    }

    fn set(&mut self, setting: &Setting, value: Result<value::Value, String>, source: Source) {
        match value.and_then(|value| setting.set(&mut self.values, value)) {
            Ok(()) => {
                let index = TABLE.iter().position(|known| known.name == setting.name);
                if let Some(place) = index.and_then(|index| self.sources.get_mut(index)) {
                    *place = source;
                }
            }
            Err(text) => self.problems.push(Problem {
                source,
                text: format!("`{}`: {text}", setting.name),
            }),
        }
    }
}

/// Environment variables that nobody reads and that are nearly a setting's.
fn near_misses(environment: &BTreeMap<String, String>) -> Vec<String> {
    let variables: Vec<String> = TABLE.iter().map(Setting::variable).collect();
    let known = || {
        variables
            .iter()
            .map(String::as_str)
            .chain(["TAUT_URL", "TAUT_CONFIG", "TAUT_API_KEY"])
    };
    environment
        .keys()
        .filter(|name| name.starts_with("TAUT_") && !known().any(|known| known == name.as_str()))
        .filter_map(|name| {
            let near = suggest::nearest(name, known())?;
            Some(format!(
                "the environment variable {name} is read by nobody; did you mean {near}?"
            ))
        })
        .collect()
}
