//! The arguments of an event, as Socket.IO clients say them: one JSON array in which binary attachments may stand anywhere.
//!
//! - *Packed*, they are one run of bytes, which is what a room keeps: the array with `{"_placeholder":true,"num":N}` in the place of
//!   attachment `N`, and behind it each attachment: a zero byte, its length as 8 bytes little-endian, its bytes. Valid JSON holds no zero
//!   byte, and without attachments the array is all there is.
//! - To every door but Socket.IO's they are JSON with `{"base64":"…"}` in the place of each attachment, in both directions.
//! - Without attachments a `_placeholder` is the user's own data. Beside attachments nothing but a placeholder has a member of that name,
//!   and none stands twice: readers would take it for one, or have to repeat an attachment as often as somebody else likes.
//!
//! Everything is linear in its input and nothing recurses.

mod walk;

use base64::Engine as _;

use crate::native;

use walk::{Piece, Walk, Wanted};

/// Attachments of one message, at most.
pub const ATTACHMENTS_MAX: usize = 64;

/// Ahead of each attachment.
const SEPARATOR: u8 = 0;
const LENGTH_BYTES: usize = 8;

/// The arguments of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// All of them as one JSON array, in which `{"_placeholder":true,"num":N}` stands for attachment `N` where there are attachments.
    pub json: &'a str,
    /// The attachments.
    pub attachments: Vec<&'a [u8]>,
}

/// Packs a valid JSON array and its attachments; [`check`] says whether they fit together.
#[must_use]
pub fn pack(json: &str, attachments: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let behind: usize = attachments
        .iter()
        .map(|attachment| 1 + LENGTH_BYTES + attachment.as_ref().len())
        .sum();
    let mut packed = Vec::with_capacity(json.len() + behind);
    packed.extend_from_slice(json.as_bytes());
    for attachment in attachments {
        let attachment = attachment.as_ref();
        packed.push(SEPARATOR);
        packed.extend_from_slice(&(attachment.len() as u64).to_le_bytes());
        packed.extend_from_slice(attachment);
    }
    packed
}

/// Takes apart what [`pack`] made; `None` where that cannot be. The JSON between its brackets is not looked at.
#[must_use]
pub fn unpack(packed: &[u8]) -> Option<Arguments<'_>> {
    let end = memchr::memchr(SEPARATOR, packed).unwrap_or(packed.len());
    let (json, mut rest) = packed.split_at(end);
    let json = simdutf8::basic::from_utf8(json).ok()?;
    if !(json.len() >= 2 && json.starts_with('[') && json.ends_with(']')) {
        return None;
    }
    let mut attachments = Vec::new();
    while let Some((separator, behind)) = rest.split_first() {
        let (length, behind) = behind.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        if *separator != SEPARATOR {
            return None;
        }
        let (attachment, behind) = behind.split_at_checked(length)?;
        attachments.push(attachment);
        rest = behind;
    }
    Some(Arguments { json, attachments })
}

/// Whether the valid JSON array `json` may be published with so many attachments: it nests no deeper than [`native::DEPTH_MAX`], names each
/// of them exactly once, and holds nothing else that a reader could take for one.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check(json: &str, attachments: usize) -> Result<(), String> {
    if native::is_too_deep(json.as_bytes()) {
        let max = native::DEPTH_MAX;
        return Err(format!("the arguments nest deeper than {max} levels"));
    }
    if attachments == 0 {
        return Ok(());
    }
    if attachments > ATTACHMENTS_MAX {
        return Err(too_many());
    }
    let mut seen = vec![false; attachments];
    for piece in Walk::new(json, Wanted::Placeholders) {
        match piece {
            Piece::Placeholder(number) => match seen.get_mut(number) {
                None => return Err(format!("there is no attachment {number}")),
                Some(true) => return Err(format!("attachment {number} stands in two places")),
                Some(seen) => *seen = true,
            },
            Piece::Stray => return Err(stray()),
            Piece::Plain(_) | Piece::Base64(_) => {}
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(number) => Err(format!("attachment {number} stands nowhere")),
        None => Ok(()),
    }
}

