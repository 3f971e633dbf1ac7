//! The story of a socket, live on stderr, with the time since the start before each line.
//!
//! `*` is what happens here, `>` what goes to the peer, `<` what comes from it. What a peer said is escaped.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use taut_dial::{Certificate, Scene, Story};
use taut_wire::text::escape;
use taut_wire::ws::Seen;

use super::frames;
use crate::Ended;
use crate::screen::Screen;
use crate::show::Rendering;

/// Bytes of a payload that a line shows.
const PREVIEW_BYTES: usize = 72;

/// Who tells.
#[derive(Clone)]
pub(super) struct Narrator {
    screen: Screen,
    /// 0 tells nothing, 1 the story, 2 the bytes as well.
    level: u8,
    started: Instant,
    is_coloured: bool,
    /// Who asked that nothing but errors is said.
    is_quiet: bool,
    pub(super) traffic: Arc<Mutex<Traffic>>,
}

/// What went both ways.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) sent_bytes: u64,
    pub(super) came_bytes: u64,
    pub(super) sent_frames: u64,
    pub(super) came_frames: u64,
}

impl Narrator {
    pub(super) fn new(screen: Screen, level: u8, is_quiet: bool, started: Instant) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            screen,
            level,
            started,
            is_coloured: std::io::stderr().is_terminal() && !unwanted,
            is_quiet,
            traffic: Arc::default(),
        }
    }

    pub(super) fn is_telling(&self) -> bool {
        self.level > 0
    }

    /// A note for everybody who did not ask for silence.
    pub(super) async fn note(&self, text: &str) -> Result<(), Ended> {
        if !self.is_quiet {
            self.screen.note(text).await?;
        }
        Ok(())
    }

    /// One line of the story.
    pub(super) async fn tell(&self, lane: char, text: &str) -> Result<(), Ended> {
        if self.level > 0 {
            for line in self.lines(lane, text) {
                self.screen.note(line).await?;
            }
        }
        Ok(())
    }

    /// Bytes that went (`>`) or came (`<`).
    pub(super) async fn bytes(&self, lane: char, bytes: &[u8]) -> Result<(), Ended> {
        {
            let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
            let count = bytes.len() as u64;
            match lane {
                '>' => traffic.sent_bytes += count,
                _ => traffic.came_bytes += count,
            }
        }
        if self.level > 0 {
            self.tell(
                lane,
                &format!("{} {}", size(bytes.len() as u64), preview(bytes)),
            )
            .await?;
        }
        self.dump(lane, bytes).await
    }

    /// The same for a WebSocket, whose frames tell themselves.
    pub(super) async fn raw(&self, lane: char, bytes: &[u8]) -> Result<(), Ended> {
        {
            let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
            let count = bytes.len() as u64;
            match lane {
                '>' => traffic.sent_bytes += count,
                _ => traffic.came_bytes += count,
            }
        }
        self.dump(lane, bytes).await
    }

    /// A frame that went or came.
    pub(super) async fn frame(&self, lane: char, seen: &Seen) -> Result<(), Ended> {
        {
            let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
            match lane {
                '>' => traffic.sent_frames += 1,
                _ => traffic.came_frames += 1,
            }
        }
        if self.level == 0 {
            return Ok(());
        }
        self.tell(lane, &frames::line(seen)).await
    }

    async fn dump(&self, lane: char, bytes: &[u8]) -> Result<(), Ended> {
        if self.level < 2 {
            return Ok(());
        }
        for (number, row) in bytes.chunks(16).enumerate() {
            let mut hex = Vec::new();
            Rendering::Hex.message(&mut hex, row);
            let hex: Vec<String> = hex
                .chunks(2)
                .map(|pair| String::from_utf8_lossy(pair).into_owned())
                .collect();
            let text: String = row
                .iter()
                .map(|byte| match byte {
                    b' '..=b'~' => char::from(*byte),
                    _ => '.',
                })
                .collect();
            let line = format!("    {:06x}  {:<47}  {text}", number * 16, hex.join(" "));
            self.tell(lane, &line).await?;
        }
        Ok(())
    }

    /// What went both ways, at the end.
    pub(super) async fn sum(&self) -> Result<(), Ended> {
        let traffic = *self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let frames = |count: u64| match count {
            0 => String::new(),
            1 => " in 1 frame".to_owned(),
            count => format!(" in {count} frames"),
        };
        self.tell(
            '*',
            &format!(
                "sent {}{}, received {}{}",
                size(traffic.sent_bytes),
                frames(traffic.sent_frames),
                size(traffic.came_bytes),
                frames(traffic.came_frames)
            ),
        )
        .await
    }

    fn lines(&self, lane: char, text: &str) -> Vec<String> {
        let seconds = self.started.elapsed().as_secs_f64();
        text.lines()
            .map(|line| {
                let line = format!("{seconds:9.3} s {lane} {}", clean(line));
                let colour = match lane {
                    '>' => "36",
                    '<' => "32",
                    _ => "2",
                };
                if self.is_coloured {
                    format!("\x1b[{colour}m{line}\x1b[0m")
                } else {
                    line
                }
            })
            .collect()
    }

    /// A listener for what happens while a socket is opened, and who prints it. It is done when the listener is gone.
    pub(super) fn scenes(&self) -> (Scenes, tokio::task::JoinHandle<()>) {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<String>();
        let screen = self.screen.clone();
        let printing = tokio::spawn(async move {
            while let Some(line) = receiver.recv().await {
                if screen.note(line).await.is_err() {
                    return;
                }
            }
        });
        let scenes = Scenes {
            narrator: self.clone(),
            lines: sender,
        };
        (scenes, printing)
    }
}

