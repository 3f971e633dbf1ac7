//! Text that arrives in pieces, cut anywhere, checked as it comes (RFC 6455 §8.1).

use super::Violation;

/// Checks a whole piece of text at once.
pub(super) fn check_whole(bytes: &[u8]) -> Result<&str, Violation> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| bad_utf8())
}

/// Checks a whole text and keeps its memory.
pub(super) fn check_whole_owned(bytes: Vec<u8>) -> Result<String, Violation> {
    String::from_utf8(bytes).map_err(|_| bad_utf8())
}

fn bad_utf8() -> Violation {
    Violation::invalid_data("RFC 6455 §8.1", "the text is not valid UTF-8")
}

/// A growing text whose last character may still be incomplete.
///
/// Each byte is validated once: the text is a `String` from the first piece on, and only a sequence that a cut left
/// unfinished (at most 3 bytes) waits beside it.
#[derive(Debug, Default)]
pub(super) struct TextStream {
    text: String,
    tail: [u8; 4],
    tail_bytes: usize,
}

impl TextStream {
    /// Takes the next piece; fails at the first byte after which no continuation could be valid.
    pub(super) fn absorb(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let piece = self.complete_tail(piece)?;
        let (whole, cut) = piece.split_at(piece.len() - unfinished_bytes(piece));
        self.text.push_str(check_whole(whole)?);
        if !cut.is_empty() {
            check_unfinished(cut)?;
            self.tail[..cut.len()].copy_from_slice(cut);
            self.tail_bytes = cut.len();
        }
        Ok(())
    }

    /// Feeds the unfinished character byte by byte and gives back the rest of the piece.
    fn complete_tail<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], Violation> {
        while self.tail_bytes > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                break;
            };
            piece = rest;
            self.tail[self.tail_bytes] = byte;
            self.tail_bytes += 1;
            let tail = &self.tail[..self.tail_bytes];
            if let Ok(character) = std::str::from_utf8(tail) {
                self.text.push_str(character);
                self.tail_bytes = 0;
            } else {
                check_unfinished(tail)?;
            }
        }
        Ok(piece)
    }

    /// Bytes taken so far.
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.tail_bytes
    }

    /// The whole text; fails when it ends inside a character.
    pub(super) fn finish(self) -> Result<String, Violation> {
        if self.tail_bytes > 0 {
            return Err(bad_utf8());
        }
        Ok(self.text)
    }
}

/// How many bytes at the end begin a character that more bytes would be needed for.
fn unfinished_bytes(piece: &[u8]) -> usize {
    for (index, byte) in piece.iter().rev().take(3).enumerate() {
        let needed = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if needed > index + 1 { index + 1 } else { 0 };
    }
    0
}

/// `bytes` is at most one character and not whole: fails unless it can still become one.
fn check_unfinished(bytes: &[u8]) -> Result<(), Violation> {
    match std::str::from_utf8(bytes) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => Ok(()),
        _ => Err(bad_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use super::TextStream;

    #[test]
    fn every_cut_of_a_text_gives_the_same_text() {
        let text = "aß水🍣 κόσμε";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut stream = TextStream::default();
                assert!(stream.absorb(&text.as_bytes()[..first]).is_ok());
                assert!(stream.absorb(&text.as_bytes()[first..second]).is_ok());
                assert!(stream.absorb(&text.as_bytes()[second..]).is_ok());
                assert_eq!(stream.len(), text.len());
                assert_eq!(stream.finish().as_deref(), Ok(text));
            }
        }
    }

    #[test]
    fn the_first_hopeless_byte_is_noticed_at_once() {
        for (hopeful, hopeless) in [
            (&b"\xf4"[..], &b"\x90"[..]),
            (b"\xe0", b"\x9f"),
            (b"\xed", b"\xa0"),
            (b"\xf0", b"\x8f"),
            (b"\xe6\xb0", b"a"),
            (b"abc", b"\x80"),
            (b"abc", b"\xc1"),
            (b"abc", b"\xf5"),
            (b"abc", b"\xff"),
        ] {
            let mut stream = TextStream::default();
            assert!(stream.absorb(hopeful).is_ok(), "{hopeful:x?}");
            assert!(
                stream.absorb(hopeless).is_err(),
                "{hopeful:x?} {hopeless:x?}"
            );
            let mut stream = TextStream::default();
            assert!(stream.absorb(&[hopeful, hopeless].concat()).is_err());
        }
    }
}
