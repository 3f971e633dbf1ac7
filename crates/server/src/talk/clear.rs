//! Clear text where only TLS is spoken: refused in its own words, and a browser that came by `http://` is sent to `https://`.

use std::fmt::Write as _;

use taut_gate::Close;
use taut_hub::ConnId;
use taut_wire::http::{self, Method};
use taut_wire::sniff::{self, Sniffed};

use super::Step;
use super::http::HEAD;
use crate::core::Core;

/// What everybody is told.
const WORDS: &str = "this port speaks TLS only; use https://, wss:// or tls://";

impl Core {
    /// Refuses what is no TLS.
    pub(super) fn refuse_clear_text(
        &mut self,
        id: ConnId,
        data: &[u8],
        ended: bool,
        sniffed: Sniffed,
    ) -> Step {
        let answer = match sniffed {
            Sniffed::Http => match http::parse_request(data, &HEAD) {
                Ok(None) if !ended => return Step::More,
                Ok(Some((request, _))) => answer_http(&request),
                _ => refuse_http(),
            },
            Sniffed::Json => format!("{{\"bye\":\"refused\",\"text\":\"{WORDS}\"}}\n").into_bytes(),
            Sniffed::Mqtt { version } => sniff::mqtt_refusal(version).to_vec(),
            Sniffed::Http2Preface => sniff::http2_refusal().to_vec(),
            _ => {
                let mut line = Vec::new();
                taut_gate::text::farewell(&mut line, Close::Refused, Some(WORDS));
                line
            }
        };
        self.no_door(
            id,
            &answer,
            "clear text: this address takes TLS only (`tls.required`, or `tls://` in `listen`)",
        )
    }
}

/// A page that is fetched is to be had at the same place, by TLS; anything else has told its secrets already and should not be told twice by itself.
fn answer_http(request: &http::Request<'_>) -> Vec<u8> {
    let fetches = matches!(request.method, Method::Get | Method::Head)
        && request.headers.first("upgrade").is_none();
    let Some(host) = request.host.filter(|_| fetches) else {
        return refuse_http();
    };
    // One port serves both, so the other scheme's default must not take its place.
    let mut location = format!(
        "https://{}:{}{}",
        host.name,
        host.port.unwrap_or(80),
        request.path
    );
    if let Some(query) = request.query {
        // Writing to a String cannot fail.
        let _ = write!(location, "?{query}");
    }
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

fn refuse_http() -> Vec<u8> {
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\"detail\":\"{WORDS}\",\"code\":\"tls-required\"}}\n"
    );
    format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
