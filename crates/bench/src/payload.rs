//! What is published: a text that says which run, which publisher and which message it is, so that whatever comes back can be judged.
//!
//! `tb`, then in hexadecimal the run (8 digits), the source (8) and the number (16), then dots. No door has to escape any of it.

use memchr::memmem;

use crate::failure::Failure;

/// Bytes of a payload at least: what identifies it.
pub(crate) const PAYLOAD_BYTES_MIN: usize = MARK_BYTES + 8 + 16;

const MARK_BYTES: usize = 2 + 8;
const FILL: u8 = b'.';

/// The form of one run's payloads.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// `tb` and the run.
    mark: [u8; MARK_BYTES],
    /// Of one payload.
    bytes: usize,
}

/// What a payload says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    /// Who published it.
    pub(crate) source: u32,
    /// Its number among what that source published, from 0.
    pub(crate) number: u64,
}

impl Form {
    /// The form of run `run` with payloads of so many bytes.
    pub(crate) fn new(run: u32, bytes: usize) -> Result<Self, Failure> {
        if bytes < PAYLOAD_BYTES_MIN {
            return Err(Failure::usage(format!(
                "--bytes {bytes}: a payload has at least {PAYLOAD_BYTES_MIN} bytes, because it says which message it is"
            )));
        }
        let mut mark = *b"tb........";
        write_hex(&mut mark[2..], u64::from(run));
        Ok(Self { mark, bytes })
    }

    /// Bytes of one payload.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the payload with this label.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, label: Label) {
        let start = out.len();
        out.resize(start + self.bytes, FILL);
        let payload = &mut out[start..];
        payload[..MARK_BYTES].copy_from_slice(&self.mark);
        write_hex(
            &mut payload[MARK_BYTES..MARK_BYTES + 8],
            u64::from(label.source),
        );
        write_hex(
            &mut payload[MARK_BYTES + 8..PAYLOAD_BYTES_MIN],
            label.number,
        );
    }

    /// Where a payload of this run begins in `unit`; `guess` is where the last one began.
    pub(crate) fn find(&self, unit: &[u8], guess: usize) -> Option<usize> {
        if unit
            .get(guess..)
            .is_some_and(|rest| rest.starts_with(&self.mark))
        {
            return Some(guess);
        }
        memmem::find(unit, &self.mark)
    }

    /// The label of the payload at the front of `bytes`; `None` where a byte of it is not as it was published.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Option<Label> {
        let payload = bytes.get(..self.bytes)?;
        let (label, fill) = payload.split_at(PAYLOAD_BYTES_MIN);
        if label[..MARK_BYTES] != self.mark || fill.iter().any(|byte| *byte != FILL) {
            return None;
        }
        let source = read_hex(&label[MARK_BYTES..MARK_BYTES + 8])?;
        let number = read_hex(&label[MARK_BYTES + 8..])?;
        Some(Label {
            source: u32::try_from(source).ok()?,
            number,
        })
    }
}

fn write_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LABEL: Label = Label {
        source: 7,
        number: 0x0123_4567_89ab_cdef,
    };

    #[test]
    fn a_payload_is_found_wherever_a_unit_holds_it_and_says_its_label() {
        let form = Form::new(0xfeed, 128).unwrap();
        let mut unit = b"42/room,[\"chat\",\"".to_vec();
        let at = unit.len();
        form.encode(&mut unit, LABEL);
        unit.extend_from_slice(b"\"]");
        for guess in [0, at, at + 1, 10_000] {
            assert_eq!(form.find(&unit, guess), Some(at));
        }
        assert_eq!(form.decode(&unit[at..]), Some(LABEL));
    }

    #[test]
    fn a_changed_byte_or_a_missing_one_is_noticed() {
        let form = Form::new(1, 64).unwrap();
        let mut payload = Vec::new();
        form.encode(&mut payload, LABEL);
        assert_eq!(form.decode(&payload[..63]), None);
        for place in PAYLOAD_BYTES_MIN..64 {
            let mut changed = payload.clone();
            changed[place] ^= 1;
            assert_eq!(form.decode(&changed), None);
        }
    }

    #[test]
    fn another_run_is_not_this_one() {
        let mut payload = Vec::new();
        Form::new(1, 64).unwrap().encode(&mut payload, LABEL);
        assert_eq!(Form::new(2, 64).unwrap().find(&payload, 0), None);
    }
}
