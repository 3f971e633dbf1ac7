//! The table at the end, in Markdown.

use super::{Cell, Report, Row, Spread};
use crate::scenario::{Round, Scene};

/// A column: its name, and what it says of a row.
pub(super) type Column<'c> = (String, Box<dyn Fn(&Row) -> String + 'c>);

/// One table for each scene.
pub(crate) fn table(report: &Report) -> String {
    let tables: Vec<String> = report.cells.iter().map(one).collect();
    tables.join("\n")
}

/// Padded, so that it reads as a table on a terminal as well.
fn one(cell: &Cell) -> String {
    let columns = columns(cell);
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|(name, _)| name.clone()).collect()];
    lines.extend(
        cell.rows
            .iter()
            .map(|row| columns.iter().map(|(_, value)| value(row)).collect()),
    );
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut out = format!("{}\n\n", cell.scene.title());
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

/// What is told of a scene.
pub(super) fn columns(cell: &Cell) -> Vec<Column<'_>> {
    let column = |name: &str, value: Box<dyn Fn(&Row) -> String + 'static>| -> Column<'static> {
        (name.into(), value)
    };
    let ratio: Column<'_> = (
        "times the first".into(),
        Box::new(|row: &Row| spread(times(cell, row), 2)),
    );
    let mut columns: Vec<Column<'_>> = vec![column("program", Box::new(name))];
    if matches!(cell.scene, Scene::Idle { .. }) {
        let bytes = |row: &Row| spread(row.spread(|round| round.conn_bytes), 0);
        columns.push(column("resident bytes of each", Box::new(bytes)));
        columns.push(ratio);
        return columns;
    }
    let cpu = |row: &Row| spread(row.spread(Round::cpu_us), 3);
    let batch = |row: &Row| median(row.spread(|round| round.batch), 1);
    let rate = |row: &Row| median(row.spread(|round| Some(round.per_second() / 1e3)), 1);
    columns.push(column(
        &format!("CPU µs per {}", cell.scene.unit()),
        Box::new(cpu),
    ));
    columns.push(column("user + system", Box::new(parts)));
    columns.push(ratio);
    if cell.scene.pace().is_some() {
        columns.push(column("messages per write", Box::new(batch)));
    }
    columns.push(column("thousand a second", Box::new(rate)));
    columns.push(column("latency p50 / p99 / max", Box::new(latency)));
    if cell.scene.pace().is_some() {
        columns.push(column("wrong", Box::new(|row| row.tally().words())));
    }
    columns
}

/// A row's name, with its door.
pub(super) fn name(row: &Row) -> String {
    if row.is_floor {
        return row.name.clone();
    }
    format!("{} ({})", row.name, row.door)
}

/// Compared with the first row, which stands for itself.
pub(super) fn times(cell: &Cell, row: &Row) -> Option<Spread> {
    let first = cell.rows.first()?;
    if std::ptr::eq(first, row) {
        return None;
    }
    row.times(first)
}

fn parts(row: &Row) -> String {
    match row.parts_us() {
        Some((user, system)) => format!("{user:.3} + {system:.3}"),
        None => "-".into(),
    }
}

fn median(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || "-".into(),
        |spread| format!("{:.digits$}", spread.median),
    )
}

/// The spread says nothing where there was one round.
fn spread(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        Some(Spread { median, min, max }) if min == max => format!("{median:.digits$}"),
        Some(Spread { median, min, max }) => {
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        }
        None => "-".into(),
    }
}

fn latency(row: &Row) -> String {
    let Some(histogram) = row.latency_ns() else {
        return "-".into();
    };
    let at = |quantile: f64| time(histogram.value_at_quantile(quantile));
    format!("{} / {} / {}", at(0.5), at(0.99), time(histogram.max()))
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
