//! Runs as a table.

use comfy_table::{ContentArrangement, Table, presets};
use magnus_core::model::{ConnectionSettings, Run};

/// A table without ornaments.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// The name of a run's connection.
pub(crate) fn connection_name(connections: &[ConnectionSettings], run: &Run) -> String {
    connections
        .iter()
        .find(|settings| settings.id == run.connection_id)
        .map_or_else(|| run.connection_id.to_string(), |settings| settings.name.clone())
}

/// One row per run.
pub(crate) fn runs(connections: &[ConnectionSettings], runs: &[Run]) -> String {
    let mut table = table([
        "connection", "state", "created", "updated", "deleted", "unchanged", "conflicted", "skipped", "failed", "seconds",
    ]);
    for run in runs {
        let tasks = run.report.counts.tasks;
        let seconds = run
            .started_at
            .zip(run.completed_at)
            .map(|(start, end)| format!("{:.1}", (end - start).as_seconds_f64()));
        table.add_row([
            connection_name(connections, run),
            run.state.to_string(),
            tasks.created.to_string(),
            tasks.updated.to_string(),
            tasks.deleted.to_string(),
            tasks.unchanged.to_string(),
            tasks.conflicted.to_string(),
            tasks.skipped.to_string(),
            tasks.failed.to_string(),
            seconds.unwrap_or_default(),
        ]);
    }
    table.to_string()
}

/// What is worth knowing of runs that did not just complete.
pub(crate) fn remarks(connections: &[ConnectionSettings], runs: &[Run]) -> Vec<String> {
    let mut lines = Vec::new();
    for run in runs {
        let name = connection_name(connections, run);
        if let Some(message) = &run.error_message {
            lines.push(format!("{name}: {}: {message}", run.state));
        }
        for item in run.report.items.iter().filter(|item| item.outcome == "failed").take(20) {
            lines.push(format!("{name}: failed: {:?}: {}", item.title, item.detail));
        }
    }
    lines
}
