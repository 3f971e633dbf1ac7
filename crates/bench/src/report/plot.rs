//! Plots as SVG: bars for what a thing costs, lines for how latency is spread.

use std::fmt::Write;

use super::Spread;
use super::html::escape;
use super::saved::{Latency, Measurement, NINES, POINTS_PER_NINE, Parts, Program};
use super::table::{heading, time};

/// Every plot is so wide, in pixels.
pub(super) const WIDTH: f64 = 860.0;
const LABEL_WIDTH: f64 = 230.0;
const VALUE_WIDTH: f64 = 150.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_STEP: f64 = 34.0;

/// Colours, for a page or a file of its own, by day and by night.
pub(super) const COLOURS: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--rule:#d8dde3;--paper:#fff;--user:#d9822b;--system:#9fb3c8;--c0:#1668b8;--c1:#d9822b;--c2:#2a8a4a;--c3:#8a4fb8;--c4:#b83a4b;--c5:#6a737d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--rule:#39424c;--paper:#14181d;--system:#56697c;--c0:#5aa9f0;--c2:#5cc47e;--c3:#bb8ae6;--c4:#ef7c8b;--c5:#a0a8b0}}
";

/// What the classes of a plot look like.
pub(super) const CLASSES: &str = "\
svg{font:12px system-ui,sans-serif}text{fill:var(--ink)}
.user{fill:var(--user)}.system{fill:var(--system)}.whole{fill:var(--c0)}.spread{stroke:var(--ink);fill:none;stroke-width:1.2}.grid{stroke:var(--rule);fill:none}
.line{fill:none;stroke-width:2}.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}
";

/// A drawing that is [`WIDTH`] wide.
pub(super) struct Plot {
    /// What it shows.
    pub(super) title: String,
    pub(super) height: f64,
    /// Whether it tells user and system time apart.
    pub(super) has_parts: bool,
    /// The elements.
    pub(super) body: String,
}

impl Plot {
    /// What the programs cost; `None` where that is not known.
    pub(super) fn costs(measurement: &Measurement) -> Option<Self> {
        let bars: Vec<Bar> = measurement.programs.iter().filter_map(Bar::new).collect();
        let has_parts = bars.first()?.parts.len() > 1;
        let title = heading(&measurement.scene);
        let title = if has_parts {
            format!("{title}: CPU time of a {}", measurement.scene.unit())
        } else {
            format!("{title}: resident bytes of each")
        };
        Some(Self {
            title,
            height: bars.len() as f64 * BAR_STEP + 8.0,
            has_parts,
            body: draw_bars(&bars),
        })
    }

    /// How the programs' latencies are spread; `None` where nothing was sent.
    pub(super) fn latencies(measurement: &Measurement) -> Option<Self> {
        let programs = measurement.programs.iter();
        let lines = programs.filter_map(|program| {
            let latency = program.latency_ns.as_ref()?;
            (!latency.curve.is_empty()).then(|| (program.title(), latency))
        });
        let lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            return None;
        }
        let title = heading(&measurement.scene);
        Some(Self {
            title: format!("{title}: latency, by the share that had at most that"),
            height: LINES_HEIGHT + LEGEND_STEP * lines.len() as f64,
            has_parts: false,
            body: draw_lines(&lines),
        })
    }

    /// As an element of a page.
    pub(super) fn inline(&self) -> String {
        let (title, height, body) = (escape(&self.title), self.height, &self.body);
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>{body}</svg>"
        )
    }
}

