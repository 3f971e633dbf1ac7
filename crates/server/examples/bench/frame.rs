//! The bytes of the benchmark: 128-byte text messages that carry their number, as the publisher sends and as members get them.

/// Bytes of a message's payload.
pub(crate) const PAYLOAD_BYTES: usize = 128;
/// Bytes of a server's frame header for it: two, and two for a length above 125 (RFC 6455 §5.2).
pub(crate) const HEADER_BYTES: usize = 4;
/// Bytes a member gets for each message.
pub(crate) const FRAME_BYTES: usize = HEADER_BYTES + PAYLOAD_BYTES;
/// Bytes a publisher sends for each message: the masking key comes on top.
pub(crate) const MASKED_BYTES: usize = FRAME_BYTES + MASK.len();
/// What marks the publisher's own request.
pub(crate) const PUBLISHER: &str = "as=publisher";

const MASK: [u8; 4] = [0x3b, 0x91, 0x5c, 0xe7];
const TEXT_FINAL: u8 = 0x81;
const LENGTH_FOLLOWS: u8 = 126;
const MASKED: u8 = 0x80;

/// What every member must get for message `number`.
pub(crate) fn served(number: u64) -> [u8; FRAME_BYTES] {
    let mut frame = [b'.'; FRAME_BYTES];
    frame[..HEADER_BYTES].copy_from_slice(&header(0));
    frame[HEADER_BYTES..HEADER_BYTES + 20].copy_from_slice(format!("{number:020}").as_bytes());
    frame
}

/// What the publisher sends for message `number`.
pub(crate) fn published(number: u64) -> [u8; MASKED_BYTES] {
    let mut frame = [0; MASKED_BYTES];
    let (head, payload) = frame.split_at_mut(HEADER_BYTES + MASK.len());
    head[..HEADER_BYTES].copy_from_slice(&header(MASKED));
    head[HEADER_BYTES..].copy_from_slice(&MASK);
    payload.copy_from_slice(&served(number)[HEADER_BYTES..]);
    mask(payload, MASK);
    frame
}

/// Turns one whole published frame into the served one; `None` for anything else.
pub(crate) fn serve(frame: &[u8; MASKED_BYTES]) -> Option<[u8; FRAME_BYTES]> {
    let (head, masked) = frame.split_at(HEADER_BYTES);
    let (key, masked) = masked.split_first_chunk::<4>()?;
    if head != header(MASKED) {
        return None;
    }
    let mut served = [0; FRAME_BYTES];
    let (own, payload) = served.split_at_mut(HEADER_BYTES);
    own.copy_from_slice(&header(0));
    payload.copy_from_slice(masked);
    mask(payload, *key);
    Some(served)
}

fn header(masked: u8) -> [u8; HEADER_BYTES] {
    let [high, low] = (PAYLOAD_BYTES as u16).to_be_bytes();
    [TEXT_FINAL, masked | LENGTH_FOLLOWS, high, low]
}

fn mask(payload: &mut [u8], key: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
