//! What a setting's value looks like: how it is read from text or TOML, and how it is written so that it can be read again.
//!
//! Numbers stand in the unit that ends their setting's name (`ping_ms = 25000`); strings may name another (`ping_ms = "25s"`).

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use toml::de::DeValue;

/// What kind of value a setting takes, and which values are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A number of things.
    Count(Bounds),
    /// A number of bytes, or a string like `64KiB`.
    Bytes(Bounds),
    /// A number of milliseconds, or a string like `15s`.
    Milliseconds(Bounds),
    /// A list of strings.
    List,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A level or filter for log lines.
    Filter,
    /// The path of a folder, or nothing.
    Folder,
    /// The path of a file, or nothing.
    File,
    /// Any text; what it is for people.
    Text(&'static str),
}

/// The least and the greatest number allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// Bounds from a range.
pub(crate) const fn bounds(range: RangeInclusive<u64>) -> Bounds {
    Bounds {
        least: *range.start(),
        most: *range.end(),
    }
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Switch(bool),
    Number(u64),
    List(Vec<String>),
    Text(String),
}

impl Kind {
    /// What is allowed, for people: the end of `… is not allowed; use …`.
    pub(crate) fn allowed(self) -> String {
        match self {
            Self::Switch => "true or false".into(),
            Self::Count(Bounds { least, most }) => format!("a whole number from {least} to {most}"),
            Self::Bytes(Bounds { least, most }) => format!(
                "a size from {} to {}, for example \"64KiB\" (a bare number is in bytes)",
                show_bytes(least),
                show_bytes(most)
            ),
            Self::Milliseconds(Bounds { least, most }) => format!(
                "a duration from {} to {}, for example \"15s\" (a bare number is in milliseconds)",
                show_ms(least),
                show_ms(most)
            ),
            Self::List => "a list of strings".into(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Filter => {
                "error, warn, info, debug, trace, off, or a filter like info,taut_server=debug"
                    .into()
            }
            Self::Folder => "the path of a folder, or \"\" for none".into(),
            Self::File => "the path of a file, or \"\" for none".into(),
            Self::Text(what) => format!("{what}, as a string"),
        }
    }

    /// Reads a value from an environment variable or a flag. Lists are separated by commas.
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Self::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(Value::Switch(true)),
                "false" | "no" | "off" | "0" => Ok(Value::Switch(false)),
                _ => Err(self.refuse(text)),
            },
            Self::List => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Ok(Value::List(items.map(str::to_owned).collect()))
            }
            _ => self.read_string(text),
        }
    }

    /// Reads a value from TOML.
    pub(crate) fn read_toml(self, value: &DeValue<'_>) -> Result<Value, String> {
        match (self, value) {
            (Self::Switch, DeValue::Boolean(switch)) => Ok(Value::Switch(*switch)),
            (Self::Count(_) | Self::Bytes(_) | Self::Milliseconds(_), DeValue::Integer(number)) => {
                let read = u64::from_str_radix(number.as_str(), number.radix()).ok();
                self.within(read, number.as_str())
            }
            (Self::List, DeValue::Array(items)) => {
                let items = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    _ => Err(
                        "it holds something that is no string; use a list of strings".to_owned(),
                    ),
                });
                items.collect::<Result<_, _>>().map(Value::List)
            }
            (Self::List, DeValue::String(text)) => Ok(Value::List(vec![text.to_string()])),
            (Self::Switch, DeValue::String(text)) => Err(format!(
                "\"{text}\" is not allowed; use true or false, without quotes"
            )),
            (Self::Count(_), DeValue::String(text)) => Err(format!(
                "\"{text}\" is not allowed; use {}, without quotes",
                self.allowed()
            )),
            (_, DeValue::String(text)) => self.read_string(text),
            (_, other) => Err(format!(
                "{} is not allowed; use {}",
                describe(other),
                self.allowed()
            )),
        }
    }

    fn read_string(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Count(_) => self.within(text.replace('_', "").parse().ok(), text),
            Self::Bytes(_) => self.within(with_unit(text, BYTES), text),
            Self::Milliseconds(_) => self.within(with_unit(text, MILLISECONDS), text),
            Self::Word(words) => match words.iter().find(|word| **word == text) {
                Some(word) => Ok(Value::Text((*word).to_owned())),
                None => Err(self.refuse(text)),
            },
            Self::Filter if is_filter(text) => Ok(Value::Text(text.to_owned())),
            Self::Folder | Self::File | Self::Text(_) => Ok(Value::Text(text.to_owned())),
            Self::Filter | Self::Switch | Self::List => Err(self.refuse(text)),
        }
    }

    fn within(self, number: Option<u64>, written: &str) -> Result<Value, String> {
        match (number, self) {
            (
                Some(number),
                Self::Count(bounds) | Self::Bytes(bounds) | Self::Milliseconds(bounds),
            ) if (bounds.least..=bounds.most).contains(&number) => Ok(Value::Number(number)),
            _ => Err(self.refuse(written)),
        }
    }

    fn refuse(self, written: &str) -> String {
        format!("`{written}` is not allowed; use {}", self.allowed())
    }

    /// Writes a value as TOML that reads as the same value.
    pub(crate) fn show(self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Switch(switch)) => switch.to_string(),
            (Self::Bytes(_), Value::Number(number)) => format!("\"{}\"", show_bytes(*number)),
            (Self::Milliseconds(_), Value::Number(number)) => format!("\"{}\"", show_ms(*number)),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Text(text)) => quoted(text),
            (_, Value::List(items)) => {
                let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

/// Whether the subscriber understands `text` as a person means it: a lone word that is no level would be the name of a module.
fn is_filter(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let means_it = text.split(',').all(|part| {
        part.contains('=')
            || levels
                .iter()
                .any(|level| part.trim().eq_ignore_ascii_case(level))
    });
    means_it && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}

/// Units, greatest first: what they are written as and how many of the least they are.
type Units = &'static [(&'static str, u64)];

