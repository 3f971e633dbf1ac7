//! Whatever is encoded is one line and decodes to the same; whatever arrives is answered without a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use proptest::prelude::*;
use taut_wire::arguments::{ATTACHMENTS_MAX, pack};
use taut_wire::native::{
    Announcement, BatchMessage, Body, Expect, Lane, Member, Message, Recovery, Reply, Rewind,
    Roster, Stamp, Taken, Verb, Watch, decode_batch, decode_batch_lines, decode_duration,
    decode_reply, decode_request, encode_duration, encode_string,
};

type Text = Cow<'static, str>;

/// Any text, with more than its share of what has to be escaped.
fn any_text() -> impl Strategy<Value = String> {
    let sharp = prop::sample::select(
        "\0\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{1f} \"\\/\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{a0}¿é\u{61c}\u{200e}\u{2027}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{fff9}\u{feff}🙂"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![any::<char>(), sharp], 0..24)
        .prop_map(|characters| characters.into_iter().collect())
}

fn text() -> impl Strategy<Value = Text> {
    any_text().prop_map(Cow::Owned)
}

fn label() -> impl Strategy<Value = Text> {
    "[a-zé🙂 \"\\\\/]{1,20}".prop_map(Cow::Owned)
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
        any_text().prop_map(|text| quoted(&text)),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((any_text(), inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}: {value}", quoted(name)))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    encode_string(&mut out, text);
    String::from_utf8(out).unwrap()
}

fn body() -> impl Strategy<Value = Body<'static>> {
    prop_oneof![
        text().prop_map(Body::Text),
        json()
            .prop_filter("a string would be Text", |json| !json.starts_with('"'))
            .prop_map(|json| Body::Json(Cow::Owned(json))),
        any::<Vec<u8>>().prop_map(|bytes| Body::Binary(Cow::Owned(bytes))),
        (prop::collection::vec(json(), 0..4), any::<Vec<Vec<u8>>>()).prop_map(args),
    ]
}

/// Arguments of that JSON, with attachments behind it.
fn args((json, attachments): (Vec<String>, Vec<Vec<u8>>)) -> Body<'static> {
    let attachments = &attachments[..attachments.len().min(ATTACHMENTS_MAX)];
    let placeholders = (0..attachments.len())
        .map(|number| format!("[{{\"_placeholder\":true,\"num\":{number}}}]"));
    let all: Vec<String> = json.into_iter().chain(placeholders).collect();
    let array = format!("[{}]", all.join(","));
    Body::Args(Cow::Owned(pack(&array, attachments)))
}

fn start() -> impl Strategy<Value = (Option<Text>, Option<Rewind>)> {
    prop_oneof![
        Just((None, None)),
        text().prop_map(|since| (Some(since), None)),
        any::<u32>().prop_map(|count| (None, Some(Rewind::Count(count)))),
        any::<u64>().prop_map(|ms| (None, Some(Rewind::Ms(ms)))),
        (0..100_u64).prop_map(|m| (None, Some(Rewind::Ms(m * 60_000)))),
    ]
}

fn expect() -> impl Strategy<Value = Option<Expect<'static>>> {
    prop_oneof![
        Just(None),
        Just(Some(Expect::Absent)),
        text().prop_map(|at| Some(Expect::At(at))),
    ]
}

/// A key, and what is only said of one.
type About = (Option<Text>, Option<Expect<'static>>, Option<u64>);

fn about_key() -> impl Strategy<Value = About> {
    prop_oneof![
        Just((None, None, None)),
        (label(), expect(), prop::option::of(any::<u64>())).prop_map(|(key, expect, ttl_ms)| (
            Some(key),
            expect,
            ttl_ms
        )),
    ]
}

fn batch_message() -> impl Strategy<Value = BatchMessage<'static>> {
    (body(), prop::option::of(label()), about_key()).prop_map(
        |(body, event, (key, expect, ttl_ms))| BatchMessage {
            body,
            event,
            key,
            expect,
            ttl_ms,
        },
    )
}

