//! `pub`, `sub`, `who`, `history` and what changes state against a scripted server that speaks JSON lines: what they print, and how they end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

struct Peer {
    listener: TcpListener,
}

struct Line {
    reader: BufReader<TcpStream>,
}

impl Peer {
    fn listen() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// The program, told to talk to this peer.
    fn taut(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taut"));
        command
            .args(args)
            .env(
                "TAUT_URL",
                format!("tcp://{}", self.listener.local_addr().unwrap()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn accept(&self) -> Line {
        Line {
            reader: BufReader::new(self.listener.accept().unwrap().0),
        }
    }
}

impl Line {
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn say(&mut self, value: &Value) {
        self.reader
            .get_mut()
            .write_all(format!("{value}\n").as_bytes())
            .unwrap();
    }

    /// Hears a request and answers it with `answer` and its reference.
    fn take(&mut self, mut answer: Value) -> Value {
        let asked = self.hear();
        answer["ref"] = asked["ref"].clone();
        self.say(&answer);
        asked
    }

    fn take_join(&mut self, at: &str) -> Value {
        let asked = self.hear();
        self.say(
            &json!({"ok":"join","ref":asked["ref"],"room":asked["join"],"at":at,"complete":true}),
        );
        asked
    }

    fn say_text(&mut self, room: &str, at: &str, text: &str) {
        self.say(&json!({"room":room,"at":at,"from":"ana","event":"message","time":1,"data":text}));
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn line_of(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}

#[test]
fn sub_prints_what_is_said_and_stops_after_its_count() {
    let peer = Peer::listen();
    let child = peer
        .taut(&[
            "sub", "lobby", "--count", "3", "--rewind", "5", "--as", "bo",
        ])
        .spawn()
        .unwrap();
    let mut line = peer.accept();
    let asked = line.take_join("e-1");
    assert_eq!((&asked["rewind"], &asked["as"]), (&json!(5), &json!("bo")));
    line.say_text("lobby", "e-2", "hi\x1b[2J");
    line.say(
        &json!({"room":"lobby","at":"e-3","from":"ana","event":"move","time":1,"data":{"x":1}}),
    );
    line.say(&json!({"room":"lobby","gap":{"after":"e-3","at":"e-5"}}));
    line.say_text("lobby", "e-6", "two\nlines");
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(
        stdout,
        "ana: hi\\x1b[2J\nana [move]: {\"x\":1}\nana: two\nana| lines\n"
    );
    assert_eq!(
        stderr,
        "gap: messages of lobby after e-3 up to e-5 are missing\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn sub_of_several_rooms_names_the_room() {
    let peer = Peer::listen();
    let child = peer
        .taut(&["sub", "a", "b", "--count", "2"])
        .spawn()
        .unwrap();
    let mut line = peer.accept();
    line.take_join("e-1");
    line.take_join("e-1");
    line.say_text("b", "e-2", "one\ntwo");
    line.say_text("a", "e-2", "three");
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    assert_eq!(stdout, "[b] ana: one\n[b] ana| two\n[a] ana: three\n");
}

#[test]
fn sub_for_programs_prints_an_object_a_line() {
    let peer = Peer::listen();
    let child = peer
        .taut(&["sub", "lobby", "--json", "--count", "1", "--since", "e-0"])
        .spawn()
        .unwrap();
    let mut line = peer.accept();
    let asked = line.hear();
    assert_eq!(asked["since"], "e-0");
    line.say(&json!({"ok":"join","ref":asked["ref"],"room":"lobby","at":"e-9","complete":false,"from":"e-7"}));
    line.say_text("lobby", "e-8", "hi");
    let (stdout, stderr) = texts(&child.wait_with_output().unwrap());
    let said: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&said["at"], &said["data"]), (&json!("e-8"), &json!("hi")));
    assert_eq!(
        stderr,
        "gap: lobby has not kept everything after e-0; what follows is whole from e-7\n"
    );
}

#[test]
fn sub_comes_back_and_goes_on_where_it_was() {
    let peer = Peer::listen();
    let child = peer
        .taut(&["sub", "lobby", "--count", "2"])
        .spawn()
        .unwrap();
    let mut line = peer.accept();
    line.take_join("e-1");
    line.say_text("lobby", "e-2", "one");
    line.say(&json!({"bye":"restart","text":"updating","retry_ms":1}));
    drop(line);
    let mut line = peer.accept();
    assert_eq!(line.take_join("e-3")["since"], "e-2");
    line.say_text("lobby", "e-3", "two");
    let (stdout, stderr) = texts(&child.wait_with_output().unwrap());
    assert_eq!(stdout, "ana: one\nana: two\n");
    assert!(
        stderr.contains("updating") && stderr.contains("connected again"),
        "{stderr}"
    );
}

#[test]
fn sub_that_is_refused_says_why_and_exits_with_4() {
    let peer = Peer::listen();
    let child = peer.taut(&["sub", "secret"]).spawn().unwrap();
    peer.accept()
        .take(json!({"error":"forbidden","text":"you may not read secret"}));
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        texts(&output).1,
        "error: you may not read secret (forbidden)\n"
    );
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn sub_whose_reader_has_gone_ends_quietly() {
    let peer = Peer::listen();
    let mut child = peer.taut(&["sub", "lobby"]).spawn().unwrap();
    let mut line = peer.accept();
    line.take_join("e-1");
    line.say_text("lobby", "e-2", "one");
    assert_eq!(line_of(&mut child), "ana: one\n");
    drop(child.stdout.take());
    line.say_text("lobby", "e-3", "two");
    let output = child.wait_with_output().unwrap();
    assert_eq!(texts(&output).1, "");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_sub_quietly_with_130() {
    let peer = Peer::listen();
    let mut child = peer.taut(&["sub", "lobby"]).spawn().unwrap();
    let mut line = peer.accept();
    line.take_join("e-1");
    line.say_text("lobby", "e-2", "one");
    assert_eq!(line_of(&mut child), "ana: one\n");
    let kill = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -INT {}", child.id()))
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), texts(&output).1.as_str()),
        (Some(130), "")
    );
}

#[test]
fn pub_sends_each_argument_with_its_labels() {
    let peer = Peer::listen();
    let child = peer
        .taut(&[
            "pub", "a/b", "one", "two", "--event", "e", "--key", "k", "--as", "ana",
        ])
        .spawn()
        .unwrap();
    let mut line = peer.accept();
    for (number, text) in ["one", "two"].into_iter().enumerate() {
        let asked = line.take(json!({"ok":"publish","at":format!("e-{number}")}));
        assert_eq!(
            (
                &asked["publish"],
                &asked["data"],
                &asked["event"],
                &asked["key"],
                &asked["as"]
            ),
            (
                &json!("a/b"),
                &json!(text),
                &json!("e"),
                &json!("k"),
                &json!("ana")
            )
        );
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), texts(&output)),
        (Some(0), (String::new(), String::new()))
    );
}

