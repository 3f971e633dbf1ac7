//! `[[webhooks]]`: where the application is asked before something happens. The first one that covers a room counts; newcomers have one at most.

use std::sync::Arc;

use taut_auth::WebhookKey;
use taut_hub::Pattern;
use taut_server::{Authorities, HookEvent, HookUrl, OnFailure, Webhook};
use toml::de::{DeTable, DeValue};

use super::auth::read_file;
use super::file::Lines;
use super::source::{Place, Problem, Source};
use super::suggest::nearest;
use super::value::{Kind, Value, bounds, describe};

/// One webhook, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// As it is written, to be shown; `None` where it is not about rooms.
    pub(crate) pattern: Option<String>,
    /// The file of authorities, to be shown.
    pub(crate) ca_file: Option<String>,
    pub(crate) place: Place,
    pub(crate) webhook: Webhook,
}

const KEYS: [&str; 11] = [
    "event",
    "match",
    "url",
    "secret",
    "secret_file",
    "deadline_ms",
    "on_failure",
    "concurrency",
    "queue_max",
    "ca_file",
    "allow_http",
];
const DEADLINE: Kind = Kind::Milliseconds(bounds(10..=60_000));
/// Who wants in waits no longer than clients do for a connection.
const CONNECT_DEADLINE_MS_MAX: u64 = 20_000;
const CONCURRENCY: Kind = Kind::Count(bounds(1..=64));
const QUEUE: Kind = Kind::Count(bounds(1..=65_536));

struct Reader<'a> {
    lines: &'a Lines,
    problems: Vec<Problem>,
    event: Option<Event>,
    pattern: Option<(String, Pattern)>,
    url: Option<HookUrl>,
    secret: Option<Vec<u8>>,
    deadline_ms: u64,
    on_failure: OnFailure,
    concurrency: u64,
    queue_max: u64,
    ca_file: Option<(String, Authorities)>,
    allow_http: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Publish,
    Connect,
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
        event: None,
        pattern: None,
        url: None,
        secret: None,
        deadline_ms: 2_000,
        on_failure: OnFailure::Refuse,
        concurrency: 4,
        queue_max: 1_024,
        ca_file: None,
        allow_http: false,
    };
    for (key, value) in entries {
        if let Err(text) = reader.take(key.get_ref(), value.get_ref()) {
            reader.complain(value.span().start, &text);
        }
    }
    let hook = reader.hook(start);
    (hook, reader.problems)
}

impl Reader<'_> {
    fn take(&mut self, name: &str, value: &DeValue<'_>) -> Result<(), String> {
        match name {
            "event" => match text(name, value)? {
                "publish" => {
                    self.event = Some(Event::Publish);
                    Ok(())
                }
                "connect" => {
                    self.event = Some(Event::Connect);
                    Ok(())
                }
                _ => Err("`event`: there are \"connect\" and \"publish\"".into()),
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
            "ca_file" => {
                let path = text(name, value)?;
                let read = Authorities::from_pem(&read_file(path)?);
                let read = read.map_err(|error| format!("`ca_file`: {path}: {error}"))?;
                self.ca_file = Some((path.to_owned(), read));
                Ok(())
            }
            "allow_http" => match value {
                DeValue::Boolean(allow) => {
                    self.allow_http = *allow;
                    Ok(())
                }
                _ => Err("`allow_http`: say true or false".into()),
            },
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

    fn hook(&mut self, start: usize) -> Option<Hook> {
        if !self.problems.is_empty() {
            return None;
        }
        let is_publish = self.event == Some(Event::Publish);
        let missing = [
            (self.event.is_some(), "event = \"publish\""),
            (
                self.pattern.is_some() || !is_publish,
                "match = \"orders/**\"",
            ),
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
        let url = self.url.take()?;
        if self.event == Some(Event::Connect) {
            self.check_connect(start, &url);
        }
        let (written, event) = match self.event? {
            Event::Connect => (None, HookEvent::Connect),
            Event::Publish => {
                let (written, pattern) = self.pattern.take()?;
                (Some(written), HookEvent::Publish(pattern))
            }
        };
        let (ca_file, authorities) = self.ca_file.take().unzip();
        self.problems.is_empty().then(|| Hook {
            pattern: written,
            ca_file,
            place: self.lines.place(start),
            webhook: Webhook {
                event,
                url,
                key: Arc::new(key),
                deadline_ms: self.deadline_ms,
                on_failure: self.on_failure,
                concurrency: usize::try_from(self.concurrency).unwrap_or(1),
                queue_max: usize::try_from(self.queue_max).unwrap_or(1),
                authorities,
            },
        })
    }

    /// What is wrong only of a webhook about newcomers, which is told their credentials.
    fn check_connect(&mut self, start: usize, url: &HookUrl) {
        if self.pattern.is_some() {
            let text = "event = \"connect\" is asked about every newcomer; leave `match` out";
            self.complain(start, text);
        }
        if !url.is_private() && !self.allow_http {
            let text = "`url`: cookies and tokens of newcomers go there, so use https://; on a network of your own set allow_http = true";
            self.complain(start, text);
        }
        if self.deadline_ms > CONNECT_DEADLINE_MS_MAX {
            let text =
                format!("`deadline_ms`: newcomers wait for {CONNECT_DEADLINE_MS_MAX} at most");
            self.complain(start, &text);
        }
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
