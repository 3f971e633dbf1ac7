//! What is said to a webhook, and what it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use taut_hub::{Body, Draft, Lane, RoomName, Wish};
use taut_wire::arguments;

/// Characters of a reason that are passed on.
const REASON_CHARS_MAX: usize = 200;

/// What the application says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may pass as it came.
    Allow,
    /// It may pass with these bodies, one each; `None` stays as it came.
    Rewrite(Vec<Option<Body>>),
    /// It may not, and why.
    Refuse(String),
}

/// Who wants something.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) conn: String,
    pub(crate) door: &'static str,
    pub(crate) user: Option<String>,
}

/// The body of a call.
pub(crate) fn ask(asker: &Asker, room: &RoomName, drafts: &[Draft]) -> Vec<u8> {
    let name = drafts.first().map(|draft| draft.from.name().to_owned());
    let value = json!({
        "event": "publish",
        "room": room.as_str(),
        "conn": asker.conn,
        "door": asker.door,
        "user": asker.user,
        "as": name,
        "messages": drafts.iter().map(message).collect::<Vec<_>>(),
    });
    value.to_string().into_bytes()
}

fn message(draft: &Draft) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("event", draft.event.as_deref().unwrap_or("message").into());
    if let Some(key) = &draft.key {
        put("key", (&**key).into());
    }
    if let Some(id) = &draft.id {
        put("id", (&**id).into());
    }
    if draft.lane == Lane::Latest {
        put("lane", "latest".into());
    }
    if matches!(draft.wish, Wish::Delete) {
        put("delete", true.into());
        return Value::Object(fields);
    }
    match &draft.body {
        Body::Text(bytes) => put("data", String::from_utf8_lossy(bytes).into()),
        // Checked where it came in; a number that is too large for us goes as its text.
        Body::Json(bytes) => put(
            "data",
            serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into()),
        ),
        Body::Binary(bytes) => put("base64", STANDARD.encode(bytes).into()),
        Body::Args(packed) => {
            let mut json = Vec::new();
            arguments::encode_packed(&mut json, packed);
            put("args", serde_json::from_slice(&json).unwrap_or_default())
        }
    };
    Value::Object(fields)
}

/// Reads an answer. Nothing at all is a yes.
pub(super) fn read(body: &[u8], messages: usize) -> Result<Verdict, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Verdict::Allow);
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("its answer is no JSON: {error}"))?;
    match value.get("allow") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            let reason = value.get("reason").and_then(Value::as_str);
            return Ok(Verdict::Refuse(shorten(
                reason.unwrap_or("the application does not allow it"),
            )));
        }
        _ => return Err("its answer has no \"allow\": true or false".into()),
    }
    let Some(rewritten) = value.get("messages") else {
        return Ok(Verdict::Allow);
    };
    let bodies = rewritten.as_array().filter(|list| list.len() == messages);
    let bodies = bodies.ok_or_else(|| format!("its \"messages\" is no list of {messages}"))?;
    let bodies: Result<Vec<_>, String> = bodies.iter().map(remade).collect();
    bodies.map(Verdict::Rewrite)
}

/// What is made of one message.
fn remade(message: &Value) -> Result<Option<Body>, String> {
    if message.get("delete") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    if let Some(args) = message.get("args") {
        let read = arguments::from_json(&args.to_string());
        let (array, attachments) = read.map_err(|error| format!("its \"args\": {error}"))?;
        let packed = arguments::pack(&array, &attachments);
        return Ok(Some(Body::Args(packed.into())));
    }
    let wrong = || "one of its messages has neither \"data\", \"base64\" nor \"args\"".to_owned();
    body(message).map(Some).ok_or_else(wrong)
}

fn body(message: &Value) -> Option<Body> {
    if let Some(encoded) = message.get("base64") {
        let bytes = STANDARD.decode(encoded.as_str()?).ok()?;
        return Some(Body::Binary(bytes.into()));
    }
    Some(match message.get("data")? {
        Value::String(text) => Body::Text(Bytes::from(text.clone().into_bytes())),
        json => Body::Json(Bytes::from(json.to_string().into_bytes())),
    })
}

/// A reason goes to terminals and logs, too.
pub(super) fn shorten(reason: &str) -> String {
    let shown = reason.chars().filter(|c| !c.is_control());
    shown.take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_are_read_strictly() {
        assert_eq!(read(b" ", 1), Ok(Verdict::Allow));
        assert_eq!(read(b"{\"allow\":true}", 1), Ok(Verdict::Allow));
        let no = read(
            "{\"allow\":false,\"reason\":\"a\\u001b[2Jb\"}".as_bytes(),
            1,
        );
        assert_eq!(no, Ok(Verdict::Refuse("a[2Jb".into())));
        let rewritten = read(b"{\"allow\":true,\"messages\":[{\"data\":\"x\"}]}", 1);
        assert_eq!(
            rewritten,
            Ok(Verdict::Rewrite(vec![Some(Body::Text("x".into()))]))
        );
        let rewritten = read(
            br#"{"allow":true,"messages":[{"delete":true},{"args":[1,{"base64":"AA=="}]}]}"#,
            2,
        );
        let Ok(Verdict::Rewrite(bodies)) = rewritten else {
            unreachable!("it is understood");
        };
        assert!(matches!(bodies.as_slice(), [None, Some(Body::Args(_))]));
        for wrong in [
            "[]",
            "{}",
            "{\"allow\":1}",
            "yes",
            "{\"allow\":true,\"messages\":[]}",
            "{\"allow\":true,\"messages\":[{}]}",
            "{\"allow\":true,\"messages\":[{\"args\":1}]}",
        ] {
            assert!(read(wrong.as_bytes(), 1).is_err(), "{wrong}");
        }
    }
}
