//! One timer wheel per core: every Conn has at most one deadline, and setting it costs no allocation per Conn.
//!
//! Invariant: an entry is *live* only while the Conn's `armed_tick` is the tick of the slot it lies in. Pushing a deadline out
//! therefore costs nothing (the entry fires early, finds the later deadline and is laid again); pulling it in lays a second
//! entry and lets the first one die unnoticed.

/// Milliseconds a tick lasts: the error that the deadline of a short delay may have.
pub(crate) const TICK_MS: u64 = 5;
/// Delays from here on are rounded up to [`COARSE_TICKS`], so that many idle Conns wake their core four times a second and not two hundred.
const COARSE_FROM_MS: u64 = 2_000;
/// Ticks that the deadlines of long delays come together at: a quarter of a second.
const COARSE_TICKS: u32 = 50;
/// Slots of the wheel, a power of two; with [`TICK_MS`] its horizon is 20 s. Later deadlines are laid again on the way.
const SLOTS: u32 = 4096;
/// Slots that one word of the map of occupied ones stands for.
const WORD: u32 = u64::BITS;
/// Ends a list of nodes.
const NONE: u32 = u32::MAX;

/// A Conn's place on the wheel, kept in the Conn. Ticks count from 1; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alarm {
    /// When the Conn wants to be looked at.
    due_tick: u32,
    /// The slot that holds its live entry.
    armed_tick: u32,
}

