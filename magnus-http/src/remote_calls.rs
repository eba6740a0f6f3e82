//! What was asked of the tools, counted for `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::histogram::Histogram;
use crate::metrics::label;

/// Counts what is asked of the tools. Clones count together; whoever sends the requests tells it.
#[derive(Debug, Clone, Default)]
pub struct RemoteCalls {
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    /// By host, and status or `error`.
    answers: BTreeMap<(String, String), u64>,
    times: BTreeMap<String, Histogram>,
}

impl RemoteCalls {
    /// Counts a request: to which host, the status of the answer if there was one, and how long it took.
    pub fn record(&self, host: &str, status: Option<u16>, elapsed: Duration) {
        let status = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.answers.entry((host.to_owned(), status)).or_default() += 1;
        calls.times.entry(host.to_owned()).or_default().record(elapsed);
    }

    pub(crate) fn render(&self, text: &mut String) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str("# HELP magnus_remote_calls_total Requests to tools, by host and status.\n");
        text.push_str("# TYPE magnus_remote_calls_total counter\n");
        for ((host, status), count) in &calls.answers {
            // Writing to a string cannot fail.
            let _written = writeln!(
                text,
                "magnus_remote_calls_total{{host=\"{}\",status=\"{}\"}} {count}",
                label(host),
                label(status)
            );
        }
        text.push_str("# HELP magnus_remote_rate_limited_total Requests that a tool answered with 429.\n");
        text.push_str("# TYPE magnus_remote_rate_limited_total counter\n");
        let limited: u64 = calls
            .answers
            .iter()
            .filter(|((_, status), _)| status == "429")
            .map(|(_, count)| count)
            .sum();
        let _written = writeln!(text, "magnus_remote_rate_limited_total {limited}");
        text.push_str("# HELP magnus_remote_call_seconds How long tools took to answer.\n");
        text.push_str("# TYPE magnus_remote_call_seconds histogram\n");
        for (host, times) in &calls.times {
            times.render(text, "magnus_remote_call_seconds", &format!("host=\"{}\"", label(host)));
        }
    }
}
