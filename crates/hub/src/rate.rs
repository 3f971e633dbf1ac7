//! How fast something may be done: the generic cell rate algorithm (GCRA; ITU-T I.371 calls it the virtual scheduling algorithm), as a plain value.
//!
//! What is remembered of whoever is limited is one number, the time at which all that it was allowed has been worked off. A time that is past is rest, so 0 is a
//! new account, and forgetting one that is at rest changes nothing. The clock is the caller's: nanoseconds that never go back. A clock that is behind is stricter,
//! never laxer.

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;
/// Units that one take may be at most; more count as so many. Keeps every product within 64 bits.
const UNITS_MAX: u64 = 1 << 34;

/// So many units a second, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_s: u64,
    burst_ns: u64,
}

impl Rate {
    /// `per_s` units a second, at most 10⁹; `burst` of them at once, at least one. `None` for 0 a second, which is no limit.
    #[must_use]
    pub fn new(per_s: u64, burst: u64) -> Option<Self> {
        let per_s = per_s.min(SECOND_NS);
        (per_s > 0).then(|| {
            let unbounded = Self { per_s, burst_ns: 0 };
            Self {
                per_s,
                burst_ns: unbounded.cost_ns(burst.max(1)),
            }
        })
    }

    /// Takes `units` at `now_ns`: what is remembered from now on.
    ///
    /// In any time `t` no more than the burst and `t` times the rate pass. What is larger than a whole burst passes after a rest, and is worked off like anything
    /// else; so what may be too much by is one such unit.
    ///
    /// # Errors
    /// Nanoseconds after which the same would pass, to the nanosecond, if nothing else is taken.
    pub fn take(&self, state: u64, now_ns: u64, units: u64) -> Result<u64, u64> {
        match self.wait_ns(state, now_ns, units) {
            0 => Ok(self.charge(state, now_ns, units)),
            wait_ns => Err(wait_ns),
        }
    }

    /// Takes `units` whether they may pass or not: for what has happened already.
    #[must_use]
    pub fn charge(&self, state: u64, now_ns: u64, units: u64) -> u64 {
        state.max(now_ns).saturating_add(self.cost_ns(units))
    }

    /// Gives back what was taken, for something that was refused for another reason.
    #[must_use]
    pub fn give_back(&self, state: u64, units: u64) -> u64 {
        state.saturating_sub(self.cost_ns(units))
    }

    /// Nanoseconds after which `units` would pass; 0 when they would now.
    #[must_use]
    pub fn wait_ns(&self, state: u64, now_ns: u64, units: u64) -> u64 {
        let needed = self.cost_ns(units).min(self.burst_ns);
        let room_ns = self.burst_ns - needed;
        rest_ns(state, now_ns).saturating_sub(room_ns)
    }

    /// How long one take of `units` is worked off. Rounded down, so that a whole burst passes unit by unit; a take is too cheap by less than a nanosecond.
    fn cost_ns(&self, units: u64) -> u64 {
        (units.min(UNITS_MAX) * SECOND_NS / self.per_s).max(u64::from(units > 0))
    }
}

/// Nanoseconds until whoever this is remembered of is at rest.
#[must_use]
pub fn rest_ns(state: u64, now_ns: u64) -> u64 {
    state.saturating_sub(now_ns)
}
