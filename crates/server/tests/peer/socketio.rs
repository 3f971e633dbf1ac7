//! Socket.IO over both of Engine.IO's transports, as far as the scenarios need it.

use std::collections::VecDeque;
use std::io::Write;

use super::{Carrier, Peer, request};

impl Peer {
    /// A session, and in it the room's namespace.
    pub(super) fn enter_socketio(&mut self, query: &str, upgrade: &str) {
        let get = |transport: &str, fields: &str| {
            format!(
                "GET /socket.io/?EIO=4&transport={transport} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
            )
        };
        if self.carrier == Carrier::SocketIo {
            self.send(get("websocket", upgrade).as_bytes());
            self.until("\r\n\r\n");
            assert!(self.unit().unwrap().starts_with('0'));
        } else {
            self.send(get("polling", "").as_bytes());
            let opened = self.polled().unwrap();
            self.sid = opened.split('"').nth(3).unwrap().to_owned();
            self.poll();
        }
        self.enter_namespace(query);
    }

    /// The CONNECT of Socket.IO; what comes ahead of its answer is kept.
    fn enter_namespace(&mut self, query: &str) {
        let auth = match query.strip_prefix("since=") {
            Some(since) => format!("{{\"since\":\"{since}\"}}"),
            None => String::new(),
        };
        self.packet(&format!("40/{},{auth}", self.room));
        let answer = format!("40/{},", self.room);
        let mut ahead = VecDeque::new();
        loop {
            let packet = self.line();
            if packet.starts_with(&answer) {
                break;
            }
            ahead.push_back(packet);
        }
        ahead.append(&mut self.packets);
        self.packets = ahead;
    }

    /// Sends one packet of Engine.IO.
    pub(super) fn packet(&mut self, packet: &str) {
        if self.carrier == Carrier::SocketIo {
            return self.frame(packet);
        }
        let answer = request(
            self.address,
            &format!(
                "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{packet}",
                self.sid,
                packet.len()
            ),
        );
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }

    /// Asks for what comes next, as a client always does; the answer is read later.
    fn poll(&mut self) {
        let target = format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid);
        let _ = self
            .stream
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    }

    /// The body of the answer to a poll; `None` where there is none any more.
    fn polled(&mut self) -> Option<String> {
        while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            if self.read() == 0 {
                return None;
            }
        }
        let head = self.until("\r\n\r\n").to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            return None;
        }
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        while self.unread.len() < length {
            if self.read() == 0 {
                return None;
            }
        }
        let body: Vec<u8> = self.unread.drain(..length).collect();
        Some(String::from_utf8(body).unwrap())
    }

    /// The next packet of Engine.IO; pings are answered.
    pub(super) fn next_packet(&mut self) -> Option<String> {
        loop {
            let packet = match self.packets.pop_front() {
                Some(packet) => packet,
                None if self.carrier == Carrier::SocketIo => self.unit()?,
                None => {
                    let body = self.polled()?;
                    self.packets.extend(body.split('\u{1e}').map(str::to_owned));
                    self.poll();
                    continue;
                }
            };
            if packet != "2" {
                return Some(packet);
            }
            self.packet("3");
        }
    }
}
