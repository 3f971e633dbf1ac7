//! Prometheus' text format, version 0.0.4: families with their HELP and TYPE, and their samples.

use std::fmt::{Display, Write as _};

use super::histogram::Histogram;

/// The media type of what is written here.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics under way.
#[derive(Debug, Default)]
pub(crate) struct Page {
    out: String,
}

/// One family of a [`Page`].
pub(crate) struct Family<'p> {
    out: &'p mut String,
    name: &'static str,
}

/// Names and values of labels.
pub(crate) type Labels<'l> = &'l [(&'static str, &'l str)];

impl Page {
    /// Begins a counter; its name ends in `_total`.
    pub(crate) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Begins a gauge.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Writes a whole histogram; its name ends in `_seconds`.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) {
        let family = self.family(name, "histogram", help);
        let out = family.out;
        // Writing to a String cannot fail.
        for (bound_ns, count) in histogram.within() {
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {count}", seconds(bound_ns));
        }
        let count = histogram.count();
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {}", seconds(histogram.sum_ns()));
        let _ = writeln!(out, "{name}_count {count}");
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family {
            out: &mut self.out,
            name,
        }
    }

    /// The page.
    pub(crate) fn finish(self) -> String {
        self.out
    }
}

impl Family<'_> {
    /// One sample.
    pub(crate) fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.out.push_str(self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.out.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{label}=\"");
            escape(self.out, text);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
        self
    }
}

/// A label's value: backslash, quote and the line's end are escaped, everything else stands as it is.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// Nanoseconds as seconds, exactly.
fn seconds(ns: u64) -> String {
    let (whole, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
    let text = format!("{whole}.{rest:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_the_format_wants_them() {
        let mut page = Page::default();
        page.counter("taut_x_total", "Back\\slash and\nline.")
            .sample(&[], 1)
            .sample(&[("a", "q\"u\\o\nte"), ("b", "")], 2);
        let mut histogram = Histogram::default();
        histogram.observe(1_500_000);
        page.histogram("taut_y_seconds", "How long.", &histogram);
        let text = page.finish();
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("# HELP taut_x_total Back\\\\slash and\\nline.")
        );
        assert_eq!(lines.next(), Some("# TYPE taut_x_total counter"));
        assert_eq!(lines.next(), Some("taut_x_total 1"));
        assert_eq!(
            lines.next(),
            Some("taut_x_total{a=\"q\\\"u\\\\o\\nte\",b=\"\"} 2")
        );
        assert!(text.contains("taut_y_seconds_bucket{le=\"0.001\"} 0\n"));
        assert!(text.contains("taut_y_seconds_bucket{le=\"0.0025\"} 1\n"));
        assert!(text.contains("taut_y_seconds_bucket{le=\"+Inf\"} 1\n"));
        assert!(text.ends_with("taut_y_seconds_sum 0.0015\ntaut_y_seconds_count 1\n"));
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(seconds(50_000), "0.00005");
        assert_eq!(seconds(2_500_000_000), "2.5");
        assert_eq!(seconds(0), "0");
    }
}
