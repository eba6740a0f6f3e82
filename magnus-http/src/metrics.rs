//! What the service counts of itself, as Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use magnus_core::model::{Run, RunState};

use crate::histogram::Histogram;

/// What the service counts of itself since it began.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// By method, route and status.
    requests: BTreeMap<(&'static str, String, u16), u64>,
    times: Histogram,
    runs: BTreeMap<RunState, u64>,
    items: BTreeMap<&'static str, u64>,
    run_times: Histogram,
    webhooks: BTreeMap<&'static str, u64>,
    listeners: i64,
    listeners_dropped: u64,
}

impl Metrics {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn request(&self, method: &'static str, route: &str, status: u16, elapsed: Duration) {
        let mut counted = self.counted();
        *counted.requests.entry((method, route.to_owned(), status)).or_default() += 1;
        counted.times.record(elapsed);
    }

    /// Counts a run that is over.
    pub(crate) fn run(&self, run: &Run) {
        let mut counted = self.counted();
        *counted.runs.entry(run.state).or_default() += 1;
        let tasks = run.report.counts.tasks;
        for (outcome, items) in [
            ("created", tasks.created),
            ("updated", tasks.updated),
            ("deleted", tasks.deleted),
            ("unchanged", tasks.unchanged),
            ("conflicted", tasks.conflicted),
            ("skipped", tasks.skipped),
            ("failed", tasks.failed),
        ] {
            *counted.items.entry(outcome).or_default() += items;
        }
        if let Some((started, completed)) = run.started_at.zip(run.completed_at)
            && let Ok(time) = (completed - started).to_std()
        {
            counted.run_times.record(time);
        }
    }

    /// Counts a webhook: `accepted`, `refused`, `echo`.
    pub(crate) fn webhook(&self, what: &'static str) {
        *self.counted().webhooks.entry(what).or_default() += 1;
    }

    pub(crate) fn listener_came(&self) {
        self.counted().listeners += 1;
    }

    pub(crate) fn listener_left(&self, dropped: bool) {
        let mut counted = self.counted();
        counted.listeners -= 1;
        counted.listeners_dropped += u64::from(dropped);
    }

    pub(crate) fn render(&self, text: &mut String) {
        let counted = self.counted();
        // Writing to a string cannot fail.
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        head(
            text,
            "magnus_http_requests_total",
            "counter",
            "Requests, by method, route and status.",
        );
        for ((method, route, status), count) in &counted.requests {
            let _written = writeln!(
                text,
                "magnus_http_requests_total{{method=\"{}\",route=\"{}\",status=\"{status}\"}} {count}",
                label(method),
                label(route)
            );
        }
        head(
            text,
            "magnus_http_request_seconds",
            "histogram",
            "How long answers took to begin.",
        );
        counted.times.render(text, "magnus_http_request_seconds", "");
        head(text, "magnus_runs_total", "counter", "Runs that are over, by state.");
        for (state, count) in &counted.runs {
            let _written = writeln!(text, "magnus_runs_total{{state=\"{state}\"}} {count}");
        }
        head(
            text,
            "magnus_items_total",
            "counter",
            "Tasks looked at by runs, by outcome.",
        );
        for (outcome, count) in &counted.items {
            let _written = writeln!(text, "magnus_items_total{{outcome=\"{outcome}\"}} {count}");
        }
        head(text, "magnus_run_seconds", "histogram", "How long runs took.");
        counted.run_times.render(text, "magnus_run_seconds", "");
        head(
            text,
            "magnus_webhooks_total",
            "counter",
            "Webhooks, by what became of them.",
        );
        for (what, count) in &counted.webhooks {
            let _written = writeln!(text, "magnus_webhooks_total{{result=\"{what}\"}} {count}");
        }
        head(text, "magnus_event_listeners", "gauge", "Listeners to live events.");
        let _written = writeln!(text, "magnus_event_listeners {}", counted.listeners);
        head(
            text,
            "magnus_event_listeners_dropped_total",
            "counter",
            "Listeners that read too slowly and were dropped.",
        );
        let _written = writeln!(
            text,
            "magnus_event_listeners_dropped_total {}",
            counted.listeners_dropped
        );
    }
}

/// The value of a label, with what would end it escaped.
pub(crate) fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let metrics = Metrics::default();
        metrics.request("GET", "/a\"b", 200, Duration::from_millis(3));
        metrics.webhook("refused");
        metrics.listener_came();
        metrics.listener_left(true);
        let mut text = String::new();
        metrics.render(&mut text);
        for line in [
            r#"magnus_http_requests_total{method="GET",route="/a\"b",status="200"} 1"#,
            r#"magnus_webhooks_total{result="refused"} 1"#,
            "magnus_event_listeners 0",
            "magnus_event_listeners_dropped_total 1",
            "magnus_http_request_seconds_count{} 1",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is missing in\n{text}");
        }
    }
}
