//! Whether everybody got everything, once and in order.

use serde::{Deserialize, Serialize};

/// Numbers that one reader missed and that may still come late; of more than that the oldest counts as lost for good.
const MISSING_MAX: usize = 64;

/// What was found, over all readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Payloads that arrived, each counted once.
    #[serde(skip)]
    pub(crate) delivered: u64,
    /// Payloads that never arrived.
    pub(crate) lost: u64,
    /// Payloads that arrived again.
    pub(crate) duplicated: u64,
    /// Payloads that arrived behind a later one.
    pub(crate) reordered: u64,
    /// Payloads that arrived where they do not belong: of another room.
    pub(crate) strayed: u64,
    /// Units whose payload, or what stands around it, is not as it was published.
    pub(crate) changed: u64,
}

impl Tally {
    /// Whether all went as it must.
    pub(crate) fn is_clean(&self) -> bool {
        let Self {
            delivered: _,
            lost,
            duplicated,
            reordered,
            strayed,
            changed,
        } = self;
        lost + duplicated + reordered + strayed + changed == 0
    }

    /// Adds what another round found.
    pub(crate) fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.strayed += other.strayed;
        self.changed += other.changed;
    }
}

/// What one reader has of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequence {
    /// The number that comes next.
    next: u64,
    /// Numbers below it that have not come, oldest first.
    missing: Vec<u64>,
}

/// What a number that arrived was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The next one.
    InOrder,
    /// One ahead of its turn; `skipped` numbers before it are missing.
    Ahead { skipped: u64 },
    /// A missing one, late.
    Late,
    /// One that was there before.
    Again,
}

impl Sequence {
    /// Judges a number, and counts it.
    pub(crate) fn judge(&mut self, number: u64, tally: &mut Tally) -> Judgement {
        if number == self.next {
            self.next += 1;
            tally.delivered += 1;
            return Judgement::InOrder;
        }
        if let Some(skipped) = number.checked_sub(self.next) {
            tally.delivered += 1;
            tally.lost += skipped;
            let remembered = skipped.min(MISSING_MAX as u64);
            self.missing.extend(number - remembered..number);
            let excess = self.missing.len().saturating_sub(MISSING_MAX);
            self.missing.drain(..excess);
            self.next = number + 1;
            return Judgement::Ahead { skipped };
        }
        let Some(place) = self.missing.iter().position(|missing| *missing == number) else {
            tally.duplicated += 1;
            return Judgement::Again;
        };
        self.missing.remove(place);
        tally.delivered += 1;
        tally.lost -= 1;
        tally.reordered += 1;
        Judgement::Late
    }

    /// Counts what is missing at the end of all that was published, `published` messages.
    pub(crate) fn finish(&mut self, published: u64, tally: &mut Tally) {
        tally.lost += published.saturating_sub(self.next);
        self.next = self.next.max(published);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(numbers: &[u64], published: u64) -> Tally {
        let (mut sequence, mut tally) = (Sequence::default(), Tally::default());
        for number in numbers {
            sequence.judge(*number, &mut tally);
        }
        sequence.finish(published, &mut tally);
        tally
    }

    #[test]
    fn everything_once_and_in_order_is_clean() {
        let tally = tally(&[0, 1, 2, 3], 4);
        assert!(tally.is_clean());
        assert_eq!(tally.delivered, 4);
    }

    #[test]
    fn a_loss_a_double_and_a_swap_are_told_apart() {
        let lost = tally(&[0, 2, 3], 4);
        assert_eq!((lost.delivered, lost.lost, lost.reordered), (3, 1, 0));
        let tail = tally(&[0, 1], 4);
        assert_eq!((tail.delivered, tail.lost), (2, 2));
        let double = tally(&[0, 1, 1, 2, 0], 3);
        assert_eq!(
            (double.delivered, double.duplicated, double.lost),
            (3, 2, 0)
        );
        let swap = tally(&[1, 0, 2], 3);
        assert_eq!((swap.delivered, swap.reordered, swap.lost), (3, 1, 0));
    }

    #[test]
    fn what_is_missed_is_remembered_within_bounds() {
        let far = 10_000;
        let (mut sequence, mut tally) = (Sequence::default(), Tally::default());
        assert_eq!(
            sequence.judge(far, &mut tally),
            Judgement::Ahead { skipped: far }
        );
        assert_eq!(sequence.missing.len(), MISSING_MAX);
        assert_eq!(sequence.judge(far - 1, &mut tally), Judgement::Late);
        // Too long ago to be told from a double.
        assert_eq!(sequence.judge(0, &mut tally), Judgement::Again);
        assert_eq!(tally.lost, far - 1);
    }
}
