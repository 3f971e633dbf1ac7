//! Many short games. `TAUT_SIM_SEED=S` plays one, `TAUT_SIM_SEEDS=N` that many; a failing seed is printed and belongs in `KEPT`.
#![allow(clippy::panic, clippy::print_stdout)]

use taut_sim::{Report, World};

const TURNS: u64 = 300;
/// Seeds that once showed a bug.
const KEPT: &[u64] = &[4, 5, 21, 28, 37, 52, 129, 69, 139, 378, 1340];

fn play(seed: u64) -> Report {
    World::new(seed).run(TURNS).unwrap_or_else(|broken| {
        panic!("seed {seed}: {broken}\nreplay: TAUT_SIM_SEED={seed} cargo nextest run -p taut-sim no_promise")
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn no_promise_is_broken_in_any_weather() {
    if let Some(seed) = number("TAUT_SIM_SEED") {
        println!("{:?}", play(seed));
        return;
    }
    let mut total = Report::default();
    for seed in 0..number("TAUT_SIM_SEEDS").unwrap_or(300) {
        let report = play(seed);
        total.deliveries += report.deliveries;
        total.latest += report.latest;
        total.publishes += report.publishes;
        total.gaps += report.gaps;
        total.refusals += report.refusals;
        total.disconnects += report.disconnects;
        total.expulsions += report.expulsions;
        total.crashes += report.crashes;
    }
    println!("{total:?}");
    // A game in which nothing happens keeps every promise.
    assert!(
        total.deliveries > 10_000 && total.publishes > 10_000 && total.latest > 10_000,
        "{total:?}"
    );
    assert!(
        total.gaps > 100
            && total.refusals > 100
            && total.disconnects > 10
            && total.crashes > 100
            && total.expulsions > 100,
        "{total:?}"
    );
}

#[test]
fn seeds_that_once_failed() {
    for seed in KEPT {
        play(*seed);
    }
}

#[test]
fn the_same_seed_plays_the_same_game() {
    assert_eq!(play(42), play(42));
}
