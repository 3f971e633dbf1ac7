//! From a socket's readiness to whole units: one read buffer per core, and a Conn keeps only what is no whole unit yet.

use std::io::{self, Read};
use std::sync::Arc;

use mio::Interest;
use taut_gate::Close;
use taut_hub::{ConnId, Farewell, Input};

use super::{Core, Flag, Name, READ_BYTES, Stream, token_of};
use crate::acceptor::Newcomer;
use crate::limits::TURNED_MS;
use crate::listen::Speaks;
use crate::metrics::DoorAt;
use crate::talk::{Step, Talk};

/// How long a Conn may take to read its last answers and its farewell, in milliseconds.
const FAREWELL_MS_MAX: u64 = 10_000;
/// How long a session that ends waits for a poll to say so, in milliseconds.
const LAST_POLL_MS_MAX: u64 = 2_000;
/// Reads a Conn may have in one turn; then the others come first.
const READS_PER_TURN: usize = 4;
/// Units of one Conn in a turn. Reads hold thousands of the shortest ones, and everybody else of the core would wait for all of them.
const UNITS_PER_TURN: u32 = 1_024;

impl Core {
    /// Takes in a socket from the acceptor, or from its handshake.
    pub(super) fn welcome(&mut self, newcomer: Newcomer) -> Option<ConnId> {
        let Newcomer {
            stream,
            speaks,
            bill,
            origin,
        } = newcomer;
        let turned = bill.as_ref().is_some_and(|bill| bill.turned.is_some());
        let is_stream = origin.is_some();
        let talk = match &origin {
            // A front speaks HTTP, and what a client has put into its requests must not be taken for anything else.
            Some(_) => Talk::Http(Box::default()),
            None => Talk::begin(speaks),
        };
        let id = self.conns.insert(stream, talk, self.now.mono_ms);
        self.limiter.put(id.slot, bill);
        if let Some(origin) = origin {
            if let Some(client) = origin.client {
                self.identities.set_client(id, client);
            }
            self.identities.set_origin(id, origin);
        }
        if let Err(error) = self.register(id.slot, Interest::READABLE, false) {
            tell!(self, id, WARN, %error, "a connection could not be watched and is closed");
            self.remove(id.slot, Farewell::Vanished);
            return None;
        }
        self.note_door(id);
        let patience_ms = match (turned, is_stream) {
            (true, _) => TURNED_MS,
            // Its request has begun.
            (false, true) => self.limits.handshake_ms_max,
            (false, false) => self.limits.untouched_ms_max,
        };
        self.set_alarm(id.slot, patience_ms);
        let is_proxied = matches!(speaks, Speaks::Proxied | Speaks::ProxiedTls);
        if is_proxied && !self.is_behind_proxy(id) {
            self.remove(id.slot, Farewell::Vanished);
            return None;
        }
        match speaks {
            Speaks::Text if turned => self.turn_away(id),
            Speaks::Text => self.greet(id),
            _ => {}
        }
        Some(id)
    }

    /// One event of the poll.
    pub(super) fn receive_event(&mut self, event: &mio::event::Event) {
        if self.datagram_event(event) {
            return;
        }
        let token = event.token();
        let Ok(slot) = u32::try_from(token.0 & u32::MAX as usize) else {
            return;
        };
        let id = self.conns.id(slot);
        let Some(id) = id.filter(|id| token_of(slot, id.generation) == token) else {
            return;
        };
        if event.is_writable()
            && let Some(conn) = self.conns.at(slot)
            && conn.flags.has(Flag::Blocked)
        {
            conn.flags.set(Flag::Blocked, false);
            conn.flags.set(Flag::Stalling, false);
            self.touch(slot);
        }
        if event.is_write_closed()
            && let Some(conn) = self.conns.at(slot)
        {
            conn.flags.set(Flag::Gone, true);
        }
        let aborts = event.is_read_closed()
            && self
                .conns
                .at(slot)
                .is_some_and(|conn| conn.talk.waits_for_session());
        if aborts || (event.is_error() && !event.is_readable()) {
            self.remove(slot, Farewell::Vanished);
        } else if event.is_readable() || event.is_read_closed() {
            self.receive(id, event.is_read_closed());
        }
    }

    /// Conns that a bound or a pause left with something to do.
    pub(super) fn receive_ready(&mut self) {
        if self.ready.is_empty() || self.is_congested() {
            return;
        }
        for slot in std::mem::take(&mut self.ready) {
            let Some(conn) = self.conns.at(slot) else {
                continue;
            };
            conn.flags.set(Flag::Ready, false);
            if let Some(id) = self.conns.id(slot) {
                self.receive(id, true);
            }
        }
    }

