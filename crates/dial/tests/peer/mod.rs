//! The other end of a test: listeners that play a script, a listener that hears every scene, and certificates.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod certificates;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use taut_dial::{Scene, Settings, Story};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Keeps every scene as its `Debug`.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Story for Heard {
    fn tell(&self, scene: &Scene<'_>) {
        self.0.lock().unwrap().push(format!("{scene:?}"));
    }
}

impl Heard {
    pub(crate) fn scenes(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first scene that begins with `name`.
    pub(crate) fn scene(&self, name: &str) -> String {
        let scenes = self.scenes();
        let found = scenes.iter().find(|scene| scene.starts_with(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {scenes:#?}"))
            .clone()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.scenes().iter().any(|scene| scene.starts_with(name))
    }
}

/// A server that plays `script` with its first connection.
pub(crate) async fn serve<F, R>(script: F) -> (SocketAddr, JoinHandle<R::Output>)
where
    F: FnOnce(TcpStream) -> R + Send + 'static,
    R: Future + Send + 'static,
    R::Output: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await
    });
    (address, task)
}

/// A server that answers the first head that it gets with `answer`, keeps the connection and gives the head back.
pub(crate) async fn answering(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    serve(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        // Whoever asked goes first.
        let _ = stream.read(&mut [0]).await;
        head
    })
    .await
}

pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Settings that give up soon.
pub(crate) fn hasty() -> Settings {
    Settings {
        connect_ms_max: 100,
        ..Settings::default()
    }
}

/// Settings that a test which hangs is ended by.
pub(crate) fn patient() -> Settings {
    Settings {
        connect_ms_max: Duration::from_secs(30).as_millis() as u64,
        ..Settings::default()
    }
}
