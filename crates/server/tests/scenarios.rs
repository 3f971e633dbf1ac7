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
