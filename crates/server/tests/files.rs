//! A folder is served below the doors: files arrive whole, however slowly they are taken, and rooms stay where they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use taut_server::{Config, Fault, FilesConfig, Server, StartError, Stopper};

const CORES: [usize; 2] = [1, 2];
/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of our own, inside another one that holds `secret.txt`.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("taut-server-files-{}-{count}", std::process::id());
        let outer = std::env::temp_dir().join(name);
        fs::create_dir_all(outer.join("public")).unwrap();
        fs::write(outer.join("secret.txt"), "secret").unwrap();
        Self(outer)
    }

    fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.write(name, content);
        folder
    }

    fn root(&self) -> PathBuf {
        self.0.join("public")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server of a folder.
struct Running {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Fault>>>,
}

impl Running {
    fn new(cores: usize, folder: &Folder) -> Self {
        let server = Server::bind(config(cores, &folder.root())).unwrap();
        let (address, stopper) = (server.addresses()[0], server.stopper());
        let thread = Some(std::thread::spawn(move || server.run()));
        Self {
            address,
            stopper,
            thread,
        }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        Client::new(stream)
    }

    /// A client whose kernel takes little for it, so that the server's has to wait.
    fn connect_slowly(&self) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.connect(&self.address.into()).unwrap();
        Client::new(socket.into())
    }

    /// One GET on a connection of its own.
    fn get(&self, path: &str, fields: &str) -> Answer {
        self.connect().ask("GET", path, fields)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

fn config(cores: usize, root: &Path) -> Config {
    Config {
        listeners: vec!["127.0.0.1:0".parse().unwrap()],
        cores,
        files: Some(FilesConfig {
            root: root.to_owned(),
            listing: false,
        }),
        ..Config::default()
    }
}

struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).first().copied()
    }

    fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    fn ask(&mut self, method: &str, path: &str, fields: &str) -> Answer {
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
        ));
        self.answer(method == "HEAD")
    }

    fn answer(&mut self, head_only: bool) -> Answer {
        let head = self.head();
        let mut answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: Vec::new(),
        };
        let length = answer.field("Content-Length").unwrap_or("0");
        let length = length.parse::<usize>().unwrap();
        if !head_only {
            while self.unread.len() < length {
                assert!(self.read() > 0, "closed within a body");
            }
            answer.body = self.unread.drain(..length).collect();
        }
        answer
    }

    fn head(&mut self) -> String {
        loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.read() > 0, "closed before a head was whole");
        }
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 64 << 10];
        let count = self.stream.read(&mut buffer).unwrap();
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> Vec<u8> {
        while self.read() > 0 {}
        std::mem::take(&mut self.unread)
    }
}

/// Bytes that show when one is missing or in the wrong place.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

#[test]
fn a_file_comes_whole_with_the_fields_of_every_answer() {
    let folder = Folder::with("css/site.css", "body { color: red }\n");
    for cores in CORES {
        let server = Running::new(cores, &folder);
        let answer = server.get("/css/site.css?version=2", "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), "body { color: red }\n");
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/css; charset=utf-8")
        );
        assert_eq!(answer.field("Content-Length"), Some("20"));
        assert_eq!(answer.fields("X-Content-Type-Options"), ["nosniff"]);
        assert_eq!(answer.fields("Date").len(), 1);
        assert!(answer.field("ETag").is_some());
        assert_eq!(answer.field("Connection"), None);
    }
}

#[test]
fn an_empty_file_is_an_answer_too() {
    let folder = Folder::with("empty.txt", "");
    let server = Running::new(1, &folder);
    let mut client = server.connect();
    for _ in 0..2 {
        let answer = client.ask("GET", "/empty.txt", "");
        assert_eq!(
            (answer.status, answer.field("Content-Length")),
            (200, Some("0"))
        );
    }
}

