use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::value::RawValue;

use crate::{Violation, arguments};

use super::body::Body;
use super::decode_publish::BASE64;
use super::delivery::Stamp;
use super::object::{self, Fields};
use super::reply::{Announcement, Member, Message, Place, Recovery, Reply, Roster, Taken};
use super::value::{count, present, string, switch, wide_count};

/// Decodes one unit of a server.
///
/// # Errors
/// A [`Violation`] when it is no JSON object, or an object of a known kind with a field missing or wrong.
pub fn decode_reply(unit: &[u8]) -> Result<Reply<'_>, Violation> {
    let broken = |text: String| Violation::new("PROTOCOL.md, What a server says", text);
    let fields = object::read(unit, &REPLY).map_err(broken)?;
    reply(&Given::new(fields, &REPLY)).map_err(broken)
}

const REPLY: [&str; 37] = [
    "lane",
    "behind",
    "conns",
    "room",
    "at",
    "from",
    "event",
    "key",
    "id",
    "time",
    "data",
    "base64",
    "args",
    "ok",
    "error",
    "bye",
    "gap",
    "presence",
    "ref",
    "text",
    "retry_ms",
    "complete",
    "duplicate",
    "more",
    "who",
    "count",
    "members",
    "messages",
    "name",
    "prove",
    "bytes",
    "offset",
    "state",
    "by",
    "left",
    "user",
    "expires_s",
];
const MESSAGE: [&str; 12] = [
    "room", "at", "lane", "from", "by", "event", "key", "id", "time", "data", "base64", "args",
];
const GAP: [&str; 2] = ["after", "at"];
const PRESENCE: [&str; 5] = ["joined", "left", "changed", "count", "conns"];
const ROSTER: [&str; 3] = ["count", "conns", "members"];
const STAMP: [&str; 3] = ["user", "door", "conn"];
const MEMBER: [&str; 7] = ["name", "user", "door", "id", "conns", "conns_count", "data"];
const CONN: [&str; 2] = ["door", "id"];

fn reply<'a>(given: &Given<'a, 37>) -> Result<Reply<'a>, String> {
    if let Some(name) = given.fields.twice {
        return Err(format!("\"{name}\" stands twice"));
    }
    if let Some(verb) = given.optional("ok")? {
        return answer(&verb, given);
    }
    if let Some(code) = given.optional("error")? {
        return Ok(Reply::Error {
            code,
            reference: given.reference(),
            text: given.optional("text")?.unwrap_or_default(),
            retry_ms: given.retry_ms()?,
        });
    }
    if let Some(code) = given.optional("bye")? {
        return Ok(Reply::Bye {
            code,
            text: given.optional("text")?,
            retry_ms: given.retry_ms()?,
        });
    }
    if let Some(challenge) = given.optional("prove")? {
        return Ok(Reply::Prove { challenge });
    }
    if let Some(value) = given.value("gap") {
        let gap = Given::inside(value, &GAP)?;
        return Ok(Reply::Gap {
            room: given.string("room")?,
            after: gap.string("after")?,
            at: gap.string("at")?,
        });
    }
    if let Some(value) = given.value("presence") {
        let presence = Given::inside(value, &PRESENCE)?;
        return Ok(Reply::Presence {
            room: given.string("room")?,
            joined: presence.members("joined")?,
            left: presence.members("left")?,
            changed: presence.members_if_given("changed")?,
            count: presence.count("count")?,
            conns: presence.conns()?,
        });
    }
    if let Some(code) = given.optional("left")? {
        return Ok(Reply::Expelled {
            room: given.string("room")?,
            code,
            text: given.optional("text")?.unwrap_or_default(),
        });
    }
    if given.value("room").is_some() && given.has_body() {
        return Ok(Reply::Message(given.message()?));
    }
    if given.value("room").is_some() && given.value("bytes").is_some() {
        return Ok(Reply::Announced(Announcement {
            room: given.string("room")?,
            at: given.place()?,
            from: given.string("from")?,
            by: given.stamp()?,
            event: given.string("event")?,
            bytes: given.count("bytes")?,
        }));
    }
    Ok(Reply::Unknown)
}

