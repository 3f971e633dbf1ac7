//! The datagram door: what anybody may do, what needs proof of an address, and what does not fit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::UdpSocket;
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use taut_server::{Address, Config, Fault, Limits, Server, Stopper};

struct Served {
    address: std::net::SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Fault>>>,
}

impl Served {
    fn start(cores: usize, change: impl FnOnce(&mut Limits)) -> Self {
        let mut config = Config {
            listeners: vec!["udp://127.0.0.1:0".parse().unwrap()],
            cores,
            ..Config::default()
        };
        change(&mut config.limits);
        let server = Server::bind(config).unwrap();
        let Address::Udp(address) = server.bound()[0].address else {
            panic!("{:?}", server.bound());
        };
        let stopper = server.stopper();
        let thread = Some(std::thread::spawn(move || server.run()));
        Self {
            address,
            stopper,
            thread,
        }
    }

    fn peer(&self) -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Peer(socket)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

struct Peer(UdpSocket);

impl Peer {
    fn say(&self, unit: &str) {
        self.0.send(unit.as_bytes()).unwrap();
    }

    fn hear_bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        let length = self.0.recv(&mut buffer).expect("an answer");
        buffer.truncate(length);
        buffer
    }

    fn hear(&self) -> Value {
        serde_json::from_slice(&self.hear_bytes()).unwrap()
    }

    fn ask(&self, unit: &str) -> Value {
        self.say(unit);
        self.hear()
    }

    /// Joins with proof.
    fn join(&self, room: &str) -> Value {
        let asked = self.ask(&json!({"join": room, "ref": "a-reference"}).to_string());
        let proof = asked["prove"].as_str().expect("a challenge");
        self.ask(&json!({"join": room, "ref": 1, "proof": proof}).to_string())
    }

