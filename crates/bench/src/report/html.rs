//! The report as a page of its own: tables, plots, and the command that made it. It loads nothing and runs nothing.

use std::fmt::Write;

use super::plot::{CLASSES, COLOURS, Plot};
use super::saved::{Measurement, Report};
use super::table::{columns, heading};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}p,figcaption{color:var(--soft)}
code{overflow-wrap:anywhere}div{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem}th,td{border-bottom:1px solid var(--rule);padding:.3rem .7rem .3rem 0;text-align:left;vertical-align:top}td{font-variant-numeric:tabular-nums}
figure{margin:1.5rem 0}svg{width:100%;height:auto}
.key::before{content:'';display:inline-block;width:.8em;height:.8em;margin-right:.3em}.key.user::before{background:var(--user)}.key.system::before{background:var(--system)}.key{margin-left:1em}";

/// A page that needs nothing else.
pub(crate) fn html(reports: &[Report]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>taut bench</title><style>{COLOURS}{CLASSES}{STYLE}</style>\n<h1>taut bench</h1>\n<p>Each value is the median of the rounds, with the least and the greatest.</p>\n"
    );
    for report in reports {
        let machine = &report.machine;
        // A String takes whatever is written.
        let _ = writeln!(
            out,
            "<p><code>{}</code><br>taut {}, {}, {} cores, Linux {}, load {:.2} before. Messages of {} bytes.</p>",
            escape(&report.command),
            escape(&machine.taut),
            escape(&machine.cpu),
            machine.cores,
            escape(&machine.kernel),
            machine.load,
            report.payload_bytes
        );
        for measurement in &report.measurements {
            section(&mut out, measurement);
        }
    }
    out.push_str("</html>\n");
    out
}

fn section(out: &mut String, measurement: &Measurement) {
    let title = heading(&measurement.scene);
    let _ = write!(out, "<h2>{}</h2>\n<div><table><tr>", escape(&title));
    let columns = columns(measurement);
    for (name, _) in &columns {
        let _ = write!(out, "<th>{}", escape(name));
    }
    for program in &measurement.programs {
        out.push_str("<tr>");
        for (_, value) in &columns {
            let _ = write!(out, "<td>{}", escape(&value(program)));
        }
    }
    out.push_str("</table></div>\n");
    let plots = [Plot::costs(measurement), Plot::latencies(measurement)];
    for plot in plots.iter().flatten() {
        let keys = if plot.has_parts {
            " <span class=\"key user\">user</span><span class=\"key system\">system</span>"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "<figure>{}<figcaption>{}.{keys}</figcaption></figure>",
            plot.inline(),
            escape(&plot.title)
        );
    }
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
