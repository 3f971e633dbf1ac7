//! The OpenAPI 3.1 document, made of the table.

use serde_json::{Map, Value, json};

use taut_hub::NAME_BYTES_MAX;
use taut_wire::native::{BATCH_MESSAGES_MAX, LABEL_BYTES_MAX};

use super::table::{Content, ENDPOINTS, Endpoint, Kind, Parameter, Stands};

/// Names of rooms. Segments that are `.` or `..` are refused as well.
const ROOM: &str = r"^/?[^/+#*>\x00-\x1f\x7f-\x9f]+(/[^/+#*>\x00-\x1f\x7f-\x9f]+)*$";
/// Keys, events, ids and users.
const WORD: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";
/// Ids of Conns.
const CONN: &str = "^c[0-9]{1,5}-[0-9]{1,9}-[0-9]{1,9}$";

/// The document, as JSON text. Made anew at each call: it is asked for rarely.
#[must_use]
pub fn document(version: &str) -> String {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths
            .entry(endpoint.path)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(path) = path {
            path.insert(endpoint.method.to_ascii_lowercase(), operation(endpoint));
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Taut server API",
            "version": version,
            "description": "What programs that run beside a Taut server ask of it. Every request shows a key of `auth.api_keys`, or a token that grants `admin` in the room that it is about.",
        },
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "responses": {"Problem": {
                "description": "No, and why (RFC 9457).",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
            "schemas": schemas(),
        },
    });
    document.to_string()
}

fn operation(endpoint: &Endpoint) -> Value {
    let schema = format!("#/components/schemas/{}", endpoint.answer);
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "parameters": endpoint.parameters.iter().map(|known| parameter(known)).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "It worked.", "content": {"application/json": {"schema": {"$ref": schema}}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    });
    let Value::Object(fields) = &mut operation else {
        return operation;
    };
    if let Some(body) = content(endpoint.content) {
        fields.insert("requestBody".into(), body);
    }
    if endpoint.id == "publish" {
        let sent = json!({"description": "It was sent on the lane `latest`, which keeps nothing.", "content": {
            "application/json": {"schema": {"type": "object", "required": ["lane"], "properties": {"lane": {"type": "string"}}}},
        }});
        fields["responses"]["202"] = sent;
    }
    if endpoint.answer == "Document" {
        fields.insert("security".into(), json!([]));
    }
    operation
}