#[test]
fn a_large_file_comes_byte_for_byte_to_readers_who_take_their_time() {
    let content = pattern(5 << 20);
    let folder = Folder::with("large.bin", &content);
    for cores in CORES {
        let server = Running::new(cores, &folder);
        let mut readers: Vec<Client> = (0..4).map(|_| server.connect_slowly()).collect();
        for reader in &mut readers {
            reader.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        // Nobody has read anything yet, and the others are served all the same.
        assert_eq!(server.get("/r/lobby?history", "").status, 200);
        for reader in &mut readers {
            let head = reader.head();
            assert!(head.contains("Content-Length: 5242880\r\n"), "{head}");
            let mut body = std::mem::take(&mut reader.unread);
            let mut sip = [0; 10_000];
            while body.len() < content.len() {
                let count = reader.stream.read(&mut sip).unwrap();
                assert!(count > 0, "closed after {} bytes", body.len());
                body.extend_from_slice(&sip[..count]);
            }
            assert!(body == content, "the body differs");
            // The connection goes on behind it.
            assert_eq!(
                reader
                    .ask("GET", "/large.bin", "Range: bytes=0-9\r\n")
                    .status,
                206
            );
        }
    }
}

#[test]
fn a_reader_who_goes_away_leaves_the_next_one_alone() {
    let content = pattern(5 << 20);
    let folder = Folder::with("large.bin", &content);
    let server = Running::new(1, &folder);
    for _ in 0..8 {
        let mut gone = server.connect();
        gone.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        gone.head();
    }
    let answer = server.get("/large.bin", "");
    assert!(answer.body == content, "the body differs");
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let folder = Folder::with("log.bin", pattern(32 << 20));
    let server = Running::new(1, &folder);
    let mut client = server.connect();
    client.send("GET /log.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.head();
    let file = fs::File::options()
        .write(true)
        .open(folder.root().join("log.bin"));
    file.unwrap().set_len(1_000).unwrap();
    assert!(client.rest().len() < 32 << 20);
}

#[test]
fn a_server_that_stops_sends_its_files_to_the_end_first() {
    let content = pattern(5 << 20);
    let folder = Folder::with("large.bin", &content);
    let server = Running::new(2, &folder);
    let mut client = server.connect_slowly();
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.head();
    server.stopper.stop();
    assert!(client.rest() == content, "the body differs");
}

#[test]
fn head_is_the_head_alone() {
    let folder = Folder::with("a.txt", "some text");
    let server = Running::new(1, &folder);
    let mut client = server.connect();
    let answer = client.ask("HEAD", "/a.txt", "");
    assert_eq!(
        (answer.status, answer.field("Content-Length")),
        (200, Some("9"))
    );
    // Had a body come, this would not be the next answer.
    assert_eq!(client.ask("GET", "/a.txt", "").text(), "some text");
}

#[test]
fn parts_of_a_file_and_files_that_are_known_already() {
    let folder = Folder::with("a.txt", "0123456789");
    let server = Running::new(1, &folder);
    let mut client = server.connect();
    let part = client.ask("GET", "/a.txt", "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text()), (206, "234".to_owned()));
    assert_eq!(part.field("Content-Range"), Some("bytes 2-4/10"));
    let beyond = client.ask("GET", "/a.txt", "Range: bytes=10-\r\n");
    assert_eq!(
        (beyond.status, beyond.field("Content-Range")),
        (416, Some("bytes */10"))
    );
    let changed = part.field("Last-Modified").unwrap();
    let known = client.ask(
        "GET",
        "/a.txt",
        &format!("If-Modified-Since: {changed}\r\n"),
    );
    assert_eq!((known.status, known.field("Content-Length")), (304, None));
    assert_eq!(client.ask("GET", "/a.txt", "").text(), "0123456789");
}

#[test]
fn there_is_no_way_out_of_the_folder() {
    let folder = Folder::with("a.txt", "some text");
    folder.write(".hidden", "hidden");
    let server = Running::new(1, &folder);
    for path in [
        "/nothing.txt",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/a.txt/../../secret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/.%00./secret.txt",
        "/.hidden",
    ] {
        let answer = server.get(path, "");
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("secret"), "{path}");
    }
}

#[test]
fn files_are_only_read() {
    let folder = Folder::with("a.txt", "some text");
    let server = Running::new(1, &folder);
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server.connect().ask(method, "/a.txt", "");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(
            answer.field("Allow"),
            Some("GET, HEAD, OPTIONS"),
            "{method}"
        );
    }
    let answer = server.connect().ask("OPTIONS", "/a.txt", "");
    assert_eq!(
        (answer.status, answer.field("Allow")),
        (204, Some("GET, HEAD, OPTIONS"))
    );
}

#[test]
fn pages_of_elsewhere_read_nothing() {
    let folder = Folder::with("a.txt", "some text");
    let server = Running::new(1, &folder);
    let answer = server.get("/a.txt", "Origin: https://elsewhere.example\r\n");
    assert_eq!(answer.status, 403);
    let mut client = server.connect();
    client.send("GET /a.txt HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n");
    assert_eq!(client.answer(false).status, 403);
}

#[test]
fn one_connection_reads_the_page_and_files_and_publishes() {
    let folder = Folder::with("app.js", "let a = 1;\n");
    for cores in CORES {
        let server = Running::new(cores, &folder);
        let mut client = server.connect();
        // All at once: the answers come in the order of the requests.
        client.send(
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n\
             GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n\
             POST /r/lobby HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello\
             GET /app.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        );
        assert!(client.answer(false).text().contains("<html"));
        assert_eq!(client.answer(false).text(), "let a = 1;\n");
        let published = client.answer(false);
        assert_eq!(published.status, 200);
        let last = client.answer(false);
        assert_eq!(last.field("Connection"), Some("close"));
        assert_eq!(last.text(), "let a = 1;\n");
        assert!(client.rest().is_empty());
        let history = server.get("/r/lobby?history", "");
        assert!(history.text().contains("hello"), "{}", history.text());
    }
}

#[test]
fn http_1_0_ends_with_the_answer() {
    let content = pattern(1 << 20);
    let folder = Folder::with("a.bin", &content);
    let server = Running::new(1, &folder);
    let mut client = server.connect();
    client.send("GET /a.bin HTTP/1.0\r\n\r\n");
    let head = client.head();
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert!(client.rest() == content, "the body differs");
}

#[test]
fn the_folder_may_have_its_own_front_page_and_icon() {
    let folder = Folder::new();
    let server = Running::new(1, &folder);
    let page = server.get("/", "").text();
    assert!(page.contains("<html"), "{page}");
    assert!(server.get("/favicon.svg", "").text().contains("<svg"));
    folder.write("index.html", "<p>mine</p>");
    folder.write("favicon.svg", "my icon");
    assert_eq!(server.get("/", "").text(), "<p>mine</p>");
    assert_eq!(server.get("/favicon.svg", "").text(), "my icon");
    let live = server.get("/r/lobby", "Accept: text/html\r\n");
    assert_eq!(live.text(), page);
}

#[test]
fn doors_come_before_files() {
    let folder = Folder::with("r/lobby", "a file");
    for name in ["ws", "events", "api/a", "health", "socket.io/a"] {
        folder.write(name, "a file");
    }
    let server = Running::new(1, &folder);
    for path in [
        "/r/lobby",
        "/ws",
        "/events",
        "/api/a",
        "/health",
        "/socket.io/a",
    ] {
        assert_ne!(server.get(path, "").text(), "a file", "{path}");
    }
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(server.get("/", upgrade).status, 101);
}

#[test]
fn a_folder_that_cannot_be_opened_is_named() {
    let folder = Folder::with("a.txt", "some text");
    for name in ["nowhere", "a.txt"] {
        let root = folder.root().join(name);
        let Err(error) = Server::bind(config(1, &root)) else {
            panic!("{name} was opened");
        };
        assert!(matches!(error, StartError::Files(_)));
        assert!(error.to_string().contains(&root.display().to_string()));
    }
}
