//! Taking connections in, one task for each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::address::Kind;
use super::bind::Door;
use super::clients::Client;
use super::house::House;
use super::{datagram, stream, web, websocket};

/// How long a door waits when the system has no more sockets for us.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections at once that are told that they are one too many; beyond that they are just closed.
const TURNED_AWAY_MAX: usize = 64;

/// Serves what comes through one door, as long as it is open and afterwards those who are in.
pub(super) async fn serve(house: Arc<House>, door: Door) {
    match door {
        Door::Tcp(listener) => tcp(house, listener).await,
        Door::Unix(listener) => unix(house, listener).await,
        Door::Udp(socket) => datagram::serve(&house, socket).await,
    }
}

async fn tcp(house: Arc<House>, listener: TcpListener) {
    let mut rooms = Tasks::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = house.closing() => break,
            () = rooms.tidy() => continue,
        };
        match accepted {
            Ok((socket, peer)) => {
                // What is said now shall arrive now; a socket that is closed already says so later.
                let _ = socket.set_nodelay(true);
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                rooms.take_in(&house, socket, peer.to_string()).await;
            }
            Err(error) => not_accepted(&house, &error).await,
        }
    }
    drop(listener);
    rooms.wait().await;
}

async fn unix(house: Arc<House>, listener: UnixListener) {
    let mut rooms = Tasks::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = house.closing() => break,
            () = rooms.tidy() => continue,
        };
        match accepted {
            Ok((socket, _)) => {
                let pid = socket.peer_cred().ok().and_then(|peer| peer.pid());
                let peer = pid.map_or_else(|| "a process".to_owned(), |pid| format!("pid {pid}"));
                rooms.take_in(&house, socket, peer).await;
            }
            Err(error) => not_accepted(&house, &error).await,
        }
    }
    drop(listener);
    rooms.wait().await;
}

async fn not_accepted(house: &House, error: &io::Error) {
    house
        .report
        .note(&format!("! a client could not be taken in: {error}"))
        .await;
    tokio::time::sleep(PAUSE).await;
}

/// The tasks of a door's connections.
#[derive(Debug, Default)]
struct Tasks {
    served: JoinSet<()>,
    turned_away: JoinSet<()>,
}

impl Tasks {
    /// Begins to serve a connection, or turns it away.
    async fn take_in(
        &mut self,
        house: &Arc<House>,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: String,
    ) {
        // Over HTTP it is a request that comes first, not a connection: browsers open some ahead of need.
        if house.plan.kind != Kind::Http && !house.admit() {
            return;
        }
        let Some(client) = house.clients.enter(peer.clone()) else {
            let max = house.clients.present_max();
            let text =
                format!("! {peer} turned away: as many are here as may be (--max-clients {max})");
            house.report.note(&text).await;
            let is_web = matches!(house.plan.kind, Kind::Http | Kind::Ws);
            if is_web && self.turned_away.len() < TURNED_AWAY_MAX {
                self.turned_away.spawn(web::turn_away(socket));
            }
            return;
        };
        let house = house.clone();
        self.served
            .spawn(async move { serve_one(&house, client, socket).await });
    }

    /// Lets go of a task that has ended.
    async fn tidy(&mut self) {
        tokio::select! {
            Some(_) = self.served.join_next() => {}
            Some(_) = self.turned_away.join_next() => {}
            else => std::future::pending().await,
        }
    }

    async fn wait(&mut self) {
        while self.served.join_next().await.is_some() {}
    }
}

async fn serve_one(
    house: &House,
    client: Client,
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let report = &house.report;
    let course = match house.plan.kind {
        Kind::Http => {
            report
                .tell(client.number, || format!("{} is here", client.peer))
                .await;
            let (why, bytes_in, bytes_out) = web::serve(house, &client, socket).await.into_parts();
            let told = || format!("is gone: {why} ({bytes_in} bytes in, {bytes_out} out)");
            report.tell(client.number, told).await;
            return;
        }
        Kind::Ws => websocket::serve(house, &client, socket).await,
        _ => {
            report.came(client.number, &client.peer).await;
            stream::serve(house, &client, socket).await
        }
    };
    let (why, bytes_in, bytes_out) = course.into_parts();
    report.went(client.number, &why, bytes_in, bytes_out).await;
    house.served();
}