    /// Reads and decodes, bounded. `to_the_end`: a short read proves nothing, go on until the kernel has no more.
    pub(crate) fn receive(&mut self, id: ConnId, to_the_end: bool) {
        if self.is_congested() {
            self.ready_again(id.slot);
            return;
        }
        self.units_left = UNITS_PER_TURN;
        if !self.decode_remainder(id) {
            self.count_read(0, UNITS_PER_TURN - self.units_left);
            return;
        }
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let mut finished = false;
        for _ in 0..READS_PER_TURN {
            match self.read(id, &mut buffer) {
                None => {
                    finished = !self.tunnels.has_more();
                    break;
                }
                Some(count) => {
                    // A read of a tunnel is short by what encryption adds.
                    let more = to_the_end || self.tunnels.has_more();
                    let before = self.conns.find(id).map(|conn| conn.door_at);
                    self.decode_fresh(id, &mut buffer[..count]);
                    // The first bytes say the door that they are counted by.
                    let after = self.conns.find(id).map(|conn| conn.door_at);
                    match after {
                        Some(door) => self.counts.door(door).bytes_in += count as u64,
                        None => self.count_last_read(id, before, count),
                    }
                    self.count_read(count, 0);
                    if self.units_left == 0 || self.read_enough() {
                        break;
                    }
                    if count < READ_BYTES && !more {
                        finished = true;
                        break;
                    }
                }
            }
        }
        self.read_buffer = buffer;
        self.count_read(0, UNITS_PER_TURN - self.units_left);
        if !finished {
            self.ready_again(id.slot);
        }
    }

    /// Counts what a Conn brought that is gone now: to the handshakes, whose bytes count nowhere, or to a session, by HTTP.
    #[cold]
    fn count_last_read(&mut self, id: ConnId, before: Option<DoorAt>, count: usize) {
        let door = match self.moved.take() {
            Some((moved, to)) if moved == id => to,
            _ => before,
        };
        if let Some(door) = door {
            self.counts.door(door).bytes_in += count as u64;
        }
    }

    /// One read; `None` when there is nothing now or ever again, or when the Conn must not be read.
    fn read(&mut self, id: ConnId, buffer: &mut [u8]) -> Option<usize> {
        let now_ms = self.now.mono_ms;
        self.tunnels.begin_read();
        let conn = self.conns.find(id)?;
        if conn.flags.waits() || conn.flags.has(Flag::Ended) {
            return None;
        }
        loop {
            let read = match conn.stream {
                Stream::Tunnel(key) => self.tunnels.read(key, buffer),
                _ => conn.stream.read(buffer),
            };
            match read {
                Ok(0) => {
                    conn.flags.set(Flag::Ended, true);
                    self.end_of_input(id);
                    return None;
                }
                Ok(count) => {
                    conn.hear(now_ms);
                    return Some(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => {
                    self.remove(id.slot, Farewell::Vanished);
                    return None;
                }
            }
        }
    }

    /// Decodes bytes just read, behind the remainder where there is one.
    fn decode_fresh(&mut self, id: ConnId, data: &mut [u8]) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if !conn.input.is_empty() {
            let mut input = conn.input.take();
            input.extend_from_slice(data);
            self.decode_input(id, input);
            return;
        }
        let consumed = self.decode(id, data);
        let rest = &data[consumed..];
        if !rest.is_empty()
            && let Some(conn) = self.conns.find(id)
        {
            conn.input.put(rest.to_vec());
        }
    }

    /// Decodes what a pause left behind; false when the Conn must not go on.
    fn decode_remainder(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.find(id) else {
            return false;
        };
        if conn.flags.waits() {
            return false;
        }
        if !conn.input.is_empty() {
            let input = conn.input.take();
            self.decode_input(id, input);
        }
        if self.units_left == 0 {
            self.ready_again(id.slot);
            return false;
        }
        let Some(conn) = self.conns.find(id) else {
            return false;
        };
        let waits = conn.flags.waits();
        if conn.flags.has(Flag::Ended) && !waits {
            // The end came while the Conn was paused; now its last words have been heard.
            self.end_of_input(id);
            return false;
        }
        !waits
    }

    fn decode_input(&mut self, id: ConnId, mut input: Vec<u8>) {
        let consumed = self.decode(id, &mut input);
        if let Some(conn) = self.conns.find(id) {
            input.drain(..consumed);
            conn.input.put(input);
        }
    }

    /// Decodes unit by unit; says how many bytes are done with.
    fn decode(&mut self, id: ConnId, data: &mut [u8]) -> usize {
        let mut consumed = 0;
        while consumed < data.len() {
            let Some(conn) = self.conns.find(id) else {
                return data.len();
            };
            if conn.flags.has(Flag::Lingering) || conn.flags.has(Flag::Closing) {
                return data.len();
            }
            if conn.waiting_bytes() > self.limits.answers_bytes_max {
                // It asks without listening: it is heard again when it has taken its answers.
                conn.flags.set(Flag::Choked, true);
            }
            if conn.flags.waits() {
                break;
            }
            if self.units_left == 0 {
                self.ready_again(id.slot);
                break;
            }
            self.units_left -= 1;
            match self.talk(id, &mut data[consumed..]) {
                Step::Took(count) => {
                    consumed += count;
                    self.note_door(id);
                }
                Step::More => break,
                Step::End(close, text) => {
                    self.close(id, close, text.as_deref());
                    return data.len();
                }
            }
        }
        consumed
    }

    /// The peer said FIN.
    fn end_of_input(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.waits() {
            return;
        }
        if conn.flags.has(Flag::Lingering) {
            self.remove(id.slot, Farewell::Said);
            return;
        }
        let rest = conn.input.take();
        self.talk_end(id, &rest);
    }

    /// Lets a paused Conn go on.
    pub(crate) fn resume_input(&mut self, slot: u32) {
        if let Some(id) = self.conns.id(slot)
            && self.identities.awaits(id)
        {
            return;
        }
        if let Some(conn) = self.conns.at(slot)
            && conn.flags.has(Flag::Paused)
        {
            conn.flags.set(Flag::Paused, false);
            self.ready_again(slot);
        }
    }

    /// Ends a Conn as its protocol says farewell, and logs why when it was its own fault.
    pub(crate) fn close(&mut self, id: ConnId, close: Close, text: Option<&str>) {
        if let Close::Violation(_) = close {
            tell!(self, id, INFO, reason = "violation", violation = %text.unwrap_or_default(), "a peer broke its protocol");
        }
        let seed = id.slot;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering) {
            return;
        }
        self.note_door(id);
        // Whoever is too slow, or has lost something, gets no more of what it lost or did not take.
        if !matches!(close, Close::Slow | Close::Gap) {
            self.say_the_rest(id);
        }
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.flags.has(Flag::Closing) {
            return;
        }
        let mut talk = std::mem::replace(&mut conn.talk, Talk::Done);
        talk.farewell(conn.answers(), close, text, seed);
        conn.talk = talk;
        // Who is told to come back is there until its grace is over.
        let farewell = match close.words().retry_ms {
            Some(_) => Farewell::Vanished,
            None => Farewell::Said,
        };
        self.end_after_output(id, farewell, close);
    }