fn watch() -> impl Strategy<Value = Watch> {
    prop::sample::select(vec![Watch::Nothing, Watch::Counts, Watch::Users])
}

fn verb() -> impl Strategy<Value = Verb<'static>> {
    let maybe = || prop::option::of(label());
    prop_oneof![
        (text(), start(), maybe(), (watch(), any::<(bool, bool)>())).prop_map(
            |(room, (since, rewind), name, (presence, (state, says)))| Verb::Join {
                room,
                since,
                rewind,
                name,
                presence,
                data: says.then_some(Cow::Borrowed("{\"x\":1}")),
                state,
            }
        ),
        text().prop_map(|room| Verb::State { room }),
        (text(), label()).prop_map(|(room, key)| Verb::Get { room, key }),
        (text(), label(), maybe(), maybe(), expect()).prop_map(|(room, key, id, name, expect)| {
            Verb::Delete {
                room,
                key,
                id,
                name,
                expect,
            }
        }),
        (
            (text(), label(), body(), maybe()),
            (maybe(), maybe(), expect(), prop::option::of(any::<u64>()))
        )
            .prop_map(
                |((room, key, body, event), (id, name, expect, ttl_ms))| Verb::Set {
                    room,
                    key,
                    body,
                    event,
                    id,
                    name,
                    expect,
                    ttl_ms,
                }
            ),
        (
            text(),
            prop::collection::vec(batch_message(), 1..4),
            maybe(),
            maybe()
        )
            .prop_map(|(room, messages, id, name)| Verb::Batch {
                room,
                messages,
                id,
                name,
            }),
        text().prop_map(|room| Verb::Leave { room }),
        (text(), any::<bool>()).prop_map(|(room, counts)| Verb::Who { room, counts }),
        (text(), text(), any::<u32>()).prop_map(|(room, at, offset)| Verb::Fetch {
            room,
            at,
            offset,
        }),
        text().prop_map(|name| Verb::Nick { name }),
        text().prop_map(|token| Verb::Auth { token }),
        Just(Verb::Ping),
        (
            text(),
            start(),
            prop::option::of(text()),
            prop::option::of(any::<u32>()),
            any::<bool>()
        )
            .prop_map(|(room, (since, rewind), until, limit, reverse)| {
                Verb::History {
                    room,
                    since,
                    until,
                    rewind,
                    limit,
                    reverse,
                }
            }),
        (
            text(),
            body(),
            maybe(),
            about_key(),
            maybe(),
            maybe(),
            any::<bool>()
        )
            .prop_map(
                |(room, body, event, (key, expect, ttl_ms), id, name, latest)| Verb::Publish {
                    room,
                    body,
                    event,
                    key,
                    id,
                    name,
                    lane: if latest { Lane::Latest } else { Lane::Reliable },
                    expect,
                    ttl_ms,
                }
            ),
    ]
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let maybe = || prop::option::of(text());
    (
        text(),
        maybe(),
        (text(), stamp()),
        text(),
        maybe(),
        maybe(),
        any::<u64>(),
        body(),
    )
        .prop_map(
            |(room, at, (from, by), event, key, id, time_ms, body)| Message {
                room,
                at,
                from,
                by,
                event,
                key,
                id,
                time_ms,
                body,
            },
        )
}

fn stamp() -> impl Strategy<Value = Option<Stamp<'static>>> {
    let stamp = (text(), text(), prop::option::of(text())).prop_map(|(user, door, conn)| Stamp {
        user,
        door,
        conn,
    });
    prop::option::of(stamp)
}

