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

fn one(cell: &Cell) -> String {
    let columns = columns(cell);
    let line = |values: Vec<String>| format!("| {} |\n", values.join(" | "));
    let mut out = format!("{}\n\n", cell.scene.title());
    out.push_str(&line(
        columns.iter().map(|(name, _)| name.clone()).collect(),
    ));
    out.push_str(&format!("|{}\n", "---|".repeat(columns.len())));
    for row in &cell.rows {
        out.push_str(&line(columns.iter().map(|(_, value)| value(row)).collect()));
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
    let user = |row: &Row| spread(row.spread(|round| round.user_us), 3);
    let system = |row: &Row| spread(row.spread(|round| round.system_us), 3);
    let batch = |row: &Row| spread(row.spread(|round| round.batch), 1);
    let rate = |row: &Row| spread(row.spread(|round| Some(round.per_second() / 1e3)), 1);
    columns.push(column(
        &format!("CPU µs per {}", cell.scene.unit()),
        Box::new(cpu),
    ));
    columns.push(column("user", Box::new(user)));
    columns.push(column("system", Box::new(system)));
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

fn spread(spread: Option<Spread>, digits: usize) -> String {
    match spread {
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
