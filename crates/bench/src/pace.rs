//! When messages are published.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// So that something is always under way, or by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// So many of each source are in flight.
    #[serde(rename = "in_flight")]
    Window(usize),
    /// So many a second, of all sources together, in turn.
    #[serde(rename = "messages_per_s")]
    Rate(f64),
}

/// When messages are due at a fixed rate. All that are due within the time are published, however late that is noticed.
pub(crate) struct Clockwork {
    pub(crate) begun_ns: u64,
    interval_s: f64,
    /// Messages that were published.
    pub(crate) done: u32,
    /// Those that are still to be.
    pub(crate) left: u32,
}

impl Clockwork {
    /// For so long from [`Clockwork::begun_ns`] on; without a rate nothing is ever due.
    pub(crate) fn new(pace: Pace, time: Duration) -> Self {
        let mut clockwork = Self {
            begun_ns: 0,
            interval_s: 0.0,
            done: 0,
            left: 0,
        };
        if let Pace::Rate(rate) = pace {
            clockwork.interval_s = 1.0 / rate;
            let due_s = |number: u32| f64::from(number) * clockwork.interval_s;
            while clockwork.left < u32::MAX && due_s(clockwork.left) < time.as_secs_f64() {
                clockwork.left += 1;
            }
        }
        clockwork
    }

    /// When the next message is due.
    pub(crate) fn due_ns(&self) -> u64 {
        let due_s = f64::from(self.done) * self.interval_s;
        self.begun_ns + nanoseconds(Duration::from_secs_f64(due_s))
    }
}

/// A length of time as the clocks here count it.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_messages_at_even_distances() {
        let mut clockwork = Clockwork::new(Pace::Rate(200.0), Duration::from_millis(500));
        clockwork.begun_ns = 7;
        assert_eq!((clockwork.left, clockwork.due_ns()), (100, 7));
        clockwork.done = 3;
        assert_eq!(clockwork.due_ns(), 15_000_007);
        let rare = Clockwork::new(Pace::Rate(1e-9), Duration::from_secs(1));
        assert_eq!(rare.left, 1);
        assert_eq!(
            Clockwork::new(Pace::Window(16), Duration::from_secs(1)).left,
            0
        );
    }
}