impl Arguments<'_> {
    /// Appends the array on one line, with `{"base64":"…"}` in the place of each attachment. A placeholder of no attachment, or of one that
    /// stood before, which [`check`] refuses, is `null`.
    pub fn encode_json(&self, out: &mut Vec<u8>) {
        if self.attachments.is_empty() {
            return native::encode_json(out, self.json.as_bytes());
        }
        let mut left: Vec<Option<&[u8]>> = self.attachments.iter().copied().map(Some).collect();
        for piece in Walk::new(self.json, Wanted::Placeholders) {
            match piece {
                Piece::Plain(json) => native::encode_json(out, json.as_bytes()),
                Piece::Placeholder(number) => match left.get_mut(number).and_then(Option::take) {
                    Some(attachment) => {
                        out.extend_from_slice(b"{\"base64\":\"");
                        native::encode_base64(out, attachment);
                        out.extend_from_slice(b"\"}");
                    }
                    None => out.extend_from_slice(b"null"),
                },
                Piece::Base64(_) | Piece::Stray => {}
            }
        }
    }
}

/// Appends packed arguments as [`Arguments::encode_json`] does; `[]` for what is not packed by us.
pub fn encode_packed(out: &mut Vec<u8>, packed: &[u8]) {
    match unpack(packed) {
        Some(arguments) => arguments.encode_json(out),
        None => out.extend_from_slice(b"[]"),
    }
}

/// Reads arguments as every door but Socket.IO's has them: each object that is exactly `{"base64":"…"}` becomes an attachment. The array with
/// placeholders, and the attachments.
///
/// # Errors
/// A sentence that says what is wrong: no JSON array, nested too deep, a string that is not base64, or more than [`ATTACHMENTS_MAX`].
pub fn from_json(json: &str) -> Result<(String, Vec<Vec<u8>>), String> {
    from_checked(native::check_json(json.as_bytes())?)
}

/// The same for what is known to be JSON that does not nest too deep, without white space around it.
///
/// # Errors
/// As [`from_json`].
pub(crate) fn from_checked(json: &str) -> Result<(String, Vec<Vec<u8>>), String> {
    if !json.starts_with('[') {
        return Err("the arguments must be a list".to_owned());
    }
    let mut array = String::with_capacity(json.len());
    let mut attachments = Vec::new();
    let mut strays = false;
    for piece in Walk::new(json, Wanted::Base64) {
        match piece {
            Piece::Plain(json) => array.push_str(json),
            Piece::Base64(_) if attachments.len() == ATTACHMENTS_MAX => return Err(too_many()),
            Piece::Base64(text) => {
                let attachment = native::BASE64
                    .decode(text.as_bytes())
                    .map_err(|error| format!("\"base64\" is not base64: {error}"))?;
                array.push_str(&format!(
                    "{{\"_placeholder\":true,\"num\":{}}}",
                    attachments.len()
                ));
                attachments.push(attachment);
            }
            Piece::Stray => strays = true,
            Piece::Placeholder(_) => {}
        }
    }
    if strays && !attachments.is_empty() {
        return Err(stray());
    }
    Ok((array, attachments))
}

/// Packs arguments as a server says them. What looks like an attachment and cannot be one is somebody's own data, which Socket.IO clients may
/// say: then nothing in these arguments is taken for an attachment.
///
/// # Errors
/// A sentence, where `json`, which is JSON, is no array.
pub(crate) fn pack_said(json: &str) -> Result<Vec<u8>, String> {
    match from_checked(json) {
        Ok((array, attachments)) => Ok(pack(&array, &attachments)),
        Err(_) if json.starts_with('[') => Ok(json.as_bytes().to_vec()),
        Err(error) => Err(error),
    }
}

fn too_many() -> String {
    format!("at most {ATTACHMENTS_MAX} attachments are allowed")
}

fn stray() -> String {
    "beside attachments nothing may have a member \"_placeholder\"".to_owned()
}
