//! What TLS costs a running server: idle memory per Conn, and CPU per delivery of a fan-out to WebSockets, against clear text on the same port.
//!
//! `cargo run --release -p taut-server --example tls_cost -- PORT PID [CONNS] [MESSAGES] [tls|clear]`, beside a `taut serve --tls-self-signed` with that process id.
//! What an allocator keeps of one crowd serves the next: for memory, ask a fresh server for one kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

/// A message of the fan-out, and its WebSocket frame.
const MESSAGE_BYTES: usize = 128;
const FRAME_BYTES: usize = MESSAGE_BYTES + 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| {
        arguments
            .get(index)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let (port, pid) = (number(0, 8080), number(1, 0));
    let (conns, messages) = (number(2, 2_000), number(3, 100));
    let port = u16::try_from(port).expect("a port");
    let server = Server { port, pid };
    let only = arguments.get(4).map(|kind| kind == "tls");
    for (name, tls) in [
        ("TLS", true),
        ("clear text", false),
        ("TLS", true),
        ("clear text", false),
    ] {
        if only.is_none_or(|only| only == tls) {
            measure(&server, name, tls, conns, messages);
        }
    }
}

struct Server {
    port: u16,
    pid: usize,
}

fn measure(server: &Server, name: &str, tls: bool, conns: usize, messages: usize) {
    let room = format!("cost/{}/{}", name.replace(' ', "-"), std::process::id());
    let before = server.resident_bytes();
    let handshakes = server.cpu_ms();
    let config = client();
    let mut crowd: Vec<Box<dyn Stream>> = (0..conns)
        .map(|_| open(server.port, tls, &config, &room))
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let idle = server.resident_bytes().saturating_sub(before) / conns;
    let opened_us = (server.cpu_ms() - handshakes) * 1_000 / conns;

    let mut speaker = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let body = "x".repeat(MESSAGE_BYTES);
    let unit = format!("{{\"publish\":\"{room}\",\"data\":\"{body}\"}}\n");
    let begun = server.cpu_ms();
    let mut frame = [0; FRAME_BYTES];
    for _ in 0..messages {
        speaker.write_all(unit.as_bytes()).unwrap();
        for member in &mut crowd {
            member.read_exact(&mut frame).unwrap();
            assert!(frame.ends_with(body.as_bytes()));
        }
    }
    let delivery_ns = (server.cpu_ms() - begun) * 1_000_000 / (messages * conns);
    println!(
        "{name}: {idle} bytes of memory a Conn, {opened_us} us of CPU to open one, {delivery_ns} ns of CPU a delivery ({conns} WebSockets, {messages} messages of {MESSAGE_BYTES} bytes, one at a time)"
    );
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn open(port: u16, tls: bool, config: &Arc<ClientConfig>, room: &str) -> Box<dyn Stream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream: Box<dyn Stream> = if tls {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    } else {
        Box::new(stream)
    };
    let request = format!(
        "GET /r/{room} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

impl Server {
    fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap();
        kib.parse::<usize>().unwrap() << 10
    }

    /// CPU time that the server's process has taken: `utime` and `stime` of proc(5), in ticks of 10 ms.
    fn cpu_ms(&self) -> usize {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks: usize = fields[11..=12]
            .iter()
            .map(|t| t.parse::<usize>().unwrap())
            .sum();
        ticks * 10
    }
}

/// A client that trusts anybody, and resumes no session.
fn client() -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