const BYTES: Units = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

const MILLISECONDS: Units = &[
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("m", 60_000),
    ("s", 1_000),
];

fn with_unit(text: &str, units: Units) -> Option<u64> {
    let unit = units.iter().find(|(unit, _)| {
        text.strip_suffix(unit)
            .is_some_and(|number| number.trim_end().ends_with(|c: char| c.is_ascii_digit()))
    });
    let (number, factor) = match unit {
        Some((unit, factor)) => (text.strip_suffix(unit)?, *factor),
        None => (text, 1),
    };
    let number: u64 = number.trim_end().replace('_', "").parse().ok()?;
    number.checked_mul(factor)
}

fn show_bytes(bytes: u64) -> String {
    show_with(
        bytes,
        &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)],
        "B",
    )
}

fn show_ms(ms: u64) -> String {
    show_with(
        ms,
        &[
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("min", 60_000),
            ("s", 1_000),
        ],
        "ms",
    )
}

/// In the greatest unit that divides the number.
fn show_with(number: u64, units: Units, least: &str) -> String {
    let unit = units
        .iter()
        .find(|(_, factor)| number > 0 && number.is_multiple_of(*factor));
    match unit {
        Some((unit, factor)) => format!("{}{unit}", number / factor),
        None => format!("{number}{least}"),
    }
}

/// A TOML basic string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What a TOML value is, for an error.
pub(crate) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(switch) => format!("`{switch}`"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SIZE: Kind = Kind::Bytes(bounds(0..=u64::MAX));
    const TIME: Kind = Kind::Milliseconds(bounds(0..=u64::MAX));

    #[test]
    fn sizes_and_durations_are_read_with_and_without_a_unit() {
        for (text, number) in [
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("1MB", 1_000_000),
            ("2GiB", 2 << 30),
            ("1_000", 1_000),
        ] {
            assert_eq!(SIZE.read(text), Ok(Value::Number(number)), "{text}");
        }
        for (text, number) in [
            ("250", 250),
            ("250ms", 250),
            ("15s", 15_000),
            ("5min", 300_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(TIME.read(text), Ok(Value::Number(number)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in [
            "",
            "KiB",
            "-1",
            "1.5MiB",
            "64 kib",
            "64XB",
            "99999999999999999999",
            "18446744073709551615KiB",
        ] {
            let error = SIZE.read(text).unwrap_err();
            assert!(error.contains("64KiB"), "{error}");
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same() {
        for number in [
            0,
            1,
            999,
            1_000,
            1_500,
            60_000,
            65_536,
            86_400_000,
            1 << 30,
            u64::MAX,
        ] {
            for kind in [SIZE, TIME] {
                let shown = kind.show(&Value::Number(number));
                assert_eq!(
                    kind.read(shown.trim_matches('"')),
                    Ok(Value::Number(number)),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn bounds_are_named() {
        let error = Kind::Count(bounds(1..=64)).read("65").unwrap_err();
        assert_eq!(
            error,
            "`65` is not allowed; use a whole number from 1 to 64"
        );
    }
}
