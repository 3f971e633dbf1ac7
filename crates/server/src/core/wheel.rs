//! One timer wheel per core: every Conn has at most one deadline, and setting it costs no allocation per Conn.
//!
//! Invariant: an entry is *live* only while the Conn's `armed_tick` is the tick of the slot it lies in. Pushing a deadline out
//! therefore costs nothing (the entry fires early, finds the later deadline and is laid again); pulling it in lays a second
//! entry and lets the first one die unnoticed.

use taut_hub::Slots;

/// Milliseconds a tick lasts: the error that the deadline of a short delay may have.
pub(crate) const TICK_MS: u64 = 5;
/// Delays from here on are rounded up to [`COARSE_TICKS`], so that many idle Conns wake their core four times a second and not two hundred.
const COARSE_FROM_MS: u64 = 2_000;
/// Ticks that the deadlines of long delays come together at: a quarter of a second.
const COARSE_TICKS: u64 = 50;
/// Slots of the wheel, a power of two and more than [`LAID_TICKS_MAX`]. Later deadlines are laid again on the way.
const SLOTS: u64 = 2048;
/// Slots that one word of the map of occupied ones stands for.
const WORD: u64 = u64::BITS as u64;
const _: () = assert!(SLOTS / WORD == u32::BITS as u64);
/// How far ahead an entry is laid at most: less than the time for a handshake, so that the alarm of a new Conn is not pulled in by its first byte, and
/// lies on the wheel once.
const LAID_TICKS_MAX: u64 = 1_800;
/// The longest delay: far less than what the lower half of a tick can tell, 248 days.
const TICKS_AHEAD_MAX: u64 = 30 * 86_400_000 / TICK_MS;
/// Ends a list of nodes.
const NONE: u32 = u32::MAX;

/// A Conn's place on the wheel, kept in the Conn: the lower halves of two ticks, which are near enough to the present one to tell the rest. Ticks count
/// from 1; 0 is never, so no tick whose lower half it is gets used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alarm {
    /// When the Conn wants to be looked at.
    due_tick: u32,
    /// The slot that holds its live entry.
    armed_tick: u32,
}

/// Who lies on the wheel: whoever has that slot. An entry that a Conn left behind finds that its successor is armed for another tick, or has an
/// entry of its own there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) slot: u32,
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
    /// The entries of all slots, in lists.
    nodes: Slots<Node>,
    /// A bit for each slot that holds something, so that a core sleeps until the next one that does.
    occupied: Vec<u64>,
    /// A bit for each word of those that is not 0: each turn that ends in sleep asks for the next one.
    words: u32,
    now_tick: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![NONE; at(SLOTS)],
            nodes: Slots::default(),
            occupied: vec![0; at(SLOTS / WORD)],
            words: 0,
            now_tick: 1,
        }
    }

    /// Sets the Conn's deadline to `delay_ms` from `now_ms`, replacing the one it had.
    pub(crate) fn arm(&mut self, alarm: &mut Alarm, entry: Entry, now_ms: u64, delay_ms: u64) {
        let at_ms = now_ms.saturating_add(delay_ms.max(1));
        // Not before the tick under way, which is the next that fires.
        let tick = at_ms.div_ceil(TICK_MS);
        let tick = if delay_ms < COARSE_FROM_MS {
            tick
        } else {
            tick.div_ceil(COARSE_TICKS) * COARSE_TICKS
        };
        let due = usable(tick.clamp(self.now_tick, self.now_tick + TICKS_AHEAD_MAX));
        alarm.due_tick = lower(due);
        if alarm.armed_tick == 0 || due < self.whole(alarm.armed_tick) {
            self.lay(alarm, entry);
        }
    }

    /// Takes the Conn's deadline away.
    pub(crate) fn disarm(alarm: &mut Alarm) {
        alarm.due_tick = 0;
    }

    /// Milliseconds until the next tick that holds something, counted from `now_ms`; `None` while nothing is laid.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        (!self.nodes.is_empty()).then(|| {
            let next = self.now_tick + self.empty_ticks();
            (next * TICK_MS).saturating_sub(now_ms)
        })
    }

    /// How many of the ticks ahead hold nothing.
    fn empty_ticks(&self) -> u64 {
        let first = self.now_tick % SLOTS;
        let ahead = self.occupied[at(first / WORD)] >> (first % WORD);
        if ahead != 0 {
            return u64::from(ahead.trailing_zeros());
        }
        // From the next word on, round to what of this one lies behind.
        let next = u32::try_from(first / WORD).unwrap_or_default() + 1;
        let words = self.words.rotate_right(next);
        if words == 0 {
            return 0;
        }
        let index = u64::from(next + words.trailing_zeros()) % (SLOTS / WORD);
        let slot = index * WORD + u64::from(self.occupied[at(index)].trailing_zeros());
        slot.wrapping_sub(first) % SLOTS
    }

    /// Advances to `now_ms` and moves the entries of the ticks passed into `fired`, live or not: see [`Wheel::is_due`].
    pub(crate) fn advance(&mut self, now_ms: u64, fired: &mut Vec<(Entry, u32)>) {
        let target = now_ms / TICK_MS + 1;
        let mut steps = 0;
        while self.now_tick < target {
            // After a long sleep one round over all slots is enough.
            if steps == SLOTS {
                self.now_tick = target;
                break;
            }
            let tick = self.now_tick;
            let index = tick % SLOTS;
            let mut next = std::mem::replace(&mut self.slots[at(index)], NONE);
            while let Some(node) = self.nodes.remove(next) {
                fired.push((node.entry, lower(tick)));
                next = node.next;
            }
            let word = &mut self.occupied[at(index / WORD)];
            *word &= !(1 << (index % WORD));
            if *word == 0 {
                self.words &= !(1 << (index / WORD));
            }
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
        if self.whole(alarm.due_tick) < self.now_tick {
            alarm.due_tick = 0;
            return true;
        }
        self.lay(alarm, entry);
        false
    }

    fn lay(&mut self, alarm: &mut Alarm, entry: Entry) {
        let horizon = self.now_tick + LAID_TICKS_MAX;
        // What lies beyond is looked at again on the way, together with others.
        let horizon = (horizon / COARSE_TICKS * COARSE_TICKS).max(self.now_tick);
        let armed = usable(self.whole(alarm.due_tick).clamp(self.now_tick, horizon));
        alarm.armed_tick = lower(armed);
        let index = armed % SLOTS;
        let head = &mut self.slots[at(index)];
        let next = *head;
        *head = self.nodes.insert(Node { entry, next });
        self.occupied[at(index / WORD)] |= 1 << (index % WORD);
        self.words |= 1 << (index / WORD);
    }
}

