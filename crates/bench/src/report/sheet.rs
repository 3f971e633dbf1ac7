//! All plots of some reports as one image, which carries its own paper: so that it can be read wherever it is shown.

use std::fmt::Write;

use super::plot::{CLASSES, COLOURS, Plot, WIDTH, text};
use super::saved::Report;
use crate::pace::Pace;

const MARGIN: f64 = 20.0;
const TITLE_HEIGHT: f64 = 30.0;
const GAP: f64 = 18.0;

/// What it costs, scene by scene; and latency, where the rate was given.
pub(crate) fn sheet(reports: &[Report]) -> String {
    let measurements = reports.iter().flat_map(|report| &report.measurements);
    let plots = measurements.flat_map(|measurement| {
        let has_rate = matches!(measurement.scene.pace(), Some(Pace::Rate(_)));
        let latencies = has_rate.then(|| Plot::latencies(measurement)).flatten();
        Plot::costs(measurement).into_iter().chain(latencies)
    });
    let plots: Vec<Plot> = plots.collect();
    let mut body = String::new();
    let mut top = MARGIN;
    for plot in &plots {
        body.push_str("<g class=\"title\">");
        text(&mut body, MARGIN, top + 16.0, "start", &plot.title);
        body.push_str("</g>");
        if plot.has_parts {
            legend(&mut body, top + 5.0);
        }
        top += TITLE_HEIGHT;
        // A String takes whatever is written.
        let _ = writeln!(
            body,
            "<g transform=\"translate({MARGIN} {top})\">{}</g>",
            plot.body
        );
        top += plot.height + GAP;
    }
    let (width, height) = (WIDTH + 2.0 * MARGIN, top);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"><style>{COLOURS}{CLASSES}.title{{font-size:14px;font-weight:600}}.paper{{fill:var(--paper);stroke:var(--rule)}}</style>\n<rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n{body}</svg>\n",
        width - 1.0,
        height - 1.0
    )
}

/// Which colour is which part, at the right.
fn legend(out: &mut String, top: f64) {
    for (word, back) in [("user", 130.0), ("system", 70.0)] {
        let left = WIDTH - back;
        let _ = write!(
            out,
            "<rect class=\"{word}\" x=\"{left}\" y=\"{top}\" width=\"12\" height=\"12\"/>"
        );
        text(out, left + 18.0, top + 10.5, "start", word);
    }
}