/// Hears the scenes of a dial: their number is bounded by the dial, so the queue is.
pub(super) struct Scenes {
    narrator: Narrator,
    lines: tokio::sync::mpsc::UnboundedSender<String>,
}

impl Story for Scenes {
    fn tell(&self, scene: &Scene<'_>) {
        if self.narrator.level == 0 {
            return;
        }
        for (lane, text) in words(scene) {
            for line in self.narrator.lines(lane, &text) {
                // Nobody prints any more: then nobody reads either.
                let _ = self.lines.send(line);
            }
        }
    }
}

fn words(scene: &Scene<'_>) -> Vec<(char, String)> {
    let here = |text: String| vec![('*', text)];
    match scene {
        Scene::Resolving { host } => here(format!("looking up `{host}`")),
        Scene::Resolved {
            host,
            addresses,
            source,
        } => here(resolved(host, addresses, source.text())),
        Scene::Attempting {
            address,
            number,
            of,
        } => here(format!("trying {address} ({number} of {of})")),
        Scene::AttemptFailed { address, error } => here(format!("{address} failed: {error}")),
        Scene::Abandoned { address } => here(format!(
            "{address} is given up: another address answered first (happy eyeballs, RFC 8305)"
        )),
        Scene::Connected { local, peer } => {
            here(format!("connected: {local} (we) <-> {peer} (the peer)"))
        }
        Scene::Option {
            name,
            value,
            is_set,
        } => here(format!(
            "socket option {name} = {value}{}",
            if *is_set { ", set by us" } else { "" }
        )),
        Scene::ProxyAsked { request } => vec![('>', format!("to the proxy: {request}"))],
        Scene::ProxyAnswered { answer } => vec![('<', format!("the proxy: {answer}"))],
        Scene::TlsBegun {
            server_name,
            alpn,
            verifying,
        } => here(tls_begun(server_name, alpn, *verifying)),
        Scene::TlsIdentityAsked { shown } => here(format!(
            "the peer asks who we are: {}",
            if *shown {
                "our certificate is shown"
            } else {
                "we have no certificate to show (--cert, --key)"
            }
        )),
        Scene::TlsDistrusted {
            why,
            certificates,
            passed,
        } => {
            let mut told = here(format!(
                "the certificate is NOT to be trusted: {why}{}",
                if *passed {
                    "; going on nevertheless (--insecure)"
                } else {
                    ""
                }
            ));
            if !*passed {
                told.extend(chain(certificates));
            }
            told
        }
        Scene::TlsDone {
            version,
            cipher,
            key_exchange,
            alpn,
            certificates,
            ..
        } => {
            let mut told = here(format!(
                "{version} is up: cipher {cipher}, key exchange {key_exchange}, ALPN {}",
                alpn.unwrap_or("none")
            ));
            told.extend(chain(certificates));
            told
        }
        Scene::UpgradeAsked { head, key } => upgrade_asked(head, key),
        Scene::UpgradeAnswered {
            head,
            accept_expected,
            accept_got,
            joined,
        } => upgrade_answered(head, accept_expected, *accept_got, joined),
        _ => Vec::new(),
    }
}

