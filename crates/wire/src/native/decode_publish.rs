//! The fields of a request as they were given, and the verbs that say or set something.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use crate::arguments;

use super::body::Body;
use super::label::{self, BadLabel};
use super::object::{self, DEPTH_MAX, Fields, is_too_deep};
use super::request::{BATCH_MESSAGES_MAX, BatchMessage, Expect, Lane, Verb};
use super::value::{count, present, string, switch, wide_count};

/// Padding may be missing: many encoders leave it out, and nothing is ambiguous without it.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The fields of one message of a batch.
const MESSAGE: [&str; 8] = [
    "data", "base64", "args", "event", "key", "expect", "ttl_ms", "id",
];

/// The fields of one object as they were given.
pub(super) struct Given<'a, const N: usize> {
    pub(super) fields: Fields<'a, N>,
    names: &'static [&'static str; N],
}

impl<'a, const N: usize> Given<'a, N> {
    pub(super) fn new(fields: Fields<'a, N>, names: &'static [&'static str; N]) -> Self {
        Self { fields, names }
    }

    pub(super) fn publish(&self, room: Cow<'a, str>) -> Result<Verb<'a>, String> {
        let key = self.label("key", label::check_key)?;
        let (expect, ttl_ms) = self.about_key(key.is_some())?;
        Ok(Verb::Publish {
            room,
            body: self.body("\"publish\"")?,
            event: self.label("event", label::check_event)?,
            key,
            id: self.label("id", label::check_id)?,
            name: self.string("as")?,
            lane: self.lane()?,
            expect,
            ttl_ms,
        })
    }

    pub(super) fn set(&self, room: Cow<'a, str>) -> Result<Verb<'a>, String> {
        Ok(Verb::Set {
            room,
            key: self.key_of("set")?,
            body: self.body("\"set\"")?,
            event: self.label("event", label::check_event)?,
            id: self.label("id", label::check_id)?,
            name: self.string("as")?,
            expect: self.expect()?,
            ttl_ms: self.ttl_ms()?,
        })
    }

    pub(super) fn batch(&self, room: Cow<'a, str>) -> Result<Verb<'a>, String> {
        for field in ["data", "base64", "args", "event", "key", "expect", "ttl_ms"] {
            if self.raw(field).is_some() {
                return Err(format!(
                    "\"{field}\" beside \"batch\"; write it into each message of the batch"
                ));
            }
        }
        let messages = self
            .value("batch")
            .map(|value| decode_batch(value.get()))
            .transpose()?;
        if self.lane()? == Lane::Latest {
            return Err("a batch goes by the lane \"reliable\"; leave \"lane\" out".to_owned());
        }
        Ok(Verb::Batch {
            room,
            messages: messages.unwrap_or_default(),
            id: self.label("id", label::check_id)?,
            name: self.string("as")?,
        })
    }

    /// The value of an optional field; `null` is as if absent.
    pub(super) fn value(&self, name: &str) -> Option<&'a RawValue> {
        present(self.raw(name))
    }

    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.fields.values[index]
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        self.value(name)
            .map(|value| string(name, value))
            .transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, String> {
        self.value(name).map(|value| count(name, value)).transpose()
    }

    pub(super) fn switch(&self, name: &str) -> Result<bool, String> {
        self.value(name)
            .map_or(Ok(false), |value| switch(name, value))
    }

    pub(super) fn label(
        &self,
        name: &str,
        check: fn(&str) -> Result<(), BadLabel>,
    ) -> Result<Option<Cow<'a, str>>, String> {
        let label = self.string(name)?;
        match label.as_deref().map(check) {
            Some(Err(broken)) => Err(broken.to_string()),
            _ => Ok(label),
        }
    }

    /// The key that `verb` cannot do without.
    pub(super) fn key_of(&self, verb: &str) -> Result<Cow<'a, str>, String> {
        self.label("key", label::check_key)?
            .ok_or_else(|| format!("\"{verb}\" needs \"key\""))
    }

    /// `expect` of `null` is that the key is not set.
    pub(super) fn expect(&self) -> Result<Option<Expect<'a>>, String> {
        match self.raw("expect") {
            None => Ok(None),
            Some(value) if value.get() == "null" => Ok(Some(Expect::Absent)),
            Some(value) => match string("expect", value) {
                Ok(at) => Ok(Some(Expect::At(at))),
                Err(_) => Err(
                    "\"expect\" must be a position, or null for a key that is not set".to_owned(),
                ),
            },
        }
    }

    fn ttl_ms(&self) -> Result<Option<u64>, String> {
        self.value("ttl_ms")
            .map(|value| wide_count("ttl_ms", value))
            .transpose()
    }

