use std::iter::FusedIterator;

use memchr::memchr;

use super::packet::{Packet, decode_text, encode_text};
use crate::Violation;

/// What stands between the packets of a payload: U+001E, which JSON never holds unescaped.
pub const SEPARATOR: u8 = 0x1e;

/// The packets of a polling body, read as they are asked for. After a violation there are no more.
#[derive(Debug, Clone)]
pub struct Payload<'a> {
    /// What has not been read, without the separator ahead of it.
    rest: Option<&'a str>,
    packets_left: usize,
}

/// Reads the body of a poll's answer or of a POST. More than `packets_max` packets are a violation behind the last allowed one.
pub fn payload(body: &str, packets_max: usize) -> Payload<'_> {
    Payload {
        rest: Some(body),
        packets_left: packets_max,
    }
}

impl<'a> Iterator for Payload<'a> {
    type Item = Result<Packet<'a>, Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        let body = self.rest.take()?;
        let Some(left) = self.packets_left.checked_sub(1) else {
            return Some(Err(Violation::new(
                "Engine.IO v4, HTTP long-polling",
                "a payload has more packets than are taken at once",
            )));
        };
        self.packets_left = left;
        let end = memchr(SEPARATOR, body.as_bytes());
        let (packet, rest) = match end.and_then(|end| body.split_at_checked(end)) {
            Some((packet, rest)) => (packet, rest.get(1..)),
            None => (body, None),
        };
        let packet = decode_text(packet);
        if packet.is_ok() {
            self.rest = rest;
        }
        Some(packet)
    }
}

impl FusedIterator for Payload<'_> {}

/// Appends a packet to a payload, with the separator ahead of it unless `out` is empty.
///
/// A text that holds the separator would be read as two packets; the layer above must not send one. JSON never does.
pub fn push_payload(out: &mut Vec<u8>, packet: &Packet<'_>) {
    if !out.is_empty() {
        out.push(SEPARATOR);
    }
    encode_text(out, packet);
}
