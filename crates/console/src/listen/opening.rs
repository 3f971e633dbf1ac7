//! How a WebSocket opens: any path, any Origin and any subprotocol is accepted, the first one offered is chosen.

use taut_wire::http::{parse_request, target};
use taut_wire::ws::handshake::{AnswerSettings, answer, encode_answer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::clients::Client;
use super::house::House;
use super::web::{HeadError, LIMITS, Wire, plain_head};

/// Answers the opening handshake (RFC 6455 §4.2), or the request that is none.
pub(super) async fn shake_hands(
    house: &House,
    client: &Client,
    wire: &mut Wire<impl AsyncRead + AsyncWrite + Unpin>,
) -> Result<(), String> {
    let head_bytes = match wire.head().await {
        Ok(Some(head_bytes)) => head_bytes,
        Ok(None) => return Err("it said nothing".to_owned()),
        Err(HeadError::Violation(violation)) => {
            let text = violation.to_string();
            house.report.wrong(client.number, &text).await;
            refuse(wire, violation.status, &[], &text).await;
            return Err(text);
        }
        Err(error) => return Err(error.to_string()),
    };
    let head = wire.take(head_bytes);
    let Ok(Some((request, _))) = parse_request(&head, &LIMITS) else {
        return Err("its request could not be read".to_owned());
    };
    let offered = request
        .headers
        .all("sec-websocket-protocol")
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|name| !name.is_empty());
    let settings = AnswerSettings {
        protocols: offered.as_slice(),
        deflate: false,
    };
    match answer(&request, &settings) {
        Ok(answer) => {
            let key = request
                .headers
                .first("sec-websocket-key")
                .unwrap_or_default();
            let told = || {
                format!(
                    "key {key}: accept {} = base64(SHA-1(key + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11))",
                    answer.accept
                )
            };
            house.report.tell(client.number, told).await;
            let mut out = Vec::new();
            encode_answer(&mut out, &answer);
            wire.write(&out)
                .await
                .map_err(|error| format!("writing to it failed: {error}"))?;
            let protocol = answer
                .protocol
                .map(|name| format!(", subprotocol {name}"))
                .unwrap_or_default();
            let path = target::decode_path(request.path).unwrap_or(request.path.into());
            let peer = format!("{} {path}{protocol}", client.peer);
            house.report.came(client.number, &peer).await;
            Ok(())
        }
        Err(refused) => {
            let text = format!("{} ({})", refused.text, refused.clause);
            house
                .report
                .wrong(client.number, &format!("no WebSocket: {text}"))
                .await;
            refuse(wire, refused.status, refused.headers(), &text).await;
            Err("it asked for no WebSocket".to_owned())
        }
    }
}

async fn refuse(
    wire: &mut Wire<impl AsyncRead + AsyncWrite + Unpin>,
    status: u16,
    fields: &[(&str, &str)],
    text: &str,
) {
    let body = format!("{text}\n");
    let mut out = plain_head(status, fields, body.len());
    out.extend_from_slice(body.as_bytes());
    if wire.write(&out).await.is_ok() {
        wire.end().await;
    }
}
