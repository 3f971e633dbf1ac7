//! From what the threads count to the page that a scrape reads.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::counts::{Counts, DOORS, Standing};
use super::scrape::Acceptance;
use super::text::Page;
use super::{Histogram, process};
use crate::health::Health;
use crate::hooks::Hooks;
use crate::keeper::Keeper;
use crate::orders::{Order, Orders};
use crate::reload::Outcomes;
use crate::stop::Stop;
use crate::tls::Renewal;

/// How long a core may take to say what it has counted. One that takes longer is in the page with what it said last.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the page.
#[derive(Debug)]
pub(crate) struct Gatherer {
    pub(crate) orders: Orders,
    pub(crate) acceptance: Arc<Acceptance>,
    pub(crate) reloads: Arc<Outcomes>,
    pub(crate) health: Arc<Health>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) hooks: Arc<Hooks>,
    #[cfg(feature = "http2")]
    pub(crate) http2: Arc<crate::http2::Counts>,
    /// What looks after certificates, where there are any.
    pub(crate) renewal: Option<Arc<Renewal>>,
    /// The folder that holds the store's files.
    pub(crate) store_dir: Option<PathBuf>,
    /// What each core said last: counters must not go back because one is late. The lock also keeps scrapes from piling up in front of the cores.
    pub(crate) last: Mutex<Vec<(Counts, Standing)>>,
}

impl Gatherer {
    /// The page as it is now.
    pub(crate) fn page(&self) -> String {
        let mut page = Page::default();
        let mut counts = Counts::default();
        let mut standing = Standing::default();
        let mut backlogs = Vec::new();
        let mut silent = 0_u64;
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.resize_with(self.orders.cores(), Default::default);
            let answers = self.orders.ask(PATIENCE, Order::Count);
            for (known, answer) in last.iter_mut().zip(answers) {
                match answer {
                    Some(answer) => *known = *answer,
                    None => silent += 1,
                }
                counts.add(&known.0);
                standing += &known.1;
                backlogs.push(known.1.backlog);
            }
        }
        page.gauge(
            "taut_build_info",
            "Always 1; the label says which version runs.",
        )
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.write_ready(&mut page);
        write_doors(&mut page, &counts, &standing);
        self.write_entrance(&mut page);
        let mut refusals = page.counter(
            "taut_refusals_total",
            "Requests that were refused while their Conn lived on, by the code that was said.",
        );
        for (code, count) in counts.refusals.sorted() {
            refusals.sample(&[("code", code)], count);
        }
        page.histogram(
            "taut_fanout_seconds",
            "From the arrival of a room's messages at a core (from a socket, the store or another core) to the end of the flush that wrote them to every member there that could be written; one observation a room, core and flush.",
            &counts.fanout,
        );
        write_lag(&mut page, &counts, &standing);
        write_rooms(&mut page, &standing);
        self.write_store(&mut page, &standing);
        self.write_webhooks(&mut page);
        let mut links = page.gauge(
            "taut_link_backlog_messages",
            "Messages that wait at a core for space in a ring to another core.",
        );
        for (core, backlog) in backlogs.iter().enumerate() {
            links.sample(&[("core", &core.to_string())], backlog);
        }
        page.gauge(
            "taut_cores_silent",
            "Cores that did not answer this scrape within 2 s; their counters are those of the last one.",
        )
        .sample(&[], silent);
        process::write(&mut page);
        page.finish()
    }

    fn write_ready(&self, page: &mut Page) {
        let is_ready = !self.stop.is_stopping() && self.health.is_store_well();
        page.gauge(
            "taut_ready",
            "1 while /health/ready says yes: the server is not shutting down and can keep what is said.",
        )
        .sample(&[], u8::from(is_ready));
    }

    fn write_entrance(&self, page: &mut Page) {
        let Acceptance {
            accepted,
            full,
            open_files,
        } = &*self.acceptance;
        page.counter(
            "taut_connections_accepted_total",
            "Connections that were accepted, over all stream listeners.",
        )
        .sample(&[], accepted.load(Ordering::Relaxed));
        page.counter(
            "taut_connections_turned_away_total",
            "Connections that were closed at once: full, as limits.conns_max says, or out of open files.",
        )
        .sample(&[("reason", "full")], full.load(Ordering::Relaxed))
        .sample(&[("reason", "open-files")], open_files.load(Ordering::Relaxed));
        #[cfg(feature = "http2")]
        self.write_http2(page);
        if let Some(renewal) = &self.renewal {
            page.gauge(
                "taut_tls_certificate_end_timestamp_seconds",
                "When the first of the certificates in force ends, in seconds since 1970.",
            )
            .sample(&[], renewal.ends_unix_s());
            page.gauge(
                "taut_tls_files_unusable",
                "Certificates and authorities whose files cannot be used as they are now, so that those before stay in force; the log says why.",
            )
            .sample(&[], renewal.unusable());
        }
        let Outcomes { applied, refused } = &*self.reloads;
        page.counter(
            "taut_config_reloads_total",
            "Reloads of the configuration: applied, or refused for mistakes in it.",
        )
        .sample(&[("outcome", "applied")], applied.load(Ordering::Relaxed))
        .sample(&[("outcome", "refused")], refused.load(Ordering::Relaxed));
    }

    #[cfg(feature = "http2")]
    fn write_http2(&self, page: &mut Page) {
        let counts = &self.http2;
        page.gauge(
            "taut_http2_connections",
            "Open HTTP/2 connections. Their streams are Conns of the door http, and are counted there.",
        )
        .sample(&[], counts.connections.load(Ordering::Relaxed));
        page.counter(
            "taut_http2_streams_total",
            "Streams that HTTP/2 connections opened.",
        )
        .sample(&[], counts.streams.load(Ordering::Relaxed));
        page.counter(
            "taut_http2_floods_total",
            "HTTP/2 connections that were closed because they sent PING, SETTINGS, RST_STREAM or empty frames without end.",
        )
        .sample(&[], counts.calmed.load(Ordering::Relaxed));
    }

    fn write_webhooks(&self, page: &mut Page) {
        let tallies = self.hooks.tallies();
        if tallies.is_empty() {
            return;
        }
        let mut calls = page.counter(
            "taut_webhook_questions_total",
            "Questions for the application, by webhook (in the order of the configuration) and outcome: answered, failed, or unasked, because too many waited or it had failed again and again.",
        );
        for (index, (event, counts, _)) in tallies.iter().enumerate() {
            let webhook = index.to_string();
            for (outcome, count) in ["answered", "failed", "unasked"].into_iter().zip(counts) {
                let labels = [
                    ("webhook", &*webhook),
                    ("event", event),
                    ("outcome", outcome),
                ];
                calls.sample(&labels, *count);
            }
        }
        let mut waiting = page.gauge(
            "taut_webhook_waiting",
            "Questions that wait for a free call to the application.",
        );
        for (index, (event, _, count)) in tallies.iter().enumerate() {
            let webhook = index.to_string();
            waiting.sample(&[("webhook", &webhook), ("event", event)], *count);
        }
    }

    fn write_store(&self, page: &mut Page, standing: &Standing) {
        let Some(keeper) = &self.keeper else {
            return;
        };
        let appends: Histogram = keeper.append_times();
        page.histogram(
            "taut_store_append_seconds",
            "From a core's handing messages to the store to their commit.",
            &appends,
        );
        page.gauge(
            "taut_store_pending_bytes",
            "Bytes of messages on their way to the store.",
        )
        .sample(&[], standing.pending_bytes);
        if let Some(bytes) = self.store_dir.as_deref().and_then(bytes_of) {
            page.gauge("taut_store_bytes", "Bytes of the store's files.")
                .sample(&[], bytes);
        }
    }
}

