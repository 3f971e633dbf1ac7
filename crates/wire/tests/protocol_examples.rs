//! Every example of PROTOCOL.md holds, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;

use taut_wire::arguments;
use taut_wire::http::{self, problem};
use taut_wire::native::{self, Body, Message, Reply};
use taut_wire::sse;
use taut_wire::text::{self, Line};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../PROTOCOL.md"));

/// The contents of the fenced blocks marked `kind`.
fn blocks(kind: &str) -> Vec<Vec<&'static str>> {
    let mut found = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if line.strip_prefix("```") == Some(kind) {
            found.push(lines.by_ref().take_while(|line| *line != "```").collect());
        }
    }
    found
}

fn encoded(reply: &Reply<'_>) -> String {
    let mut out = Vec::new();
    reply.encode(&mut out);
    String::from_utf8(out).unwrap()
}

/// The canonical spelling of what was decoded, or the refusal.
fn understood(unit: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let result = match native::decode_request(unit.as_bytes()) {
        Ok(request) => {
            request.encode(&mut out);
            Ok(())
        }
        Err(rejected) => {
            rejected.encode(&mut out);
            Err(())
        }
    };
    let text = String::from_utf8(out).unwrap();
    result.map(|()| text.clone()).map_err(|()| text)
}

#[test]
fn native_requests_mean_what_is_stated() {
    let (mut taken, mut refused) = (0, 0);
    for block in blocks("native") {
        let mut canonical = "";
        for (index, line) in block.iter().enumerate() {
            if let Some(request) = line.strip_prefix("> ") {
                canonical = request;
                match understood(request) {
                    Ok(text) => {
                        assert_eq!(text, request);
                        taken += 1;
                    }
                    Err(refusal) => {
                        assert_eq!(block.get(index + 1), Some(&&*format!("< {refusal}")));
                        refused += 1;
                    }
                }
            } else if let Some(variant) = line.strip_prefix("~ ") {
                let meant = understood(canonical).unwrap();
                let variant = understood(variant).unwrap();
                // Both spellings of a body keep theirs, so only the requests are compared.
                assert_eq!(variant, meant);
                taken += 1;
            }
        }
    }
    assert!(taken > 20 && refused > 10, "{taken} {refused}");
}

