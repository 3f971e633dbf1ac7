//! Tokens at every door, over real sockets: let in, refused, renewed, expired, revoked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use taut_auth::{Algorithm, Auth, Demands, Key, Roles, SigningKey, Verifier};
use taut_hub::Grant;
use taut_server::{Config, Fault, Listen, Revocation, Revoker, Server, Stopper};

const SECRET: &[u8] = b"a secret of the tests that is long enough";

struct Running {
    address: SocketAddr,
    revoker: Revoker,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Fault>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.stopper.stop();
        let _ = self.thread.take().unwrap().join();
    }
}

fn auth() -> Auth {
    Auth {
        verifier: Verifier {
            keys: vec![Key::secret(Algorithm::Hs256, None, SECRET).unwrap()],
            demands: Demands {
                leeway_s: 0,
                ..Demands::default()
            },
            roles: Roles::default(),
        },
        jwks_url: None,
        jwks_authorities: None,
        jwks_file: None,
        by_certificate: None,
        by_proxy: None,
        anonymous: Arc::new(Grant::nothing()),
        is_restricted: true,
        api_keys: Vec::new(),
    }
}

fn start_with(auth: Auth, revocations: Option<PathBuf>) -> Running {
    let config = Config {
        listeners: vec!["127.0.0.1:0".parse::<Listen>().unwrap()],
        cores: 2,
        auth: Some(Arc::new(auth)),
        revocations,
        ..Config::default()
    };
    let server = Server::bind(config).unwrap();
    let (address, stopper, revoker) = (server.addresses()[0], server.stopper(), server.revoker());
    let thread = Some(std::thread::spawn(move || server.run()));
    Running {
        address,
        revoker,
        stopper,
        thread,
    }
}