/// One bar: parts that add up, and the spread of their sum.
struct Bar {
    label: String,
    /// Each with the class of its colour.
    parts: Vec<(f64, &'static str)>,
    min: f64,
    max: f64,
    text: String,
}

impl Bar {
    fn new(program: &Program) -> Option<Self> {
        let label = program.title();
        let (parts, Spread { min, max, .. }, text) = match program.cpu_us {
            Some(cpu) => {
                let Parts { user, system } = program.parts_us?;
                let user = cpu.median * user / (user + system);
                let parts = vec![(user, "user"), ((cpu.median - user).max(0.0), "system")];
                (parts, cpu, format!("{:.3} µs", cpu.median))
            }
            None => {
                let bytes = program.conn_bytes?;
                let parts = vec![(bytes.median, "whole")];
                (parts, bytes, format!("{:.0} bytes", bytes.median))
            }
        };
        Some(Self {
            label,
            parts,
            min,
            max,
            text,
        })
    }
}

/// Horizontal bars on one scale that begins at 0.
fn draw_bars(bars: &[Bar]) -> String {
    let greatest = bars.iter().map(|bar| bar.max).fold(0.0, f64::max);
    let space = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
    let x = |value: f64| LABEL_WIDTH + value / greatest.max(f64::MIN_POSITIVE) * space;
    let mut out = String::new();
    for (index, bar) in bars.iter().enumerate() {
        let top = index as f64 * BAR_STEP + 8.0;
        let middle = top + BAR_HEIGHT / 2.0;
        let base = middle + 4.0;
        text(&mut out, LABEL_WIDTH - 10.0, base, "end", &bar.label);
        let mut sum = 0.0;
        for (value, class) in &bar.parts {
            let (left, right) = (x(sum), x(sum + value));
            let width = right - left;
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>"
            );
            sum += value;
        }
        let (left, right) = (x(bar.min), x(bar.max));
        let _ = write!(
            out,
            "<path class=\"spread\" d=\"M{left:.1} {middle:.1}H{right:.1}M{left:.1} {0:.1}v8M{right:.1} {0:.1}v8\"/>",
            middle - 4.0
        );
        let behind = right.max(x(sum)) + 8.0;
        text(&mut out, behind, base, "start", &bar.text);
    }
    out
}

const LINES_HEIGHT: f64 = 300.0;
const LEGEND_STEP: f64 = 22.0;

/// Latency over the share of deliveries that had at most that, both on logarithmic scales, a line for each.
fn draw_lines(lines: &[(String, &Latency)]) -> String {
    const LEFT: f64 = 80.0;
    const RIGHT: f64 = 40.0;
    const BOTTOM: f64 = 30.0;
    let ends = |pick: fn(&Latency) -> u64| lines.iter().map(move |(_, line)| pick(line).max(1));
    let least = ends(|line| line.curve.first().copied().unwrap_or(1)).min();
    let greatest = ends(|line| line.max).max();
    let low = least.unwrap_or(1).ilog10();
    let high = greatest.unwrap_or(1).ilog10() + 1;
    let x = |nines: f64| LEFT + nines / f64::from(NINES) * (WIDTH - LEFT - RIGHT);
    let y = |ns: u64| {
        let share = ((ns.max(1) as f64).log10() - f64::from(low)) / f64::from(high - low);
        LINES_HEIGHT - BOTTOM - share * (LINES_HEIGHT - BOTTOM - 12.0)
    };
    let mut out = String::new();
    for power in low..=high {
        let ns = 10_u64.saturating_pow(power);
        let (at, right) = (y(ns), WIDTH - RIGHT);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right:.1}\"/>"
        );
        text(&mut out, LEFT - 8.0, at + 4.0, "end", &time(ns));
    }
    let marks = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
    for (nines, mark) in marks.iter().enumerate() {
        let at = x(nines as f64);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{at:.1} 12V{:.1}\"/>",
            LINES_HEIGHT - BOTTOM
        );
        text(&mut out, at, LINES_HEIGHT - 10.0, "middle", mark);
    }
    for (index, (label, line)) in lines.iter().enumerate() {
        let class = index % 6;
        let points = line.curve.iter().zip(0_u32..).map(|(ns, step)| {
            let nines = f64::from(step) / f64::from(POINTS_PER_NINE);
            format!("{:.1},{:.1}", x(nines), y(*ns))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let at = LINES_HEIGHT + LEGEND_STEP * index as f64 + 10.0;
        let _ = write!(
            out,
            "<polyline class=\"line c{class}\" points=\"{points}\"/><path class=\"line c{class}\" d=\"M{LEFT} {at:.1}h24\"/>"
        );
        text(&mut out, LEFT + 32.0, at + 4.0, "start", label);
    }
    out
}

/// A line of text.
pub(super) fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escape(text);
    let _ = write!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