fn answer<'a>(verb: &str, given: &Given<'a, 37>) -> Result<Reply<'a>, String> {
    let reference = given.reference();
    Ok(match verb {
        "join" => Reply::Joined {
            reference,
            room: given.string("room")?,
            at: given.string("at")?,
            recovery: given.recovery()?,
            who: match given.value("who") {
                Some(value) => Some(Given::inside(value, &ROSTER)?.roster()?),
                None => None,
            },
            state: match given.value("state") {
                Some(_) => Some(given.messages("state")?),
                None => None,
            },
        },
        "leave" => Reply::Left {
            reference,
            room: given.string("room")?,
        },
        "publish" | "set" | "delete" => Reply::Published {
            reference,
            taken: match verb {
                "set" => Taken::Set,
                "delete" => Taken::Delete,
                _ if given.value("count").is_some() => Taken::Batch(given.count("count")?),
                _ => Taken::Publish,
            },
            at: given.place()?,
            duplicate: given.switch("duplicate")?,
        },
        "get" => Reply::Got {
            reference,
            message: given.message()?,
        },
        "state" => Reply::State {
            reference,
            room: given.string("room")?,
            at: given.string("at")?,
            state: given.messages("state")?,
        },
        "history" => Reply::History {
            reference,
            room: given.string("room")?,
            at: given.string("at")?,
            recovery: given.recovery()?,
            more: given.switch("more")?,
            messages: given.messages("messages")?,
        },
        "fetch" => Reply::Fetched {
            reference,
            room: given.string("room")?,
            at: given.string("at")?,
            offset: given.count("offset")?,
            bytes: given.count("bytes")?,
            piece: given.piece()?,
        },
        "who" => Reply::Who {
            reference,
            room: given.string("room")?,
            roster: given.roster()?,
        },
        "nick" => Reply::Renamed {
            reference,
            name: given.string("name")?,
        },
        "auth" => Reply::Authed {
            reference,
            user: given.optional("user")?,
            expires_s: given
                .value("expires_s")
                .map_or(Ok(0), |value| wide_count("expires_s", value))?,
        },
        "ping" => Reply::Pong {
            reference,
            behind: given.behind()?,
        },
        _ => Reply::Unknown,
    })
}

/// The fields of one object as they were given.
struct Given<'a, const N: usize> {
    fields: Fields<'a, N>,
    names: &'static [&'static str; N],
}

impl<'a, const N: usize> Given<'a, N> {
    fn new(fields: Fields<'a, N>, names: &'static [&'static str; N]) -> Self {
        Self { fields, names }
    }

    /// An object within the unit.
    fn inside(value: &'a RawValue, names: &'static [&'static str; N]) -> Result<Self, String> {
        Ok(Self::new(object::read_text(value.get(), names)?, names))
    }

    /// The value of a field; `null` is as if absent.
    fn value(&self, name: &str) -> Option<&'a RawValue> {
        present(self.raw(name))
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.fields.values[index]
    }

    fn optional(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        self.value(name)
            .map(|value| string(name, value))
            .transpose()
    }

    fn string(&self, name: &str) -> Result<Cow<'a, str>, String> {
        self.optional(name)?.ok_or_else(|| missing(name))
    }

