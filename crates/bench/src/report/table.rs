//! The table at the end, in Markdown.

use super::Spread;
use super::saved::{Latency, Measurement, Program, Report};
use crate::scenario::Scene;

/// A column: its name, and what it says of a program.
pub(super) type Column = (String, fn(&Program) -> String);

/// One table for each scene.
pub(crate) fn table(report: &Report) -> String {
    let tables: Vec<String> = report.measurements.iter().map(one).collect();
    tables.join("\n")
}

/// Padded, so that it reads as a table on a terminal as well.
fn one(measurement: &Measurement) -> String {
    let columns = columns(measurement);
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|(name, _)| name.clone()).collect()];
    lines.extend(
        measurement
            .programs
            .iter()
            .map(|program| columns.iter().map(|(_, value)| value(program)).collect()),
    );
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut out = format!("{}\n\n", heading(&measurement.scene));
    for (number, line) in lines.iter().enumerate() {
        for (value, width) in line.iter().zip(&widths) {
            let padding = " ".repeat(width - value.chars().count());
            out.push_str(&format!("| {value}{padding} "));
        }
        out.push_str("|\n");
        if number == 0 {
            widths
                .iter()
                .for_each(|width| out.push_str(&format!("|{}", "-".repeat(width + 2))));
            out.push_str("|\n");
        }
    }
    out
}

/// A scene's title where it stands alone.
pub(super) fn heading(scene: &Scene) -> String {
    let title = scene.title();
    let mut characters = title.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

/// What is told of a scene.
pub(super) fn columns(measurement: &Measurement) -> Vec<Column> {
    let scene = measurement.scene;
    let column = |name: &str, value: fn(&Program) -> String| -> Column { (name.into(), value) };
    let ratio = column("times the first", |program| {
        spread(program.times_the_first, 2)
    });
    let mut columns = vec![column("program", Program::title)];
    if matches!(scene, Scene::Idle { .. }) {
        columns.push(column("resident bytes of each", |program| {
            spread(program.conn_bytes, 0)
        }));
        columns.push(ratio);
        return columns;
    }
    columns.push(column(&format!("CPU µs per {}", scene.unit()), |program| {
        spread(program.cpu_us, 3)
    }));
    columns.push(column("user + system", parts));
    columns.push(ratio);
    if measurement
        .programs
        .iter()
        .any(|program| program.times_the_floor.is_some())
    {
        columns.push(column("times the floor", |program| {
            spread(program.times_the_floor, 2)
        }));
    }
    if scene.pace().is_some() {
        columns.push(column("messages per write", |program| {
            median(program.messages_per_write, 1)
        }));
    }
    columns.push(column("thousand a second", |program| {
        let thousand = program.per_second.map(|spread| spread.times(1e-3));
        median(thousand, 1)
    }));
    columns.push(column("latency p50 / p99 / max", |program| {
        program.latency_ns.as_ref().map_or_else(none, latency)
    }));
    if scene.pace().is_some() {
        columns.push(column("wrong", |program| program.tally.words()));
    }
    columns
}

fn none() -> String {
    "-".into()
}

fn parts(program: &Program) -> String {
    match program.parts_us {
        Some(parts) => format!("{:.3} + {:.3}", parts.user, parts.system),
        None => none(),
    }
}

fn median(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(none, |spread| format!("{:.digits$}", spread.median))
}

/// The spread says nothing where there was one round.
fn spread(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        Some(Spread { median, min, max }) if min == max => format!("{median:.digits$}"),
        Some(Spread { median, min, max }) => {
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        }
        None => none(),
    }
}

fn latency(latency: &Latency) -> String {
    let Latency { p50, p99, max, .. } = *latency;
    format!("{} / {} / {}", time(p50), time(p99), time(max))
}

/// A length of time with a unit that suits it.
pub(super) fn time(ns: u64) -> String {
    match ns as f64 {
        ns if ns < 1e4 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e6 => format!("{:.0} µs", ns / 1e3),
        ns if ns < 1e8 => format!("{:.1} ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}
