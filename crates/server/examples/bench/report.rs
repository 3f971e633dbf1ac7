//! What the rounds say together: medians with their extremes, as a table for people and as JSON.

use serde_json::{Value, json};

use crate::Subject;

/// One round of one subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Messages times members, all verified.
    pub(crate) deliveries: u64,
    /// CPU time of the measured program per delivery, in microseconds.
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    /// Messages that the mean write carried.
    pub(crate) batch: f64,
}

impl Round {
    fn total_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

/// All rounds of one scenario, by subject.
pub(crate) struct Scenario {
    pub(crate) members: usize,
    pub(crate) window: usize,
    pub(crate) subjects: Vec<(Subject, Vec<Round>)>,
}

/// Median, least and greatest.
struct Spread(f64, f64, f64);

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            at(half)
        } else {
            f64::midpoint(at(half.saturating_sub(1)), at(half))
        };
        Self(median, at(0), at(values.len().saturating_sub(1)))
    }

    fn text(&self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}–{:.digits$})",
            self.0, self.1, self.2
        )
    }

    fn json(&self) -> Value {
        json!({"median": self.0, "min": self.1, "max": self.2})
    }
}

impl Scenario {
    /// Its rows of the table.
    pub(crate) fn print(&self) {
        for (subject, rounds) in &self.subjects {
            let each = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
            println!(
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                self.members,
                self.window,
                subject.name(),
                each(Round::total_us).text(3),
                each(|round| round.user_us).text(3),
                each(|round| round.system_us).text(3),
                each(|round| round.batch).text(1),
                self.ratio(rounds).text(2),
                rounds.iter().map(|round| round.deliveries).sum::<u64>(),
            );
        }
    }

    /// The first line of the table.
    pub(crate) fn print_head() {
        println!(
            "| members | in flight | program | CPU µs per delivery | user | system | messages per write | Taut against it | deliveries |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }

    pub(crate) fn json(&self) -> Value {
        let subjects: Vec<Value> = self
            .subjects
            .iter()
            .map(|(subject, rounds)| {
                let each = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value)).json();
                json!({
                    "program": subject.name(),
                    "cpu_us_per_delivery": each(Round::total_us),
                    "user_us_per_delivery": each(|round| round.user_us),
                    "system_us_per_delivery": each(|round| round.system_us),
                    "messages_per_write": each(|round| round.batch),
                    "taut_against_it": self.ratio(rounds).json(),
                    "deliveries": rounds.iter().map(|round| round.deliveries).sum::<u64>(),
                })
            })
            .collect();
        json!({"members": self.members, "in_flight": self.window, "programs": subjects})
    }

    /// How many deliveries Taut makes in the CPU time that this program takes for one, round by round.
    fn ratio(&self, rounds: &[Round]) -> Spread {
        let taut = self
            .subjects
            .iter()
            .find(|(subject, _)| *subject == Subject::Taut)
            .map_or(&[][..], |(_, rounds)| rounds);
        let pairs = rounds.iter().zip(taut);
        Spread::of(pairs.map(|(round, taut)| round.total_us() / taut.total_us()))
    }
}
