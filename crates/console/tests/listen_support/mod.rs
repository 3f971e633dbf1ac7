//! A `taut listen` in this process: what it is told, what it prints, and how it ends.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args as _, Command, FromArgMatches as _};
use taut_console::keyboard::{Keyboard, Unit};
use taut_console::listen::{self, ListenArgs};
use taut_console::screen::Screen;
use taut_console::{Code, Ended};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Long enough for any machine; nothing waits for it unless a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The arguments that a command line means.
pub(crate) fn args(line: &[&str]) -> ListenArgs {
    let command = ListenArgs::augment_args(Command::new("listen").no_binary_name(true));
    let matches = command.try_get_matches_from(line).expect("a command line");
    ListenArgs::from_arg_matches(&matches).unwrap()
}

/// What was printed, as it grows.
#[derive(Clone, Default)]
pub(crate) struct Paper {
    written: Arc<Mutex<Vec<u8>>>,
    grown: Arc<Notify>,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.lock().unwrap().extend_from_slice(bytes);
        self.grown.notify_waiters();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Waits until `wanted` stands in it.
    pub(crate) async fn until(&self, wanted: &str) {
        let waiting = async {
            loop {
                let grown = self.grown.notified();
                tokio::pin!(grown);
                grown.as_mut().enable();
                if self.text().contains(wanted) {
                    return;
                }
                grown.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{wanted:?} is not in {:?}", self.text());
    }
}

/// What a test types.
struct Keys(mpsc::Receiver<Vec<u8>>, Vec<u8>);

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default();
        }
        let count = buffer.len().min(self.1.len());
        buffer[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}

/// A server under test.
pub(crate) struct Listener {
    pub(crate) stdout: Paper,
    pub(crate) stderr: Paper,
    pub(crate) keys: Option<mpsc::Sender<Vec<u8>>>,
    ended: JoinHandle<Result<(), Ended>>,
}

impl Listener {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(line: &[&str]) -> Self {
        let listener = Self::begin(line);
        listener.stderr.until("listening on ").await;
        listener
    }

    /// Starts it.
    pub(crate) fn begin(line: &[&str]) -> Self {
        let (stdout, stderr) = (Paper::default(), Paper::default());
        let screen = Screen::to(stdout.clone(), stderr.clone()).unwrap();
        let (keys, typed) = mpsc::channel();
        let keyboard = Keyboard::read(Unit::Lines, Keys(typed, Vec::new())).unwrap();
        let ended = tokio::spawn(listen::run_on(args(line), keyboard, screen));
        Self {
            stdout,
            stderr,
            keys: Some(keys),
            ended,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        let text = self.stderr.text();
        let line = text.lines().next().unwrap();
        line.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub(crate) fn type_in(&self, text: &str) {
        self.keys.as_ref().unwrap().send(text.into()).unwrap();
    }

    pub(crate) async fn connect(&self) -> Peer {
        Peer(
            TcpStream::connect(("127.0.0.1", self.port()))
                .await
                .unwrap(),
        )
    }

    /// Sends `request` and gives what comes until the server closes.
    pub(crate) async fn ask(&self, request: &[u8]) -> String {
        let mut peer = self.connect().await;
        peer.send(request).await;
        peer.finish().await;
        peer.rest().await
    }

    /// Waits until the command ends.
    pub(crate) async fn ended(self) -> Result<(), Ended> {
        tokio::time::timeout(PATIENCE, self.ended)
            .await
            .expect("it ends")
            .unwrap()
    }

    /// The exit code and text of a command that cannot start.
    pub(crate) async fn refused(line: &[&str]) -> (Code, String) {
        let ended = Self::begin(line).ended().await.expect_err("it is refused");
        let hint = ended.hint.unwrap_or_default();
        (ended.code, format!("{} {hint}", ended.text))
    }
}

/// A client that waits for what it is owed, and never for ever.
pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Ends our side.
    pub(crate) async fn finish(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// As many bytes as `wanted` has, which they must be.
    pub(crate) async fn expect(&mut self, wanted: &[u8]) {
        let mut got = vec![0; wanted.len()];
        let read = self.0.read_exact(&mut got);
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("in time")
            .expect("bytes");
        assert_eq!(
            got.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
    }

    /// Everything until `end` has come.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        let read = async {
            while !got.ends_with(end.as_bytes()) {
                got.push(self.0.read_u8().await.unwrap());
            }
        };
        let waited = tokio::time::timeout(PATIENCE, read).await;
        assert!(waited.is_ok(), "{end:?} did not come");
        String::from_utf8(got).unwrap()
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut got = Vec::new();
        let read = self.0.read_to_end(&mut got);
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("it closes")
            .unwrap();
        String::from_utf8_lossy(&got).into_owned()
    }
}