/// Who lies on the wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// An entry in its list.
#[derive(Debug, Clone, Copy)]
struct Node {
    entry: Entry,
    next: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The first node of each slot.
    slots: Vec<u32>,
    /// The entries of all slots, and those that are free, in lists.
    nodes: Vec<Node>,
    free: u32,
    /// A bit for each slot that holds something, so that a core sleeps until the next one that does.
    occupied: Vec<u64>,
    now_tick: u32,
    laid: usize,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![NONE; SLOTS as usize],
            nodes: Vec::new(),
            free: NONE,
            occupied: vec![0; (SLOTS / WORD) as usize],
            now_tick: 1,
            laid: 0,
        }
    }

    /// Sets the Conn's deadline to `delay_ms` from `now_ms`, replacing the one it had.
    pub(crate) fn arm(&mut self, alarm: &mut Alarm, entry: Entry, now_ms: u64, delay_ms: u64) {
        let at_ms = now_ms.saturating_add(delay_ms.max(1));
        // Not before the tick under way, which is the next that fires.
        let tick = u32::try_from(at_ms.div_ceil(TICK_MS)).unwrap_or(u32::MAX);
        let tick = if delay_ms < COARSE_FROM_MS {
            tick
        } else {
            tick.div_ceil(COARSE_TICKS).saturating_mul(COARSE_TICKS)
        };
        alarm.due_tick = tick.max(self.now_tick);
        if alarm.armed_tick == 0 || alarm.due_tick < alarm.armed_tick {
            self.lay(alarm, entry);
        }
    }

    /// Takes the Conn's deadline away.
    pub(crate) fn disarm(alarm: &mut Alarm) {
        alarm.due_tick = 0;
    }

    /// Milliseconds until the next tick that holds something, counted from `now_ms`; `None` while nothing is laid.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        (self.laid > 0).then(|| {
            let next = u64::from(self.now_tick) + u64::from(self.empty_ticks());
            (next * TICK_MS).saturating_sub(now_ms)
        })
    }

    /// How many of the ticks ahead hold nothing.
    fn empty_ticks(&self) -> u32 {
        let first = self.now_tick % SLOTS;
        let words = SLOTS / WORD;
        for step in 0..=words {
            let index = (first / WORD + step) % words;
            let mut word = self.occupied[index as usize];
            if step == 0 {
                word &= u64::MAX << (first % WORD);
            }
            if word != 0 {
                let slot = index * WORD + word.trailing_zeros();
                return slot.wrapping_sub(first) % SLOTS;
            }
        }
        0
    }

    /// Advances to `now_ms` and moves the entries of the ticks passed into `fired`, live or not: see [`Wheel::is_due`].
    pub(crate) fn advance(&mut self, now_ms: u64, fired: &mut Vec<(Entry, u32)>) {
        let target = u32::try_from(now_ms / TICK_MS)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let mut steps = 0;
        while self.now_tick < target {
            // After a long sleep one round over all slots is enough.
            if steps == SLOTS {
                self.now_tick = target;
                break;
            }
            let tick = self.now_tick;
            let index = tick % SLOTS;
            let mut next = std::mem::replace(&mut self.slots[index as usize], NONE);
            while let Some(node) = self.nodes.get_mut(next as usize) {
                fired.push((node.entry, tick));
                let freed = next;
                next = std::mem::replace(&mut node.next, self.free);
                self.free = freed;
                self.laid -= 1;
            }
            self.occupied[(index / WORD) as usize] &= !(1 << (index % WORD));
            self.now_tick += 1;
            steps += 1;
        }
    }

    /// Whether the entry fired at `tick` means that this Conn's deadline has come; lays it again when the deadline moved out.
    pub(crate) fn is_due(&mut self, alarm: &mut Alarm, entry: Entry, tick: u32) -> bool {
        if alarm.armed_tick != tick {
            return false;
        }
        alarm.armed_tick = 0;
        if alarm.due_tick == 0 {
            return false;
        }
        if alarm.due_tick < self.now_tick {
            alarm.due_tick = 0;
            return true;
        }
        self.lay(alarm, entry);
        false
    }

    fn lay(&mut self, alarm: &mut Alarm, entry: Entry) {
        let horizon = self.now_tick.saturating_add(SLOTS - 1);
        // What lies beyond is looked at again on the way, together with others.
        let horizon = (horizon / COARSE_TICKS * COARSE_TICKS).max(self.now_tick);
        alarm.armed_tick = alarm.due_tick.clamp(self.now_tick, horizon);
        let index = alarm.armed_tick % SLOTS;
        let next = std::mem::replace(&mut self.slots[index as usize], self.free);
        let node = Node { entry, next };
        match self.nodes.get_mut(self.free as usize) {
            Some(free) => self.free = std::mem::replace(free, node).next,
            None => {
                self.slots[index as usize] = u32::try_from(self.nodes.len()).unwrap_or(NONE);
                self.nodes.push(node);
            }
        }
        self.occupied[(index / WORD) as usize] |= 1 << (index % WORD);
        self.laid += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Entry = Entry {
        slot: 7,
        generation: 1,
    };

    fn fires_at(wheel: &mut Wheel, alarm: &mut Alarm, from_ms: u64, until_ms: u64) -> Option<u64> {
        let mut fired = Vec::new();
        for now_ms in (from_ms..until_ms).step_by(5) {
            wheel.advance(now_ms, &mut fired);
            for (entry, tick) in std::mem::take(&mut fired) {
                if wheel.is_due(alarm, entry, tick) {
                    return Some(now_ms);
                }
            }
        }
        None
    }

    #[test]
    fn a_deadline_fires_once_and_not_early() {
        let (mut wheel, mut alarm) = (Wheel::new(), Alarm::default());
        wheel.arm(&mut alarm, ANA, 0, 10_000);
        let at = fires_at(&mut wheel, &mut alarm, 0, 20_000).unwrap_or_default();
        assert!((10_000..=10_255).contains(&at), "fired at {at}");
        assert_eq!(fires_at(&mut wheel, &mut alarm, at, 40_000), None);
        assert_eq!(wheel.wait_ms(40_000), None);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_still_fires_in_time() {
        let (mut wheel, mut alarm) = (Wheel::new(), Alarm::default());
        wheel.arm(&mut alarm, ANA, 0, 600_000);
        let at = fires_at(&mut wheel, &mut alarm, 0, 700_000).unwrap_or_default();
        assert!((600_000..=600_255).contains(&at), "fired at {at}");
    }

    #[test]
    fn a_core_sleeps_until_there_is_something() {
        let (mut wheel, mut alarm) = (Wheel::new(), Alarm::default());
        let mut fired = Vec::new();
        for start_ms in [0_u64, 40_000, 101_000, 300_000] {
            wheel.advance(start_ms, &mut fired);
            for delay_ms in [1, 30, 300, 1_900] {
                wheel.arm(&mut alarm, ANA, start_ms, delay_ms);
                let wait_ms = wheel.wait_ms(start_ms).unwrap_or_default();
                assert!(
                    (delay_ms..delay_ms + TICK_MS).contains(&wait_ms),
                    "{delay_ms} ms at {start_ms} wait {wait_ms} ms"
                );
                wheel.advance(start_ms + wait_ms, &mut fired);
                let (entry, tick) = fired.pop().unwrap_or((ANA, 0));
                assert!(wheel.is_due(&mut alarm, entry, tick));
                wheel = Wheel::new();
                wheel.advance(start_ms, &mut fired);
            }
        }
    }

    #[test]
    fn pulling_in_and_pushing_out_both_hold() {
        let (mut wheel, mut alarm) = (Wheel::new(), Alarm::default());
        wheel.arm(&mut alarm, ANA, 0, 60_000);
        wheel.arm(&mut alarm, ANA, 0, 5_000);
        wheel.arm(&mut alarm, ANA, 0, 30_000);
        let at = fires_at(&mut wheel, &mut alarm, 0, 100_000).unwrap_or_default();
        assert!((30_000..=30_255).contains(&at), "fired at {at}");
        Wheel::disarm(&mut alarm);
        assert_eq!(fires_at(&mut wheel, &mut alarm, at, 200_000), None);
    }
}
