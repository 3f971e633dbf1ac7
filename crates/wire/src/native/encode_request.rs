use serde_json::value::RawValue;

use super::delivery::{payload, text_field};
use super::duration::encode_duration;
use super::escape::{encode_json, number};
use super::request::{BatchMessage, Expect, Lane, Request, Rewind, Verb, Watch};

impl Request<'_> {
    /// Appends the object in its canonical order, without a line end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.verb.encode(self.reference.map(RawValue::get), out);
        if let Some(proof) = &self.proof {
            out.pop();
            text_field(out, b",\"proof\":", proof);
            out.push(b'}');
        }
    }
}

impl Verb<'_> {
    /// Appends the object with `reference`, which must be a JSON number or string, as its `ref`.
    pub fn encode(&self, reference: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'"');
        match self {
            Self::Join {
                room,
                since,
                rewind,
                name,
                presence,
                data,
                state,
            } => {
                text_field(out, b":", room);
                optional_text(out, b",\"since\":", since.as_deref());
                rewind_field(out, *rewind);
                optional_text(out, b",\"as\":", name.as_deref());
                switch(out, b",\"presence\":true", *presence == Watch::Users);
                switch(out, b",\"presence\":\"counts\"", *presence == Watch::Counts);
                if let Some(data) = data {
                    out.extend_from_slice(b",\"data\":");
                    encode_json(out, data.as_bytes());
                }
                switch(out, b",\"state\":true", *state);
            }
            Self::Leave { room } | Self::State { room } => text_field(out, b":", room),
            Self::Who { room, counts } => {
                text_field(out, b":", room);
                switch(out, b",\"counts\":true", *counts);
            }
            Self::Publish {
                room,
                body,
                event,
                key,
                id,
                name,
                lane,
                expect,
                ttl_ms,
            } => {
                text_field(out, b":", room);
                out.push(b',');
                payload(out, body.payload());
                optional_text(out, b",\"event\":", event.as_deref());
                optional_text(out, b",\"key\":", key.as_deref());
                optional_text(out, b",\"id\":", id.as_deref());
                optional_text(out, b",\"as\":", name.as_deref());
                expect_field(out, expect.as_ref());
                optional_count(out, b",\"ttl_ms\":", *ttl_ms);
                switch(out, b",\"lane\":\"latest\"", *lane == Lane::Latest);
            }
            Self::Batch {
                room,
                messages,
                id,
                name,
            } => {
                text_field(out, b":", room);
                out.extend_from_slice(b",\"batch\":[");
                for (index, message) in messages.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    message.encode(out);
                }
                out.push(b']');
                optional_text(out, b",\"id\":", id.as_deref());
                optional_text(out, b",\"as\":", name.as_deref());
            }
            Self::Set {
                room,
                key,
                body,
                event,
                id,
                name,
                expect,
                ttl_ms,
            } => {
                text_field(out, b":", room);
                text_field(out, b",\"key\":", key);
                out.push(b',');
                payload(out, body.payload());
                optional_text(out, b",\"event\":", event.as_deref());
                optional_text(out, b",\"id\":", id.as_deref());
                optional_text(out, b",\"as\":", name.as_deref());
                expect_field(out, expect.as_ref());
                optional_count(out, b",\"ttl_ms\":", *ttl_ms);
            }
            Self::Delete {
                room,
                key,
                id,
                name,
                expect,
            } => {
                text_field(out, b":", room);
                text_field(out, b",\"key\":", key);
                optional_text(out, b",\"id\":", id.as_deref());
                optional_text(out, b",\"as\":", name.as_deref());
                expect_field(out, expect.as_ref());
            }
            Self::Get { room, key } => {
                text_field(out, b":", room);
                text_field(out, b",\"key\":", key);
            }
            Self::History {
                room,
                since,
                until,
                rewind,
                limit,
                reverse,
            } => {
                text_field(out, b":", room);
                optional_text(out, b",\"since\":", since.as_deref());
                optional_text(out, b",\"until\":", until.as_deref());
                rewind_field(out, *rewind);
                optional_count(out, b",\"limit\":", limit.map(u64::from));
                switch(out, b",\"reverse\":true", *reverse);
            }
            Self::Fetch { room, at, offset } => {
                text_field(out, b":", room);
                text_field(out, b",\"at\":", at);
                let offset = u64::from(*offset);
                optional_count(out, b",\"offset\":", Some(offset).filter(|at| *at > 0));
            }
            Self::Nick { name } => text_field(out, b":", name),
            Self::Auth { token } => text_field(out, b":", token),
            Self::Ping => out.extend_from_slice(b":true"),
        }
        if let Some(reference) = reference {
            out.extend_from_slice(b",\"ref\":");
            out.extend_from_slice(reference.as_bytes());
        }
        out.push(b'}');
    }
}

impl BatchMessage<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        payload(out, self.body.payload());
        optional_text(out, b",\"event\":", self.event.as_deref());
        optional_text(out, b",\"key\":", self.key.as_deref());
        expect_field(out, self.expect.as_ref());
        optional_count(out, b",\"ttl_ms\":", self.ttl_ms);
        out.push(b'}');
    }
}

fn optional_text(out: &mut Vec<u8>, name: &[u8], value: Option<&str>) {
    if let Some(value) = value {
        text_field(out, name, value);
    }
}

fn optional_count(out: &mut Vec<u8>, name: &[u8], value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        number(out, value);
    }
}

fn rewind_field(out: &mut Vec<u8>, rewind: Option<Rewind>) {
    match rewind {
        None => {}
        Some(Rewind::Count(count)) => {
            optional_count(out, b",\"rewind\":", Some(u64::from(count)));
        }
        Some(Rewind::Ms(ms)) => text_field(out, b",\"rewind\":", &encode_duration(ms)),
    }
}

fn expect_field(out: &mut Vec<u8>, expect: Option<&Expect<'_>>) {
    match expect {
        None => {}
        Some(Expect::Absent) => out.extend_from_slice(b",\"expect\":null"),
        Some(Expect::At(at)) => text_field(out, b",\"expect\":", at),
    }
}

/// Appends `field` where it is switched on.
fn switch(out: &mut Vec<u8>, field: &[u8], on: bool) {
    if on {
        out.extend_from_slice(field);
    }
}
