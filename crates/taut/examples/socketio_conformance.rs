//! A server as the official protocol suites of Engine.IO and Socket.IO want it, on Taut's own carrier and dialect:
//!
//! ```text
//! cargo run --release --example socketio_conformance -- 3000
//! ```
//!
//! `/engine.io/` sends every message back. At `/socket.io/` the namespaces `/` and `/custom` say `auth` with the payload of the CONNECT,
//! answer `message` with `message-back`, and acknowledge `message-with-ack` with its own arguments.

use std::process::ExitCode;
use std::sync::Arc;

use taut::server::{
    Application, Config, EngineDialect, EngineLimits, EnginePath, Heard, Limits, Listen, Say,
    Server,
};

#[derive(Debug)]
struct Suite;

impl Application for Suite {
    fn enter(&self, namespace: &str, auth: &str) -> Option<Vec<Say>> {
        let auth = if auth.is_empty() { "{}" } else { auth };
        let says = Say {
            event: Some("auth".to_owned()),
            arguments: auth.to_owned(),
            attachments: Vec::new(),
        };
        matches!(namespace, "/" | "/custom").then(|| vec![says])
    }

    fn hear(&self, _namespace: &str, event: &Heard<'_>) -> Vec<Say> {
        let answer = match event.name {
            "message" => Some("message-back".to_owned()),
            "message-with-ack" if event.wants_ack => None,
            _ => return Vec::new(),
        };
        vec![Say {
            event: answer,
            arguments: event.arguments.to_owned(),
            attachments: event.attachments.to_vec(),
        }]
    }
}

fn main() -> ExitCode {
    let port = std::env::args().nth(1).unwrap_or_default();
    match serve(&port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "socketio_conformance: {text}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: &str) -> Result<(), String> {
    let listen = |host: &str| {
        let address = format!("{host}:{port}");
        address
            .parse::<Listen>()
            .map_err(|error| format!("{error}; call it with a port, for example 3000"))
    };
    let path = |path: &str, dialect| EnginePath {
        path: path.to_owned(),
        dialect,
    };
    let config = Config {
        listeners: vec![listen("127.0.0.1")?, listen("[::1]")?],
        engines: vec![
            path("/engine.io/", EngineDialect::Echo),
            path("/socket.io/", EngineDialect::SocketIo),
        ],
        application: Some(Arc::new(Suite)),
        limits: Limits {
            engine: EngineLimits {
                ping_ms: 300,
                pong_ms_max: 200,
                payload_bytes_max: 1_000_000,
                connect_ms_max: 1_000,
                ..EngineLimits::default()
            },
            ..Limits::default()
        },
        ..Config::default()
    };
    let server = Server::bind(config).map_err(|error| error.to_string())?;
    server.run().map_err(|error| error.to_string())
}
