//! What holds in a room holds for every carrier: each scenario is written once and played with all of them, on one core and on three.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use peer::{CARRIERS, Carrier, Peer, Running, post, request};

const CORES: [usize; 2] = [1, 3];

fn all_in(server: &Running, room: &str) -> Vec<Peer> {
    CARRIERS
        .iter()
        .map(|carrier| Peer::join(server, *carrier, room, ""))
        .collect()
}

#[test]
fn everybody_hears_it_but_who_said_it() {
    for cores in CORES {
        let server = Running::new(cores);
        let mut peers = all_in(&server, "den");
        for speaker in 0..peers.len() {
            let text = format!("from {:?}", peers[speaker].carrier);
            peers[speaker].say(&text);
            for (index, peer) in peers.iter_mut().enumerate() {
                if index != speaker || peer.hears_itself() {
                    assert_eq!(peer.hear(), text, "{:?} on {cores} cores", peer.carrier);
                }
            }
        }
        // Had a speaker heard itself, this would not be the next thing it hears.
        post(server.address, "den", "the end");
        for peer in &mut peers {
            assert_eq!(
                peer.hear(),
                "the end",
                "{:?} on {cores} cores",
                peer.carrier
            );
        }
    }
}

#[test]
fn what_one_says_comes_in_order_to_everybody() {
    for cores in CORES {
        let server = Running::new(cores);
        for speaker in [
            Carrier::Lines,
            Carrier::Payload,
            Carrier::Native,
            Carrier::Text,
            Carrier::SocketIo,
            Carrier::Polling,
        ] {
            let room = format!("order/{speaker:?}");
            let mut peers = all_in(&server, &room);
            let mut speaker = Peer::join(&server, speaker, &room, "");
            for number in 0..500 {
                speaker.say(&format!("number {number}"));
            }
            for peer in &mut peers {
                for number in 0..500 {
                    assert_eq!(
                        peer.hear(),
                        format!("number {number}"),
                        "{:?}",
                        peer.carrier
                    );
                }
            }
        }
    }
}

#[test]
fn a_position_from_one_door_continues_at_every_other() {
    for cores in CORES {
        let server = Running::new(cores);
        for text in ["one", "two"] {
            post(server.address, "log", text);
        }
        let page = request(
            server.address,
            "GET /r/log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        );
        let (_, at) = page.split_once("\"at\":\"").unwrap();
        let position = at.split('"').next().unwrap();
        for text in ["three", "four"] {
            post(server.address, "log", text);
        }
        let resumed = [
            Carrier::Lines,
            Carrier::Payload,
            Carrier::Native,
            Carrier::Sse,
            Carrier::Ndjson,
            Carrier::SocketIo,
            Carrier::Polling,
        ];
        for carrier in resumed {
            let mut peer = Peer::join(&server, carrier, "log", &format!("since={position}"));
            assert_eq!(peer.hear(), "three", "{carrier:?} on {cores} cores");
            assert_eq!(peer.hear(), "four", "{carrier:?} on {cores} cores");
        }
        let mut peer = Peer::join(
            &server,
            Carrier::Events,
            "log",
            &format!("since={position},"),
        );
        assert_eq!(peer.hear(), "three");
        assert_eq!(peer.hear(), "four");
    }
}

#[test]
fn a_position_that_nobody_knows_is_a_gap_and_no_error() {
    let server = Running::new(2);
    post(server.address, "log", "kept");
    let stream = |carrier| Peer::join(&server, carrier, "log", "since=zzz-9");
    let mut peer = stream(Carrier::Sse);
    assert_eq!(peer.hear().split('"').nth(1), Some("after"));
    assert_eq!(peer.hear(), "kept");
    let mut peer = stream(Carrier::Native);
    assert_eq!(peer.hear(), "kept");
    let page = request(
        server.address,
        "GET /r/log?since=zzz-9 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("\"complete\":false"),
        "{page}"
    );
}

#[test]
fn a_graceful_stop_tells_everybody_to_come_back() {
    for cores in CORES {
        let server = Running::new(cores);
        let mut peers = all_in(&server, "den");
        let stopping = std::thread::spawn(move || server.stop());
        for peer in &mut peers {
            let rest = peer.rest();
            let word = match peer.carrier {
                Carrier::Text => "come back",
                Carrier::Payload => "close 1012",
                Carrier::Sse | Carrier::Events => "event: taut:bye",
                Carrier::SocketIo | Carrier::Polling => "[\"taut:bye\",",
                Carrier::Lines | Carrier::Native | Carrier::Ndjson => "\"bye\":\"restart\"",
            };
            assert!(rest.contains(word), "{:?}: {rest:?}", peer.carrier);
        }
        drop(peers);
        stopping.join().unwrap();
    }
}