    /// What is only said of a key.
    fn about_key(&self, has_key: bool) -> Result<(Option<Expect<'a>>, Option<u64>), String> {
        let (expect, ttl_ms) = (self.expect()?, self.ttl_ms()?);
        match (has_key, &expect, ttl_ms) {
            (false, Some(_), _) => Err("\"expect\" needs \"key\"".to_owned()),
            (false, None, Some(_)) => Err("\"ttl_ms\" needs \"key\"".to_owned()),
            _ => Ok((expect, ttl_ms)),
        }
    }

    fn lane(&self) -> Result<Lane, String> {
        match self.string("lane")?.as_deref() {
            None | Some("reliable") => Ok(Lane::Reliable),
            Some("latest") => Ok(Lane::Latest),
            Some(_) => Err("\"lane\" must be \"reliable\" or \"latest\"".to_owned()),
        }
    }

    /// `data` of `null` is a JSON body; `base64` and `args` of `null` are as if absent.
    fn body(&self, what: &str) -> Result<Body<'a>, String> {
        match (self.raw("data"), self.value("base64"), self.value("args")) {
            (None, None, None) => Err(format!("{what} needs \"data\", \"base64\" or \"args\"")),
            (Some(data), None, None) => data_body(data),
            (None, None, Some(args)) => args_body(args),
            (None, Some(value), None) => {
                let text = string("base64", value)?;
                match BASE64.decode(text.as_bytes()) {
                    Ok(bytes) => Ok(Body::Binary(Cow::Owned(bytes))),
                    Err(error) => Err(format!("\"base64\" is not base64: {error}")),
                }
            }
            _ => Err("\"data\", \"base64\" and \"args\" exclude each other".to_owned()),
        }
    }
}

/// Decodes messages that are to be published together: a JSON list of objects with the fields of `publish` that belong to one message.
///
/// # Errors
/// A sentence that says which message is wrong and how; also where there is none, or more than [`BATCH_MESSAGES_MAX`].
pub fn decode_batch(json: &str) -> Result<Vec<BatchMessage<'_>>, String> {
    match serde_json::from_str::<Vec<&RawValue>>(json) {
        Ok(messages) => batch_messages(messages.into_iter().map(RawValue::get)),
        Err(_) => Err("a batch must be a list of messages".to_owned()),
    }
}

/// The same where each message stands on a line of its own; blank lines are nothing.
///
/// # Errors
/// As [`decode_batch`].
pub fn decode_batch_lines(text: &str) -> Result<Vec<BatchMessage<'_>>, String> {
    batch_messages(text.lines().filter(|line| !line.trim().is_empty()))
}

fn batch_messages<'a>(
    messages: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<BatchMessage<'a>>, String> {
    let mut decoded = Vec::new();
    for (index, message) in messages.into_iter().enumerate() {
        if index == BATCH_MESSAGES_MAX {
            return Err(format!(
                "a batch holds at most {BATCH_MESSAGES_MAX} messages; send several"
            ));
        }
        let message = batch_message(message)
            .map_err(|error| format!("message {} of the batch: {error}", index + 1))?;
        decoded.push(message);
    }
    if decoded.is_empty() {
        return Err("a batch needs at least one message".to_owned());
    }
    Ok(decoded)
}

fn batch_message(json: &str) -> Result<BatchMessage<'_>, String> {
    let given = Given::new(object::read_text(json, &MESSAGE)?, &MESSAGE);
    if let Some(name) = given.fields.twice {
        return Err(format!("\"{name}\" stands twice"));
    }
    if given.value("id").is_some() {
        return Err("\"id\" stands beside the batch, for all of it together".to_owned());
    }
    let key = given.label("key", label::check_key)?;
    let (expect, ttl_ms) = given.about_key(key.is_some())?;
    Ok(BatchMessage {
        body: given.body("a message")?,
        event: given.label("event", label::check_event)?,
        key,
        expect,
        ttl_ms,
    })
}

/// What a `data` means: a string is Text, anything else Json.
fn data_body(data: &RawValue) -> Result<Body<'_>, String> {
    let json = data.get();
    if json.starts_with('"') {
        return Ok(Body::Text(string("data", data)?));
    }
    if is_too_deep(json.as_bytes()) {
        return Err(format!("\"data\" nests deeper than {DEPTH_MAX} levels"));
    }
    Ok(Body::Json(Cow::Borrowed(json)))
}

/// What an `args` means: arguments with their attachments as `{"base64":"…"}`.
fn args_body(args: &RawValue) -> Result<Body<'static>, String> {
    let json = args.get();
    if is_too_deep(json.as_bytes()) {
        return Err(format!("\"args\" nests deeper than {DEPTH_MAX} levels"));
    }
    let (array, attachments) =
        arguments::from_checked(json).map_err(|error| format!("\"args\": {error}"))?;
    Ok(Body::Args(Cow::Owned(arguments::pack(
        &array,
        &attachments,
    ))))
}
