/// Words longer than this are no misspelling of ours. Bounds the work and the row below.
const WORD_BYTES_MAX: usize = 12;

/// The one of `words` that `given` most likely means: at most two slips away, and at most one for every two letters.
pub(crate) fn nearest(given: &str, words: &[&'static str]) -> Option<&'static str> {
    words
        .iter()
        .map(|word| (distance(given, word), *word))
        .filter(|(slips, word)| *slips <= 2 && *slips * 2 <= word.len().min(given.len()))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| word)
}

/// Letters inserted, dropped, replaced or swapped with their neighbour (optimal string alignment), by ASCII lower case.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() > WORD_BYTES_MAX || right.len() > WORD_BYTES_MAX {
        return usize::MAX;
    }
    let mut rows = [[0_usize; WORD_BYTES_MAX + 1]; WORD_BYTES_MAX + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = left[i - 1].eq_ignore_ascii_case(&right[j - 1]);
                let mut best = (rows[i - 1][j] + 1)
                    .min(rows[i][j - 1] + 1)
                    .min(rows[i - 1][j - 1] + usize::from(!same));
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const WORDS: [&str; 7] = ["join", "leave", "publish", "history", "who", "nick", "ping"];

    #[test]
    fn two_slips_are_forgiven_and_three_are_not() {
        assert_eq!(nearest("jion", &WORDS), Some("join"));
        assert_eq!(nearest("Publsh", &WORDS), Some("publish"));
        assert_eq!(nearest("pubish", &WORDS), Some("publish"));
        assert_eq!(nearest("subscribe", &WORDS), None);
        assert_eq!(nearest("hwo", &WORDS), Some("who"));
        assert_eq!(nearest("with", &WORDS), None);
        assert_eq!(nearest("x", &WORDS), None);
        assert_eq!(nearest("", &WORDS), None);
        assert_eq!(nearest(&"join".repeat(10_000), &WORDS), None);
    }
}
