//! Log lines, to stderr.
//!
//! What peers say reaches a line only escaped: no line ends early, and no terminal is told anything. In text every field is escaped as it is written; in JSON,
//! whose strings escape most, the rest is escaped on its way out.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format;

use crate::failure::{Code, Failure};
use crate::settings::values::Log;

/// Changes what is logged while the server runs.
pub(crate) struct Level(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send>);

impl Level {
    /// Logs by another filter from now on.
    pub(crate) fn set(&self, level: &str) -> Result<(), String> {
        let filter = filter(level).map_err(|error| error.to_string())?;
        (self.0)(filter)
    }
}

/// Starts logging.
pub(crate) fn start(log: &Log) -> Result<Level, Failure> {
    let filter = filter(&log.level).map_err(Failure::usage)?;
    // A line that cannot be written is lost. To say so on stderr as well would panic where stderr is what is gone.
    let builder = tracing_subscriber::fmt()
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false);
    let (level, started) = if log.format == "json" {
        let builder = builder
            .json()
            .with_writer(|| Careful(io::stderr()))
            .with_env_filter(filter)
            .with_filter_reloading();
        let handle = builder.reload_handle();
        let set = move |filter| handle.reload(filter).map_err(|error| error.to_string());
        (Level(Box::new(set)), builder.try_init())
    } else {
        let builder = builder
            .fmt_fields(format::debug_fn(field).delimited(" "))
            .with_writer(io::stderr)
            .with_env_filter(filter)
            .with_filter_reloading();
        let handle = builder.reload_handle();
        let set = move |filter| handle.reload(filter).map_err(|error| error.to_string());
        (Level(Box::new(set)), builder.try_init())
    };
    started.map_err(|error| Failure::new(Code::Failure, error))?;
    Ok(level)
}

/// The filter that is asked for. What the library of HTTP/2 says of every frame is left out, unless it is asked for by name.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(format!("h2=error,{level}"))
}

/// One field of a text line. The message stands alone, everything else behind its name.
fn field(
    out: &mut format::Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    if field.name() != "message" {
        write!(out, "{}=", field.name())?;
    }
    write!(Escaping(out), "{value:?}")
}

/// Escapes what could end a line or speak to a terminal.
struct Escaping<W>(W);

impl<W: fmt::Write> fmt::Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_dangerous) {
            let (plain, behind) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut behind = behind.chars();
            if let Some(c) = behind.next() {
                write!(self.0, "{}", c.escape_unicode())?;
            }
            rest = behind.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Whether a character can do more than be seen: control characters of both sets, line ends of Unicode, and those that turn the direction of a text, by which a line
/// could show something else than it says.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Writes whole JSON lines; what JSON lets stand in a string and a terminal would obey is written as an escape. The lines' own ends are left.
struct Careful<W>(W);

impl<W: Write> Write for Careful<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(line) if line.contains(|c| c != '\n' && is_dangerous(c)) => {
                let mut escaped = String::with_capacity(line.len() + 16);
                for c in line.chars() {
                    if c != '\n' && is_dangerous(c) {
                        // Writing to a String cannot fail; all of them are of the basic plane.
                        let _ = write!(escaped, "\\u{:04x}", u32::from(c));
                    } else {
                        escaped.push(c);
                    }
                }
                self.0.write_all(escaped.as_bytes())?;
            }
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_ends_a_line_or_speaks_to_a_terminal_is_escaped() {
        let mut out = String::new();
        write!(
            Escaping(&mut out),
            "a\nb\r\x1b[31mc\u{9b}d\u{202e}e\u{2028}f ä→😀"
        )
        .unwrap();
        assert_eq!(
            out,
            "a\\u{a}b\\u{d}\\u{1b}[31mc\\u{9b}d\\u{202e}e\\u{2028}f ä→😀"
        );
    }

    #[test]
    fn a_json_line_stays_one() {
        let mut out = Vec::new();
        let line = "{\"a\":\"x\u{9b}y\u{202e}\u{7f}ä\"}\n";
        assert_eq!(
            Careful(&mut out).write(line.as_bytes()).unwrap(),
            line.len()
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":\"x\\u009by\\u202e\\u007fä\"}\n"
        );
    }
}