fn start() -> Running {
    start_with(auth(), None)
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A token for all rooms but `den`, for so many seconds.
fn token(user: &str, life_s: u64) -> String {
    let claims = json!({
        "sub": user, "iat": now_s(), "exp": now_s() + life_s, "jti": format!("id-{user}"),
        "taut": {"grants": {"**": "*", "den": "-*"}},
    });
    let key = SigningKey::secret(Algorithm::Hs256, SECRET).unwrap();
    key.mint(None, claims.as_object().unwrap()).unwrap()
}

struct Lines(BufReader<TcpStream>);

impl Lines {
    fn open(running: &Running) -> Self {
        let stream = TcpStream::connect(running.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) {
        self.0
            .get_mut()
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, unit: &Value) -> Value {
        self.say(&unit.to_string());
        serde_json::from_str(&self.hear()).unwrap()
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        let _ = self.0.read_to_string(&mut rest);
        rest
    }
}

fn http(running: &Running, head: &str) -> String {
    let mut stream = TcpStream::connect(running.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_native_connection_shows_its_token_renews_it_and_stays_the_same_user() {
    let running = start();
    let mut lines = Lines::open(&running);
    let refused = lines.ask(&json!({"join": "lobby", "ref": 1}));
    assert_eq!(refused["error"], "unauthorized");
    let bad = lines.ask(&json!({"auth": "no.token.atall", "ref": 2}));
    assert_eq!(
        (&bad["error"], &bad["ref"]),
        (&json!("unauthorized"), &json!(2))
    );
    let ok = lines.ask(&json!({"auth": token("ana", 60), "ref": 3}));
    assert_eq!((&ok["ok"], &ok["user"]), (&json!("auth"), &json!("ana")));
    assert_eq!(lines.ask(&json!({"join": "lobby"}))["ok"], "join");
    assert_eq!(lines.ask(&json!({"join": "den"}))["error"], "forbidden");
    assert_eq!(lines.ask(&json!({"auth": token("ana", 90)}))["ok"], "auth");
    let other = lines.ask(&json!({"auth": token("bo", 90)}));
    assert_eq!(other["error"], "unauthorized");
    assert!(other["text"].as_str().unwrap().contains("same user"));
    // It is who it was.
    let who = lines.ask(&json!({"who": "lobby"}));
    assert_eq!(who["members"][0]["user"], "ana");
    assert_eq!(who["members"][0]["name"], "ana");
}

#[test]
fn a_person_says_auth_and_enters_the_lobby() {
    let running = start();
    let mut person = Lines::open(&running);
    person.say(&format!("/auth {}", token("ana", 60)));
    assert_eq!(
        person.hear(),
        "* this server asks who you are; say /auth TOKEN"
    );
    assert_eq!(person.hear(), "* the token is good; you are the user ana");
    assert!(person.hear().starts_with("* you are ana in lobby"));
    person.say("/auth x");
    assert!(person.hear().starts_with("! this is no token"));
}

#[test]
fn each_request_stands_for_itself() {
    let running = start();
    let good = token("ana", 60);
    let none = http(&running, "GET /r/lobby?history HTTP/1.1");
    assert!(none.starts_with("HTTP/1.1 401 "), "{none}");
    assert!(
        none.contains("WWW-Authenticate: Bearer realm=\"taut\"\r\n"),
        "{none}"
    );
    for head in [
        format!("GET /r/lobby?history HTTP/1.1\r\nAuthorization: Bearer {good}"),
        format!("GET /r/lobby?history&token={good} HTTP/1.1"),
        format!("GET /r/lobby?history HTTP/1.1\r\nCookie: taut_token={good}"),
    ] {
        let answer = http(&running, &head);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let bad = http(
        &running,
        "GET /r/lobby?history HTTP/1.1\r\nAuthorization: Bearer a.b.c",
    );
    assert!(bad.starts_with("HTTP/1.1 401 "), "{bad}");
    assert!(bad.contains("error=\"invalid_token\""), "{bad}");
    assert!(!bad.contains("a.b.c"), "{bad}");
    let late = token("ana", 0);
    let expired = http(
        &running,
        &format!("GET /r/lobby?history&token={late} HTTP/1.1"),
    );
    assert!(expired.contains("\"expired\""), "{expired}");
    // On one connection, as behind a proxy, nobody inherits what was shown before.
    let mut kept = Lines::open(&running);
    kept.say(&format!(
        "GET /r/lobby?history HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {good}\r\n\r"
    ));
    kept.say("GET /r/lobby?history HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r");
    let both = kept.rest();
    assert_eq!(both.matches("HTTP/1.1 200 ").count(), 1, "{both}");
    assert_eq!(both.matches("HTTP/1.1 401 ").count(), 1, "{both}");
}

#[test]
fn a_websocket_brings_its_token_as_a_subprotocol_which_is_not_echoed() {
    let running = start();
    let good = token("ana", 60);
    let shake = |protocols: &str| {
        let mut stream = TcpStream::connect(running.address).unwrap();
        let request = format!(
            "GET /r/lobby HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        head
    };
    let native = shake(&format!("taut, taut.token.{good}"));
    assert!(native.starts_with("HTTP/1.1 101 "), "{native}");
    assert!(
        native.contains("Sec-WebSocket-Protocol: taut\r\n"),
        "{native}"
    );
    let payload = shake(&format!("bearer, {good}"));
    assert!(
        payload.contains("Sec-WebSocket-Protocol: bearer\r\n"),
        "{payload}"
    );
    assert!(!native.contains(&good) && !payload.contains(&good));
    assert!(shake("taut, taut.token.a.b.c").starts_with("HTTP/1.1 401 "));
}

#[test]
fn a_connection_ends_with_its_token_and_a_newer_one_keeps_it() {
    let running = start();
    let (mut short, mut long) = (Lines::open(&running), Lines::open(&running));
    for lines in [&mut short, &mut long] {
        assert_eq!(lines.ask(&json!({"auth": token("ana", 2)}))["ok"], "auth");
        assert_eq!(lines.ask(&json!({"join": "lobby"}))["ok"], "join");
    }
    assert_eq!(long.ask(&json!({"auth": token("ana", 600)}))["ok"], "auth");
    let bye: Value = serde_json::from_str(short.rest().trim_end()).unwrap();
    assert_eq!(
        (&bye["bye"], &bye["retry_ms"]),
        (&json!("expired"), &json!(0))
    );
    assert_eq!(long.ask(&json!({"ping": true}))["ok"], "ping");
}

#[test]
fn what_is_revoked_ends_on_every_core_and_stays_out_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("taut-revoked-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("revoked");
    let running = start_with(auth(), Some(file.clone()));
    let mut conns: Vec<Lines> = (0..6).map(|_| Lines::open(&running)).collect();
    for lines in &mut conns {
        assert_eq!(lines.ask(&json!({"auth": token("eve", 600)}))["ok"], "auth");
    }
    let mut ana = Lines::open(&running);
    assert_eq!(ana.ask(&json!({"auth": token("ana", 600)}))["ok"], "auth");
    running
        .revoker
        .revoke(&Revocation::Token {
            id: "id-eve".into(),
        })
        .unwrap();
    for mut lines in conns {
        assert!(lines.rest().contains("\"bye\":\"revoked\""));
    }
    assert_eq!(ana.ask(&json!({"ping": true}))["ok"], "ping");
    drop(running);
    let again = start_with(auth(), Some(file));
    let mut eve = Lines::open(&again);
    assert_eq!(
        eve.ask(&json!({"auth": token("eve", 600)}))["error"],
        "unauthorized"
    );
    let mut ana = Lines::open(&again);
    assert_eq!(ana.ask(&json!({"auth": token("ana", 600)}))["ok"], "auth");
    drop(again);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn keys_are_fetched_for_an_id_that_is_new_and_a_source_that_is_gone_refuses_in_time() {
    // Somebody who counts how often it is asked, and has no keys.
    let source = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", source.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in source.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let running = start_with(
        Auth {
            jwks_url: Some(url),
            ..auth()
        },
        None,
    );
    let claims = json!({"sub": "ana", "exp": now_s() + 60});
    let key = SigningKey::secret(Algorithm::Hs512, &[7; 64]).unwrap();
    let strange = key.mint(Some("new"), claims.as_object().unwrap()).unwrap();
    let mut lines = Lines::open(&running);
    assert_eq!(
        lines.ask(&json!({"auth": strange}))["error"],
        "unauthorized"
    );
    let answer = http(
        &running,
        &format!("GET /r/lobby?history&token={strange} HTTP/1.1"),
    );
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    // Keys that are known work all the while.
    assert_eq!(lines.ask(&json!({"auth": token("ana", 60)}))["ok"], "auth");
}
