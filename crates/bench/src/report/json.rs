//! The report as one object.

use serde_json::{Value, json};

use super::table::times;
use super::{Cell, Report, Row, Spread};
use crate::load::Pace;
use crate::scenario::{Round, Scene};

const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
    ("max", 1.0),
];

/// Everything that was measured, with every round.
pub(crate) fn json(report: &Report) -> Value {
    json!({
        "command": report.command,
        "payload_bytes": report.payload_bytes,
        "measurements": report.cells.iter().map(cell).collect::<Vec<_>>(),
    })
}

fn cell(cell: &Cell) -> Value {
    let mut value = match cell.scene {
        Scene::Fanout { members, pace } => talk("fanout", members, pace),
        Scene::Echo { members, pace } => talk("echo", members, pace),
        Scene::Rooms { members, of, pace } => {
            let mut value = talk("rooms", members, pace);
            value["room_members"] = of.into();
            value
        }
        Scene::Idle { members } => json!({"scenario": "idle", "members": members}),
        Scene::Churn { members } => json!({"scenario": "churn", "members": members}),
    };
    let programs = cell.rows.iter().map(|own| row(cell, own));
    value["programs"] = programs.collect();
    value
}

fn talk(scenario: &str, members: usize, pace: Pace) -> Value {
    match pace {
        Pace::Window(window) => {
            json!({"scenario": scenario, "members": members, "in_flight": window})
        }
        Pace::Rate(rate) => {
            json!({"scenario": scenario, "members": members, "messages_per_s": rate})
        }
    }
}

fn row(cell: &Cell, row: &Row) -> Value {
    let tally = row.tally();
    let mut value = json!({
        "program": row.name,
        "door": row.door,
        "rounds": row.rounds.len(),
        "count": row.rounds.iter().map(|round| round.count).sum::<u64>(),
        "lost": tally.lost,
        "duplicated": tally.duplicated,
        "reordered": tally.reordered,
        "strayed": tally.strayed,
        "changed": tally.changed,
    });
    let spreads = [
        ("cpu_us", row.spread(Round::cpu_us)),
        ("user_us", row.spread(|round| round.user_us)),
        ("system_us", row.spread(|round| round.system_us)),
        ("messages_per_write", row.spread(|round| round.batch)),
        ("conn_bytes", row.spread(|round| round.conn_bytes)),
        ("times_the_first", times(cell, row)),
    ];
    for (name, found) in spreads {
        if let Some(found) = found {
            value[name] = spread(found);
        }
    }
    if let Some(histogram) = row.latency_ns() {
        let per_second = row.spread(|round| Some(round.per_second()));
        value["per_second"] = per_second.map(spread).into();
        let late_ns = row.rounds.iter().map(|round| round.late_ns_max).max();
        value["generator_late_ns_max"] = late_ns.into();
        for (name, quantile) in QUANTILES {
            value["latency_ns"][name] = histogram.value_at_quantile(quantile).into();
        }
    }
    value
}

fn spread(spread: Spread) -> Value {
    json!({"median": spread.median, "min": spread.min, "max": spread.max})
}
