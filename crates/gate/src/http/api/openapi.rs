//! The OpenAPI 3.1 document, made of the table.

use serde_json::{Map, Value, json};

use super::table::{ENDPOINTS, Endpoint, Kind, Parameter, Stands};

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
    if endpoint.body {
        let body = json!({"required": true, "content": {
            "application/json": {"schema": {}},
            "text/plain": {"schema": {"type": "string"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        }});
        fields.insert("requestBody".into(), body);
    }
    if endpoint.answer == "Document" {
        fields.insert("security".into(), json!([]));
    }
    operation
}

fn parameter(known: &Parameter) -> Value {
    let schema = match known.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Whole(max) => json!({"type": "integer", "minimum": 0, "maximum": max}),
        Kind::Switch => json!({"type": "string", "enum": ["", "1"]}),
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
        "allowEmptyValue": (known.stands == Stands::InQuery).then_some(true),
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
        "Problem": object(&["type", "title", "status", "detail", "code"], json!({
            "type": text(), "title": text(), "status": whole(), "detail": text(), "code": text(),
        })),
        "Receipt": object(&[], json!({"at": text(), "count": whole(), "duplicate": {"type": "boolean"}})),
        "Message": object(&["room", "at", "from"], json!({
            "room": text(), "at": text(), "from": text(), "by": {"type": "object"}, "event": text(), "key": text(), "id": text(), "time": whole(),
            "data": {}, "base64": text(), "args": {"type": "array"},
        })),
        "History": object(&["room", "at", "messages"], json!({
            "room": text(), "at": text(), "more": {"type": "boolean"}, "messages": list(json!({"$ref": "#/components/schemas/Message"})),
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