    /// The position, which there is none of on the lane `latest`.
    fn place(&self) -> Result<Option<Cow<'a, str>>, String> {
        match self.optional("lane")?.as_deref() {
            Some("latest") => Ok(None),
            _ => self.string("at").map(Some),
        }
    }

    fn count(&self, name: &str) -> Result<u32, String> {
        let value = self.value(name).ok_or_else(|| missing(name))?;
        count(name, value)
    }

    fn switch(&self, name: &str) -> Result<bool, String> {
        self.value(name)
            .map_or(Ok(false), |value| switch(name, value))
    }

    fn reference(&self) -> Option<Cow<'a, str>> {
        self.value("ref").map(|value| Cow::Borrowed(value.get()))
    }

    fn retry_ms(&self) -> Result<Option<u64>, String> {
        self.value("retry_ms")
            .map(|value| wide_count("retry_ms", value))
            .transpose()
    }

    fn recovery(&self) -> Result<Recovery<'a>, String> {
        let value = self.value("complete").ok_or_else(|| missing("complete"))?;
        if switch("complete", value)? {
            return Ok(Recovery::Complete);
        }
        Ok(Recovery::From(self.string("from")?))
    }

    fn behind(&self) -> Result<Vec<(Cow<'a, str>, u64)>, String> {
        let Some(value) = self.value("behind") else {
            return Ok(Vec::new());
        };
        let behind: BTreeMap<String, u64> = serde_json::from_str(value.get())
            .map_err(|_| "\"behind\" must say numbers by room".to_owned())?;
        Ok(behind
            .into_iter()
            .map(|(room, messages)| (Cow::Owned(room), messages))
            .collect())
    }

    fn roster(&self) -> Result<Roster<'a>, String> {
        Ok(Roster {
            count: self.count("count")?,
            conns: self.conns()?,
            members: self.members("members")?,
        })
    }

    /// As many as users, where it is not said.
    fn conns(&self) -> Result<u32, String> {
        match self.value("conns") {
            Some(value) => count("conns", value),
            None => self.count("count"),
        }
    }

    fn members_if_given(&self, name: &str) -> Result<Vec<Member<'a>>, String> {
        match self.value(name) {
            Some(_) => self.members(name),
            None => Ok(Vec::new()),
        }
    }

    fn member_conns(&self) -> Result<Vec<Place<'a>>, String> {
        if self.value("conns").is_none() {
            return Ok(Vec::new());
        }
        self.list("conns")?
            .into_iter()
            .map(|value| {
                let given = Given::inside(value, &CONN)?;
                Ok((given.string("door")?, given.string("id")?))
            })
            .collect()
    }

    fn members(&self, name: &str) -> Result<Vec<Member<'a>>, String> {
        self.list(name)?
            .into_iter()
            .map(|value| {
                let given = Given::inside(value, &MEMBER)?;
                let conns = given.member_conns()?;
                let more = match given.value("conns_count") {
                    Some(value) => count("conns_count", value)?.max(1),
                    None => 1,
                };
                Ok(Member {
                    name: given.string("name")?,
                    user: given.optional("user")?,
                    door: given.string("door")?,
                    id: given.string("id")?,
                    conns_count: u32::try_from(conns.len()).unwrap_or(u32::MAX).max(more),
                    conns,
                    data: given.value("data").map(|data| Cow::Borrowed(data.get())),
                })
            })
            .collect()
    }

    fn messages(&self, name: &str) -> Result<Vec<Message<'a>>, String> {
        self.list(name)?
            .into_iter()
            .map(|value| Given::inside(value, &MESSAGE)?.message())
            .collect()
    }

    fn list(&self, name: &str) -> Result<Vec<&'a RawValue>, String> {
        let value = self.value(name).ok_or_else(|| missing(name))?;
        serde_json::from_str(value.get()).map_err(|_| format!("\"{name}\" must be a list"))
    }

    fn message(&self) -> Result<Message<'a>, String> {
        Ok(Message {
            room: self.string("room")?,
            at: self.place()?,
            from: self.string("from")?,
            by: self.stamp()?,
            event: self.string("event")?,
            key: self.optional("key")?,
            id: self.optional("id")?,
            time_ms: self
                .value("time")
                .map_or(Ok(0), |value| wide_count("time", value))?,
            body: self.body()?,
        })
    }

    fn stamp(&self) -> Result<Option<Stamp<'a>>, String> {
        let Some(value) = self.value("by") else {
            return Ok(None);
        };
        let by = Given::inside(value, &STAMP)?;
        Ok(Some(Stamp {
            user: by.string("user")?,
            door: by.string("door")?,
            conn: by.optional("conn")?,
        }))
    }

    fn has_body(&self) -> bool {
        self.raw("data").is_some() || self.value("base64").is_some() || self.value("args").is_some()
    }

    /// A string that holds half of a surrogate pair, which somebody may have published as `application/json`,
    /// is no text, but it is JSON. Likewise arguments may hold what only looks like an attachment.
    fn body(&self) -> Result<Body<'a>, String> {
        if let Some(data) = self.raw("data") {
            let json = data.get();
            return Ok(match string("data", data) {
                Ok(text) => Body::Text(text),
                Err(_) => Body::Json(Cow::Borrowed(json)),
            });
        }
        if let Some(args) = self.value("args") {
            return Ok(Body::Args(Cow::Owned(arguments::pack_said(args.get())?)));
        }
        self.piece().map(Body::Binary)
    }

    fn piece(&self) -> Result<Cow<'a, [u8]>, String> {
        let text = self.string("base64")?;
        match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Cow::Owned(bytes)),
            Err(error) => Err(format!("\"base64\" is not base64: {error}")),
        }
    }
}

fn missing(name: &str) -> String {
    format!("\"{name}\" is missing")
}
