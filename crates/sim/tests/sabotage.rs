//! The checker is checked: a lost, a repeated, a forged and a stale message must not go unnoticed.

use taut_sim::{Sabotage, World};

fn noticed(sabotage: Sabotage) -> usize {
    (0..20)
        .filter(|seed| World::sabotaged(*seed, sabotage).run(300).is_err())
        .count()
}

#[test]
fn a_lost_message_is_noticed() {
    assert!(noticed(Sabotage::Lose) >= 15);
}

#[test]
fn a_repeated_message_is_noticed() {
    assert!(noticed(Sabotage::Repeat) >= 15);
}

#[test]
fn a_forged_message_is_noticed() {
    assert!(noticed(Sabotage::Forge) >= 15);
}

#[test]
fn a_stale_message_of_the_lane_latest_is_noticed() {
    assert!(noticed(Sabotage::Stale) >= 15);
}
