use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use taut_hub::Origin;

use super::pass::{PUBLIC_ID_BYTES, Pass, RUN_BYTES};

/// Sessions that came back and are remembered. Of older ones only the first life is known, by their pass.
const SESSIONS_MAX: usize = 65_536;
/// Lives of one session that are remembered: the first ones go, but what they said is the oldest too.
const LIVES_MAX: usize = 8;

/// Which Conns a session has been, over all cores: what it said in an earlier life it must not hear in this one, and an earlier life that has
/// not noticed its end is ended. Only who comes back is entered, so a session that never breaks costs nothing.
#[derive(Debug)]
pub(crate) struct Lives {
    run: [u8; RUN_BYTES],
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    lives: HashMap<[u8; PUBLIC_ID_BYTES], Vec<Origin>>,
    /// In the order of their first return: the oldest goes first.
    order: VecDeque<[u8; PUBLIC_ID_BYTES]>,
}

impl Lives {
    /// Nobody has come back to this run yet.
    pub(crate) fn new(run: [u8; RUN_BYTES]) -> Self {
        Self {
            run,
            known: Mutex::default(),
        }
    }

    /// The run whose Conns it knows.
    pub(crate) fn run(&self) -> [u8; RUN_BYTES] {
        self.run
    }

    /// Begins a new life of the session that the pass was given to. Gives the earlier ones of this run, the newest last.
    pub(crate) fn begin(&self, pass: &Pass, now: Origin) -> Vec<Origin> {
        // Nothing here can be left half done.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        let lives = known.lives.entry(pass.public_id).or_insert_with(|| {
            known.order.push_back(pass.public_id);
            // In another run somebody else has these numbers.
            let is_ours = pass.run == self.run;
            is_ours.then_some(pass.origin).into_iter().collect()
        });
        let earlier = lives.clone();
        if lives.len() == LIVES_MAX {
            lives.remove(0);
        }
        lives.push(now);
        if known.order.len() > SESSIONS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.lives.remove(&oldest);
        }
        earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taut_hub::{ConnId, Position};

    fn origin(slot: u32) -> Origin {
        Origin {
            core: 0,
            conn: ConnId {
                slot,
                generation: 1,
            },
        }
    }

    fn pass(number: u8) -> Pass {
        Pass {
            public_id: [number; PUBLIC_ID_BYTES],
            run: [0; RUN_BYTES],
            origin: origin(1),
            at: Position::UNKNOWN,
        }
    }

    #[test]
    fn every_life_knows_the_ones_before() {
        let lives = Lives::new([0; RUN_BYTES]);
        assert_eq!(lives.begin(&pass(1), origin(2)), [origin(1)]);
        assert_eq!(lives.begin(&pass(1), origin(3)), [origin(1), origin(2)]);
        assert_eq!(lives.begin(&pass(2), origin(4)), [origin(1)]);
        for slot in 5..50 {
            lives.begin(&pass(1), origin(slot));
        }
        let earlier = lives.begin(&pass(1), origin(50));
        assert_eq!(earlier.len(), LIVES_MAX);
        assert_eq!(earlier.last(), Some(&origin(49)));
    }

    #[test]
    fn lives_in_another_run_are_strangers() {
        let lives = Lives::new([1; RUN_BYTES]);
        assert_eq!(lives.begin(&pass(1), origin(2)), []);
        assert_eq!(lives.begin(&pass(1), origin(3)), [origin(2)]);
    }
}
