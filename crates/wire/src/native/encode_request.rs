use serde_json::value::RawValue;

use super::delivery::{payload, text_field};
use super::escape::number;
use super::request::{Lane, Request, Verb};

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
            } => {
                text_field(out, b":", room);
                optional_text(out, b",\"since\":", since.as_deref());
                optional_count(out, b",\"rewind\":", *rewind);
                optional_text(out, b",\"as\":", name.as_deref());
                if *presence {
                    out.extend_from_slice(b",\"presence\":true");
                }
            }
            Self::Leave { room } | Self::Who { room } => text_field(out, b":", room),
            Self::Publish {
                room,
                body,
                event,
                key,
                id,
                name,
                lane,
            } => {
                text_field(out, b":", room);
                out.push(b',');
                payload(out, body.payload());
                optional_text(out, b",\"event\":", event.as_deref());
                optional_text(out, b",\"key\":", key.as_deref());
                optional_text(out, b",\"id\":", id.as_deref());
                optional_text(out, b",\"as\":", name.as_deref());
                if *lane == Lane::Latest {
                    out.extend_from_slice(b",\"lane\":\"latest\"");
                }
            }
            Self::History {
                room,
                since,
                limit,
                rewind,
            } => {
                text_field(out, b":", room);
                optional_text(out, b",\"since\":", since.as_deref());
                optional_count(out, b",\"rewind\":", *rewind);
                optional_count(out, b",\"limit\":", *limit);
            }
            Self::Fetch { room, at, offset } => {
                text_field(out, b":", room);
                text_field(out, b",\"at\":", at);
                optional_count(
                    out,
                    b",\"offset\":",
                    Some(*offset).filter(|offset| *offset > 0),
                );
            }
            Self::Nick { name } => text_field(out, b":", name),
            Self::Ping => out.extend_from_slice(b":true"),
        }
        if let Some(reference) = reference {
            out.extend_from_slice(b",\"ref\":");
            out.extend_from_slice(reference.as_bytes());
        }
        out.push(b'}');
    }
}

fn optional_text(out: &mut Vec<u8>, name: &[u8], value: Option<&str>) {
    if let Some(value) = value {
        text_field(out, name, value);
    }
}

fn optional_count(out: &mut Vec<u8>, name: &[u8], value: Option<u32>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        number(out, u64::from(value));
    }
}
