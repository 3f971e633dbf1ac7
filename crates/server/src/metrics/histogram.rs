//! How long something takes, sorted into fixed buckets.

/// The buckets' upper bounds, in nanoseconds: 50 µs, about ten writes, to 2.5 s, when every client has noticed.
pub(crate) const BOUNDS_NS: [u64; 15] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
];

/// How often something took how long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    /// By bucket; the last one is for what is beyond every bound.
    counts: [u64; BOUNDS_NS.len() + 1],
    sum_ns: u64,
}

impl Histogram {
    /// Notes that it took so long.
    pub(crate) fn observe(&mut self, ns: u64) {
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < ns);
        self.counts[bucket] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Takes in what another one has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// The bounds, each with how many were within it.
    pub(crate) fn within(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut sum = 0;
        BOUNDS_NS
            .iter()
            .zip(&self.counts)
            .map(move |(bound, count)| {
                sum += count;
                (*bound, sum)
            })
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together, in nanoseconds.
    pub(crate) fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let mut histogram = Histogram::default();
        for ns in [0, 50_000, 50_001, 2_500_000_000, 2_500_000_001, u64::MAX] {
            histogram.observe(ns);
        }
        let within: Vec<(u64, u64)> = histogram.within().collect();
        assert_eq!(within[0], (50_000, 2));
        assert_eq!(within[1], (100_000, 3));
        assert_eq!(within[14], (2_500_000_000, 4));
        assert_eq!(histogram.count(), 6);
        assert_eq!(histogram.sum_ns(), u64::MAX, "it does not begin anew");
    }
}
