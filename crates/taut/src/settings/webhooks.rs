//! `[[webhooks]]`: where the application is asked before something happens. The first one that covers a room counts.

use std::sync::Arc;

use taut_auth::WebhookKey;
use taut_hub::Pattern;
use taut_server::{HookUrl, OnFailure, Webhook};
use toml::de::{DeTable, DeValue};

use super::auth::read_file;
use super::file::Lines;
use super::source::{Place, Problem, Source};
use super::suggest::nearest;
use super::value::{Kind, Value, bounds, describe};

/// One webhook, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// As it is written, to be shown.
    pub(crate) pattern: String,
    pub(crate) place: Place,
    pub(crate) webhook: Webhook,
}

const KEYS: [&str; 9] = [
    "event",
    "match",
    "url",
    "secret",
    "secret_file",
    "deadline_ms",
    "on_failure",
    "concurrency",
    "queue_max",
];
const DEADLINE: Kind = Kind::Milliseconds(bounds(10..=60_000));
const CONCURRENCY: Kind = Kind::Count(bounds(1..=64));
const QUEUE: Kind = Kind::Count(bounds(1..=65_536));

struct Reader<'a> {
    lines: &'a Lines,
    problems: Vec<Problem>,
    pattern: Option<(String, Pattern)>,
    url: Option<HookUrl>,
    secret: Option<Vec<u8>>,
    deadline_ms: u64,
    on_failure: OnFailure,
    concurrency: u64,
    queue_max: u64,
}

/// Reads one `[[webhooks]]`. `start` is its offset in the file.
pub(crate) fn read(
    entries: &DeTable<'_>,
    start: usize,
    lines: &Lines,
) -> (Option<Hook>, Vec<Problem>) {
    let mut reader = Reader {
        lines,
        problems: Vec::new(),
        pattern: None,
        url: None,
        secret: None,
        deadline_ms: 2_000,
        on_failure: OnFailure::Refuse,
        concurrency: 4,
        queue_max: 1_024,
    };
    let mut event = false;
    for (key, value) in entries {
        event |= key.get_ref() == "event";
        if let Err(text) = reader.take(key.get_ref(), value.get_ref()) {
            reader.complain(value.span().start, &text);
        }
    }
    let hook = reader.hook(start, event);
    (hook, reader.problems)
}

impl Reader<'_> {
    fn take(&mut self, name: &str, value: &DeValue<'_>) -> Result<(), String> {
        match name {
            "event" => match text(name, value)? {
                "publish" => Ok(()),
                _ => Err("`event`: there is \"publish\"".into()),
            },
            "match" => {
                let written = text(name, value)?;
                let pattern = Pattern::parse(written).map_err(|error| error.to_string())?;
                self.pattern = Some((written.to_owned(), pattern));
                Ok(())
            }
            "url" => {
                let url = text(name, value)?.parse();
                self.url = Some(url.map_err(|error| format!("`url`: {error}"))?);
                Ok(())
            }
            "secret" => {
                self.secret = Some(text(name, value)?.as_bytes().to_vec());
                Ok(())
            }
            "secret_file" => {
                let bytes = read_file(text(name, value)?)?;
                self.secret = Some(bytes.trim_ascii_end().to_vec());
                Ok(())
            }
            "deadline_ms" => number(name, DEADLINE, value).map(|ms| self.deadline_ms = ms),
            "concurrency" => number(name, CONCURRENCY, value).map(|n| self.concurrency = n),
            "queue_max" => number(name, QUEUE, value).map(|n| self.queue_max = n),
            "on_failure" => {
                self.on_failure = match text(name, value)? {
                    "allow" => OnFailure::Allow,
                    "refuse" => OnFailure::Refuse,
                    _ => return Err("`on_failure`: say \"allow\" or \"refuse\"".into()),
                };
                Ok(())
            }
            other => {
                let near = nearest(other, KEYS);
                let hint = near.map_or_else(
                    || format!("there are {}", KEYS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                Err(format!("[[webhooks]] has no `{other}`; {hint}"))
            }
        }
    }

    fn hook(&mut self, start: usize, event: bool) -> Option<Hook> {
        if !self.problems.is_empty() {
            return None;
        }
        let missing = [
            (event, "event = \"publish\""),
            (self.pattern.is_some(), "match = \"orders/**\""),
            (self.url.is_some(), "url = \"https://app.example/taut\""),
            (self.secret.is_some(), "secret_file = \"webhook.secret\""),
        ];
        for (is_there, example) in missing {
            if !is_there {
                self.complain(start, &format!("this [[webhooks]] lacks {example}"));
            }
        }
        let key = match self.secret.as_deref().map(WebhookKey::new)? {
            Ok(key) => key,
            Err(error) => {
                self.complain(start, &format!("`secret`: {error}"));
                return None;
            }
        };
        let (written, pattern) = self.pattern.take()?;
        let url = self.url.take()?;
        event.then(|| Hook {
            pattern: written,
            place: self.lines.place(start),
            webhook: Webhook {
                pattern,
                url,
                key: Arc::new(key),
                deadline_ms: self.deadline_ms,
                on_failure: self.on_failure,
                concurrency: usize::try_from(self.concurrency).unwrap_or(1),
                queue_max: usize::try_from(self.queue_max).unwrap_or(1),
            },
        })
    }

    fn complain(&mut self, offset: usize, text: &str) {
        self.problems.push(Problem {
            source: Source::File(self.lines.place(offset)),
            text: text.to_owned(),
        });
    }
}

fn text<'v>(name: &str, value: &'v DeValue<'_>) -> Result<&'v str, String> {
    match value {
        DeValue::String(text) => Ok(text),
        other => Err(format!(
            "`{name}`: {} is not allowed; use a string",
            describe(other)
        )),
    }
}

fn number(name: &str, kind: Kind, value: &DeValue<'_>) -> Result<u64, String> {
    match kind.read_toml(value) {
        Ok(Value::Number(number)) => Ok(number),
        Ok(_) => Err(format!("`{name}`: use {}", kind.allowed())),
        Err(error) => Err(format!("`{name}`: {error}")),
    }
}
