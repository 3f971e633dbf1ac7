//! Counters by word, for words that the code knows: reasons of closes, codes of refusals.

/// How often each word came. A list, since there are few and the ones that come often are found first.
///
/// Bounded by the words there are in the code: nothing that a peer says becomes one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words(Vec<(&'static str, u64)>);

impl Words {
    /// Counts a word.
    pub(crate) fn count(&mut self, word: &'static str) {
        self.count_many(word, 1);
    }

    fn count_many(&mut self, word: &'static str, times: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += times,
            None => self.0.push((word, times)),
        }
    }

    /// Takes in what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        for (word, count) in &other.0 {
            self.count_many(word, *count);
        }
    }

    /// Each word and its count, in the order of the alphabet.
    pub(crate) fn sorted(&self) -> Vec<(&'static str, u64)> {
        let mut words = self.0.clone();
        words.sort_unstable();
        words
    }
}
