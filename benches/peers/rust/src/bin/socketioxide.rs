//! A server on `socketioxide`: `socketioxide PORT [io|echo]`. Each namespace is a room. What one emits goes to everyone else in it;
//! with `io`, to everyone; with `echo`, back to whoever emitted it.

use std::net::Ipv4Addr;

use axum::Router;
use axum::serve::ListenerExt;
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::net::TcpListener;

/// Packets that may wait for a client. The default, 128, would drop some of what a fast publisher says.
const WAITING_MAX: usize = 4_096;

// tokio's other scheduler runs first what was spawned last, and socketioxide spawns a task for each event: so it changes the order of
// what one client emits, with one worker thread as well. For the same CPU time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let port = words.next().unwrap_or_default().parse::<u16>()?;
    let relay = match words.next().as_deref() {
        Some("io") => |socket: SocketRef| socket.on("chat", to_everyone),
        Some("echo") => |socket: SocketRef| socket.on("chat", back),
        _ => |socket: SocketRef| socket.on("chat", to_everyone_else),
    };
    let (layer, io) = SocketIo::builder()
        .max_buffer_size(WAITING_MAX)
        .build_layer();
    io.ns("/", async move |socket: SocketRef| relay(socket));
    io.dyn_ns("/{room}", async move |socket: SocketRef| relay(socket))?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let listener = listener.tap_io(|stream| {
        // Without it some messages would wait for an acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}

// What cannot be delivered is found by the generator, and needs no word here.

async fn to_everyone_else(socket: SocketRef, Data(data): Data<Value>) {
    let _ = socket.broadcast().emit("chat", &data).await;
}

async fn to_everyone(socket: SocketRef, io: SocketIo, Data(data): Data<Value>) {
    if let Some(namespace) = io.of(socket.ns()) {
        let _ = namespace.emit("chat", &data).await;
    }
}

async fn back(socket: SocketRef, Data(data): Data<Value>) {
    let _ = socket.emit("chat", &data);
}