#[test]
fn a_poll_that_waits_is_answered_by_the_next_message() {
    let server = Running::new(2);
    post(server.address, "log", "old");
    let address = server.address;
    let waiting = std::thread::spawn(move || {
        request(
            address,
            "GET /r/log?wait=20&rewind=0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
    });
    while !request(
        address,
        "GET /r/log?who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .contains("\"http\"")
    {
        std::thread::yield_now();
    }
    post(address, "log", "new");
    let page = waiting.join().unwrap();
    assert!(
        page.contains("\"data\":\"new\"") && !page.contains("old"),
        "{page}"
    );
}

/// What is said: a line end within a string, an attachment within an object, a number that no double holds.
const ARGS: &str = r#"["a\nb",{"file":{"base64":"AAH/"}},12345678901234567890.50]"#;

fn get(server: &Running, target: &str) -> (String, String) {
    let answer = request(
        server.address,
        &format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.trim_end().to_owned())
}

#[test]
fn every_door_has_arguments_as_one_json_array() {
    for cores in [1, 3] {
        let server = Running::new(cores);
        // Socket.IO has them as they are, with attachments beside them; its own clients look at that.
        let mut peers: Vec<Peer> = CARRIERS
            .iter()
            .filter(|carrier| !matches!(carrier, Carrier::SocketIo | Carrier::Polling))
            .map(|carrier| Peer::join(&server, *carrier, "den", ""))
            .collect();
        for speaker in [Carrier::Native, Carrier::Lines] {
            let mut speaker = Peer::join(&server, speaker, "den", "");
            speaker.say_unit(&format!(
                r#"{{"publish":"den","event":"move","args":{ARGS}}}"#
            ));
            for peer in &mut peers {
                assert_eq!(peer.hear(), ARGS, "{:?} on {cores} cores", peer.carrier);
            }
        }
        let batch = format!(r#"[{{"args":{ARGS}}},{{"data":"behind it"}}]"#);
        let said = request(
            server.address,
            &format!(
                "POST /r/den?batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{batch}",
                batch.len()
            ),
        );
        assert!(said.contains("\"count\":2"), "{said}");
        for peer in &mut peers {
            assert_eq!(peer.hear(), ARGS, "{:?} on {cores} cores", peer.carrier);
            assert_eq!(peer.hear(), "behind it");
        }
    }
}

#[test]
fn arguments_that_are_read_later_are_the_same() {
    let server = Running::new(2);
    let mut speaker = Peer::join(&server, Carrier::Lines, "den", "");
    speaker.say_unit(&format!(r#"{{"set":"den","key":"k","args":{ARGS}}}"#));
    // It is not acknowledged to be waited for, and a POST may reach the room's home by a shorter way.
    while !get(&server, "/r/den?key=k").0.starts_with("HTTP/1.1 200") {
        std::thread::yield_now();
    }
    post(server.address, "den", "behind it");
    assert_eq!(speaker.hear(), "behind it");
    let field = format!("\"args\":{ARGS}}}");
    for target in ["/r/den", "/r/den?history", "/r/den?state", "/r/den?key=k"] {
        let (head, body) = get(&server, target);
        assert!(head.contains("Content-Type: application/json"), "{head}");
        assert!(body.contains(&field), "{target}: {body}");
    }
    for unit in [
        r#"{"history":"den","rewind":2}"#,
        r#"{"state":"den"}"#,
        r#"{"get":"den","key":"k"}"#,
    ] {
        speaker.say_unit(unit);
        let heard = speaker.hear();
        assert!(heard.starts_with(ARGS), "{unit}: {heard}");
    }
    for carrier in [Carrier::Payload, Carrier::Sse, Carrier::Ndjson] {
        let mut late = Peer::join(&server, carrier, "den", "rewind=2");
        assert_eq!(late.hear(), ARGS, "{carrier:?}");
    }
}

#[test]
fn an_event_that_socket_io_clients_would_believe_is_refused_by_post_too() {
    let server = Running::new(1);
    let refused = request(
        server.address,
        "POST /r/den?event=connect HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
    );
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(refused.contains("Socket.IO clients"), "{refused}");
}

#[test]
fn a_room_that_takes_more_opens_no_door_wider() {
    let server = Running::new(1);
    let text = "x".repeat(65_537);
    let answer = request(
        server.address,
        &format!(
            "POST /r/den HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            text.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for carrier in [
        Carrier::Text,
        Carrier::Lines,
        Carrier::Payload,
        Carrier::Native,
    ] {
        let mut peer = Peer::join(&server, carrier, "den", "");
        peer.say(&text);
        let rest = peer.rest();
        let word = match carrier {
            Carrier::Payload | Carrier::Native => "close 1009",
            Carrier::Lines => "\"bye\":\"violation\"",
            _ => "longer than 65536 bytes",
        };
        assert!(rest.contains(word), "{carrier:?}: {rest:?}");
    }
    let (_, page) = get(&server, "/r/den");
    assert!(page.contains("\"messages\":[]"), "{page}");
}

#[test]
fn the_lane_latest_reaches_every_carrier_beside_the_other_one() {
    for cores in CORES {
        let server = Running::new(cores);
        let mut peers = all_in(&server, "board");
        for round in 0..20 {
            let text = format!("tick {round}");
            let answer = request(
                server.address,
                &format!(
                    "POST /r/board?lane=latest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                ),
            );
            assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
            for peer in &mut peers {
                assert_eq!(peer.hear(), text, "{:?} on {cores} cores", peer.carrier);
            }
            let text = format!("numbered {round}");
            post(server.address, "board", &text);
            for peer in &mut peers {
                assert_eq!(peer.hear(), text, "{:?} on {cores} cores", peer.carrier);
            }
        }
    }
}
