use std::net::IpAddr;
use std::sync::Arc;

use mio::Interest;
use taut_hub::{ConnId, Farewell};

use crate::core::{Core, Flag, Origin, Parcel, Stream, Waiting};
use crate::limits::Bill;
use crate::metrics::DoorAt;
use crate::talk::Talk;
use crate::tls::Tunnel;

/// A socket on its way to the core that has the session it asks for.
#[derive(Debug)]
pub(crate) struct Handover {
    stream: Stream,
    /// Its TLS, in the place of `stream`'s.
    tunnel: Option<Box<Tunnel>>,
    /// What it holds of the limits.
    bill: Option<Box<Bill>>,
    /// What it has brought: the request, and whatever came behind it.
    input: Vec<u8>,
    /// Answers to earlier requests that it has not taken.
    output: Option<Box<Waiting>>,
    /// Whose it is, as a proxy says.
    client: Option<IpAddr>,
    /// Its requests must have come to their proxy by TLS.
    is_vouched: bool,
    /// The same of a stream of HTTP/2.
    origin: Option<Arc<Origin>>,
}

impl Core {
    /// Hands a Conn that is between two HTTP requests to another core, with the request that begins at `data`. Later ones of the same client
    /// come there by themselves.
    pub(crate) fn hand_over(&mut self, id: ConnId, to: u16, data: &[u8]) {
        self.note_door(id);
        self.moved = Some((id, Some(DoorAt::HTTP)));
        let bill = self.limiter.take(id.slot);
        let Some(mut conn) = self.conns.remove(id.slot) else {
            return;
        };
        let is_vouched = conn.flags.has(Flag::Vouched);
        if conn.flags.has(Flag::Opened) {
            self.hub(taut_hub::Input::Close {
                conn: id,
                farewell: Farewell::Said,
            });
        }
        let client = self.identities.client_of_conn(id);
        let origin = self.identities.origin(id).cloned();
        self.identities.forget(id);
        self.uncount();
        let mut tunnel = match conn.stream {
            Stream::Tunnel(key) => self.tunnels.remove(key),
            _ => None,
        };
        let socket = match &mut tunnel {
            Some(tunnel) => tunnel.socket(),
            None => &mut conn.stream,
        };
        if let Err(error) = socket.forget(self.poll.registry()) {
            tell_often!(WARN, %error, "a connection could not be handed to another core and is closed");
            return;
        }
        let handover = Handover {
            stream: conn.stream,
            tunnel,
            bill,
            input: data.to_vec(),
            output: conn.output.take(),
            client,
            is_vouched,
            origin,
        };
        self.links.send(to, Parcel::Socket(Box::new(handover)));
    }

    /// Takes in a Conn of another core.
    pub(crate) fn take_over(&mut self, handover: Handover) {
        if self.is_draining() {
            return;
        }
        self.count_one_more();
        let stream = match handover.tunnel {
            Some(tunnel) => Stream::Tunnel(self.tunnels.insert(tunnel)),
            None => handover.stream,
        };
        let id = self
            .conns
            .insert(stream, Talk::Http(Box::default()), self.now.mono_ms);
        if let Some(client) = handover.client {
            self.identities.set_client(id, client);
        }
        if let Some(origin) = handover.origin {
            self.identities.set_origin(id, origin);
        }
        self.limiter.put(id.slot, handover.bill);
        let blocked = handover.output.is_some();
        if let Some(conn) = self.conns.find(id) {
            conn.input.put(handover.input);
            conn.output = handover.output;
            // It was counted where it came in.
            conn.door_at = DoorAt::HTTP;
            conn.flags.set(Flag::Touched, true);
            conn.flags.set(Flag::Vouched, handover.is_vouched);
            conn.flags.set(Flag::WatchesWrites, blocked);
        }
        let interest = if blocked {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        if let Err(error) = self.register(id.slot, interest, false) {
            tell!(self, id, WARN, %error, "a connection could not be watched and is closed");
            return self.remove(id.slot, Farewell::Vanished);
        }
        self.set_alarm(id.slot, self.limits.handshake_ms_max);
        self.touch(id.slot);
        self.ready_again(id.slot);
    }
}
