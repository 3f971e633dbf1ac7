//! Values by number, in blocks: growing moves none of them, and leaves less than a block unused.

/// How many values a block holds.
const BLOCK: usize = 256;
/// Ends the list of free slots.
const NONE: u32 = u32::MAX;

/// A slab for many small values. A [`Vec`] that doubles copies all of them, and for a while has three places for each two; this one allocates block
/// by block, the first of which grows as a `Vec` does, so that a few values cost little.
#[derive(Debug)]
pub struct Slots<T> {
    blocks: Vec<Vec<Slot<T>>>,
    /// The first of the free slots, each of which names the next.
    free: u32,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    Free(u32),
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            free: NONE,
            len: 0,
        }
    }
}

impl<T> Slots<T> {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more than the highest number that a value has had since there was none.
    #[must_use]
    pub fn places(&self) -> u32 {
        let last = self.blocks.last().map_or(0, Vec::len);
        let before = self.blocks.len().saturating_sub(1) * BLOCK;
        u32::try_from(before + last).unwrap_or(NONE)
    }

    /// The value with that number.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<&T> {
        let (block, place) = split(index);
        match self.blocks.get(block)?.get(place)? {
            Slot::Taken(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// The same, to change it.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        let (block, place) = split(index);
        match self.blocks.get_mut(block)?.get_mut(place)? {
            Slot::Taken(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// Takes in a value and gives its number: the one that became free last, else the next.
    pub fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let index = self.free;
        let (block, place) = split(index);
        if let Some(slot) = self.blocks.get_mut(block).and_then(|b| b.get_mut(place)) {
            if let Slot::Free(next) = *slot {
                self.free = next;
            }
            *slot = Slot::Taken(value);
            return index;
        }
        self.append(Slot::Taken(value))
    }

    /// Takes a value out.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let (block, place) = split(index);
        let slot = self.blocks.get_mut(block)?.get_mut(place)?;
        match std::mem::replace(slot, Slot::Free(self.free)) {
            Slot::Taken(value) => {
                self.free = index;
                self.len -= 1;
                if self.len == 0 {
                    *self = Self::default();
                }
                Some(value)
            }
            free => {
                *slot = free;
                None
            }
        }
    }

    /// All values with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let slots = self.blocks.iter().flatten();
        slots.zip(0..).filter_map(|(slot, index)| match slot {
            Slot::Taken(value) => Some((index, value)),
            Slot::Free(_) => None,
        })
    }

    fn append(&mut self, slot: Slot<T>) -> u32 {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            let expected = if self.blocks.is_empty() { 0 } else { BLOCK };
            self.blocks.push(Vec::with_capacity(expected));
        }
        let before = (self.blocks.len() - 1) * BLOCK;
        let Some(block) = self.blocks.last_mut() else {
            return NONE;
        };
        block.push(slot);
        u32::try_from(before + block.len() - 1).unwrap_or(NONE)
    }
}

fn split(index: u32) -> (usize, usize) {
    (index as usize / BLOCK, index as usize % BLOCK)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]
    use super::*;

    #[test]
    fn numbers_are_dense_and_given_again() {
        let mut slots = Slots::default();
        for value in 0..1_000 {
            assert_eq!(slots.insert(value), value);
        }
        assert_eq!(slots.remove(300), Some(300));
        assert_eq!(slots.remove(300), None);
        assert_eq!(slots.remove(7), Some(7));
        assert_eq!(
            (slots.at(7), slots.at(300), slots.at(8)),
            (None, None, Some(&8))
        );
        assert_eq!(slots.len(), 998);
        assert_eq!(slots.iter().count(), 998);
        assert_eq!(
            [slots.insert(1), slots.insert(2), slots.insert(3)],
            [7, 300, 1_000]
        );
        assert_eq!(slots.at(1_000), Some(&3));
        assert!(
            slots
                .iter()
                .all(|(index, value)| *value == index || *value < 4)
        );
    }

    #[test]
    fn the_last_one_that_goes_frees_everything() {
        let mut slots = Slots::default();
        for value in 0..600_u32 {
            slots.insert(value);
        }
        for index in (0..600).rev() {
            assert_eq!(slots.remove(index), Some(index));
        }
        assert!(slots.is_empty() && slots.blocks.is_empty());
        assert_eq!(slots.insert(5), 0);
        assert_eq!(slots.at(u32::MAX), None);
    }
}
