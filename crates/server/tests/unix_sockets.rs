//! A Unix socket is a stream like TCP's, but for one thing: its end of one way can be told from its end of both.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use taut_server::{Config, Server};

/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Client {
    fn new(path: &PathBuf) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    fn ask(&mut self, unit: &str) -> String {
        self.stream.write_all(unit.as_bytes()).unwrap();
        self.stream.write_all(b"\n").unwrap();
        self.hear()
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "it ended");
        line
    }
}

#[test]
fn whoever_closes_has_left_and_whoever_only_stops_talking_has_not() {
    let path = std::env::temp_dir().join(format!("taut-unix-{}.sock", std::process::id()));
    for cores in [1, 2] {
        let server = Server::bind(Config {
            listeners: vec![format!("unix:{}", path.display()).parse().unwrap()],
            cores,
            ..Config::default()
        })
        .unwrap();
        let stopper = server.stopper();
        let thread = std::thread::spawn(move || server.run());

        let mut asks = Client::new(&path);
        let mut listens = Client::new(&path);
        assert!(
            listens
                .ask(r#"{"join":"lobby"}"#)
                .contains(r#""ok":"join""#)
        );
        listens.stream.shutdown(Shutdown::Write).unwrap();
        for _ in 0..4 {
            let mut leaves = Client::new(&path);
            assert!(leaves.ask(r#"{"join":"lobby"}"#).contains(r#""ok":"join""#));
        }

        let began = Instant::now();
        while !asks.ask(r#"{"who":"lobby"}"#).contains(r#""count":1,"#) {
            assert!(began.elapsed() < PATIENCE, "the dead are still listed");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(
            asks.ask(r#"{"publish":"lobby","data":"still heard"}"#)
                .contains("ok")
        );
        assert!(listens.hear().contains("still heard"));

        stopper.stop();
        thread.join().unwrap().unwrap();
        assert!(!path.exists());
    }
}
