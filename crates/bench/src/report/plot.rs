//! Plots as inline SVG: bars for what a thing costs, lines for how latency is spread.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::html::escape;
use super::table::time;

const WIDTH: f64 = 860.0;
const LABEL_WIDTH: f64 = 230.0;
const VALUE_WIDTH: f64 = 150.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_STEP: f64 = 34.0;

/// One bar: parts that add up, and the spread of their sum.
pub(super) struct Bar {
    pub(super) label: String,
    /// Each with the class of its colour.
    pub(super) parts: Vec<(f64, &'static str)>,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) text: String,
}

/// Horizontal bars on one scale that begins at 0.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let greatest = bars.iter().map(|bar| bar.max).fold(0.0, f64::max);
    let space = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
    let x = |value: f64| LABEL_WIDTH + value / greatest.max(f64::MIN_POSITIVE) * space;
    let height = bars.len() as f64 * BAR_STEP + 8.0;
    let mut out = open(title, height);
    for (index, bar) in bars.iter().enumerate() {
        let top = index as f64 * BAR_STEP + 8.0;
        let middle = top + BAR_HEIGHT / 2.0;
        text(
            &mut out,
            LABEL_WIDTH - 10.0,
            middle + 4.0,
            "end",
            &bar.label,
        );
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
        text(
            &mut out,
            right.max(x(sum)) + 8.0,
            middle + 4.0,
            "start",
            &bar.text,
        );
    }
    out.push_str("</svg>");
    out
}

/// Latency over the share of deliveries that had at most that, both on logarithmic scales, a line for each.
pub(super) fn latencies(title: &str, lines: &[(String, Histogram<u64>)]) -> String {
    const HEIGHT: f64 = 300.0;
    const LEFT: f64 = 80.0;
    const RIGHT: f64 = 40.0;
    const BOTTOM: f64 = 30.0;
    const LEGEND: f64 = 22.0;
    /// The last share is 1 - 10^-5.
    const NINES: f64 = 5.0;
    let least = lines
        .iter()
        .map(|(_, line)| line.min().max(1))
        .min()
        .unwrap_or(1);
    let greatest = lines.iter().map(|(_, line)| line.max()).max().unwrap_or(1);
    let (low, high) = (least.ilog10(), greatest.max(1).ilog10() + 1);
    let x = |nines: f64| LEFT + nines / NINES * (WIDTH - LEFT - RIGHT);
    let y = |ns: f64| {
        let share = (ns.max(1.0).log10() - f64::from(low)) / f64::from(high - low);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - 12.0)
    };
    let mut out = open(title, HEIGHT + LEGEND * lines.len() as f64);
    for power in low..=high {
        let ns = 10_u64.saturating_pow(power);
        let (at, right) = (y(ns as f64), WIDTH - RIGHT);
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
            HEIGHT - BOTTOM
        );
        text(&mut out, at, HEIGHT - 10.0, "middle", mark);
    }
    for (index, (label, line)) in lines.iter().enumerate() {
        let class = index % 6;
        let points = (0..=100).map(|step| {
            let nines = f64::from(step) / 100.0 * NINES;
            let ns = line.value_at_quantile(1.0 - 10_f64.powf(-nines));
            format!("{:.1},{:.1}", x(nines), y(ns as f64))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let at = HEIGHT + LEGEND * index as f64 + 10.0;
        let _ = write!(
            out,
            "<polyline class=\"line c{class}\" points=\"{points}\"/><path class=\"line c{class}\" d=\"M{LEFT} {at:.1}h24\"/>"
        );
        text(&mut out, LEFT + 32.0, at + 4.0, "start", label);
    }
    out.push_str("</svg>");
    out
}

fn open(title: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
        escape(title)
    )
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escape(text);
    let _ = write!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