#[test]
fn pub_sends_json_as_json_and_an_id_once() {
    let peer = Peer::listen();
    let child = peer
        .taut(&["pub", "a", "--json", " {\"x\": 1} ", "--id", "i-1"])
        .spawn()
        .unwrap();
    let asked = peer
        .accept()
        .take(json!({"ok":"publish","at":"e-1","duplicate":true}));
    assert_eq!(
        (&asked["data"], &asked["id"]),
        (&json!({"x":1}), &json!("i-1"))
    );
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn pub_sends_each_line_of_stdin() {
    let peer = Peer::listen();
    let mut child = peer
        .taut(&["pub", "logs"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut line = peer.accept();
    // A line that came is sent at once, before the input ends.
    stdin.write_all(b"one\r\n").unwrap();
    assert_eq!(line.take(json!({"ok":"publish","at":"e-1"}))["data"], "one");
    stdin.write_all(b"\n\xff\xfe\nlast").unwrap();
    drop(stdin);
    assert_eq!(line.take(json!({"ok":"publish","at":"e-2"}))["data"], "");
    assert_eq!(
        line.take(json!({"ok":"publish","at":"e-3"}))["base64"],
        "//4="
    );
    assert_eq!(
        line.take(json!({"ok":"publish","at":"e-4"}))["data"],
        "last"
    );
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn pub_goes_on_after_a_refusal_and_exits_with_4() {
    let peer = Peer::listen();
    let child = peer.taut(&["pub", "a", "one", "two"]).spawn().unwrap();
    let mut line = peer.accept();
    line.take(json!({"error":"too-large","text":"too large for a"}));
    line.take(json!({"ok":"publish","at":"e-1"}));
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        texts(&output).1,
        "message 1: too large for a (too-large)\nerror: 1 of 2 messages were not taken\n"
    );
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn pub_whose_connection_breaks_exits_with_3() {
    let peer = Peer::listen();
    let child = peer.taut(&["pub", "a", "one"]).spawn().unwrap();
    let mut line = peer.accept();
    line.hear();
    drop(line);
    let output = child.wait_with_output().unwrap();
    assert!(
        texts(&output).1.contains("the connection was lost"),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn who_lists_the_room() {
    let members = json!([{"name":"ana","door":"text","id":"1"},{"name":"bo\u{7}","door":"websocket","id":"2"}]);
    let peer = Peer::listen();
    let child = peer.taut(&["who", "lobby"]).spawn().unwrap();
    peer.accept()
        .take(json!({"ok":"who","room":"lobby","count":3,"members":members}));
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    assert_eq!(
        stdout,
        "3 in lobby\n  ana (text)\n  bo\\x07 (websocket)\n  and 1 more\n"
    );

    let child = peer.taut(&["who", "lobby", "--json"]).spawn().unwrap();
    peer.accept()
        .take(json!({"ok":"who","room":"lobby","count":2,"members":members}));
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    let roster: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&roster["room"], &roster["count"], &roster["members"]),
        (&json!("lobby"), &json!(2), &members)
    );

    let child = peer.taut(&["who", "empty"]).spawn().unwrap();
    peer.accept()
        .take(json!({"ok":"who","room":"empty","count":0,"members":[]}));
    assert_eq!(
        texts(&child.wait_with_output().unwrap()).0,
        "nobody is in empty\n"
    );
}

#[test]
fn what_is_no_taut_server_is_named_with_exit_3() {
    let peer = Peer::listen();
    let url = format!("http://{}", peer.listener.local_addr().unwrap());
    let child = peer.taut(&["who", "lobby", "--url", &url]).spawn().unwrap();
    let mut line = peer.accept();
    let mut head = [0; 16];
    line.reader.read_exact(&mut head).unwrap();
    line.reader
        .get_mut()
        .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = texts(&output).1;
    assert!(
        stderr.contains("404") && stderr.contains("--url"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(3));
}

fn page(at: &str, more: bool, messages: &[(&str, &str)]) -> Value {
    let messages: Vec<Value> = messages
        .iter()
        .map(|(at, text)| json!({"room":"lobby","at":at,"from":"ana","event":"message","time":1,"data":text}))
        .collect();
    json!({"ok":"history","room":"lobby","at":at,"complete":true,"more":more,"messages":messages})
}

#[test]
fn history_asks_on_until_everything_is_there() {
    let peer = Peer::listen();
    let child = peer.taut(&["history", "lobby"]).spawn().unwrap();
    let mut line = peer.accept();
    let asked = line.take(page("e-2", true, &[("e-1", "one"), ("e-2", "two")]));
    assert_eq!(
        (&asked["rewind"], &asked["limit"]),
        (&json!(u32::MAX), &json!(1_000))
    );
    // A page may be empty where what it was about has gone meanwhile.
    let asked = line.take(page("e-4", true, &[]));
    assert_eq!(
        (&asked["since"], &asked["rewind"]),
        (&json!("e-2"), &json!(null))
    );
    line.take(page("e-5", false, &[("e-5", "five")]));
    let output = child.wait_with_output().unwrap();
    assert_eq!(texts(&output).0, "ana: one\nana: two\nana: five\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn history_backwards_stops_at_its_limit() {
    let peer = Peer::listen();
    let arguments = [
        "history",
        "lobby",
        "--reverse",
        "--limit",
        "3",
        "--until",
        "e-9",
    ];
    let child = peer.taut(&arguments).spawn().unwrap();
    let mut line = peer.accept();
    let asked = line.take(page("e-7", true, &[("e-9", "nine"), ("e-8", "eight")]));
    assert_eq!(
        (&asked["reverse"], &asked["limit"], &asked["until"]),
        (&json!(true), &json!(3), &json!("e-9"))
    );
    let asked = line.take(page("e-6", true, &[("e-7", "seven")]));
    assert_eq!(
        (&asked["limit"], &asked["until"]),
        (&json!(1), &json!("e-7"))
    );
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    assert_eq!(stdout, "ana: nine\nana: eight\nana: seven\n");
}

#[test]
fn history_that_makes_no_progress_ends() {
    let peer = Peer::listen();
    let child = peer.taut(&["history", "lobby"]).spawn().unwrap();
    let mut line = peer.accept();
    line.take(page("e-2", true, &[]));
    line.take(page("e-2", true, &[]));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn set_says_what_it_expects_and_prints_the_version() {
    let peer = Peer::listen();
    let arguments = [
        "set", "prices", "eur", "1.10", "--json", "--ttl", "30s", "--expect", "e-3",
    ];
    let child = peer.taut(&arguments).spawn().unwrap();
    let mut line = peer.accept();
    let asked = line.take(json!({"ok":"publish","at":"e-4"}));
    assert_eq!(
        (
            &asked["publish"],
            &asked["key"],
            &asked["data"],
            &asked["expect"],
            &asked["ttl_ms"]
        ),
        (
            &json!("prices"),
            &json!("eur"),
            &json!(1.10),
            &json!("e-3"),
            &json!(30_000)
        )
    );
    assert_eq!(texts(&child.wait_with_output().unwrap()).0, "e-4\n");
}

#[test]
fn delete_that_is_refused_says_why_and_exits_with_4() {
    let peer = Peer::listen();
    let child = peer.taut(&["delete", "prices", "eur"]).spawn().unwrap();
    let asked = peer
        .accept()
        .take(json!({"error":"unexpected","text":"it is not set"}));
    assert_eq!(
        (&asked["delete"], &asked["key"]),
        (&json!("prices"), &json!("eur"))
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(texts(&output).1, "error: it is not set (unexpected)\n");
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn get_prints_the_value_and_state_all_of_them() {
    let set = |key: &str, data: &str| json!({"room":"r","at":"e-1","from":"ana","event":"message","key":key,"time":1,"data":data});
    let peer = Peer::listen();
    let child = peer.taut(&["get", "r", "k"]).spawn().unwrap();
    let mut answer = set("k", "two\nlines");
    answer["ok"] = json!("get");
    peer.accept().take(answer);
    assert_eq!(texts(&child.wait_with_output().unwrap()).0, "two\nlines\n");
    let child = peer.taut(&["get", "r", "k"]).spawn().unwrap();
    peer.accept()
        .take(json!({"error":"no-key","text":"nothing is set under this key"}));
    let output = child.wait_with_output().unwrap();
    assert_eq!(texts(&output).1, "error: nothing is set under k in r\n");
    assert_eq!(output.status.code(), Some(1));
    let child = peer.taut(&["state", "r"]).spawn().unwrap();
    let entries = [set("a", "1"), set("b\u{1b}", "two\nlines")];
    peer.accept()
        .take(json!({"ok":"state","room":"r","at":"e-9","state":entries}));
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    assert_eq!(stdout, "a = 1\nb\\x1b = two\n| lines\n");
}
