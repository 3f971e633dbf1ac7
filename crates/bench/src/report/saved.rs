//! A report as it is kept: what `--json` prints, and what tables and plots are made of, at once or later.

use serde::{Deserialize, Serialize};

use super::{Cell, Row, Spread};
use crate::machine::Machine;
use crate::scenario::{Round, Scene};
use crate::verify::Tally;

/// Points of the curve of a latency for each further nine of its share.
pub(super) const POINTS_PER_NINE: u32 = 5;
/// The last point of the curve is what all but 10^-5 had at most.
pub(super) const NINES: u32 = 5;

/// All that one command measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The command line that asked for it.
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) machine: Machine,
    pub(crate) payload_bytes: usize,
    pub(crate) measurements: Vec<Measurement>,
}

/// One scene, by program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measurement {
    #[serde(flatten)]
    pub(crate) scene: Scene,
    /// The first is the one that the others are compared with.
    pub(crate) programs: Vec<Program>,
}

/// What one program's rounds came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Program {
    #[serde(rename = "program")]
    pub(crate) name: String,
    pub(crate) door: String,
    #[serde(default)]
    pub(crate) is_floor: bool,
    pub(crate) rounds: usize,
    /// Deliveries, or whatever else was done.
    pub(crate) count: u64,
    #[serde(flatten)]
    pub(crate) tally: Tally,
    /// CPU time of one delivery, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us: Option<Spread>,
    /// How it divides, over all rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parts_us: Option<Parts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) messages_per_write: Option<Spread>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) conn_bytes: Option<Spread>,
    /// What it costs, as a multiple of what the first program costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times_the_first: Option<Spread>,
    /// What it does for the same CPU time, as a multiple of what the bare program does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times_the_floor: Option<Spread>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<Spread>,
    /// How late the generator itself was at worst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generator_late_ns_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ns: Option<Latency>,
}

/// User and system time of the mean delivery, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// How latencies are spread, in nanoseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) p9999: u64,
    pub(crate) max: u64,
    /// What all but a share of 10^-(n / 5) had at most, for n from 0 to 25.
    #[serde(default)]
    pub(crate) curve: Vec<u64>,
}

impl Report {
    pub(crate) fn new(
        command: String,
        machine: Machine,
        payload_bytes: usize,
        cells: &[Cell],
    ) -> Self {
        Self {
            command,
            machine,
            payload_bytes,
            measurements: cells.iter().map(Measurement::new).collect(),
        }
    }

    /// Programs with which something did not arrive as it must.
    pub(crate) fn faulty(&self) -> Vec<String> {
        let programs = self.measurements.iter().flat_map(|measurement| {
            let title = measurement.scene.title();
            let programs = measurement.programs.iter();
            programs.map(move |program| (title.clone(), program))
        });
        let faulty = programs.filter(|(_, program)| !program.tally.is_clean());
        faulty
            .map(|(title, program)| format!("{title}, {}: {}", program.name, program.tally.words()))
            .collect()
    }
}

impl Measurement {
    fn new(cell: &Cell) -> Self {
        Self {
            scene: cell.scene,
            programs: cell
                .rows
                .iter()
                .map(|row| Program::new(cell, row))
                .collect(),
        }
    }
}

impl Program {
    fn new(cell: &Cell, row: &Row) -> Self {
        let latency_ns = row.latency_ns();
        let is_told = latency_ns.is_some();
        let late_ns_max = row.rounds.iter().map(|round| round.late_ns_max).max();
        Self {
            name: row.name.clone(),
            door: row.door.to_owned(),
            is_floor: row.is_floor,
            rounds: row.rounds.len(),
            count: row.rounds.iter().map(|round| round.count).sum(),
            tally: row.tally(),
            cpu_us: row.spread(Round::cpu_us),
            parts_us: row.parts_us(),
            messages_per_write: row.spread(|round| round.batch),
            conn_bytes: row.spread(|round| round.conn_bytes),
            times_the_first: cell.times_the_first(row),
            times_the_floor: cell.times_the_floor(row),
            per_second: row
                .spread(|round| Some(round.per_second()))
                .filter(|_| is_told),
            generator_late_ns_max: late_ns_max.filter(|_| is_told),
            latency_ns: latency_ns.map(|histogram| Latency::new(&histogram)),
        }
    }

    /// Its name, with its door.
    pub(super) fn title(&self) -> String {
        if self.is_floor {
            return self.name.clone();
        }
        format!("{} ({})", self.name, self.door)
    }
}

impl Latency {
    fn new(histogram: &hdrhistogram::Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile);
        let nines = |step: u32| f64::from(step) / f64::from(POINTS_PER_NINE);
        let curve = (0..=NINES * POINTS_PER_NINE).map(|step| at(1.0 - 10_f64.powf(-nines(step))));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
            curve: curve.collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pace::Pace;

    #[test]
    fn a_scene_reads_back_as_it_was_written() {
        let window = Pace::Window(16);
        let scenes = [
            Scene::Fanout {
                members: 5,
                pace: window,
            },
            Scene::Echo {
                members: 5,
                pace: Pace::Rate(0.5),
            },
            Scene::Rooms {
                members: 9,
                of: 3,
                pace: window,
            },
            Scene::Idle { members: 5 },
            Scene::Churn { members: 5 },
        ];
        for scene in scenes {
            let measurement = Measurement {
                scene,
                programs: Vec::new(),
            };
            let text = serde_json::to_string(&measurement).unwrap();
            let read: Measurement = serde_json::from_str(&text).unwrap();
            assert_eq!(read.scene, scene, "{text}");
        }
    }
}
