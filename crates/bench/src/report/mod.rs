//! What was measured, for people and for programs.

mod html;
mod json;
mod plot;
mod table;

pub(crate) use html::html;
pub(crate) use json::json;
pub(crate) use table::table;

use hdrhistogram::Histogram;

use crate::load::Pace;
use crate::scenario::{Round, Scene};
use crate::verify::Tally;

/// All that one command measured.
pub(crate) struct Report {
    /// The command line that asked for it.
    pub(crate) command: String,
    pub(crate) payload_bytes: usize,
    pub(crate) cells: Vec<Cell>,
}

/// One scene, by subject.
pub(crate) struct Cell {
    pub(crate) scene: Scene,
    pub(crate) rows: Vec<Row>,
}

/// One subject's rounds.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) door: &'static str,
    pub(crate) is_floor: bool,
    pub(crate) rounds: Vec<Round>,
}

/// Median, least and greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of some values; `None` where there is none.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (first, last) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Some(Self {
            median,
            min: first,
            max: last,
        })
    }
}

impl Round {
    /// CPU time of the server for one delivery, in microseconds.
    pub(crate) fn cpu_us(&self) -> Option<f64> {
        Some(self.user_us? + self.system_us?)
    }

    /// Deliveries a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

impl Row {
    /// The spread of a value over the rounds that have it.
    pub(crate) fn spread(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(value))
    }

    /// Mean user and system time of one delivery, in microseconds. The kernel samples how time divides, so only all rounds together say it well.
    pub(crate) fn parts_us(&self) -> Option<(f64, f64)> {
        let (mut user_us, mut system_us, mut count) = (0.0, 0.0, 0.0);
        for round in &self.rounds {
            let weight = round.count as f64;
            user_us += round.user_us? * weight;
            system_us += round.system_us? * weight;
            count += weight;
        }
        let is_known = count > 0.0 && user_us + system_us > 0.0;
        is_known.then(|| (user_us / count, system_us / count))
    }

    /// How much of what it takes the first subject this one takes: CPU time, or memory where nothing was said.
    pub(crate) fn times(&self, first: &Self) -> Option<Spread> {
        let cost = |round: &Round| round.cpu_us().or(round.conn_bytes);
        let pairs = self.rounds.iter().zip(&first.rounds);
        Spread::of(pairs.filter_map(|(own, first)| {
            let first = cost(first)?;
            (first > 0.0).then_some(cost(own)? / first)
        }))
    }

    /// Latencies of all rounds.
    pub(crate) fn latency_ns(&self) -> Option<Histogram<u64>> {
        let mut histograms = self
            .rounds
            .iter()
            .filter_map(|round| round.latency_ns.as_ref());
        let mut sum = histograms.next()?.clone();
        for histogram in histograms {
            // Their bounds are the same, so this cannot fail.
            let _ = sum.add(histogram);
        }
        (!sum.is_empty()).then_some(sum)
    }

    /// What was found in all rounds.
    pub(crate) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.rounds.iter().for_each(|round| sum.add(&round.tally));
        sum
    }
}

impl Report {
    /// Rows in which something did not arrive as it must.
    pub(crate) fn faulty(&self) -> Vec<String> {
        let rows = self.cells.iter().flat_map(|cell| {
            let title = cell.scene.title();
            cell.rows.iter().map(move |row| (title.clone(), row))
        });
        let faulty = rows.filter(|(_, row)| !row.tally().is_clean());
        faulty
            .map(|(title, row)| format!("{title}, {}: {}", row.name, row.tally().words()))
            .collect()
    }
}

impl Tally {
    /// What was wrong, in words.
    pub(crate) fn words(&self) -> String {
        let kinds = [
            (self.lost, "lost"),
            (self.duplicated, "twice"),
            (self.reordered, "out of order"),
            (self.strayed, "in the wrong room"),
            (self.changed, "changed"),
        ];
        let found = kinds.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = found
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if words.is_empty() {
            return "none".into();
        }
        words.join(", ")
    }
}

impl Scene {
    /// What was done, in words.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Fanout { members, pace } => format!("fan-out to {members}, {}", pace.words()),
            Self::Echo { members, pace } => format!("echo, {members} clients, {}", pace.words()),
            Self::Rooms { members, of, pace } => {
                let rooms = members / of;
                format!("{rooms} rooms of {of}, {}", pace.words())
            }
            Self::Idle { members } => format!("{members} idle clients"),
            Self::Churn { members } => format!("clients that come and go, {members} at once"),
        }
    }

    /// What is counted.
    pub(crate) fn unit(&self) -> &'static str {
        match self {
            Self::Fanout { .. } | Self::Rooms { .. } => "delivery",
            Self::Echo { .. } => "round trip",
            Self::Idle { .. } => "client",
            Self::Churn { .. } => "visit",
        }
    }
}

impl Pace {
    fn words(self) -> String {
        match self {
            Self::Window(window) => format!("{window} in flight"),
            Self::Rate(rate) => format!("{rate} messages a second"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_least_and_greatest() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        let odd = spread(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }
}
