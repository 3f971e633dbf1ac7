//! Leaves a webhook alone that fails: asking it on would only keep everybody waiting for its deadline.

/// Failures in a row after which it is left alone.
pub(super) const FAILURES_MAX: u32 = 5;
/// For how long at first, in milliseconds; each further failure doubles it.
const ALONE_MS: u64 = 1_000;
/// For how long at most.
const ALONE_MS_MAX: u64 = 30_000;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Until then nobody asks.
    until_ms: u64,
}

impl Breaker {
    /// Whether it may be asked. Once the time is up one call may try, and until that has come to something no other.
    pub(super) fn admits(&mut self, now_ms: u64) -> bool {
        if self.failures < FAILURES_MAX {
            return true;
        }
        if now_ms < self.until_ms {
            return false;
        }
        self.until_ms = now_ms.saturating_add(self.alone_ms());
        true
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Says whether it is left alone from now on and was not before.
    pub(super) fn failed(&mut self, now_ms: u64) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.until_ms = now_ms.saturating_add(self.alone_ms());
        }
        self.failures == FAILURES_MAX
    }

    fn alone_ms(&self) -> u64 {
        let doublings = self.failures.saturating_sub(FAILURES_MAX).min(16);
        (ALONE_MS << doublings).min(ALONE_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_leave_it_alone_and_one_call_tries_when_the_time_is_up() {
        let mut breaker = Breaker::default();
        for count in 1..=FAILURES_MAX {
            assert!(breaker.admits(0));
            assert_eq!(breaker.failed(0), count == FAILURES_MAX);
        }
        assert!(!breaker.admits(999));
        assert!(breaker.admits(1_000) && !breaker.admits(1_000));
        assert!(!breaker.failed(1_000));
        assert!(!breaker.admits(2_999) && breaker.admits(3_000));
        breaker.succeeded();
        assert!(breaker.admits(3_000) && breaker.admits(3_000));
        for _ in 0..100 {
            breaker.failed(0);
        }
        assert!(breaker.admits(ALONE_MS_MAX));
    }
}