    /// Stops hearing and serving a Conn; its socket closes when its output is out. It leaves its rooms at once, and is said to have left.
    pub(crate) fn close_after_output(&mut self, id: ConnId) {
        self.end_after_output(id, Farewell::Said, Close::Asked);
    }

    fn end_after_output(&mut self, id: ConnId, farewell: Farewell, close: Close) {
        self.note_close(id, close.words().word);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.flags.set(Flag::Closing, true);
        let throttled = conn.flags.replace(Flag::Throttled, false);
        let paused = conn.flags.replace(Flag::Paused, false);
        let hooked = conn.flags.replace(Flag::Hooked, false);
        let unheard = conn.flags.has(Flag::Unheard);
        let unread = throttled || paused || hooked || unheard || conn.flags.has(Flag::Choked);
        conn.input.take();
        if unheard {
            self.hear_it_again(id.slot);
        }
        if let Some(conn) = self.conns.find(id)
            && conn.flags.replace(Flag::Opened, false)
        {
            self.hub(Input::Close { conn: id, farewell });
        }
        if unread {
            // What the pause left in the socket, or its end, would not be told again.
            self.ready_again(id.slot);
        }
        // It may never take its last words; and a client that is not polling now may never poll again.
        let patience_ms = if self.polls(id) {
            LAST_POLL_MS_MAX
        } else {
            FAREWELL_MS_MAX
        };
        self.set_alarm(id.slot, patience_ms);
        self.touch(id.slot);
    }

    /// The Conn's display name, made up when it has none. Kept for its next word.
    pub(crate) fn name_of(&mut self, id: ConnId) -> Arc<str> {
        let name = self.name_once(id);
        if let Some(conn) = self.conns.find(id)
            && matches!(conn.name, Name::Guest(_))
        {
            conn.name = Name::Known(Arc::clone(&name));
        }
        name
    }

    /// The same for a Conn that may never say a word: of a guest only the number is kept.
    pub(crate) fn name_once(&mut self, id: ConnId) -> Arc<str> {
        let next = self.guests * u64::from(self.cores) + u64::from(self.id) + 1;
        let suggested = self.identities.name(id);
        let Some(conn) = self.conns.find(id) else {
            return "guest".into();
        };
        match (&mut conn.name, suggested) {
            (Name::Guest(_), Some(name)) => name,
            (Name::Known(name), _) => Arc::clone(name),
            (Name::Guest(number), None) => {
                if *number == 0 {
                    *number = next;
                    self.guests += 1;
                }
                Name::of_guest(*number)
            }
        }
    }

    /// Tells the hub of a Conn before its first command.
    pub(crate) fn open(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id)
            && !conn.flags.has(Flag::Opened)
        {
            conn.flags.set(Flag::Opened, true);
            self.hub(Input::Open { conn: id });
        }
    }
}
