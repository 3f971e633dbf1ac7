//! `taut check`: is the configuration understood, and what is in force?
//!
//! What it prints is a configuration file that would put the same in force, with each value's origin as a comment.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::ArgMatches;
use taut_server::{CertificateSource, Config, HookEvent, OnFailure, Server};

use crate::failure::Failure;
use crate::load::load;
use crate::metrics;
use crate::secrecy;
use crate::settings::Settings;
use crate::settings::rooms;
use crate::settings::table::TABLE;
use crate::settings::value::quoted;
use crate::settings::webhooks::Hook;
use crate::token;

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let settings = load(Some(matches))?;
    let tls = &settings.values.config.tls;
    let certificates = if settings.values.tls.self_signed {
        Vec::new()
    } else {
        tls.check().map_err(Failure::usage)?
    };
    let mut notes = settings.notes.clone();
    notes.extend(secrecy::notes(&settings.values.config.hosts, &certificates));
    for note in &notes {
        // Where stderr is closed, nobody wants notes.
        let _ = writeln!(std::io::stderr(), "note: {note}");
    }
    let asked = |name| matches.get_one::<String>(name);
    if let (Some(token), Some(room)) = (asked("token"), asked("room")) {
        return token::check(&settings, token, room);
    }
    could_start(&settings)?;
    std::io::stdout().write_all(show(&settings).as_bytes())?;
    Ok(())
}

/// What only the start would say else: an address that nobody may serve so, a folder that is not there.
fn could_start(settings: &Settings) -> Result<(), Failure> {
    let mut config = Config {
        metrics: metrics::config(&settings.values.metrics)?,
        ..settings.values.config.clone()
    };
    if settings.values.tls.self_signed {
        // It is made at the start; here it only has to be there.
        let (chain, key) = (String::new(), String::new());
        let made = CertificateSource::Pem { chain, key };
        config.tls.certificates.push(made);
    }
    Server::check(&config).map_err(Failure::usage)
}

/// What is in force, as TOML.
fn show(settings: &Settings) -> String {
    let mut rows = Rows::default();
    rows.comment(match &settings.path {
        Some(path) => format!("# The configuration is fine. File: {path}"),
        None => {
            "# The configuration is fine. No file: neither --config nor TAUT_CONFIG nor ./taut.toml"
                .into()
        }
    });
    let mut section = "";
    for (setting, source) in TABLE.iter().zip(&settings.sources) {
        if setting.section() != section {
            section = setting.section();
            rows.comment(format!("\n[{section}]"));
        }
        let key = setting.name.rsplit('.').next().unwrap_or(setting.name);
        rows.value(key, &setting.show(&settings.values), source);
    }
    let mut role = "";
    for rule in &settings.roles {
        if rule.role != role {
            role = &rule.role;
            rows.comment(format!("\n[roles.{}]", toml_key(role)));
        }
        let (pattern, rights) = (quoted(&rule.pattern), quoted(&rule.rights));
        rows.value(&pattern, &rights, &rule.place);
    }
    rows.comment("\n[[rooms]]".into());
    rows.value("match", "\"**\"", &"default");
    let policy = rooms::whole_change(&rooms::default_policy(&settings.values));
    for setting in rooms::TABLE {
        if let Some(shown) = setting.show(&policy) {
            rows.value(
                setting.name,
                &shown,
                &default_origin(setting.name, settings),
            );
        }
    }
    for rule in &settings.rules {
        rows.comment("\n[[rooms]]".into());
        let pattern = quoted(&rule.pattern.to_string());
        rows.value("match", &pattern, &rule.place);
        for (setting, place) in &rule.changes {
            if let Some(shown) = setting.show(&rule.change) {
                rows.value(setting.name, &shown, place);
            }
        }
    }
    for hook in &settings.hooks {
        show_hook(&mut rows, hook);
    }
    rows.finish()
}

/// A webhook, but for its secret.
fn show_hook(rows: &mut Rows, hook: &Hook) {
    let webhook = &hook.webhook;
    let on_failure = match webhook.on_failure {
        OnFailure::Allow => "allow",
        OnFailure::Refuse => "refuse",
    };
    rows.comment("\n[[webhooks]]".into());
    let event = match webhook.event {
        HookEvent::Publish(_) => "publish",
        HookEvent::Connect => "connect",
    };
    rows.value("event", &quoted(event), &hook.place);
    if let Some(pattern) = &hook.pattern {
        rows.value("match", &quoted(pattern), &hook.place);
    }
    rows.value("url", &quoted(&webhook.url.to_string()), &hook.place);
    rows.comment("# secret is set, and not shown".into());
    rows.value("deadline_ms", &webhook.deadline_ms.to_string(), &hook.place);
    rows.value("on_failure", &quoted(on_failure), &hook.place);
    rows.value("concurrency", &webhook.concurrency.to_string(), &hook.place);
    rows.value("queue_max", &webhook.queue_max.to_string(), &hook.place);
    if hook.pattern.is_none() && !webhook.url.is_private() {
        rows.value("allow_http", "true", &hook.place);
    }
    if let Some(path) = &hook.ca_file {
        rows.value("ca_file", &quoted(path), &hook.place);
    }
}

/// A name as TOML has it as a key.
fn toml_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match name.bytes().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A room's largest message follows the connections' one, where no door takes a larger one.
fn default_origin(name: &str, settings: &Settings) -> String {
    let limits = &settings.values.config.limits;
    if limits.message_bytes_max < limits.widest_message_bytes() {
        return "default".into();
    }
    let limit = TABLE
        .iter()
        .position(|setting| setting.name == "limits.message_bytes_max");
    let source = limit.and_then(|index| settings.sources.get(index));
    match source {
        Some(source) if name == "message_bytes_max" => {
            format!("{source}, as limits.message_bytes_max")
        }
        _ => "default".into(),
    }
}

/// Lines, the comments behind values in one column.
#[derive(Default)]
struct Rows(Vec<(String, Option<String>)>);

impl Rows {
    fn comment(&mut self, text: String) {
        self.0.push((text, None));
    }

    fn value(&mut self, key: &str, value: &str, source: &dyn std::fmt::Display) {
        self.0
            .push((format!("{key} = {value}"), Some(source.to_string())));
    }

    fn finish(self) -> String {
        let values = self.0.iter().filter(|(_, source)| source.is_some());
        let lengths = values.map(|(text, _)| text.chars().count());
        let width = lengths.filter(|length| *length <= 56).max().unwrap_or(0);
        let mut out = String::new();
        for (text, source) in &self.0 {
            // Writing to a String cannot fail.
            let _ = match source {
                Some(source) => writeln!(out, "{text:<width$}  # {source}"),
                None => writeln!(out, "{text}"),
            };
        }
        out
    }
}
