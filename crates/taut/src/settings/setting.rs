//! One setting: its names, and how its value is set, shown and copied.

use taut_auth::Network;
use taut_server::{Endpoint, Listen};

use super::value::{Kind, Value};
use super::values::Values;

/// One setting.
pub(crate) struct Setting {
    /// Its key in the file.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One sentence for the help, without its unit and default, which the table knows.
    pub(crate) doc: &'static str,
    /// Where its value lives.
    pub(super) place: fn(&mut Values) -> Place<'_>,
}

/// A field of [`Values`].
pub(super) enum Place<'a> {
    Switch(&'a mut bool),
    U32(&'a mut u32),
    U64(&'a mut u64),
    Usize(&'a mut usize),
    Hosts(&'a mut Vec<String>),
    Origins(&'a mut Vec<String>),
    Words(&'a mut Vec<String>),
    Files(&'a mut Vec<String>),
    Listeners(&'a mut Vec<Listen>),
    Networks(&'a mut Vec<Network>),
    Text(&'a mut String),
    Address(&'a mut String),
}

impl Setting {
    /// The name of its environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("TAUT_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// Its flag, without the hyphens before it.
    pub(crate) fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// The table of the file that it stands in; empty for the top.
    pub(crate) fn section(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// Sets it. The error says what would be allowed.
    pub(crate) fn set(&self, values: &mut Values, value: Value) -> Result<(), String> {
        let too_great = |number: u64| format!("`{number}` is too great for this machine");
        match ((self.place)(values), value) {
            (Place::Switch(place), Value::Switch(switch)) => *place = switch,
            (Place::U32(place), Value::Number(number)) => {
                *place = u32::try_from(number).map_err(|_| too_great(number))?;
            }
            (Place::Usize(place), Value::Number(number)) => {
                *place = usize::try_from(number).map_err(|_| too_great(number))?;
            }
            (Place::U64(place), Value::Number(number)) => *place = number,
            (Place::Hosts(place), Value::List(items)) => {
                items.iter().try_for_each(|host| check_host(host))?;
                *place = items;
            }
            (Place::Origins(place), Value::List(items)) => {
                items.iter().try_for_each(|origin| check_origin(origin))?;
                *place = items;
            }
            (Place::Words(place), Value::List(items)) => *place = items,
            (Place::Files(place), Value::List(items)) => *place = items,
            (Place::Text(place), Value::Text(text)) => *place = text,
            (Place::Networks(place), Value::List(items)) => {
                let networks = items.iter().map(|item| item.parse::<Network>());
                *place = networks
                    .collect::<Result<_, _>>()
                    .map_err(|error| error.to_string())?;
            }
            (Place::Address(place), Value::Text(text)) => {
                check_address(&text)?;
                *place = text;
            }
            (Place::Listeners(place), Value::List(items)) => {
                let listeners = items.iter().map(|item| item.parse::<Listen>());
                let listeners: Vec<_> = listeners
                    .collect::<Result<_, _>>()
                    .map_err(|error| error.to_string())?;
                if listeners.is_empty() {
                    return Err("an empty list is not allowed; name at least one address, for example 127.0.0.1:8080".into());
                }
                *place = listeners;
            }
            _ => return Err(format!("use {}", self.kind.allowed())),
        }
        Ok(())
    }

    /// Its value, written as the file would have it.
    pub(crate) fn show(&self, values: &Values) -> String {
        self.kind.show(&self.value(values))
    }

    /// Gives `to` the value that it has in `from`.
    pub(crate) fn copy(&self, from: &Values, to: &mut Values) {
        // It was allowed there, so it is here.
        let _ = self.set(to, self.value(from));
    }

    /// Its value.
    pub(crate) fn value(&self, values: &Values) -> Value {
        // `place` gives exclusive places, which spares a second accessor per setting; a copy costs nothing here.
        let mut values = values.clone();
        match (self.place)(&mut values) {
            Place::Switch(place) => Value::Switch(*place),
            Place::U32(place) => Value::Number(u64::from(*place)),
            Place::U64(place) => Value::Number(*place),
            Place::Usize(place) => Value::Number(*place as u64),
            Place::Hosts(place)
            | Place::Origins(place)
            | Place::Words(place)
            | Place::Files(place) => Value::List(std::mem::take(place)),
            Place::Text(place) | Place::Address(place) => Value::Text(std::mem::take(place)),
            Place::Networks(place) => Value::List(place.iter().map(Network::to_string).collect()),
            Place::Listeners(place) => Value::List(place.iter().map(Listen::to_string).collect()),
        }
    }
}

/// One TCP address without a scheme, or nothing.
fn check_address(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let listen: Listen = text.parse().map_err(|error| format!("{error}"))?;
    match listen.endpoint {
        Endpoint::Tcp(_) if !text.contains("://") => Ok(()),
        _ => Err(format!(
            "`{text}` is not allowed; use HOST:PORT, for example 127.0.0.1:9464"
        )),
    }
}

/// A host that could never be one would silently allow nothing.
fn check_host(host: &str) -> Result<(), String> {
    let is_name = !host.is_empty() && !host.contains(['/', '@', '?', '*']) && host.is_ascii();
    if is_name && (!host.contains(':') || host.starts_with('[')) {
        return Ok(());
    }
    Err(format!(
        "`{host}` is not allowed; use a host name without scheme and port, for example chat.example"
    ))
}

/// The same for an origin: scheme, host and port, as browsers send it. Pages of apps and of browsers' extensions have schemes of their own
/// (`capacitor://localhost`); a page without an origin sends `null`, which is everybody's.
fn check_origin(origin: &str) -> Result<(), String> {
    let is_scheme = |scheme: &str| {
        let is_scheme_byte =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(is_scheme_byte)
            && !["ws", "wss"].contains(&scheme)
    };
    match origin.split_once("://") {
        Some((scheme, authority))
            if is_scheme(scheme)
                && !authority.is_empty()
                && authority.bytes().all(|byte| byte.is_ascii_graphic())
                && !authority.contains(['/', '?', '#', '*', '@']) =>
        {
            Ok(())
        }
        _ => Err(format!(
            "`{origin}` is not allowed; use an origin as browsers send it, without a path, for example https://app.example"
        )),
    }
}
