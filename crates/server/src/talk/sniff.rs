//! One port: a connection's first bytes say what it speaks.

use taut_gate::{Close, Format};
use taut_hub::{ConnId, Farewell};
use taut_wire::http;
use taut_wire::sniff::{self, Sniffed};

use super::http::HEAD;
use super::{Step, Talk};
use crate::core::{Core, Flag};

impl Core {
    /// Decides, without consuming anything but what belongs to no protocol.
    pub(super) fn sniff(&mut self, id: ConnId, data: &[u8], ended: bool) -> Step {
        let blank = data.iter().all(u8::is_ascii_whitespace);
        let first = !blank
            && self
                .conns
                .find(id)
                .is_some_and(|conn| !conn.flags.replace(Flag::Touched, true));
        let turned = self.turned(id);
        if first && turned.is_none() {
            self.set_alarm(id.slot, self.limits.handshake_ms_max);
        }
        if self.identities.awaits_client(id) {
            return self.proxy_header(id, data);
        }
        let sniffed = sniff::sniff(data, ended);
        let mut is_secret = self
            .conns
            .find(id)
            .is_some_and(|conn| matches!(conn.talk, Talk::Secret));
        let may_be_vouched = is_secret && sniffed == Sniffed::Http && self.identities.has_proxies;
        if may_be_vouched {
            match http::parse_request(data, &HEAD) {
                Ok(None) if !ended => return Step::More,
                Ok(Some((request, _))) if self.came_by_tls(id, &request.headers) => {
                    is_secret = false;
                    if let Some(conn) = self.conns.find(id) {
                        conn.flags.set(Flag::Vouched, true);
                    }
                }
                _ => {}
            }
        }
        if is_secret && !matches!(sniffed, Sniffed::More | Sniffed::Tls) {
            return self.refuse_clear_text(id, data, ended, sniffed);
        }
        if let Some(close) = turned
            && !matches!(sniffed, Sniffed::More | Sniffed::Http)
        {
            return self.turn_away_by(id, close, &sniffed);
        }
        let (talk, format) = match sniffed {
            Sniffed::More => return Step::More,
            Sniffed::Http => (Talk::Http(Box::default()), Format::None),
            Sniffed::Json => (Talk::Lines(Box::default()), Format::Lines),
            Sniffed::Text => {
                self.become_text(id);
                return Step::Took(0);
            }
            Sniffed::Tls if self.begin_tls(id, data) => return Step::Took(data.len()),
            Sniffed::Tls => {
                return self.no_door(
                    id,
                    &sniff::tls_refusal(),
                    "TLS: this server has no certificate; set `tls.cert` and `tls.key` (--tls-cert, --tls-key), or --tls-self-signed",
                );
            }
            Sniffed::Mqtt { version } => {
                return self.no_door(
                    id,
                    sniff::mqtt_refusal(version),
                    "MQTT: this door is not open yet; use a WebSocket, HTTP or JSON lines",
                );
            }
            Sniffed::Http2Preface => {
                return self.no_door(
                    id,
                    &sniff::http2_refusal(),
                    "HTTP/2 without TLS: use HTTP/1.1",
                );
            }
            Sniffed::TooLong => {
                self.become_text(id);
                return Step::End(
                    Close::Violation(taut_wire::ws::CloseCode::TOO_BIG),
                    Some("the first line is longer than 64 KiB".to_owned()),
                );
            }
        };
        if let Some(conn) = self.conns.find(id) {
            let is_lines = matches!(talk, Talk::Lines(_));
            conn.talk = talk;
            conn.format = format;
            if is_lines {
                if !self.identify_peer(id) {
                    return Step::Took(0);
                }
                self.await_token(id);
                self.knock(id, None);
            }
        }
        Step::Took(0)
    }

    /// EOF before the first line was whole: it ends that line.
    pub(super) fn sniff_end(&mut self, id: ConnId, rest: &[u8]) {
        if rest.is_empty() {
            self.remove(id.slot, Farewell::Said);
            return;
        }
        match self.sniff(id, rest, true) {
            Step::Took(_) => {
                if self.identities.awaits(id)
                    && let Some(conn) = self.conns.find(id)
                {
                    // It is heard when it is let in; that it has ended is known.
                    return conn.input.put(rest.to_vec());
                }
                self.talk_end(id, rest);
            }
            Step::More => self.remove(id.slot, Farewell::Said),
            Step::End(close, text) => self.close(id, close, text.as_deref()),
        }
    }

    /// Refuses a protocol in its own words.
    pub(super) fn no_door(&mut self, id: ConnId, refusal: &[u8], why: &str) -> Step {
        tell!(self, id, INFO, reason = "no-door", "refused {why}");
        if let Some(conn) = self.conns.find(id) {
            conn.answers().extend_from_slice(refusal);
        }
        Step::End(Close::Refused, None)
    }
}
