use taut_hub::{Position, RoomName};

use crate::http::position as read_position;

/// Rooms that an offset of the namespace `/` names. In more, a session has no place for where it stands and is not recovered.
pub const OFFSET_ROOMS_MAX: usize = 16;

/// What a client in more rooms keeps: no list that could be read back.
pub const NOWHERE: &str = "+";

/// Where a Conn stands in one of the rooms of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The room; `None` is the namespace's own, and in `/` the lobby, where it is for no reason but that it named no room.
    pub room: Option<RoomName>,
    /// How far it has heard.
    pub at: Position,
}

/// What a client in the namespace `/`, or in one with more rooms than its own, keeps as its offset: where it stands in all its rooms, `POSITION:ROOM` joined by `+`, which no name
/// holds. So it can come back to all of them, at any core and after a restart, and nothing is kept here for those who do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset(pub Vec<Stand>);

impl Offset {
    /// As it goes out.
    #[must_use]
    pub fn encode(&self) -> String {
        if self.0.len() > OFFSET_ROOMS_MAX {
            // A session that is not whole must not look so.
            return NOWHERE.to_owned();
        }
        let mut text = String::new();
        for (index, stand) in self.0.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            text.push_str(&stand.at.to_string());
            text.push(':');
            if let Some(room) = &stand.room {
                text.push_str(room.as_str());
            }
        }
        text
    }

    /// Reads what a client came back with; `None` where it says nothing that we could have said.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let stands: Option<Vec<Stand>> = text
            .split('+')
            .take(OFFSET_ROOMS_MAX + 1)
            .map(|stand| {
                let (at, room) = stand.split_once(':')?;
                let room = match room {
                    "" => None,
                    room => Some(RoomName::parse(room).ok()?),
                };
                let at = read_position(at);
                (at != Position::UNKNOWN).then_some(Stand { room, at })
            })
            .collect();
        stands
            .filter(|stands| stands.len() <= OFFSET_ROOMS_MAX)
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use taut_hub::Epoch;

    use super::*;

    fn stand(room: Option<&str>, offset: u64) -> Stand {
        Stand {
            room: room.map(|room| RoomName::parse(room).unwrap()),
            at: Position {
                epoch: Epoch(77),
                offset,
            },
        }
    }

    #[test]
    fn an_offset_is_read_as_it_was_written() {
        let offset = Offset(vec![stand(None, 3), stand(Some("games/a:b"), 9)]);
        assert_eq!(offset.encode(), "25-3:+25-9:games/a:b");
        assert_eq!(Offset::decode(&offset.encode()), Some(offset));
    }

    #[test]
    fn what_we_never_said_is_no_offset() {
        for text in ["", "+", "25-3", "25-3:+", "x:den", "25-3:a//b", "hello"] {
            assert_eq!(Offset::decode(text), None, "{text}");
        }
        let many: Vec<Stand> = (0..=OFFSET_ROOMS_MAX as u64)
            .map(|n| stand(Some("den"), n + 1))
            .collect();
        assert_eq!(Offset::decode(&Offset(many).encode()), None);
    }
}
