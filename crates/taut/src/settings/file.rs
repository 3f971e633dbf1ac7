//! The configuration file: TOML in, values with their lines out. Every key must be known.

use std::sync::Arc;

use taut_server::HOOKS_MAX;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::auth::{self, RoleRule};
use super::rooms::{self, Rule};
use super::setting::Setting;
use super::source::{Place, Problem, Source};
use super::suggest::nearest;
use super::table::{self, TABLE};
use super::value::{Value, describe};
use super::webhooks::{self, Hook};

/// What a file says.
#[derive(Default)]
pub(crate) struct Document {
    pub(crate) assignments: Vec<Assignment>,
    /// The `[[rooms]]`, in the order of the file.
    pub(crate) rules: Vec<Rule>,
    /// The `[roles.NAME]`, in the order of the file.
    pub(crate) roles: Vec<RoleRule>,
    /// The `[[webhooks]]`, in the order of the file.
    pub(crate) hooks: Vec<Hook>,
    /// What is wrong, in the order of the file.
    pub(crate) problems: Vec<Problem>,
}

/// One setting of the file.
pub(crate) struct Assignment {
    pub(crate) setting: &'static Setting,
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// Reads the file's text. `path` is how the person calls it.
pub(crate) fn read(path: &str, text: &str) -> Document {
    let mut reader = Reader {
        lines: Lines::new(path, text),
        document: Document::default(),
    };
    match DeTable::parse(text) {
        Ok(table) => reader.table("", table.get_ref()),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let text = error.message().replace('\n', "; ");
            reader.complain(offset, format!("this is not TOML: {text}"));
        }
    }
    let mut document = reader.document;
    // Tables come sorted by name; people read files from the top.
    document
        .problems
        .sort_by_key(|problem| match &problem.source {
            Source::File(place) => place.line,
            _ => 0,
        });
    document
}

struct Reader {
    lines: Lines,
    document: Document,
}

type Key<'a> = Spanned<DeString<'a>>;

impl Reader {
    /// Reads one table; `prefix` is empty or the section's name with a dot.
    fn table(&mut self, prefix: &str, entries: &DeTable<'_>) {
        for (key, value) in entries {
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(setting) = table::find(&name) {
                self.assign(setting, key, value);
            } else if name == "rooms" {
                self.rooms(key, value);
            } else if name == "webhooks" {
                self.hooks(key, value);
            } else if name == "roles" {
                self.roles(key, value);
            } else if is_section(&name) {
                match value.get_ref() {
                    DeValue::Table(entries) => self.table(&format!("{name}."), entries),
                    other => self.complain(
                        key.span().start,
                        format!(
                            "`{name}` is a table; write [{name}] instead of {}",
                            describe(other)
                        ),
                    ),
                }
            } else {
                let text = unknown_key(&name, prefix);
                self.complain(key.span().start, text);
            }
        }
    }

    fn assign(&mut self, setting: &'static Setting, key: &Key<'_>, value: &Spanned<DeValue<'_>>) {
        let place = self.lines.place(key.span().start);
        match setting.kind.read_toml(value.get_ref()) {
            Ok(value) => self.document.assignments.push(Assignment {
                setting,
                value,
                source: Source::File(place),
            }),
            Err(error) => {
                self.complain(value.span().start, format!("`{}`: {error}", setting.name));
            }
        }
    }

    fn rooms(&mut self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) {
        let DeValue::Array(rules) = value.get_ref() else {
            return self.complain(
                key.span().start,
                "`rooms` is a list of tables; write [[rooms]], then match = \"PATTERN\"".into(),
            );
        };
        for rule in rules {
            match rule.get_ref() {
                DeValue::Table(entries) => {
                    let start = rule.span().start;
                    let (rule, problems) = rooms::read(entries, start, &self.lines);
                    self.document.rules.extend(rule);
                    self.document.problems.extend(problems);
                }
                other => self.complain(
                    rule.span().start,
                    format!(
                        "{} is not a rule for rooms; write [[rooms]]",
                        describe(other)
                    ),
                ),
            }
        }
    }

    fn hooks(&mut self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) {
        let start = key.span().start;
        let wrong = "`webhooks` is a list of tables; write [[webhooks]], then event = \"publish\"";
        let DeValue::Array(hooks) = value.get_ref() else {
            return self.complain(start, wrong.into());
        };
        if hooks.len() > HOOKS_MAX {
            self.complain(start, format!("there are more than {HOOKS_MAX} webhooks"));
        }
        for hook in hooks {
            match hook.get_ref() {
                DeValue::Table(entries) => {
                    let start = hook.span().start;
                    let (hook, problems) = webhooks::read(entries, start, &self.lines);
                    if let Some(hook) = &hook
                        && hook.pattern.is_none()
                        && self.document.hooks.iter().any(|one| one.pattern.is_none())
                    {
                        self.complain(start, "there is a webhook for connect already".into());
                    }
                    self.document.hooks.extend(hook);
                    self.document.problems.extend(problems);
                }
                _ => self.complain(hook.span().start, wrong.into()),
            }
        }
    }

    fn roles(&mut self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(tables) = value.get_ref() else {
            return self.complain(
                key.span().start,
                "`roles` holds tables; write [roles.NAME], then \"PATTERN\" = \"join publish\""
                    .into(),
            );
        };
        let (roles, problems) = auth::read_roles(tables, &self.lines);
        self.document.roles = roles;
        self.document.problems.extend(problems);
    }

    fn complain(&mut self, offset: usize, text: String) {
        let source = Source::File(self.lines.place(offset));
        self.document.problems.push(Problem { source, text });
    }
}

fn is_section(name: &str) -> bool {
    TABLE.iter().any(|setting| setting.section() == name)
}

fn unknown_key(name: &str, prefix: &str) -> String {
    let known = TABLE.iter().map(|setting| setting.name);
    let sections = TABLE.iter().map(Setting::section);
    let near = nearest(
        name,
        known
            .chain(sections)
            .chain(["rooms", "roles", "webhooks"])
            .filter(|name| !name.is_empty()),
    );
    // A key that stands at the top although it belongs into a section, or the other way round.
    let last = name.rsplit('.').next().unwrap_or(name);
    let moved = TABLE
        .iter()
        .map(|setting| setting.name)
        .find(|known| known.rsplit('.').next() == Some(last));
    let hint = match (near, moved) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(moved)) => format!("did you mean `{moved}`?"),
        (None, None) if prefix.is_empty() => "`taut check` lists every key".into(),
        (None, None) => {
            let section = prefix.trim_end_matches('.');
            format!("`taut check` lists every key of [{section}]")
        }
    };
    format!("unknown key `{name}`; {hint}")
}

/// Where the lines of a file begin.
pub(crate) struct Lines {
    path: Arc<str>,
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            path: path.into(),
            starts: std::iter::once(0)
                .chain(ends.map(|(index, _)| index + 1))
                .collect(),
        }
    }

    /// The line of a byte offset.
    pub(crate) fn place(&self, offset: usize) -> Place {
        Place {
            path: Arc::clone(&self.path),
            line: self.starts.partition_point(|start| *start <= offset),
        }
    }
}