fn resolved(host: &str, addresses: &[std::net::SocketAddr], source: &str) -> String {
    let listed: Vec<String> = addresses.iter().map(|at| at.ip().to_string()).collect();
    match listed.len() {
        1 => format!("`{host}` is {} ({source})", listed[0]),
        count => format!(
            "`{host}` has {count} addresses: {} ({source})",
            listed.join(", ")
        ),
    }
}

fn tls_begun(server_name: &str, alpn: &[String], verifying: bool) -> String {
    let offered = match alpn {
        [] => String::new(),
        alpn => format!(", offering {}", alpn.join(", ")),
    };
    let checks = if verifying {
        "its certificate must be for that name"
    } else {
        "whatever certificate it has is taken (--insecure)"
    };
    format!("TLS handshake for the name `{server_name}`{offered}; {checks}")
}

fn chain(certificates: &[Certificate]) -> Vec<(char, String)> {
    let mut told = Vec::new();
    for (number, certificate) in certificates.iter().enumerate() {
        let who = if number == 0 {
            "certificate of the peer"
        } else {
            "vouched for by"
        };
        told.push(('<', format!("{who}: {}", certificate.subject)));
        if !certificate.names.is_empty() {
            told.push(('<', format!("    for {}", certificate.names.join(", "))));
        }
        let issuer = if certificate.is_self_signed {
            "itself (self-signed)".to_owned()
        } else {
            certificate.issuer.clone()
        };
        told.push(('<', format!("    issued by {issuer}")));
        told.push((
            '<',
            format!(
                "    valid {} to {}; key {}, signed with {}; serial {}",
                certificate.not_before,
                certificate.not_after,
                certificate.key,
                certificate.signature,
                certificate.serial
            ),
        ));
    }
    told
}

fn upgrade_asked(head: &str, key: &str) -> Vec<(char, String)> {
    let mut told = vec![(
        '*',
        "asking to leave HTTP for a WebSocket (RFC 6455 §4.1)".to_owned(),
    )];
    told.extend(head.trim_end().lines().map(|line| ('>', line.to_owned())));
    told.push((
        '*',
        format!("the key {key} is 16 random bytes: only who has read it can answer it"),
    ));
    told
}

fn upgrade_answered(
    head: &str,
    expected: &str,
    got: Option<&str>,
    joined: &str,
) -> Vec<(char, String)> {
    let mut told: Vec<(char, String)> = head
        .trim_end()
        .lines()
        .map(|line| ('<', line.to_owned()))
        .collect();
    let sha1 = taut_wire::ws::handshake::accept_digest(joined);
    let mut hex = Vec::new();
    Rendering::Hex.message(&mut hex, &sha1);
    told.push(('*', "the accept key, step by step:".to_owned()));
    told.push(('*', format!("    key + fixed GUID = {joined}")));
    told.push((
        '*',
        format!("    its SHA-1        = {}", String::from_utf8_lossy(&hex)),
    ));
    told.push(('*', format!("    as base64        = {expected}")));
    told.push((
        '*',
        match got {
            Some(got) if got == expected => {
                "    the peer answered the same: it speaks WebSocket and has read our key"
                    .to_owned()
            }
            Some(got) => format!("    the peer answered {got}: NOT the same"),
            None => "    the peer answered none".to_owned(),
        },
    ));
    told
}

/// A number of bytes in words.
pub(super) fn size(bytes: u64) -> String {
    if bytes == 1 {
        "1 byte".to_owned()
    } else {
        format!("{bytes} bytes")
    }
}

/// The beginning of a payload between quotes.
pub(super) fn preview(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(PREVIEW_BYTES)];
    let mut out = Vec::new();
    let text = String::from_utf8_lossy(shown)
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    let is_text = std::str::from_utf8(shown).is_ok_and(|_| true)
        || std::str::from_utf8(shown).is_err_and(|error| error.error_len().is_none());
    if is_text {
        escape(&mut out, text.as_bytes());
        let more = if bytes.len() > shown.len() { "…" } else { "" };
        return format!(
            "\"{}\"{more}",
            String::from_utf8_lossy(&out).trim_end_matches('\u{fffd}')
        );
    }
    let shown = &shown[..shown.len().min(PREVIEW_BYTES / 3)];
    Rendering::Hex.message(&mut out, shown);
    let more = if bytes.len() > shown.len() { "…" } else { "" };
    format!("0x{}{more}", String::from_utf8_lossy(&out))
}

/// A line without anything that a terminal would obey.
fn clean(line: &str) -> String {
    let mut out = Vec::new();
    escape(&mut out, line.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}
