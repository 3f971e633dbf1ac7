//! Sessions: Conns that outlive their sockets. Engine.IO has them now; MQTT will.
//!
//! A session is a Conn like any other, on one core, whose stream is [`Stream::Nobody`] while no socket is its own. Its id names its owner
//! ([`SessionId`]), so no proxy needs to be sticky: a request that reaches another core moves there with its socket ([`Core::hand_over`]).
//! A socket that becomes the session's own moves into the session's slot ([`Core::attach`]), and from then on the session is as fast as a
//! Conn that was born with one.
//!
//! What a client that was here before comes back with is a [`Pass`], sealed; [`Lives`] remembers who came back.

mod handover;
mod id;
mod lives;
mod pass;
mod seal;

use std::sync::Arc;

use taut_hub::{ConnId, Farewell};

pub(crate) use handover::Handover;
pub(crate) use id::{SECRET_BYTES, SessionId};
pub(crate) use lives::Lives;
pub(crate) use pass::{PUBLIC_ID_BYTES, Pass, encode_public_id};
pub(crate) use seal::Seal;

use crate::core::{Core, Flag, Stream};
use crate::metrics::DoorAt;

/// What all sessions of a core share.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) seal: Arc<Seal>,
    pub(crate) lives: Arc<Lives>,
    /// Of this run and this core, so that no secret comes twice where the seal's key is kept.
    nonce: [u8; 16],
    made: u64,
    /// The namespace that was entered last: most clients enter the same one, and share its name.
    namespace: Arc<str>,
}

impl Sessions {
    pub(crate) fn new(seal: Arc<Seal>, lives: Arc<Lives>, nonce: [u8; 16]) -> Self {
        Self {
            seal,
            lives,
            nonce,
            made: 0,
            namespace: "/".into(),
        }
    }

    /// A namespace's name, without a copy where it is that of the last one.
    pub(crate) fn shared_namespace(&mut self, name: &str) -> Arc<str> {
        if *self.namespace != *name {
            self.namespace = name.into();
        }
        Arc::clone(&self.namespace)
    }

    /// Bytes that nobody can guess, at most 16, and that never come again.
    pub(crate) fn secret<const N: usize>(&mut self) -> [u8; N] {
        self.made += 1;
        let tag = self
            .seal
            .tag("secret", &[&self.nonce, &self.made.to_be_bytes()]);
        let mut secret = [0; N];
        for (byte, of_tag) in secret.iter_mut().zip(tag) {
            *byte = of_tag;
        }
        secret
    }
}

impl Core {
    /// Gives a session the socket of another Conn, which ends. `rest` is what the socket brought behind its last own unit.
    pub(crate) fn attach(&mut self, session: ConnId, socket: ConnId, rest: Vec<u8>) {
        self.moved = Some((socket, Some(DoorAt::HTTP)));
        let bill = self.limiter.take(socket.slot);
        let Some(mut from) = self.conns.remove(socket.slot) else {
            return;
        };
        self.identities.forget(socket);
        self.uncount();
        let now_ms = self.now.mono_ms;
        let Some(conn) = self.conns.find(session) else {
            if let Stream::Tunnel(key) = from.stream {
                self.tunnels.remove(key);
            }
            return;
        };
        conn.stream = std::mem::replace(&mut from.stream, Stream::Nobody);
        self.limiter.replace(session.slot, bill);
        conn.input.put(rest);
        conn.flags.set(Flag::Blocked, from.flags.has(Flag::Blocked));
        conn.flags
            .set(Flag::WatchesWrites, from.flags.has(Flag::WatchesWrites));
        conn.flags.set(Flag::Touched, true);
        conn.hear(now_ms);
        let interest = if from.flags.has(Flag::WatchesWrites) {
            mio::Interest::READABLE | mio::Interest::WRITABLE
        } else {
            mio::Interest::READABLE
        };
        // A poll that learns of a socket anew tells what it holds already.
        if self.register(session.slot, interest, true).is_err() {
            return self.remove(session.slot, Farewell::Vanished);
        }
        self.ready_again(session.slot);
        self.touch(session.slot);
    }
}
