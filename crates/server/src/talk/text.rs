//! The text dialect: a person at `nc`. A line is a message; `/join`, `/who`, `/history`, `/nick`, `/help`, `/quit` are not.

use std::sync::Arc;

use bytes::Bytes;
use taut_gate::{Close, Format, Speaker, display_name, native, text};
use taut_hub::{
    Body, ConnId, Door, Draft, Farewell, Input, Join, Range, RoomName, Start, Ticket, Watch,
};
use taut_wire::lines::Splitter;
use taut_wire::native::check_key;
use taut_wire::text::{Line, decode_line};

use super::payload::UNASKED;
use super::{Step, Talk};
use crate::core::{Asker, Core, Flag};

/// Messages that `/history` shows when it is not told how many.
const HISTORY_DEFAULT: u32 = 20;

/// What a token is answered with where nobody is asked for one.
const OPEN: &str = "this server asks nobody who they are";

const SET_USAGE: &str = "say what to set it to: /set KEY VALUE";

/// A person's state.
#[derive(Debug, Default)]
pub(crate) struct TextTalk {
    /// The room that a line goes to.
    pub(crate) room: Option<RoomName>,
    next_ticket: u32,
    /// Questions that another core has not answered yet.
    waiting: u32,
    searched: usize,
}

impl TextTalk {
    fn ticket(&mut self) -> Ticket {
        // Ticket 0 is UNASKED.
        self.next_ticket = self.next_ticket.wrapping_add(1).max(1);
        self.waiting += 1;
        Ticket(self.next_ticket)
    }

    /// An answer has come.
    pub(crate) fn settle(&mut self, ticket: Ticket) {
        if ticket != UNASKED {
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }
}

impl Core {
    /// The first line has shown that a person types: they are in the lobby.
    pub(super) fn become_text(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id) {
            conn.talk = Talk::Text(Box::default());
            conn.format = Format::Text;
        }
        self.set_alarm_off(id.slot);
        if !self.identify_peer(id) {
            return;
        }
        self.await_token(id);
        if !self.knock(id, None) {
            self.come_in_by_text(id);
        }
    }

    /// Who types is let in.
    pub(crate) fn come_in_by_text(&mut self, id: ConnId) {
        if self.may_enter(id, &RoomName::lobby()) {
            self.enter(id, RoomName::lobby());
        } else {
            self.say_text(id, text::encode_asked);
        }
    }

    /// Who was let in goes to the lobby, unless there is a room already.
    pub(crate) fn enter_if_nowhere(&mut self, id: ConnId) {
        let lobby = RoomName::lobby();
        if self.shard.memberships(id).is_empty() && self.may_enter(id, &lobby) {
            self.enter(id, lobby);
        }
    }

    /// A `text://` listener speaks first.
    pub(crate) fn greet(&mut self, id: ConnId) {
        let name = self.name_of(id);
        self.say_text(id, |out| text::encode_greeting(out, &name));
        self.become_text(id);
    }

    /// One line.
    pub(super) fn text_line(&mut self, id: ConnId, data: &[u8]) -> Step {
        let splitter = Splitter {
            line_bytes_max: self.limits.message_bytes_max,
        };
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        let Talk::Text(state) = &mut conn.talk else {
            return Step::More;
        };
        match splitter.split_from(data, state.searched) {
            Err(violation) => Step::violation(&violation),
            Ok(None) => {
                state.searched = data.len();
                Step::More
            }
            Ok(Some((line, consumed))) => {
                state.searched = 0;
                match self.text_unit(id, line) {
                    Step::Took(_) => Step::Took(consumed),
                    end => end,
                }
            }
        }
    }

    /// FIN ends the last line; who is in a room goes on listening.
    pub(super) fn text_end(&mut self, id: ConnId, rest: &[u8]) {
        if !rest.is_empty()
            && let Step::End(close, why) = self.text_unit(id, rest)
        {
            return self.close(id, close, why.as_deref());
        }
        self.stay_if_joined(id);
    }

