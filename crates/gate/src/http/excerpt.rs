//! What a refusal repeats of what came.

use std::borrow::Cow;

/// Characters that are repeated: enough to find the mistake.
const CHARS_MAX: usize = 64;

/// The beginning of what came. Whoever sends much must not make the answer, and a line of the log, as long.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_at_a_character() {
        let (fits, long) = ("ü".repeat(64), "ü".repeat(65));
        assert_eq!(excerpt(&fits), fits);
        assert_eq!(excerpt(&long), format!("{fits}…"));
        assert_eq!(excerpt(""), "");
    }
}
