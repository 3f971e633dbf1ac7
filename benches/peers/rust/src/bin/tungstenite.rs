//! A chat on `tokio-tungstenite` as its own example has it, with rooms by path: `tungstenite PORT [echo]`. Each connection has a task
//! and a channel; what one says goes to everyone else in the room, or with `echo` back to whoever said it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

type Room = HashMap<SocketAddr, UnboundedSender<Message>>;
type Rooms = Arc<Mutex<HashMap<String, Room>>>;

// As many worker threads as there are cores that it may use: one, where it is pinned. With 16 messages in flight that scheduler gathers
// more of them into a write than `current_thread` does, and costs a third less.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let port = words.next().unwrap_or_default().parse::<u16>()?;
    let echoes = words.next().as_deref() == Some("echo");
    let rooms = Rooms::default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, address) = listener.accept().await?;
        let rooms = rooms.clone();
        tokio::spawn(async move {
            // How a connection ends is the client's affair.
            let _ = serve(stream, address, rooms, echoes).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    rooms: Rooms,
    echoes: bool,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut room = String::new();
    #[allow(clippy::result_large_err)]
    let look = |request: &Request, response: Response| {
        room.push_str(request.uri().path());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look).await?;
    if echoes {
        return echo(socket).await;
    }
    chat(socket, address, rooms, room).await
}

async fn echo(socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    let (mut outgoing, mut incoming) = socket.split();
    while let Some(message) = incoming.try_next().await? {
        if message.is_text() || message.is_binary() {
            outgoing.send(message).await?;
        }
    }
    Ok(())
}

async fn chat(
    socket: WebSocketStream<TcpStream>,
    address: SocketAddr,
    rooms: Rooms,
    name: String,
) -> Result<(), Error> {
    let (sender, receiver) = unbounded_channel();
    let locked = || rooms.lock().unwrap_or_else(PoisonError::into_inner);
    locked()
        .entry(name.clone())
        .or_default()
        .insert(address, sender);

    let (outgoing, incoming) = socket.split();
    let from_them = incoming.try_for_each(|message| {
        if (message.is_text() || message.is_binary())
            && let Some(room) = locked().get(&name)
        {
            for (_, sender) in room.iter().filter(|(other, _)| **other != address) {
                // Who has just gone gets nothing.
                let _ = sender.send(message.clone());
            }
        }
        future::ok(())
    });
    let to_them = UnboundedReceiverStream::new(receiver)
        .map(Ok)
        .forward(outgoing);
    let ended = future::select(from_them, to_them).await;

    let mut rooms = locked();
    if let Some(room) = rooms.get_mut(&name) {
        room.remove(&address);
        if room.is_empty() {
            rooms.remove(&name);
        }
    }
    match ended {
        future::Either::Left((ended, _)) | future::Either::Right((ended, _)) => ended,
    }
}
