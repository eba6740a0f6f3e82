//! Times, counted in buckets as Prometheus has them.

use std::fmt::Write as _;
use std::time::Duration;

/// The upper bounds in seconds; what is beyond the last stands in `+Inf`.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Histogram {
    pub(crate) fn record(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.seconds += seconds;
    }

    /// Appends its lines; `labels` are those besides the bound.
    pub(crate) fn render(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            let _written = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {bucket}");
        }
        let _written = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", self.count);
        let _written = writeln!(text, "{name}_sum{{{labels}}} {}", self.seconds);
        let _written = writeln!(text, "{name}_count{{{labels}}} {}", self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let mut histogram = Histogram::default();
        for millis in [1, 30, 700, 60_000] {
            histogram.record(Duration::from_millis(millis));
        }
        let mut text = String::new();
        histogram.render(&mut text, "t", "a=\"b\"");
        for line in [
            "t_bucket{a=\"b\",le=\"0.001\"} 1",
            "t_bucket{a=\"b\",le=\"0.05\"} 2",
            "t_bucket{a=\"b\",le=\"30\"} 3",
            "t_bucket{a=\"b\",le=\"+Inf\"} 4",
            "t_count{a=\"b\"} 4",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is missing in\n{text}");
        }
    }
}