fn members() -> impl Strategy<Value = Vec<Member<'static>>> {
    let places = prop::collection::vec((text(), text()), 0..3);
    let name = (text(), prop::option::of(text()));
    let member = (name, text(), text(), places, (any::<bool>(), 0..9_u32)).prop_map(
        |((name, user), door, id, conns, (says, more))| Member {
            name,
            user,
            door,
            id,
            conns_count: u32::try_from(conns.len().max(1)).unwrap() + more,
            conns,
            data: says.then_some(Cow::Borrowed("[true]")),
        },
    );
    prop::collection::vec(member, 0..4)
}

fn roster() -> impl Strategy<Value = Roster<'static>> {
    (any::<(u32, u32)>(), members()).prop_map(|((count, conns), members)| Roster {
        count,
        conns,
        members,
    })
}

fn recovery() -> impl Strategy<Value = Recovery<'static>> {
    prop::option::of(text()).prop_map(|from| from.map_or(Recovery::Complete, Recovery::From))
}

fn taken() -> impl Strategy<Value = Taken> {
    prop_oneof![
        Just(Taken::Publish),
        Just(Taken::Set),
        Just(Taken::Delete),
        any::<u32>().prop_map(Taken::Batch),
    ]
}

fn reply() -> impl Strategy<Value = Reply<'static>> {
    let reference = || {
        prop::option::of(prop_oneof![
            Just(Cow::Borrowed("-1.5e999")),
            any_text().prop_map(|text| Cow::Owned(quoted(&text))),
        ])
    };
    prop_oneof![
        (
            reference(),
            text(),
            text(),
            recovery(),
            prop::option::of(roster()),
            prop::option::of(prop::collection::vec(message(), 0..3))
        )
            .prop_map(|(reference, room, at, recovery, who, state)| {
                Reply::Joined {
                    reference,
                    room,
                    at,
                    recovery,
                    who,
                    state,
                }
            }),
        (reference(), message()).prop_map(|(reference, message)| Reply::Got { reference, message }),
        (
            reference(),
            text(),
            text(),
            prop::collection::vec(message(), 0..3)
        )
            .prop_map(|(reference, room, at, state)| Reply::State {
                reference,
                room,
                at,
                state,
            }),
        (reference(), text()).prop_map(|(reference, room)| Reply::Left { reference, room }),
        (
            reference(),
            taken(),
            prop::option::of(text()),
            any::<bool>()
        )
            .prop_map(|(reference, taken, at, duplicate)| Reply::Published {
                reference,
                taken,
                at,
                duplicate,
            }),
        (
            (reference(), text(), text(), recovery(), any::<bool>()),
            prop::collection::vec(message(), 0..3)
        )
            .prop_map(|((reference, room, at, recovery, more), messages)| {
                Reply::History {
                    reference,
                    room,
                    at,
                    recovery,
                    more,
                    messages,
                }
            }),
        (reference(), text(), roster()).prop_map(|(reference, room, roster)| Reply::Who {
            reference,
            room,
            roster,
        }),
        (reference(), text()).prop_map(|(reference, name)| Reply::Renamed { reference, name }),
        (
            reference(),
            prop::collection::btree_map(text(), any::<u64>(), 0..3)
        )
            .prop_map(|(reference, behind)| Reply::Pong {
                reference,
                behind: behind.into_iter().collect(),
            }),
        (text(), reference(), text(), prop::option::of(any::<u64>())).prop_map(
            |(code, reference, text, retry_ms)| Reply::Error {
                code,
                reference,
                text,
                retry_ms,
            }
        ),
        message().prop_map(Reply::Message),
        text().prop_map(|challenge| Reply::Prove { challenge }),
        (
            (text(), prop::option::of(text()), (text(), stamp()), text()),
            any::<u32>()
        )
            .prop_map(|((room, at, (from, by), event), bytes)| {
                Reply::Announced(Announcement {
                    room,
                    at,
                    from,
                    by,
                    event,
                    bytes,
                })
            }),
        (
            (reference(), text(), text()),
            any::<(u32, u32)>(),
            any::<Vec<u8>>()
        )
            .prop_map(|((reference, room, at), (offset, bytes), piece)| {
                Reply::Fetched {
                    reference,
                    room,
                    at,
                    offset,
                    bytes,
                    piece: Cow::Owned(piece),
                }
            }),
        (text(), text(), text()).prop_map(|(room, after, at)| Reply::Gap { room, after, at }),
        (text(), text(), text()).prop_map(|(room, code, text)| Reply::Expelled {
            room,
            code,
            text
        }),
        (text(), members(), members(), members(), any::<(u32, u32)>()).prop_map(
            |(room, joined, left, changed, (count, conns))| Reply::Presence {
                room,
                joined,
                left,
                changed,
                count,
                conns,
            }
        ),
        (
            text(),
            prop::option::of(text()),
            prop::option::of(any::<u64>())
        )
            .prop_map(|(code, text, retry_ms)| Reply::Bye {
                code,
                text,
                retry_ms,
            }),
    ]
}

