//! A room's state over real sockets, on one core and on three: what a joiner is given and then hears is the state at all times, and of
//! many who compare and set, one wins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod peer;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use peer::{CARRIERS, Carrier, Peer, Running, post, request};
use serde_json::{Value, json};

const CORES: [usize; 2] = [1, 3];

/// The native protocol, a line each.
struct Line(BufReader<TcpStream>);

impl Line {
    fn open(server: &Running) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, unit: &Value) {
        let line = format!("{unit}\n");
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, unit: &Value) -> Value {
        self.say(unit);
        self.hear()
    }
}

fn entries(state: &Value) -> BTreeMap<String, Value> {
    let entries = state["state"].as_array().expect("a state").iter();
    entries
        .map(|entry| {
            let key = entry["key"].as_str().unwrap().to_owned();
            (key, json!([entry["at"], entry["data"]]))
        })
        .collect()
}

/// What a reader knows after one more message.
fn apply(known: &mut BTreeMap<String, Value>, message: &Value) {
    let Some(key) = message["key"].as_str() else {
        return;
    };
    match message["event"].as_str() {
        Some("taut:deleted" | "taut:expired") => known.remove(key),
        _ => known.insert(key.to_owned(), json!([message["at"], message["data"]])),
    };
}

#[test]
fn of_all_who_compare_and_set_one_wins_each_round() {
    for cores in CORES {
        let server = Running::new(cores);
        let mut setter = Line::open(&server);
        setter.ask(&json!({"set":"count","key":"n","data":0,"ref":1}));
        let writers: Vec<_> = (0..6)
            .map(|_| {
                let mut line = Line::open(&server);
                std::thread::spawn(move || {
                    let mut won = 0;
                    for _ in 0..60 {
                        let found = line.ask(&json!({"get":"count","key":"n","ref":1}));
                        let next = found["data"].as_u64().unwrap() + 1;
                        let set = json!({"set":"count","key":"n","data":next,"expect":found["at"],"ref":2});
                        let answer = line.ask(&set);
                        if answer["ok"] == "set" {
                            won += 1;
                        } else {
                            assert_eq!(answer["error"], "unexpected");
                        }
                    }
                    won
                })
            })
            .collect();
        let won: u64 = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        assert!(won >= 60, "{won}");
        let counted = setter.ask(&json!({"get":"count","key":"n"}));
        assert_eq!(counted["data"], won, "{cores} cores");
    }
}

#[test]
fn what_a_joiner_is_given_and_then_hears_is_the_state() {
    for cores in CORES {
        let server = Running::new(cores);
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let mut line = Line::open(&server);
                std::thread::spawn(move || {
                    for number in 0..300 {
                        let key = format!("k{}", (number * 7 + writer) % 20);
                        let unit = match number % 5 {
                            4 => json!({"delete":"room","key":key,"ref":1}),
                            3 => json!({"publish":"room","data":"no key","ref":1}),
                            2 => json!({"publish":"room","batch":[{"data":number,"key":key},{"data":number,"key":"both"}],"ref":1}),
                            _ => json!({"set":"room","key":key,"data":number,"ref":1}),
                        };
                        line.ask(&unit);
                    }
                })
            })
            .collect();
        let joiners: Vec<_> = (0..6)
            .map(|joiner| {
                let mut line = Line::open(&server);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(joiner * 15));
                    let joined = line.ask(&json!({"join":"room","state":true,"ref":1}));
                    let mut known = entries(&joined);
                    loop {
                        let message = line.hear();
                        if message["data"] == "the end" {
                            return known;
                        }
                        apply(&mut known, &message);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        // Whoever joins after the last change would wait for ever; by now all have.
        let mut line = Line::open(&server);
        while line.ask(&json!({"who":"room"}))["count"] != 6 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let state = entries(&line.ask(&json!({"state":"room"})));
        post(server.address, "room", "the end");
        for joiner in joiners {
            assert_eq!(joiner.join().unwrap(), state, "{cores} cores");
        }
    }
}