    /// Everything the server had said by now: the answer to a last ping ends it.
    fn hears_nothing_but_its_pong(&self) {
        assert_eq!(
            self.ask(r#"{"ping":true,"ref":"last"}"#),
            json!({"ok": "ping", "ref": "last"})
        );
    }
}

#[test]
fn publishing_needs_no_proof_and_is_answered_within_the_length_of_the_request() {
    let served = Served::start(2, |_| {});
    let peer = served.peer();
    for unit in [
        r#"{"publish":"lobby","data":1,"ref":1}"#,
        r#"{"publish":"lobby","data":"a message that is a little longer than that one","ref":2}"#,
        r#"{"publish":"$x","data":1,"ref":3}"#,
        r#"{"publish":"lobby","data":1,"lane":"latest","ref":4}"#,
        r#"{"ping":true,"ref":"0"}"#,
    ] {
        peer.say(unit);
        let answer = peer.hear_bytes();
        assert!(
            answer.len() <= unit.len(),
            "{unit} got {}",
            String::from_utf8_lossy(&answer)
        );
    }
    let receipt = peer.ask(r#"{"publish":"lobby","data":"long enough for a position","ref":2}"#);
    assert_eq!(receipt["ok"], "publish");
    assert!(receipt["at"].is_string(), "{receipt}");
}

#[test]
fn a_publish_without_ref_is_fire_and_forget() {
    let served = Served::start(2, |_| {});
    let peer = served.peer();
    peer.say(r#"{"publish":"lobby","data":1}"#);
    peer.hears_nothing_but_its_pong();
    assert_eq!(
        peer.ask(r#"{"publish":"a//b","data":"something long enough for an answer"}"#)["error"],
        "bad-room"
    );
}

#[test]
fn nothing_longer_than_the_request_goes_to_an_address_without_proof() {
    let served = Served::start(2, |_| {});
    let member = served.peer();
    assert_eq!(member.join("lobby")["ok"], "join");
    let stranger = served.peer();
    let units = [
        "{",
        "x",
        "[]",
        r#"{"jion":"lobby"}"#,
        r#"{"who":"lobby"}"#,
        r#"{"join":"a"}"#,
        r#"{"join":"lobby"}"#,
        r#"{"join":"lobby","rewind":100,"presence":true}"#,
        r#"{"history":"lobby","ref":"0123456789"}"#,
        r#"{"join":"lobby","proof":"AAAAAAAAAAA"}"#,
        r#"{"join":"lobby","proof":""}"#,
        r#"{"fetch":"lobby","at":"x-1"}"#,
        r#"{"leave":"lobby"}"#,
    ];
    stranger
        .0
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    for unit in units {
        stranger.say(unit);
        let mut buffer = [0; 2_000];
        if let Ok(length) = stranger.0.recv(&mut buffer) {
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(length <= unit.len(), "{unit} got {answer}");
        }
    }
    // What members hear does not go to strangers either.
    served
        .peer()
        .ask(r#"{"publish":"lobby","data":"for members only","ref":1}"#);
    assert_eq!(member.hear()["data"], "for members only");
    let mut buffer = [0; 2_000];
    assert!(stranger.0.recv(&mut buffer).is_err());
}

#[test]
fn what_is_longer_than_a_message_may_be_is_refused() {
    let served = Served::start(1, |limits| limits.message_bytes_max = 100);
    let peer = served.peer();
    let publish = |bytes: usize| {
        let unit = json!({"publish": "den", "data": "", "ref": 1}).to_string();
        unit.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - unit.len())))
    };
    assert_eq!(peer.ask(&publish(101))["error"], "message-too-large");
    assert_eq!(peer.ask(&publish(100))["ok"], "publish");
    peer.join("den");
    let refused = peer.ask(&publish(101));
    assert_eq!(refused["error"], "message-too-large");
    assert_eq!(
        refused["text"],
        "the datagram has 101 bytes, at most 100 are taken"
    );
    assert_eq!(peer.ask(&publish(100))["ok"], "publish");
}

#[test]
fn a_proof_is_of_one_address_and_makes_it_a_member() {
    let served = Served::start(2, |_| {});
    let (ana, bo) = (served.peer(), served.peer());
    let challenge = ana.ask(r#"{"join":"den","as":"ana","ref":1}"#);
    let join = format!(
        r#"{{"join":"den","as":"ana","ref":1,"proof":{}}}"#,
        challenge["prove"]
    );
    // Another address gets nowhere with it.
    assert!(bo.ask(&join)["prove"].is_string());
    assert_eq!(ana.ask(&join)["ok"], "join");
    assert_eq!(bo.join("den")["ok"], "join");
    bo.say(r#"{"publish":"den","data":{"x":1.50}}"#);
    let heard = ana.hear();
    assert_eq!(heard["data"], json!({"x": 1.5}));
    bo.hears_nothing_but_its_pong();
    let who = ana.ask(r#"{"who":"den"}"#);
    assert_eq!(who["count"], 2);
    assert_eq!(who["members"][0]["door"], "udp");
    assert_eq!(ana.ask(r#"{"leave":"den"}"#)["ok"], "leave");
    bo.ask(r#"{"publish":"den","data":2,"ref":2}"#);
    ana.hears_nothing_but_its_pong();
}

#[test]
fn a_message_that_does_not_fit_is_announced_and_fetched_in_pieces() {
    let served = Served::start(3, |_| {});
    let (reader, writer) = (served.peer(), served.peer());
    reader.join("large");
    let text = "äöü \"quoted\" ".repeat(400);
    writer.ask(&json!({"publish": "large", "data": text, "event": "doc", "ref": 1}).to_string());
    let announced = reader.hear();
    assert_eq!(announced["event"], "doc");
    assert!(announced.get("data").is_none());
    let total = announced["bytes"].as_u64().unwrap();
    let mut whole = Vec::new();
    while (whole.len() as u64) < total {
        let ask = json!({"fetch": "large", "at": announced["at"], "offset": whole.len(), "ref": 5});
        reader.say(&ask.to_string());
        let unit = reader.hear_bytes();
        assert!(unit.len() <= 1_200, "{}", unit.len());
        let piece: Value = serde_json::from_slice(&unit).unwrap();
        assert_eq!(piece["offset"].as_u64().unwrap(), whole.len() as u64);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(piece["base64"].as_str().unwrap())
            .unwrap();
        assert!(!bytes.is_empty());
        whole.extend_from_slice(&bytes);
    }
    let message: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(message["data"], text);
    assert_eq!(message["at"], announced["at"]);
    let beyond = json!({"fetch": "large", "at": announced["at"], "offset": total + 1});
    assert_eq!(reader.ask(&beyond.to_string())["error"], "not-found");
    assert_eq!(
        reader.ask(r#"{"fetch":"large","at":"nothing-1"}"#)["error"],
        "not-found"
    );
    // A page that begins with it says so; one behind it comes.
    let page = reader.ask(r#"{"history":"large","rewind":1}"#);
    assert_eq!(page["error"], "too-long-for-datagram");
}

#[test]
fn history_and_members_come_as_far_as_they_fit() {
    let served = Served::start(2, |_| {});
    let peer = served.peer();
    peer.join("log");
    for number in 0..40 {
        let unit = json!({"publish": "log", "data": format!("{number:0>80}"), "ref": number});
        assert_eq!(peer.ask(&unit.to_string())["ok"], "publish");
    }
    let (mut since, mut seen) = (None, 0);
    loop {
        let ask = match &since {
            None => json!({"history": "log", "rewind": 16}),
            Some(since) => json!({"history": "log", "since": since}),
        };
        peer.say(&ask.to_string());
        let unit = peer.hear_bytes();
        assert!(unit.len() <= 1_200, "{}", unit.len());
        let page: Value = serde_json::from_slice(&unit).unwrap();
        seen += page["messages"].as_array().unwrap().len();
        since = Some(page["at"].clone());
        if page.get("more").is_none() {
            break;
        }
    }
    assert_eq!(seen, 16);
    let members: Vec<Peer> = (0..40).map(|_| served.peer()).collect();
    for member in &members {
        member.join("log");
    }
    peer.say(r#"{"who":"log"}"#);
    let unit = peer.hear_bytes();
    assert!(unit.len() <= 1_200);
    let who: Value = serde_json::from_slice(&unit).unwrap();
    assert_eq!(who["count"], 41);
}

#[test]
fn history_backwards_goes_on_where_a_datagram_ended() {
    let served = Served::start(2, |_| {});
    let peer = served.peer();
    peer.join("log");
    for number in 0..30 {
        let unit = json!({"publish": "log", "data": format!("{number:0>80}"), "ref": number});
        assert_eq!(peer.ask(&unit.to_string())["ok"], "publish");
    }
    let (mut until, mut seen) = (Value::Null, Vec::new());
    loop {
        let page = peer.ask(&json!({"history":"log","reverse":true,"until":until}).to_string());
        for message in page["messages"].as_array().unwrap() {
            seen.push(message["data"].as_str().unwrap().parse::<u32>().unwrap());
        }
        until = page["at"].clone();
        if page.get("more").is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..30).rev().collect::<Vec<_>>());
}

#[test]
fn state_is_set_without_proof_and_read_as_far_as_it_fits() {
    let served = Served::start(2, |_| {});
    let stranger = served.peer();
    let set = stranger.ask(
        r#"{"set":"prices","key":"eur","data":"a value that leaves space","expect":null,"ref":1}"#,
    );
    assert_eq!(set["ok"], "set");
    let again = r#"{"set":"prices","key":"eur","data":1,"expect":null,"ref":2}"#;
    assert_eq!(stranger.ask(again), json!({"error":"unexpected","ref":2}));
    let batch = r#"{"publish":"prices","batch":[{"data":1},{"data":2,"key":"usd"}],"ref":3}"#;
    assert_eq!(stranger.ask(batch)["count"], 2);
    assert!(stranger.ask(r#"{"state":"prices","ref":123456}"#)["prove"].is_string());

    let peer = served.peer();
    peer.join("elsewhere");
    let state = peer.ask(r#"{"state":"prices"}"#);
    assert_eq!(state["state"].as_array().unwrap().len(), 2);
    assert_eq!(peer.ask(r#"{"get":"prices","key":"eur"}"#)["at"], set["at"]);
    assert_eq!(peer.ask(r#"{"get":"prices","key":"x"}"#)["error"], "no-key");
    let long = json!({"set":"prices","key":"long","data":"x".repeat(2_000),"ref":4});
    let at = peer.ask(&long.to_string())["at"].clone();
    assert_eq!(
        peer.ask(r#"{"state":"prices"}"#)["error"],
        "too-long-for-datagram"
    );
    let refused = peer.ask(r#"{"get":"prices","key":"long"}"#);
    assert_eq!(refused["error"], "too-long-for-datagram");
    assert!(
        refused["text"]
            .as_str()
            .unwrap()
            .contains(at.as_str().unwrap())
    );
    let joined = peer.ask(r#"{"join":"prices","state":true}"#);
    assert_eq!((&joined["ok"], joined.get("state")), (&json!("join"), None));
    assert_eq!(
        peer.ask(r#"{"delete":"prices","key":"long","ref":5}"#)["ok"],
        "delete"
    );
}

#[test]
fn a_peer_that_falls_silent_is_a_stranger_again() {
    let served = Served::start(1, |limits| limits.proof_ms_max = 600);
    let peer = served.peer();
    peer.join("lobby");
    let bye = peer.hear();
    assert_eq!(bye["bye"], "silent");
    assert!(peer.ask(r#"{"who":"lobby","ref":12345678}"#)["prove"].is_string());
}

#[test]
fn whoever_has_joined_is_told_of_the_shutdown() {
    let served = Served::start(2, |_| {});
    let peer = served.peer();
    peer.join("lobby");
    served.stopper.stop();
    assert_eq!(peer.hear()["bye"], "restart");
}

#[test]
fn many_members_hear_many_messages_in_order() {
    let served = Served::start(2, |_| {});
    let members: Vec<Peer> = (0..60).map(|_| served.peer()).collect();
    for member in &members {
        assert_eq!(member.join("crowd")["ok"], "join");
    }
    let writer = served.peer();
    for number in 0..50 {
        writer.say(&json!({"publish": "crowd", "data": number, "ref": number}).to_string());
        assert_eq!(writer.hear()["ok"], "publish");
    }
    for member in &members {
        for number in 0..50 {
            assert_eq!(member.hear()["data"], number);
        }
    }
}

#[test]
fn peers_beyond_the_limit_are_refused_in_words() {
    let served = Served::start(1, |limits| limits.datagram_peers_max = 1);
    served.peer().join("lobby");
    let late = served.peer();
    assert_eq!(late.join("lobby")["error"], "full");
}
