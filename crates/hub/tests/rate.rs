//! The rate never lets more through than it says, and says exactly how long to wait.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_hub::rate::{Rate, rest_ns};

const SECOND_NS: u64 = 1_000_000_000;

/// What passes of so many tries, each with its time and units.
fn passed(rate: &Rate, tries: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let (mut state, mut now_ns) = (0, SECOND_NS);
    let mut passed = Vec::new();
    for (pause_ns, units) in tries {
        now_ns += pause_ns;
        if let Ok(next) = rate.take(state, now_ns, *units) {
            state = next;
            passed.push((now_ns, *units));
        }
    }
    passed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn in_any_time_no_more_passes_than_the_burst_and_the_rate(
        per_s in 1_u64..5_000_000,
        burst in 1_u64..5_000,
        tries in prop::collection::vec((0_u64..50_000_000, 1_u64..50), 1..120),
    ) {
        let rate = Rate::new(per_s, burst).unwrap();
        let passed = passed(&rate, &tries);
        let largest = tries.iter().map(|(_, units)| *units).max().unwrap_or(0);
        for begin in 0..passed.len() {
            let mut units = 0_u128;
            for (end, (now_ns, more)) in passed.iter().enumerate().skip(begin) {
                units += u128::from(*more);
                let t = u128::from(now_ns - passed[begin].0);
                // Each take may be too cheap by a nanosecond; what is larger than the burst may pass after a rest.
                let takes = (end - begin + 2) as u128;
                let most = u128::from(burst.max(largest))
                    + (t + takes) * u128::from(per_s) / u128::from(SECOND_NS)
                    + 1;
                prop_assert!(units <= most, "{units} > {most} in {t} ns");
            }
        }
    }

    #[test]
    fn the_wait_is_exact(
        per_s in 1_u64..10_000_000,
        burst in 1_u64..10_000,
        owed in 0_u64..20_000,
        units in 1_u64..20_000,
        now_ns in 1_u64..(1 << 50),
    ) {
        let rate = Rate::new(per_s, burst).unwrap();
        let state = rate.charge(0, now_ns, owed);
        match rate.take(state, now_ns, units) {
            Ok(next) => {
                prop_assert_eq!(rate.wait_ns(state, now_ns, units), 0);
                prop_assert!(next > now_ns);
            }
            Err(wait_ns) => {
                prop_assert!(wait_ns > 0);
                prop_assert!(rate.take(state, now_ns + wait_ns, units).is_ok());
                prop_assert!(rate.take(state, now_ns + wait_ns - 1, units).is_err());
            }
        }
    }

    #[test]
    fn what_is_given_back_was_never_taken(
        per_s in 1_u64..1_000_000_000,
        burst in 1_u64..100_000,
        first in 0_u64..100_000,
        second in 1_u64..100_000,
        pause_ns in 0_u64..SECOND_NS,
    ) {
        let rate = Rate::new(per_s, burst).unwrap();
        let now_ns = SECOND_NS;
        let before = rate.charge(0, now_ns, first);
        let now_ns = now_ns + pause_ns;
        let after = rate.give_back(rate.charge(before, now_ns, second), second);
        prop_assert_eq!(rest_ns(after, now_ns), rest_ns(before, now_ns));
    }

    #[test]
    fn whoever_keeps_to_it_is_never_refused(per_s in 1_u64..1_000_000, burst in 1_u64..1_000) {
        let rate = Rate::new(per_s, burst).unwrap();
        let mut state = 0;
        // The whole burst at once, unit by unit, and then each unit in its time.
        let mut now_ns = SECOND_NS;
        for _ in 0..burst {
            state = rate.take(state, now_ns, 1).unwrap();
        }
        for _ in 0..100 {
            now_ns += SECOND_NS.div_ceil(per_s);
            state = rate.take(state, now_ns, 1).unwrap();
        }
    }
}

#[test]
fn no_rate_is_no_limit_and_nothing_overflows() {
    assert_eq!(Rate::new(0, 10), None);
    for (per_s, burst) in [(1, u64::MAX), (u64::MAX, u64::MAX), (1, 0), (u64::MAX, 0)] {
        let rate = Rate::new(per_s, burst).unwrap();
        for state in [0, 1, u64::MAX] {
            for now_ns in [0, 1, u64::MAX] {
                for units in [0, 1, u64::MAX] {
                    let _ = rate.take(state, now_ns, units);
                    let _ = rate.give_back(rate.charge(state, now_ns, units), units);
                }
            }
        }
    }
}

#[test]
fn what_is_larger_than_a_burst_passes_after_a_rest_and_is_worked_off() {
    let rate = Rate::new(10, 10).unwrap();
    let state = rate.take(0, SECOND_NS, 100).unwrap();
    assert_eq!(rate.wait_ns(state, SECOND_NS, 1), 9_100_000_000);
    assert_eq!(rate.take(state, SECOND_NS, 100), Err(10 * SECOND_NS));
    assert!(rate.take(state, 11 * SECOND_NS, 100).is_ok());
}
