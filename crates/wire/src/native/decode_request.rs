use std::borrow::Cow;

use serde_json::value::RawValue;

use super::decode_publish::Given;
use super::duration::decode_duration;
use super::label;
use super::object::{self, DEPTH_MAX, is_too_deep};
use super::rejected::Rejected;
use super::request::{Request, Rewind, Verb, Watch};
use super::suggest::nearest;
use super::value::{count, reference, string};

/// Every field of every verb; the verbs come first, in the order of [`Verb::NAMES`].
const NAMES: [&str; 35] = [
    "join", "leave", "publish", "set", "delete", "get", "state", "history", "fetch", "who", "nick",
    "ping", "auth", "data", "base64", "args", "batch", "event", "key", "id", "as", "lane",
    "expect", "ttl_ms", "since", "until", "rewind", "limit", "reverse", "presence", "counts", "at",
    "offset", "proof", "ref",
];

/// Decodes one unit of a client.
///
/// # Errors
/// [`Rejected`] with `bad-json` when it is not one JSON object in UTF-8, `no-verb` or `two-verbs` when it has not exactly
/// one verb, `bad-field` when a field stands twice, is missing or has a value that it cannot have.
pub fn decode_request(unit: &[u8]) -> Result<Request<'_>, Rejected<'_>> {
    let given = match object::read(unit, &NAMES) {
        Ok(fields) => Given::new(fields, &NAMES),
        Err(text) => {
            let text = format!("{text}; write one object a line, such as {{\"join\":\"lobby\"}}");
            return Err(Rejected::bad_json(text));
        }
    };
    let reference = given
        .value("ref")
        .map(reference)
        .transpose()
        .map_err(Rejected::bad_field)?;
    let proof = || given.string("proof").map_err(Rejected::bad_field);
    match given.verb().and_then(|verb| Ok((verb, proof()?))) {
        Ok((verb, proof)) => Ok(Request {
            verb,
            reference,
            proof,
        }),
        Err(rejected) => Err(rejected.about(reference)),
    }
}

impl<'a> Given<'a, 35> {
    fn verb(&self) -> Result<Verb<'a>, Rejected<'a>> {
        let (verb, value) = self.only_verb()?;
        if let Some(name) = self.fields.twice {
            return Err(Rejected::bad_field(format!("\"{name}\" stands twice")));
        }
        self.fields_of(verb, value).map_err(Rejected::bad_field)
    }

    /// Beside `join`, `state` is a field.
    fn only_verb(&self) -> Result<(&'static str, &'a RawValue), Rejected<'a>> {
        let joins = self.raw("join").is_some();
        let mut verbs = Verb::NAMES
            .into_iter()
            .zip(self.fields.values)
            .filter(|(name, _)| !(joins && *name == "state"))
            .filter_map(|(name, value)| value.map(|value| (name, value)));
        let Some(first) = verbs.next() else {
            return Err(no_verb(&self.fields.strangers));
        };
        match verbs.next() {
            None => Ok(first),
            Some((second, _)) => Err(Rejected {
                code: "two-verbs",
                text: format!(
                    "\"{}\" and \"{second}\" in one object; send one object for each",
                    first.0
                )
                .into(),
                reference: None,
            }),
        }
    }

    fn fields_of(&self, verb: &'static str, value: &'a RawValue) -> Result<Verb<'a>, String> {
        if verb == "ping" {
            return Ok(Verb::Ping);
        }
        let room = string(verb, value)?;
        Ok(match verb {
            "join" => Verb::Join {
                room,
                since: self.since()?,
                rewind: self.rewind()?,
                name: self.string("as")?,
                presence: self.watch()?,
                data: self.member_data()?,
                state: self.switch("state")?,
            },
            "leave" => Verb::Leave { room },
            "publish" if self.value("batch").is_some() => self.batch(room)?,
            "publish" => self.publish(room)?,
            "set" => self.set(room)?,
            "delete" => Verb::Delete {
                room,
                key: self.key_of("delete")?,
                id: self.label("id", label::check_id)?,
                name: self.string("as")?,
                expect: self.expect()?,
            },
            "get" => Verb::Get {
                room,
                key: self.key_of("get")?,
            },
            "state" => Verb::State { room },
            "history" => Verb::History {
                room,
                since: self.since()?,
                until: self.string("until")?,
                rewind: self.rewind()?,
                limit: self.count("limit")?,
                reverse: self.switch("reverse")?,
            },
            "fetch" => Verb::Fetch {
                room,
                at: self
                    .string("at")?
                    .ok_or("\"fetch\" needs \"at\", the position of the message")?,
                offset: self.count("offset")?.unwrap_or(0),
            },
            "who" => Verb::Who {
                room,
                counts: self.switch("counts")?,
            },
            "auth" => Verb::Auth { token: room },
            _ => Verb::Nick { name: room },
        })
    }

    fn watch(&self) -> Result<Watch, String> {
        let Some(value) = self.value("presence") else {
            return Ok(Watch::Nothing);
        };
        match value.get() {
            "\"counts\"" => Ok(Watch::Counts),
            "true" => Ok(Watch::Users),
            "false" => Ok(Watch::Nothing),
            _ => Err("\"presence\" must be true, false or \"counts\"".to_owned()),
        }
    }

    fn member_data(&self) -> Result<Option<Cow<'a, str>>, String> {
        let Some(data) = self.value("data") else {
            return Ok(None);
        };
        if is_too_deep(data.get().as_bytes()) {
            return Err(format!("\"data\" nests deeper than {DEPTH_MAX} levels"));
        }
        Ok(Some(Cow::Borrowed(data.get())))
    }

    fn since(&self) -> Result<Option<Cow<'a, str>>, String> {
        let since = self.string("since")?;
        if since.is_some() && self.value("rewind").is_some() {
            return Err("\"since\" and \"rewind\" exclude each other".to_owned());
        }
        Ok(since)
    }

    fn rewind(&self) -> Result<Option<Rewind>, String> {
        let Some(value) = self.value("rewind") else {
            return Ok(None);
        };
        if !value.get().starts_with('"') {
            return Ok(Some(Rewind::Count(count("rewind", value)?)));
        }
        let ms = decode_duration(&string("rewind", value)?).ok_or(
            "\"rewind\" is no length of time; write for example \"90s\", \"10m\" or \"2h\"",
        )?;
        Ok(Some(Rewind::Ms(ms)))
    }
}

/// No verb: say which there are, or which one was probably meant.
fn no_verb<'a>(strangers: &[String]) -> Rejected<'a> {
    let meant = strangers
        .iter()
        .find_map(|stranger| nearest(stranger, &Verb::NAMES));
    let hint = match meant {
        Some(verb) => format!("did you mean \"{verb}\"?"),
        None => format!("the verbs are {}", Verb::NAMES.join(", ")),
    };
    let text = if strangers.is_empty() {
        format!("no verb; {hint}")
    } else {
        format!("no verb among \"{}\"; {hint}", strangers.join("\", \""))
    };
    Rejected {
        code: "no-verb",
        text: text.into(),
        reference: None,
    }
}