#[test]
fn native_replies_are_written_as_stated_and_read_back() {
    let mut seen = 0;
    for block in blocks("native") {
        for line in block {
            let Some(unit) = line.strip_prefix("< ") else {
                continue;
            };
            let reply = native::decode_reply(unit.as_bytes()).unwrap();
            assert_ne!(reply, Reply::Unknown, "{unit}");
            assert_eq!(encoded(&reply), unit);
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn an_answer_carries_the_verb_and_the_ref_of_its_request() {
    for block in blocks("native") {
        for pair in block.split(|line| line.is_empty()) {
            let Some(request) = pair.first().and_then(|line| line.strip_prefix("> ")) else {
                continue;
            };
            let Ok(request) = native::decode_request(request.as_bytes()) else {
                continue;
            };
            let answer = pair.last().unwrap().strip_prefix("< ").unwrap();
            if answer.starts_with("{\"prove\":") {
                // Not an answer yet: the request is to be said again.
                continue;
            }
            let mut start = format!("{{\"ok\":\"{}\"", request.verb.name());
            if let Some(reference) = request.reference {
                write!(start, ",\"ref\":{reference}").unwrap();
            }
            assert!(
                answer.starts_with(&start),
                "{answer} is no answer to {start}"
            );
        }
    }
}

fn stated(line: &Line<'_>) -> String {
    match line {
        Line::Nothing => "nothing".to_owned(),
        Line::Say(text) => format!("say {text:?}"),
        Line::Join(room) => format!("join {room:?}"),
        Line::Leave => "leave".to_owned(),
        Line::Who => "who".to_owned(),
        Line::History(None) => "history".to_owned(),
        Line::History(Some(count)) => format!("history {count}"),
        Line::State => "state".to_owned(),
        Line::Get(key) => format!("get {key:?}"),
        Line::Set(key, value) => format!("set {key:?} {value:?}"),
        Line::Delete(key) => format!("delete {key:?}"),
        Line::Nick(name) => format!("nick {name:?}"),
        Line::Auth(token) => format!("auth {token:?}"),
        Line::Help => "help".to_owned(),
        Line::Quit => "quit".to_owned(),
        Line::Unknown(command) => format!("unknown {command:?}"),
    }
}

/// Splits a block into what is shown and the `<` lines under it.
fn shown<'b>(block: &[&'b str]) -> Vec<(&'b str, Vec<&'b str>)> {
    let mut pairs: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block {
        match line.strip_prefix('<') {
            Some(below) => {
                let below = below.strip_prefix(' ').unwrap_or(below);
                pairs.last_mut().unwrap().1.push(below);
            }
            None => pairs.push((line, Vec::new())),
        }
    }
    pairs
}

fn message(unit: &str) -> Message<'_> {
    match native::decode_reply(unit.as_bytes()).unwrap() {
        Reply::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_lines_are_understood_as_stated() {
    let mut seen = 0;
    for block in blocks("text") {
        let mut typed = "";
        for (line, below) in shown(&block) {
            if let Some(line) = line.strip_prefix("> ") {
                typed = line;
            } else if let Some(meaning) = line.strip_prefix("= ") {
                let line = text::decode_line(typed.as_bytes()).unwrap();
                assert_eq!(stated(&line), meaning);
                if let Line::Unknown(command) = line {
                    let mut out = Vec::new();
                    text::encode_unknown(&mut out, command);
                    assert_eq!(String::from_utf8(out).unwrap(), below.join("\n"));
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn messages_are_shown_to_a_person_as_stated() {
    let mut seen = 0;
    for block in blocks("text") {
        for (unit, below) in shown(&block) {
            if !unit.starts_with('{') {
                continue;
            }
            let message = message(unit);
            let mut out = Vec::new();
            text::encode_message(
                &mut out,
                &text::Said {
                    from: &message.from,
                    event: &message.event,
                    body: message.body.payload(),
                },
            );
            assert_eq!(String::from_utf8(out).unwrap(), below.join("\n"));
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn messages_are_events_as_stated() {
    let mut seen = 0;
    for block in blocks("sse") {
        for (unit, lines) in shown(&block) {
            let message = message(unit);
            let event = Some(&*message.event).filter(|event| *event != "message");
            let data = match &message.body {
                Body::Text(data) | Body::Json(data) => data.to_string(),
                Body::Binary(_) => {
                    let base64 = unit.split('"').rev().nth(1).unwrap();
                    format!("data:application/octet-stream;base64,{base64}")
                }
                Body::Args(packed) => {
                    let mut json = Vec::new();
                    arguments::encode_packed(&mut json, packed);
                    String::from_utf8(json).unwrap()
                }
            };
            let mut out = Vec::new();
            sse::encode_event(&mut out, message.at.as_deref(), event, &data);
            let stated: String = lines.iter().map(|line| format!("{line}\n")).collect();
            assert_eq!(String::from_utf8(out).unwrap(), stated);
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn event_streams_are_written_as_stated() {
    let [one, several] = &blocks("event-stream")[..] else {
        panic!("two streams are shown");
    };
    let mut out = Vec::new();
    sse::encode_id(&mut out, "k3f9a2-17");
    let state: Vec<&str> = one
        .iter()
        .filter_map(|line| line.strip_prefix("data: ["))
        .collect();
    let set = message(state[0].trim_end_matches(']'));
    let mut list = Vec::new();
    native::encode_list(&mut list, [set.delivery()]);
    let list = String::from_utf8(list).unwrap();
    sse::encode_event(&mut out, None, Some("taut:state"), &list);
    let ended = r#"{"key":"topic"}"#;
    sse::encode_event(&mut out, Some("k3f9a2-18"), Some("taut:deleted"), ended);
    let gap = r#"{"after":"k3f9a2-22","at":"k3f9a2-90"}"#;
    sse::encode_event(&mut out, Some("k3f9a2-90"), Some("taut:gap"), gap);
    sse::encode_retry(&mut out, 1500);
    let bye = Reply::Bye {
        code: "restart".into(),
        text: None,
        retry_ms: Some(1500),
    };
    sse::encode_event(&mut out, None, Some("taut:bye"), &encoded(&bye));
    assert_eq!(String::from_utf8(out).unwrap(), stream(one));

    let mut out = Vec::new();
    sse::encode_id(&mut out, "k3f9a2-17,k3f9a2-3");
    for unit in several
        .iter()
        .filter_map(|line| line.strip_prefix("data: "))
    {
        let message = message(unit);
        let event = Some(&*message.event).filter(|event| *event != "message");
        let id = if message.room == "lobby" {
            "k3f9a2-18,k3f9a2-3"
        } else {
            "k3f9a2-18,k3f9a2-4"
        };
        sse::encode_event(
            &mut out,
            // What was said on the lane `latest` leaves the stream where it stood.
            message.at.as_ref().map(|_| id),
            event,
            &encoded(&Reply::Message(message.clone())),
        );
    }
    assert_eq!(String::from_utf8(out).unwrap(), stream(several));
}

fn stream(block: &[&str]) -> String {
    block.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn http_answers_are_written_as_stated() {
    let mut seen = 0;
    for block in blocks("http") {
        let Some(body) = block.last().unwrap().strip_prefix("< ") else {
            // An answer without a body.
            continue;
        };
        let status = block
            .iter()
            .find_map(|line| line.strip_prefix("< HTTP/1.1 "));
        if block.contains(&"< Content-Type: application/problem+json") {
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            let member = |name: &str| problem[name].as_str().unwrap().to_owned();
            let (number, title) = status.unwrap().split_once(' ').unwrap();
            let number: u16 = number.parse().unwrap();
            assert_eq!(native::codes::status(&member("code")), number);
            let mut out = Vec::new();
            problem::encode(&mut out, number, title, &member("detail"), &member("code"));
            assert_eq!(String::from_utf8(out).unwrap(), body);
        } else {
            assert_eq!(answered(body), body);
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
}

/// The same body once more, through the native reply that it mirrors.
fn answered(body: &str) -> String {
    let verb = match body {
        _ if body.contains("\"messages\"") => "history",
        _ if body.contains("\"members\"") => "who",
        _ if body.contains("\"state\"") => "state",
        _ if body.contains("\"from\"") => "get",
        _ => "publish",
    };
    let unit = body.replacen('{', &format!("{{\"ok\":\"{verb}\","), 1);
    let mut out = Vec::new();
    match native::decode_reply(unit.as_bytes()).unwrap() {
        Reply::History {
            room,
            at,
            recovery,
            more,
            messages,
            ..
        } => {
            let head = native::PageHead {
                room: &room,
                at: &at,
                recovery: &recovery,
                more,
            };
            native::encode_page(&mut out, &head, messages.iter().map(Message::delivery));
        }
        Reply::Who { room, roster, .. } => native::encode_roster(&mut out, &room, &roster),
        Reply::State {
            room, at, state, ..
        } => {
            let state = state.iter().map(Message::delivery);
            native::encode_set_keys(&mut out, &room, &at, state);
        }
        Reply::Got { message, .. } => native::encode_delivery(&mut out, &message.delivery()),
        Reply::Published {
            taken,
            at,
            duplicate,
            ..
        } => native::encode_receipt(&mut out, taken, at.as_deref(), duplicate),
        other => panic!("{other:?}"),
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn http_requests_are_accepted_and_have_the_length_that_they_state() {
    for block in blocks("http") {
        let sent: Vec<&str> = block
            .iter()
            .filter_map(|line| line.strip_prefix('>'))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let end = sent.iter().position(|line| line.is_empty()).unwrap();
        let head = format!("{}\r\n\r\n", sent[..end].join("\r\n"));
        let (request, length) = http::parse_request(head.as_bytes(), &http::Limits::default())
            .unwrap()
            .unwrap();
        assert_eq!(length, head.len());
        let body = sent[end + 1..].join("\n").len() as u64;
        match request.framing {
            http::Framing::None => assert_eq!(body, 0),
            framing => assert_eq!(framing, http::Framing::Length(body)),
        }
    }
}