/// One line for every reader, also for those that split at more than `\n`.
fn assert_one_line(unit: &[u8]) {
    let unit = std::str::from_utf8(unit).unwrap();
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!unit.contains(breaks), "{unit:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_string_is_read_by_others_as_it_was(text in any_text()) {
        let json = quoted(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_one_line(json.as_bytes());
    }

    #[test]
    fn a_request_comes_back(verb in verb(), reference in prop::option::of(Just("\"r\""))) {
        let mut unit = Vec::new();
        verb.encode(reference, &mut unit);
        assert_one_line(&unit);
        let request = decode_request(&unit).unwrap();
        prop_assert_eq!(request.reference.map(serde_json::value::RawValue::get), reference);
        prop_assert_eq!(request.verb, verb);
    }

    #[test]
    fn a_reply_comes_back(reply in reply()) {
        let mut unit = Vec::new();
        reply.encode(&mut unit);
        assert_one_line(&unit);
        prop_assert_eq!(decode_reply(&unit).unwrap(), reply);
    }

    #[test]
    fn a_length_of_time_comes_back(ms in any::<u64>(), text in "[0-9]{0,25}(ms|s|m|h|d|w)?") {
        prop_assert_eq!(decode_duration(&encode_duration(ms)), Some(ms));
        let _ = decode_duration(&text);
    }

    #[test]
    fn any_bytes_are_a_batch_or_not(text in any::<String>()) {
        let _ = decode_batch(&text);
        let _ = decode_batch_lines(&text);
    }

    #[test]
    fn a_unit_cut_short_is_bad_json(verb in verb(), cut in any::<prop::sample::Index>()) {
        let mut unit = Vec::new();
        verb.encode(None, &mut unit);
        let cut = cut.index(unit.len());
        prop_assert_eq!(decode_request(&unit[..cut]).unwrap_err().code, "bad-json");
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in any::<Vec<u8>>()) {
        let _ = decode_reply(&bytes);
        if let Err(rejected) = decode_request(&bytes) {
            let mut answer = Vec::new();
            rejected.encode(&mut answer);
            assert_one_line(&answer);
        }
    }

    #[test]
    fn any_object_gets_an_answer(fields in prop::collection::vec(
        ("join|publish|set|delete|get|state|batch|key|expect|ttl_ms|until|reverse|history|data|base64|event|ref|since|rewind|ok|room|at|who|messages|gap|complete|time", json()), 0..8
    )) {
        let fields: Vec<String> = fields.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
        let unit = format!("{{{}}}", fields.join(","));
        let _ = decode_reply(unit.as_bytes());
        if let Ok(request) = decode_request(unit.as_bytes()) {
            let mut again = Vec::new();
            request.encode(&mut again);
            let request = decode_request(&again).unwrap();
            let mut thrice = Vec::new();
            request.encode(&mut thrice);
            prop_assert_eq!(thrice, again);
        }
    }
}