#[test]
fn a_batch_stands_together_whatever_else_is_said() {
    for cores in CORES {
        let server = Running::new(cores);
        let mut listener = Line::open(&server);
        listener.ask(&json!({"join":"room"}));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut line = Line::open(&server);
                std::thread::spawn(move || {
                    for round in 0..20 {
                        let of = format!("{writer}/{round}");
                        let batch: Vec<Value> = (0..10)
                            .map(|part| json!({"data":part,"event":of}))
                            .collect();
                        let answer = line.ask(&json!({"publish":"room","batch":batch,"ref":1}));
                        assert_eq!(answer["count"], 10);
                    }
                })
            })
            .collect();
        for _ in 0..80 {
            let first = listener.hear();
            assert_eq!(first["data"], 0);
            for part in 1..10 {
                let message = listener.hear();
                assert_eq!(
                    (&message["event"], &message["data"]),
                    (&first["event"], &json!(part))
                );
            }
        }
        for writer in writers {
            writer.join().unwrap();
        }
    }
}

#[test]
fn the_end_of_a_key_reaches_every_carrier_in_its_own_words() {
    for cores in CORES {
        let server = Running::new(cores);
        let mut peers: Vec<Peer> = CARRIERS
            .iter()
            .map(|carrier| Peer::join(&server, *carrier, "den", ""))
            .collect();
        let mut setter = Line::open(&server);
        setter.ask(&json!({"set":"den","key":"k","data":"set","ref":1}));
        setter.ask(&json!({"delete":"den","key":"k","ref":1}));
        setter.ask(&json!({"publish":"den","data":"after","ref":1}));
        for peer in &mut peers {
            assert_eq!(peer.hear(), "set", "{:?}", peer.carrier);
            let ended = match peer.carrier {
                // Nothing at all, or what is no message.
                Carrier::Payload | Carrier::Text | Carrier::SocketIo | Carrier::Polling => "after",
                Carrier::Sse => r#"{"key":"k"}"#,
                _ => "",
            };
            assert_eq!(peer.hear(), ended, "{:?}", peer.carrier);
            if ended != "after" {
                assert_eq!(peer.hear(), "after", "{:?}", peer.carrier);
            }
        }
    }
}

#[test]
fn a_reader_of_payloads_resumes_over_the_end_of_a_key() {
    let server = Running::new(1);
    let mut setter = Line::open(&server);
    let at = setter.ask(&json!({"set":"den","key":"k","data":"set","ref":1}))["at"].clone();
    setter.ask(&json!({"delete":"den","key":"k","ref":1}));
    let since = format!("since={}", at.as_str().unwrap());
    let mut peer = Peer::join(&server, Carrier::Payload, "den", &since);
    setter.ask(&json!({"delete":"den","key":"k","ref":1}));
    setter.ask(&json!({"set":"den","key":"k","data":"again","ref":1}));
    setter.ask(&json!({"delete":"den","key":"k","ref":1}));
    setter.ask(&json!({"publish":"den","data":"last","ref":1}));
    assert_eq!(peer.hear(), "again");
    assert_eq!(peer.hear(), "last");
    server.stop();
}

#[test]
fn a_state_read_over_http_goes_on_where_it_stands() {
    let server = Running::new(3);
    let get = |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = request(server.address, &head);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()
    };
    let mut setter = Line::open(&server);
    let nothing = get("/r/den?state");
    assert_eq!(nothing["state"], json!([]));
    setter.ask(&json!({"set":"den","key":"k","data":1,"ref":1}));
    let state = get("/r/den?state");
    let version = setter.ask(&json!({"set":"den","key":"k","data":2,"ref":1}))["at"].clone();
    let page = get(&format!("/r/den?since={}", state["at"].as_str().unwrap()));
    assert_eq!(page["complete"], true);
    assert_eq!(page["messages"][0]["at"], version);
    assert_eq!(get("/r/den?key=k")["at"], version);
}
