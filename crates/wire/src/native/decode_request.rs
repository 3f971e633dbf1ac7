use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use super::body::Body;
use super::label::{self, BadLabel};
use super::object::{self, DEPTH_MAX, Fields};
use super::rejected::Rejected;
use super::request::{Lane, Request, Verb};
use super::suggest::nearest;
use super::value::{count, present, reference, string, switch};

/// Padding may be missing: many encoders leave it out, and nothing is ambiguous without it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Every field of every verb; the verbs come first, in the order of [`Verb::NAMES`].
const NAMES: [&str; 23] = [
    "join", "leave", "publish", "history", "fetch", "who", "nick", "ping", "data", "base64",
    "event", "key", "id", "as", "lane", "since", "rewind", "limit", "presence", "at", "offset",
    "proof", "ref",
];

/// Decodes one unit of a client.
///
/// # Errors
/// [`Rejected`] with `bad-json` when it is not one JSON object in UTF-8, `no-verb` or `two-verbs` when it has not exactly
/// one verb, `bad-field` when a field stands twice, is missing or has a value that it cannot have.
pub fn decode_request(unit: &[u8]) -> Result<Request<'_>, Rejected<'_>> {
    let given = match object::read(unit, &NAMES) {
        Ok(fields) => Given(fields),
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

/// The fields of a request as they were given.
struct Given<'a>(Fields<'a, 23>);

impl<'a> Given<'a> {
    fn verb(&self) -> Result<Verb<'a>, Rejected<'a>> {
        let (verb, value) = self.only_verb()?;
        if let Some(name) = self.0.twice {
            return Err(Rejected::bad_field(format!("\"{name}\" stands twice")));
        }
        self.fields_of(verb, value).map_err(Rejected::bad_field)
    }

    fn only_verb(&self) -> Result<(&'static str, &'a RawValue), Rejected<'a>> {
        let mut verbs = Verb::NAMES
            .into_iter()
            .zip(self.0.values)
            .filter_map(|(name, value)| value.map(|value| (name, value)));
        let Some(first) = verbs.next() else {
            return Err(no_verb(&self.0.strangers));
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
                rewind: self.count("rewind")?,
                name: self.string("as")?,
                presence: self
                    .value("presence")
                    .map(|value| switch("presence", value))
                    .transpose()?
                    .unwrap_or(false),
            },
            "leave" => Verb::Leave { room },
            "publish" => Verb::Publish {
                room,
                body: self.body()?,
                event: self.label("event", label::check_event)?,
                key: self.label("key", label::check_key)?,
                id: self.label("id", label::check_id)?,
                name: self.string("as")?,
                lane: self.lane()?,
            },
            "history" => Verb::History {
                room,
                since: self.since()?,
                limit: self.count("limit")?,
                rewind: self.count("rewind")?,
            },
            "fetch" => Verb::Fetch {
                room,
                at: self
                    .string("at")?
                    .ok_or("\"fetch\" needs \"at\", the position of the message")?,
                offset: self.count("offset")?.unwrap_or(0),
            },
            "who" => Verb::Who { room },
            _ => Verb::Nick { name: room },
        })
    }

    /// The value of an optional field; `null` is as if absent.
    fn value(&self, name: &str) -> Option<&'a RawValue> {
        present(self.raw(name))
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let index = NAMES.iter().position(|known| *known == name)?;
        self.0.values[index]
    }

    fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        self.value(name)
            .map(|value| string(name, value))
            .transpose()
    }

    fn count(&self, name: &str) -> Result<Option<u32>, String> {
        self.value(name).map(|value| count(name, value)).transpose()
    }

    fn since(&self) -> Result<Option<Cow<'a, str>>, String> {
        let since = self.string("since")?;
        if since.is_some() && self.value("rewind").is_some() {
            return Err("\"since\" and \"rewind\" exclude each other".to_owned());
        }
        Ok(since)
    }

    fn label(
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

    fn lane(&self) -> Result<Lane, String> {
        match self.string("lane")?.as_deref() {
            None | Some("reliable") => Ok(Lane::Reliable),
            Some("latest") => Ok(Lane::Latest),
            Some(_) => Err("\"lane\" must be \"reliable\" or \"latest\"".to_owned()),
        }
    }

    /// `data` of `null` is a JSON body; `base64` of `null` is as if absent.
    fn body(&self) -> Result<Body<'a>, String> {
        match (self.raw("data"), self.value("base64")) {
            (Some(_), Some(_)) => Err("\"data\" and \"base64\" exclude each other".to_owned()),
            (None, None) => Err("\"publish\" needs \"data\" or \"base64\"".to_owned()),
            (Some(data), None) => data_body(data),
            (None, Some(value)) => {
                let text = string("base64", value)?;
                match BASE64.decode(text.as_bytes()) {
                    Ok(bytes) => Ok(Body::Binary(Cow::Owned(bytes))),
                    Err(error) => Err(format!("\"base64\" is not base64: {error}")),
                }
            }
        }
    }
}

/// What a `data` means: a string is Text, anything else Json.
fn data_body(data: &RawValue) -> Result<Body<'_>, String> {
    let json = data.get();
    if json.starts_with('"') {
        return Ok(Body::Text(string("data", data)?));
    }
    if object::is_too_deep(json.as_bytes()) {
        return Err(format!("\"data\" nests deeper than {DEPTH_MAX} levels"));
    }
    Ok(Body::Json(Cow::Borrowed(json)))
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
