//! Native JSON in datagrams: what is said elsewhere in one unit of any length must fit, and what cannot is fetched in pieces.

use taut_hub::{Page, Position, RoomName, Roster, Start, State};
use taut_wire::native as wire;

use crate::format::{delivery, stamp};
use crate::native;

/// Bytes of a datagram by default: what passes every network that carries IPv6, with space for tunnels, unfragmented (RFC 9000 §14.1 has the same reasons).
pub const DATAGRAM_BYTES_MAX_DEFAULT: usize = 1_200;

/// A page of history in at most `bytes_max` bytes: as many of its first messages as fit.
///
/// # Errors
/// The position of the first message, where even that one does not fit.
pub fn encode_history(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    page: &Page,
    bytes_max: usize,
) -> Result<(), Position> {
    let start = out.len();
    let mut shown = page.clone();
    let (first, last) = (page.messages.first(), page.messages.last());
    let is_reverse = first.map(|message| message.offset) > last.map(|message| message.offset);
    loop {
        native::encode_history(out, reference, &shown);
        let Some(first) = shown.messages.first() else {
            return Ok(());
        };
        if out.len() - start <= bytes_max {
            return Ok(());
        }
        out.truncate(start);
        let at = |offset| Position {
            epoch: page.at.epoch,
            offset,
        };
        if shown.messages.len() == 1 {
            return Err(at(first.offset));
        }
        shown.messages.truncate(shown.messages.len() / 2);
        shown.more = true;
        let reached = shown.messages.last().map_or(0, |message| message.offset);
        // Backwards the next page ends before the last message shown.
        shown.at = at(reached.saturating_sub(u64::from(is_reverse)));
    }
}

/// What is said of a state that does not fit into a datagram: how to have it all the same.
#[must_use]
pub fn state_too_long(state: &State, one_key: bool) -> String {
    let at = state.entries.first().map(|message| Position {
        epoch: state.at.epoch,
        offset: message.offset,
    });
    match at {
        Some(at) if one_key => format!("the message {at} is too long for a datagram; fetch it"),
        _ => "the state is too long for a datagram; get its keys one by one, or ask over another carrier".to_owned(),
    }
}

/// A list of members in at most `bytes_max` bytes: as many as fit. `count` says how many there are.
pub fn encode_who(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    room: &RoomName,
    roster: &Roster,
    bytes_max: usize,
) {
    let start = out.len();
    let mut shown = roster.clone();
    loop {
        native::encode_who(out, reference, room, &shown);
        if out.len() - start <= bytes_max || shown.members.is_empty() {
            return;
        }
        out.truncate(start);
        shown.members.truncate(shown.members.len() / 2);
    }
}

/// A piece of the page's one message, as long as fits into `bytes_max` bytes.
///
/// # Errors
/// A sentence for the peer, when the room no longer holds the message, or `offset` lies behind its end.
pub fn encode_piece(
    out: &mut Vec<u8>,
    reference: Option<&str>,
    page: &Page,
    piece: &Fetch,
    bytes_max: usize,
) -> Result<(), String> {
    let found = page.messages.first();
    let Some(message) = found
        .filter(|message| message.offset == piece.at.offset && page.at.epoch == piece.at.epoch)
    else {
        return Err(format!("the room does not hold the message {}", piece.at));
    };
    let at = piece.at.to_string();
    let mut unit = Vec::new();
    let by = stamp(message);
    let message = delivery(page.room.as_str(), &at, by.as_ref(), message);
    wire::encode_delivery(&mut unit, &message);
    let Some(rest) = unit.get(piece.offset as usize..) else {
        return Err(format!(
            "the message has {} bytes, so nothing begins at {}",
            unit.len(),
            piece.offset
        ));
    };
    let mut shown = wire::Piece {
        room: page.room.as_str(),
        at: &at,
        offset: piece.offset,
        bytes: u32::try_from(unit.len()).unwrap_or(u32::MAX),
        piece: &[],
    };
    let start = out.len();
    wire::encode_fetched(out, reference, &shown);
    let space = bytes_max.saturating_sub(out.len() - start) / 4 * 3;
    out.truncate(start);
    // A piece has at least a byte, or its reader would ask for ever.
    shown.piece = &rest[..rest.len().min(space.max(1))];
    wire::encode_fetched(out, reference, &shown);
    Ok(())
}

/// `{"prove":…}`.
pub fn encode_prove(out: &mut Vec<u8>, challenge: &str) {
    wire::encode_prove(out, challenge);
}

/// `{"ok":"publish"}`, or what else was taken, without a position, where there is no space for one.
pub fn encode_taken(out: &mut Vec<u8>, taken: wire::Taken, reference: Option<&str>) {
    wire::encode_taken(out, taken, reference);
}

/// `{"error":CODE}` without a text, where there is no space for one.
pub fn encode_bare_error(out: &mut Vec<u8>, code: &str, reference: Option<&str>) {
    wire::encode_bare_error(out, code, reference);
}

/// Which piece of which message was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// The message's position.
    pub at: Position,
    /// Where the piece begins, in bytes.
    pub offset: u32,
}

impl Fetch {
    /// Where a read begins that brings the message.
    #[must_use]
    pub fn start(self) -> Start {
        Start::After(Position {
            epoch: self.at.epoch,
            offset: self.at.offset.saturating_sub(1),
        })
    }
}