impl Wheel {
    /// The tick whose lower half this is and that is nearest to the present one.
    fn whole(&self, lower_half: u32) -> u64 {
        let ahead = lower_half.wrapping_sub(lower(self.now_tick)).cast_signed();
        self.now_tick.saturating_add_signed(i64::from(ahead))
    }
}

/// The lower half of a tick.
fn lower(tick: u64) -> u32 {
    u32::try_from(tick & u64::from(u32::MAX)).unwrap_or_default()
}

/// The tick, or the next one where its lower half is that of never.
fn usable(tick: u64) -> u64 {
    tick + u64::from(lower(tick) == 0)
}

fn at(index: u64) -> usize {
    usize::try_from(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Entry = Entry { slot: 7 };

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
    fn whoever_is_next_is_found_wherever_the_others_lie() {
        let mut fired = Vec::new();
        for start_ms in (0..2 * SLOTS * TICK_MS).step_by(155) {
            let mut wheel = Wheel::new();
            wheel.advance(start_ms, &mut fired);
            let mut waits = Vec::new();
            for delay_ms in [5, 320, 325, 1_995, 8_750] {
                wheel.arm(&mut Alarm::default(), ANA, start_ms, delay_ms);
            }
            let mut now_ms = start_ms;
            while let Some(wait_ms) = wheel.wait_ms(now_ms) {
                now_ms += wait_ms;
                waits.push(now_ms - start_ms);
                wheel.advance(now_ms, &mut fired);
                assert_eq!(fired.drain(..).count(), 1, "{waits:?} at {start_ms}");
            }
            assert_eq!(waits.len(), 5);
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

    #[test]
    fn deadlines_hold_after_a_year() {
        // Ticks of 32 bits would be used up after 248 days.
        let year_ms = 365 * 24 * 3_600_000;
        // And over the moment at which their lower half begins anew.
        for start_ms in [
            year_ms,
            (1 << 32) * TICK_MS - 700,
            (1 << 32) * TICK_MS - 1_000,
        ] {
            let (mut wheel, mut alarm) = (Wheel::new(), Alarm::default());
            wheel.advance(start_ms, &mut Vec::new());
            wheel.arm(&mut alarm, ANA, start_ms, 1_000);
            assert!(
                wheel
                    .wait_ms(start_ms)
                    .is_some_and(|ms| (1_000..1_006).contains(&ms))
            );
            let at = fires_at(&mut wheel, &mut alarm, start_ms, start_ms + 2_000);
            assert!(at.is_some_and(|at| (1_000..1_011).contains(&(at - start_ms))));
        }
    }
}