fn content(content: Content) -> Option<Value> {
    let kinds = match content {
        Content::Nothing => return None,
        Content::Message => json!({
            "application/json": {"schema": {}},
            "text/plain": {"schema": {"type": "string"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        }),
        Content::Batch => json!({
            "application/json": {"schema": {
                "type": "array", "minItems": 1, "maxItems": BATCH_MESSAGES_MAX,
                "items": {"$ref": "#/components/schemas/Saying"},
            }},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }),
    };
    Some(json!({"required": true, "content": kinds}))
}

fn parameter(known: &Parameter) -> Value {
    let schema = match known.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Word(max) => {
            json!({"type": "string", "minLength": 1, "maxLength": max, "pattern": WORD})
        }
        Kind::Room => {
            json!({"type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX, "pattern": ROOM})
        }
        Kind::Conn => json!({"type": "string", "pattern": CONN}),
        Kind::Address => {
            json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
        }
        Kind::Whole(min, max) => {
            json!({"type": "integer", "format": "int64", "minimum": min, "maximum": max.min(i64::MAX.unsigned_abs())})
        }
        Kind::Switch => json!({"type": "boolean"}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
    };
    let place = match known.stands {
        Stands::InQuery => "query",
        Stands::InHeader => "header",
    };
    json!({
        "name": known.name,
        "in": place,
        "required": known.required,
        "allowEmptyValue": matches!(known.kind, Kind::Switch).then_some(true),
        "description": known.about,
        "schema": schema,
    })
    .as_object()
    .map(|fields| {
        let said = fields.iter().filter(|(_, value)| !value.is_null());
        said.map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<String, Value>>()
            .into()
    })
    .unwrap_or_default()
}

fn schemas() -> Value {
    let text = || json!({"type": "string"});
    let whole = || json!({"type": "integer"});
    let perhaps = || json!({"type": ["string", "null"]});
    let object = |required: &[&str], fields: Value| json!({"type": "object", "required": required, "properties": fields});
    let list = |of: Value| json!({"type": "array", "items": of});
    json!({
        "Problem": object(&["title", "status", "detail", "code"], json!({
            "title": text(), "status": whole(), "detail": text(), "code": text(),
        })),
        "Receipt": object(&["at"], json!({"at": text(), "count": whole(), "duplicate": {"type": "boolean"}})),
        "Saying": saying(),
        "Message": object(&["room", "at", "from"], json!({
            "room": text(), "at": text(), "from": text(), "by": {"type": "object"}, "event": text(), "key": text(), "id": text(), "time": whole(),
            "data": {}, "base64": text(), "args": {"type": "array"},
        })),
        "History": object(&["room", "at", "complete", "messages"], json!({
            "room": text(), "at": text(), "complete": {"type": "boolean"}, "from": text(), "more": {"type": "boolean"}, "messages": list(json!({"$ref": "#/components/schemas/Message"})),
        })),
        "State": {"description": "The keys of a room that are set; of one key the message that set it.", "type": "object"},
        "Roster": object(&["room", "count"], json!({"room": text(), "count": whole(), "conns": whole(), "members": {"type": "array"}})),
        "Room": object(&["room", "users", "conns", "at"], json!({
            "room": text(), "users": whole(), "conns": whole(), "at": text(), "messages": whole(), "bytes": whole(), "durable": {"type": "boolean"}, "in_memory": {"type": "boolean"},
        })),
        "Rooms": object(&["rooms", "cursor"], json!({
            "rooms": list(json!({"$ref": "#/components/schemas/Room"})), "cursor": perhaps(),
        })),
        "Conn": object(&["conn", "door", "rooms"], json!({
            "conn": text(), "door": text(), "as": perhaps(), "user": perhaps(), "address": perhaps(), "rooms": list(text()), "rooms_count": whole(), "silent_ms": whole(),
        })),
        "Conns": object(&["conns", "cursor"], json!({
            "conns": list(json!({"$ref": "#/components/schemas/Conn"})), "cursor": perhaps(),
        })),
        "Done": object(&["done", "refused"], json!({"done": whole(), "refused": whole(), "reasons": {"type": "object", "additionalProperties": whole()}})),
        "Reloaded": object(&["changed", "waiting"], json!({"changed": list(text()), "waiting": list(text())})),
        "Policy": object(&["room", "policy"], json!({"room": text(), "policy": {"type": "object"}})),
        "Grant": object(&["room", "rights"], json!({"room": text(), "user": perhaps(), "rights": {
            "type": "object",
            "additionalProperties": object(&["allowed"], json!({"allowed": {"type": "boolean"}, "because": perhaps()})),
        }})),
        "Document": {"type": "object"},
    })
}

/// A message of a batch.
fn saying() -> Value {
    let word =
        || json!({"type": "string", "minLength": 1, "maxLength": LABEL_BYTES_MAX, "pattern": WORD});
    let bodies = ["data", "base64", "args"].map(|name| json!({"required": [name]}));
    json!({
        "type": "object",
        "description": "A message: exactly one of `data`, `base64` and `args`.",
        "oneOf": bodies,
        "properties": {
            "data": {}, "base64": {"type": "string"}, "args": {"type": "array"}, "event": word(), "key": word(),
            "expect": {"type": ["string", "null"]}, "ttl_ms": {"type": "integer", "minimum": 0},
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_document_has_every_request_once_and_its_references_lead_somewhere() {
        let text = document("1.2.3");
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for endpoint in ENDPOINTS {
            assert!(ids.insert(endpoint.id), "{} twice", endpoint.id);
            let method = endpoint.method.to_ascii_lowercase();
            let operation = &document["paths"][endpoint.path][&method];
            assert_eq!(operation["operationId"], endpoint.id);
            assert!(document["components"]["schemas"][endpoint.answer].is_object());
        }
        for reference in text.split("\"$ref\":\"#/").skip(1) {
            let path = reference.split('"').next().unwrap();
            assert!(document.pointer(&format!("/{path}")).is_some(), "{path}");
        }
    }
}
