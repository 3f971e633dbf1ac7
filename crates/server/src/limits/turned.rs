//! Who is not let in, but told why: a few at a time, for a moment, so that a client that would understand knows when to come back.
//!
//! The others find their connection closed. A seat is taken before anything is read, and nobody keeps one for longer than [`TURNED_MS`]. A quarter of them is for
//! addresses that are exempt from limits: whoever asks from there whether the server is well must hear so while strangers flood it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taut_gate::Close;
use taut_gate::http::Problem;

use super::Over;

/// How long one may take to say what it speaks, and its request, in milliseconds.
pub(crate) const TURNED_MS: u64 = 2_000;

/// How many there are, over all threads, and how many of them are taken: each copy gives the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    count: usize,
    taken: Arc<AtomicUsize>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Turned {
    why: Why,
    seats: Arc<AtomicUsize>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    /// Its address has too many Conns, or opens them too fast.
    Over(Over),
    /// There is no room for anybody.
    Full,
}

impl Seats {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count,
            taken: Arc::default(),
        }
    }

    /// A seat, if one is free; `is_exempt`: its address is exempt from limits.
    pub(crate) fn take(&self, why: Why, is_exempt: bool) -> Option<Turned> {
        let most = if is_exempt {
            self.count
        } else {
            self.count - self.count / 4
        };
        let one_more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Turned {
            why,
            seats: Arc::clone(&self.taken),
        })
    }
}

impl Turned {
    /// How a protocol with a farewell says it.
    pub(crate) fn close(&self) -> Close {
        match self.why {
            Why::Over(over) => {
                Close::RateLimited(u32::try_from(over.retry_ms()).unwrap_or(u32::MAX))
            }
            Why::Full => Close::Full,
        }
    }

    /// How HTTP says it.
    pub(crate) fn problem(&self) -> Problem {
        match self.why {
            Why::Over(over) => taut_gate::http::refused(&over.refusal()),
            Why::Full => Problem {
                retry_s: Some(10),
                ..Problem::new(
                    503,
                    "full",
                    "the server has no room for another connection now; come back later",
                )
            },
        }
    }
}

impl Drop for Turned {
    fn drop(&mut self) {
        self.seats.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_seats_and_each_is_given_up() {
        let seats = Seats::new(16);
        let take = |is_exempt| -> Vec<Turned> {
            let all = (0..100).map_while(|_| seats.take(Why::Full, is_exempt));
            all.collect()
        };
        let (strangers, exempt) = (take(false), take(true));
        assert_eq!((strangers.len(), exempt.len()), (12, 4));
        drop((strangers, exempt));
        assert_eq!(take(true).len(), 16);
    }
}