    fn text_unit(&mut self, id: ConnId, line: &[u8]) -> Step {
        let line = match decode_line(line) {
            Ok(line) => line,
            Err(violation) => {
                return Step::End(
                    Close::Violation(taut_wire::ws::CloseCode::INVALID_DATA),
                    Some(violation.to_string()),
                );
            }
        };
        match line {
            Line::Nothing => {}
            Line::Say(said) => self.say_line(id, said),
            Line::Join(name) => match RoomName::parse(name) {
                Ok(room) => self.enter(id, room),
                Err(error) => self.say_text(id, |out| text::encode_error(out, &error.to_string())),
            },
            Line::Leave => self.go_out(id),
            Line::Who => self.ask(id, |conn, ticket, room| Input::Who {
                conn,
                ticket,
                room,
                counts: false,
            }),
            Line::History(count) => self.ask(id, |conn, ticket, room| Input::Read {
                conn,
                ticket,
                room,
                range: Range::from(
                    Start::Rewind(count.unwrap_or(HISTORY_DEFAULT)),
                    count.unwrap_or(HISTORY_DEFAULT),
                ),
            }),
            Line::State => self.ask(id, |conn, ticket, room| Input::ReadState {
                conn,
                ticket,
                room,
                key: None,
            }),
            Line::Get(key) => {
                self.about_key(id, key, |conn, ticket, room, key, _| Input::ReadState {
                    conn,
                    ticket,
                    room,
                    key: Some(key),
                });
            }
            Line::Set(_, "") => self.say_text(id, |out| text::encode_error(out, SET_USAGE)),
            Line::Set(key, value) => self.about_key(id, key, |conn, ticket, room, key, speaker| {
                let body = Body::Text(Bytes::copy_from_slice(value.as_bytes()));
                let draft = Draft {
                    key: Some(key),
                    ..Draft::new(speaker.name, speaker.door, body)
                };
                Input::Publish {
                    conn,
                    ticket,
                    room,
                    draft,
                }
            }),
            Line::Delete(key) => {
                self.about_key(id, key, |conn, ticket, room, key, speaker| Input::Publish {
                    conn,
                    ticket,
                    room,
                    draft: native::deletion(speaker.name, speaker.door, key),
                });
            }
            Line::Nick(name) => self.nick(id, name),
            Line::Auth("") => {
                self.say_text(id, |out| text::encode_error(out, "say which: /auth TOKEN"));
            }
            Line::Auth(_) if !self.takes_tokens() => {
                self.say_text(id, |out| text::encode_error(out, OPEN));
            }
            Line::Auth(token) => self.show_token(id, token.into(), Asker::Text),
            Line::Help => self.say_text(id, text::encode_help),
            Line::Quit => return Step::End(Close::Asked, None),
            Line::Unknown(command) => {
                self.say_text(id, |out| text::encode_unknown(out, command));
            }
        }
        Step::Took(0)
    }

    /// Leaves the room one is in and joins another.
    fn enter(&mut self, id: ConnId, room: RoomName) {
        self.go_out(id);
        self.open(id);
        let name = self.name_of(id);
        let presence = match self.shard.allows_presence(id, &room) {
            true => Watch::Users,
            false => Watch::Nothing,
        };
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let door = conn.door();
        let Talk::Text(state) = &mut conn.talk else {
            return;
        };
        state.room = Some(room.clone());
        let ticket = state.ticket();
        self.hub(Input::Join {
            conn: id,
            ticket,
            room,
            join: Join {
                name,
                door,
                start: Start::Now,
                presence,
                data: None,
                state: false,
            },
        });
    }

    /// Somebody else brings this person into a room.
    pub(super) fn bring_text(&mut self, id: ConnId, room: &RoomName) {
        if !self.shard.is_bound_for(id, room) {
            self.enter(id, room.clone());
        }
    }

    pub(super) fn go_out(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let Talk::Text(state) = &mut conn.talk else {
            return;
        };
        if let Some(room) = state.room.take() {
            let ticket = state.ticket();
            self.hub(Input::Leave {
                conn: id,
                ticket,
                room,
                farewell: Farewell::Said,
            });
        }
    }

    /// Asks something about the room one is in.
    fn ask(&mut self, id: ConnId, question: impl FnOnce(ConnId, Ticket, RoomName) -> Input) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let Talk::Text(state) = &mut conn.talk else {
            return;
        };
        match state.room.clone() {
            Some(room) => {
                let ticket = state.ticket();
                // An answer may be a whole page: no more is heard before it has come.
                conn.flags.set(Flag::Paused, true);
                self.hub(question(id, ticket, room));
            }
            None => self.say_text(id, text::encode_nowhere),
        }
    }

    /// Asks something about a key of the room one is in.
    fn about_key(
        &mut self,
        id: ConnId,
        key: &str,
        question: impl FnOnce(ConnId, Ticket, RoomName, Arc<str>, Speaker) -> Input,
    ) {
        if let Err(error) = check_key(key) {
            return self.say_text(id, |out| text::encode_error(out, &error.to_string()));
        }
        let speaker = Speaker {
            name: self.name_of(id),
            door: Door("text"),
        };
        self.ask(id, |conn, ticket, room| {
            question(conn, ticket, room, Arc::from(key), speaker)
        });
    }

    fn say_line(&mut self, id: ConnId, said: &str) {
        let from = self.name_of(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let door = conn.door();
        let Talk::Text(state) = &mut conn.talk else {
            return;
        };
        let Some(room) = state.room.clone() else {
            return self.say_text(id, text::encode_nowhere);
        };
        self.hub(Input::Publish {
            conn: id,
            ticket: UNASKED,
            room,
            draft: Draft::new(
                from,
                door,
                Body::Text(Bytes::copy_from_slice(said.as_bytes())),
            ),
        });
    }

    fn nick(&mut self, id: ConnId, name: &str) {
        match display_name(name) {
            Ok(name) => {
                if let Some(conn) = self.conns.find(id) {
                    conn.name.set(&name);
                }
                self.say_text(id, |out| text::encode_renamed(out, &name));
                self.hub(Input::Rename { conn: id, name });
            }
            Err(error) => self.say_text(id, |out| text::encode_error(out, &error.to_string())),
        }
    }

    /// Writes lines to a person.
    pub(crate) fn say_text(&mut self, id: ConnId, encode: impl FnOnce(&mut Vec<u8>)) {
        if let Some(conn) = self.conns.find(id)
            && matches!(conn.talk, Talk::Text(_))
        {
            encode(conn.answers());
            self.touch(id.slot);
        }
    }

    /// A Conn that is gone before it said anything is not worth a word.
    pub(crate) fn drop_silently(&mut self, id: ConnId) {
        self.remove(id.slot, Farewell::Vanished);
    }
}