fn write_doors(page: &mut Page, counts: &Counts, standing: &Standing) {
    let mut conns = page.gauge(
        "taut_conns",
        "Open Conns, by the door that they came in by; none: their first bytes have not come.",
    );
    for (door, count) in DOORS.iter().zip(standing.conns) {
        conns.sample(&[("door", door)], count);
    }
    type Of = fn(&super::counts::DoorCounts) -> u64;
    let families: [(&'static str, &str, Of); 5] = [
        (
            "taut_conns_opened_total",
            "Conns that came to speak a door's protocol. A WebSocket or a stream begins as http and is counted there too.",
            |door| door.opened,
        ),
        (
            "taut_messages_received_total",
            "Messages that came in to be said, refused ones among them.",
            |door| door.messages_in,
        ),
        (
            "taut_messages_sent_total",
            "Messages of rooms that went out to members. Pages of history are not counted.",
            |door| door.messages_out,
        ),
        (
            "taut_received_bytes_total",
            "Bytes that came in, without those of TLS. What Engine.IO polls carry counts as http.",
            |door| door.bytes_in,
        ),
        (
            "taut_sent_bytes_total",
            "Bytes that the kernel took, without those of TLS. What Engine.IO polls carry counts as http.",
            |door| door.bytes_out,
        ),
    ];
    for (name, help, of) in families {
        let mut family = page.counter(name, help);
        for (door, found) in counts.doors() {
            family.sample(&[("door", door)], of(found));
        }
    }
    let mut closes = page.counter(
        "taut_closes_total",
        "Conns that ended, by the reason that they were told; vanished: the peer went without a word.",
    );
    for (door, found) in counts.doors() {
        for (reason, count) in found.closes.sorted() {
            closes.sample(&[("door", door), ("reason", reason)], count);
        }
    }
}

fn write_lag(page: &mut Page, counts: &Counts, standing: &Standing) {
    page.gauge(
        "taut_readers_behind",
        "Conns whose socket takes no more bytes at the moment, so that their cursors stand still.",
    )
    .sample(&[], standing.behind);
    page.counter(
        "taut_gaps_total",
        "Gaps that readers were told of: messages that they can not have any more.",
    )
    .sample(&[], counts.gaps);
}

fn write_rooms(page: &mut Page, standing: &Standing) {
    page.gauge("taut_rooms", "Rooms that the server has in memory.")
        .sample(&[], standing.rooms);
    page.gauge(
        "taut_log_bytes",
        "What the logs of all rooms cost in memory, relays included.",
    )
    .sample(&[], standing.log_bytes);
}

/// Bytes of the files of a folder.
fn bytes_of(folder: &std::path::Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder).ok()?;
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    Some(
        files
            .filter(std::fs::Metadata::is_file)
            .map(|file| file.len())
            .sum(),
    )
}
