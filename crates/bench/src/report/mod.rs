//! What was measured, for people and for programs.

mod html;
mod plot;
mod saved;
mod sheet;
mod table;

pub(crate) use html::html;
pub(crate) use saved::Report;
pub(crate) use sheet::sheet;
pub(crate) use table::table;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::pace::Pace;
use crate::scenario::{Round, Scene};
use crate::verify::Tally;
use saved::Parts;

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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

    /// In another unit.
    fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }
}

impl Round {
    /// CPU time of the server for one delivery, in microseconds.
    pub(crate) fn cpu_us(&self) -> Option<f64> {
        Some(self.user_us? + self.system_us?)
    }

    /// What is compared: CPU time, or memory where nothing was said.
    fn cost(&self) -> Option<f64> {
        self.cpu_us().or(self.conn_bytes)
    }

    /// Deliveries a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

impl Cell {
    /// How much of what the first subject takes another one takes, round by round.
    fn times_the_first(&self, row: &Row) -> Option<Spread> {
        let first = self
            .rows
            .first()
            .filter(|first| !std::ptr::eq(*first, row))?;
        ratio(row, first, |own, first| own / first)
    }

    /// How many times what the floor does a subject does in the same time. The floor that counts is the one that writes all that is
    /// pending at once, where it took part; there is none for memory.
    fn times_the_floor(&self, row: &Row) -> Option<Spread> {
        let floor = self.rows.iter().find(|row| row.is_floor)?;
        if row.is_floor || row.spread(Round::cpu_us).is_none() {
            return None;
        }
        ratio(row, floor, |own, floor| floor / own)
    }
}

fn ratio(row: &Row, other: &Row, of: impl Fn(f64, f64) -> f64) -> Option<Spread> {
    let pairs = row.rounds.iter().zip(&other.rounds);
    let ratios = pairs.filter_map(|(own, other)| Some(of(own.cost()?, other.cost()?)));
    Spread::of(ratios.filter(|ratio| ratio.is_finite()))
}

impl Row {
    /// The spread of a value over the rounds that have it.
    pub(crate) fn spread(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(value))
    }

    /// Mean user and system time of one delivery, in microseconds. The kernel samples how time divides, so only all rounds together say it well.
    pub(crate) fn parts_us(&self) -> Option<Parts> {
        let (mut user_us, mut system_us, mut count) = (0.0, 0.0, 0.0);
        for round in &self.rounds {
            let weight = round.count as f64;
            user_us += round.user_us? * weight;
            system_us += round.system_us? * weight;
            count += weight;
        }
        let is_known = count > 0.0 && user_us + system_us > 0.0;
        is_known.then(|| Parts {
            user: user_us / count,
            system: system_us / count,
        })
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

    /// Renewed by `taut bench report report.json --svg sheet.svg > table.md` in its folder, when a report is meant to look otherwise.
    #[test]
    fn a_report_that_was_kept_looks_as_it_did() {
        let report: Report = serde_json::from_str(include_str!("golden/report.json")).unwrap();
        assert_eq!(table(&report), include_str!("golden/table.md"));
        assert_eq!(
            sheet(std::slice::from_ref(&report)),
            include_str!("golden/sheet.svg")
        );
        let again = serde_json::to_value(&report).unwrap();
        let first: serde_json::Value =
            serde_json::from_str(include_str!("golden/report.json")).unwrap();
        assert_eq!(again, first);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let row = |is_floor, cpu_us: [f64; 2]| Row {
            name: "x".into(),
            door: "ws",
            is_floor,
            rounds: cpu_us.map(round).into(),
        };
        let cell = Cell {
            scene: Scene::Churn { members: 1 },
            rows: vec![row(false, [2.0, 4.0]), row(true, [1.0, 4.0])],
        };
        let [own, floor] = cell.rows.as_slice() else {
            unreachable!()
        };
        assert_eq!(cell.times_the_first(own), None);
        assert_eq!(cell.times_the_floor(floor), None);
        let (first, ratio) = (
            cell.times_the_first(floor).unwrap(),
            cell.times_the_floor(own).unwrap(),
        );
        assert_eq!((first.min, first.max), (0.5, 1.0));
        assert_eq!((ratio.min, ratio.max), (0.5, 1.0));
    }

    fn round(cpu_us: f64) -> Round {
        Round {
            count: 1,
            tally: Tally::default(),
            time: std::time::Duration::from_secs(1),
            latency_ns: None,
            user_us: Some(cpu_us),
            system_us: Some(0.0),
            batch: None,
            conn_bytes: None,
            late_ns_max: 0,
        }
    }
}
