//! The report as a page of its own: tables, plots, and the command that made it. It loads nothing and runs nothing.

use std::fmt::Write;

use super::plot::{self, Bar};
use super::table::{self, columns};
use super::{Cell, Report, Row, Spread};
use crate::scenario::Round;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--rule:#d8dde3;--paper:#fff;--user:#d9822b;--system:#9fb3c8;--c0:#1668b8;--c1:#d9822b;--c2:#2a8a4a;--c3:#8a4fb8;--c4:#b83a4b;--c5:#6a737d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--rule:#39424c;--paper:#14181d;--system:#56697c;--c0:#5aa9f0;--c2:#5cc47e;--c3:#bb8ae6;--c4:#ef7c8b;--c5:#a0a8b0}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}p,figcaption{color:var(--soft)}
code{overflow-wrap:anywhere}div{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem}th,td{border-bottom:1px solid var(--rule);padding:.3rem .7rem .3rem 0;text-align:left;vertical-align:top}td{font-variant-numeric:tabular-nums}
figure{margin:1.5rem 0}svg{width:100%;height:auto;font:12px system-ui,sans-serif}text{fill:var(--ink)}
.user{fill:var(--user)}.system{fill:var(--system)}.whole{fill:var(--c0)}.spread{stroke:var(--ink);fill:none;stroke-width:1.2}.grid{stroke:var(--rule);fill:none}
.line{fill:none;stroke-width:2}.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}
.key::before{content:'';display:inline-block;width:.8em;height:.8em;margin-right:.3em}.key.user::before{background:var(--user)}.key.system::before{background:var(--system)}.key{margin-right:1em}";

/// A page that needs nothing else.
pub(crate) fn html(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>taut bench</title><style>{STYLE}</style>\n<h1>taut bench</h1>\n<p><code>{}</code></p>\n<p>Messages of {} bytes. Each value is the median of the rounds, with the least and the greatest.</p>\n",
        escape(&report.command),
        report.payload_bytes
    );
    for cell in &report.cells {
        section(&mut out, cell);
    }
    out.push_str("</html>\n");
    out
}

fn section(out: &mut String, cell: &Cell) {
    let title = cell.scene.title();
    // A String takes whatever is written.
    let _ = write!(out, "<h2>{}</h2>\n<div><table><tr>", escape(&title));
    let columns = columns(cell);
    for (name, _) in &columns {
        let _ = write!(out, "<th>{}", escape(name));
    }
    for row in &cell.rows {
        out.push_str("<tr>");
        for (_, value) in &columns {
            let _ = write!(out, "<td>{}", escape(&value(row)));
        }
    }
    out.push_str("</table></div>\n");
    let bars: Vec<Bar> = cell.rows.iter().filter_map(bar).collect();
    if !bars.is_empty() {
        let what = match bars[0].parts.len() {
            1 => "Resident bytes of each client".to_owned(),
            _ => format!("CPU time per {}", cell.scene.unit()),
        };
        let keys = match bars[0].parts.len() {
            1 => "",
            _ => " <span class=\"key user\">user</span><span class=\"key system\">system</span>",
        };
        let plot = plot::bars(&format!("{what}, {title}"), &bars);
        let _ = writeln!(
            out,
            "<figure>{plot}<figcaption>{what}. {keys}</figcaption></figure>"
        );
    }
    let lines = cell.rows.iter();
    let lines: Vec<_> = lines
        .filter_map(|row| Some((table::name(row), row.latency_ns()?)))
        .collect();
    if !lines.is_empty() {
        let plot = plot::latencies(&format!("latency, {title}"), &lines);
        let _ = writeln!(
            out,
            "<figure>{plot}<figcaption>Latency, by the share that had at most that.</figcaption></figure>"
        );
    }
}

fn bar(row: &Row) -> Option<Bar> {
    let (label, parts, spread, text) = match row.spread(Round::cpu_us) {
        Some(cpu) => {
            let (user, system) = row.parts_us()?;
            let user = cpu.median * user / (user + system);
            let parts = vec![(user, "user"), ((cpu.median - user).max(0.0), "system")];
            (
                table::name(row),
                parts,
                cpu,
                format!("{:.3} µs", cpu.median),
            )
        }
        None => {
            let bytes = row.spread(|round| round.conn_bytes)?;
            let parts = vec![(bytes.median, "whole")];
            (
                table::name(row),
                parts,
                bytes,
                format!("{:.0} bytes", bytes.median),
            )
        }
    };
    let Spread { min, max, .. } = spread;
    Some(Bar {
        label,
        parts,
        min,
        max,
        text,
    })
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
