//! A packet whose attachments have not all come.

use std::borrow::Cow;

use super::list::List;
use super::packet::{Content, Event, Packet};
use super::placeholders;
use crate::Violation;

/// Whether an attachment was the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many are still to come.
    Missing(u32),
    /// The packet is whole.
    Whole,
}

/// An event or ack under way: its own copy of the packet, and the attachments that have come.
///
/// While there is one, a text packet is the peer's violation ([`Assembly::interrupted`]), and so is a binary one while there is none
/// ([`Assembly::unexpected`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    namespace: Box<str>,
    id: Option<u64>,
    /// The event's name; an ack has none.
    name: Option<Box<str>>,
    arguments: Box<str>,
    arguments_count: usize,
    expected: u32,
    attachments: Vec<Vec<u8>>,
    /// How many bytes may still come.
    bytes_left: usize,
}

const CLAUSE: &str = "Socket.IO v5, binary attachments";

impl Assembly {
    /// Begins with a packet that has attachments. They may have `bytes_max` bytes together.
    ///
    /// # Errors
    /// A violation when a placeholder names no attachment of the packet, or the packet has none.
    pub fn begin(packet: &Packet<'_>, bytes_max: usize) -> Result<Self, Violation> {
        let (name, list) = match &packet.content {
            Content::Event(event) if packet.attachments > 0 => {
                (Some(&*event.name), event.arguments)
            }
            Content::Ack(list) if packet.attachments > 0 => (None, *list),
            _ => return Err(Violation::new(CLAUSE, "a packet has no attachments")),
        };
        placeholders::check(list.json, packet.attachments)?;
        Ok(Self {
            namespace: packet.namespace.into(),
            id: packet.id,
            name: name.map(Into::into),
            arguments: list.json.into(),
            arguments_count: list.count,
            expected: packet.attachments,
            attachments: Vec::new(),
            bytes_left: bytes_max,
        })
    }

    /// Takes the next attachment.
    ///
    /// # Errors
    /// A violation when all attachments together become too long, or one comes after the last.
    pub fn attach(&mut self, bytes: Cow<'_, [u8]>) -> Result<Progress, Violation> {
        let Some(missing) = self.missing().checked_sub(1) else {
            return Err(Self::unexpected());
        };
        let Some(left) = self.bytes_left.checked_sub(bytes.len()) else {
            return Err(Violation::new(
                CLAUSE,
                "the attachments of a packet are too long together",
            ));
        };
        self.bytes_left = left;
        self.attachments.push(bytes.into_owned());
        Ok(match missing {
            0 => Progress::Whole,
            missing => Progress::Missing(missing),
        })
    }

    /// How many attachments are still to come.
    pub fn missing(&self) -> u32 {
        let come = u32::try_from(self.attachments.len()).unwrap_or(u32::MAX);
        self.expected.saturating_sub(come)
    }

    /// The packet as it began.
    pub fn packet(&self) -> Packet<'_> {
        let arguments = List {
            json: &self.arguments,
            count: self.arguments_count,
        };
        let content = match &self.name {
            Some(name) => Content::Event(Event {
                name: Cow::Borrowed(name),
                arguments,
            }),
            None => Content::Ack(arguments),
        };
        Packet {
            namespace: &self.namespace,
            id: self.id,
            attachments: self.expected,
            content,
        }
    }

    /// The attachments that have come, in their order.
    pub fn attachments(&self) -> &[Vec<u8>] {
        &self.attachments
    }

    /// The violation of a text packet while attachments are missing.
    pub fn interrupted() -> Violation {
        Violation::new(CLAUSE, "a packet came where an attachment was due")
    }

    /// The violation of a binary packet that belongs to nothing.
    pub fn unexpected() -> Violation {
        Violation::new(CLAUSE, "an attachment came that belongs to no packet")
    }
}
